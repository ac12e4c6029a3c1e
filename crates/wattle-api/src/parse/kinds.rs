//! Which decoder reads which kind.

use crate::decode::{Decoded, Fields};
use crate::key::Kind;
use crate::meta::{Meta, Origin};
use crate::object::{Object, Resource};
use crate::{
    authentication, authorization, config_map, core, grant, istio, mesh_config, peer, process, route,
    workload,
};
use crate::{
    backend_tls, backend_traffic, egress_policy, endpoint_slice, grpc, linkerd, rate_limit, stream_route,
};

/// Decodes `spec` and makes the object. This is where a new kind gets its decoder.
pub(super) fn spec(
    kind: Kind,
    fields: &Fields<'_>,
    meta: Decoded<Meta>,
    origin: impl Fn() -> Origin,
) -> Decoded<Object> {
    macro_rules! object {
        ($variant:ident = $spec:expr) => {{
            let spec = $spec;
            Object::$variant(Resource {
                meta: meta?,
                spec: spec?,
                origin: origin(),
            })
        }};
        ($variant:ident, $decode:expr) => {
            object!($variant = fields.required("spec", $decode))
        };
    }
    Ok(match kind {
        Kind::Namespace => object!(Namespace = Ok(core::Namespace {})),
        Kind::ServiceAccount => object!(ServiceAccount = Ok(core::ServiceAccount {})),
        Kind::Service => object!(Service, core::service),
        Kind::HttpRoute => object!(HttpRoute, route::http_route),
        Kind::ReferenceGrant => object!(ReferenceGrant, grant::reference_grant),
        Kind::GrpcRoute => object!(GrpcRoute, grpc::grpc_route),
        Kind::TlsRoute => object!(TlsRoute, stream_route::tls_route),
        Kind::TcpRoute => object!(TcpRoute, stream_route::tcp_route),
        Kind::BackendTlsPolicy => object!(BackendTlsPolicy, backend_tls::backend_tls_policy),
        Kind::BackendTrafficPolicy => object!(BackendTrafficPolicy, backend_traffic::backend_traffic_policy),
        Kind::EndpointSlice => object!(EndpointSlice = endpoint_slice::endpoint_slice(fields)),
        Kind::PeerAuthentication => object!(PeerAuthentication, peer::peer_authentication),
        Kind::RequestAuthentication => {
            object!(RequestAuthentication, authentication::request_authentication)
        }
        Kind::AuthorizationPolicy => object!(AuthorizationPolicy, authorization::authorization_policy),
        Kind::WorkloadEntry => {
            let healthy = fields.at("status").and_then(|at| workload::healthy(&at));
            object!(WorkloadEntry, |at| {
                workload::workload_entry(at).map(|entry| workload::WorkloadEntry { healthy, ..entry })
            })
        }
        Kind::VirtualService => object!(VirtualService, istio::virtual_service),
        Kind::DestinationRule => object!(DestinationRule, istio::destination_rule),
        Kind::ServiceEntry => object!(ServiceEntry, istio::service_entry),
        Kind::WorkloadGroup => object!(WorkloadGroup, istio::workload_group),
        Kind::Sidecar => object!(Sidecar, istio::sidecar),
        Kind::Process => object!(Process, process::process),
        Kind::LinkerdHttpRoute => object!(LinkerdHttpRoute, route::http_route),
        Kind::Server => object!(Server, linkerd::server),
        Kind::ServerPolicy => object!(ServerPolicy, linkerd::server_policy),
        Kind::ServerAuthorization => object!(ServerAuthorization, linkerd::server_authorization),
        Kind::MeshTlsAuthentication => object!(MeshTlsAuthentication, linkerd::mesh_tls_authentication),
        Kind::NetworkAuthentication => object!(NetworkAuthentication, linkerd::network_authentication),
        Kind::LocalRateLimit => object!(LocalRateLimit, linkerd::local_rate_limit),
        Kind::EgressNetwork => object!(EgressNetwork, linkerd::egress_network),
        Kind::ServiceProfile => object!(ServiceProfile, linkerd::service_profile),
        Kind::RateLimit => object!(RateLimit, rate_limit::rate_limit),
        Kind::EgressPolicy => object!(EgressPolicy, egress_policy::egress_policy),
        Kind::ConfigMap => {
            let is_istios = meta.as_ref().is_ok_and(|meta| &*meta.name == mesh_config::NAME);
            object!(ConfigMap = fields.required("data", |at| config_map::config_map(at, is_istios)))
        }
    })
}
