//! Who must be found at an endpoint, as metadata that chooses how it is dialled.

use std::collections::{BTreeSet, HashMap};

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::{Struct, Value, value};
use wattle_model::traffic::UpstreamTls;
use wattle_model::{Endpoint, Endpoints, Hop, Workload};

/// Where Envoy looks for what chooses a transport socket.
const MATCHED: &str = "envoy.transport_socket_match";
/// The field that chooses.
const PEER: &str = "peer";
/// Its value for endpoints without a proxy.
pub(crate) const PLAINTEXT: &str = "plaintext";
/// Its value for a workload that has no valid name: nothing is chosen, and what is not chosen is refused.
const NOBODY: &str = "nobody";

/// The SPIFFE name of a workload; `None` for one without identity.
pub(crate) fn spiffe(workload: &Workload) -> Option<String> {
    let (domain, namespace) = (&workload.trust_domain, &workload.namespace);
    let account = &workload.service_account;
    let named = [domain, namespace, account].iter().all(|part| !part.is_empty());
    named.then(|| format!("spiffe://{domain}/ns/{namespace}/sa/{account}"))
}

/// How this endpoint is dialled.
pub(super) fn peer(endpoint: &Endpoint, tls: &UpstreamTls) -> String {
    match (tls, endpoint.hop) {
        (UpstreamTls::Mesh, Hop::MutualTls) | (UpstreamTls::MeshMutual, _) => {
            spiffe(&endpoint.workload).unwrap_or_else(|| NOBODY.to_owned())
        }
        _ => PLAINTEXT.to_owned(),
    }
}

/// Every identity that endpoints must have, whatever their health, so that a change of health changes no cluster.
pub(super) fn peers(endpoints: &Endpoints, tls: &UpstreamTls) -> BTreeSet<String> {
    let named = endpoints.names.iter().map(|name| &name.template);
    let all = endpoints.endpoints.iter().chain(named);
    all.map(|endpoint| peer(endpoint, tls))
        .filter(|peer| peer != PLAINTEXT && peer != NOBODY)
        .collect()
}

/// What an endpoint must carry, or a cluster's match must ask for.
pub(super) fn told(peer: &str) -> Struct {
    let value = Value {
        kind: Some(value::Kind::StringValue(peer.to_owned())),
    };
    Struct {
        fields: HashMap::from([(PEER.to_owned(), value)]),
    }
}

pub(super) fn metadata(peer: &str) -> Option<Metadata> {
    Some(Metadata {
        filter_metadata: HashMap::from([(MATCHED.to_owned(), told(peer))]),
        ..Default::default()
    })
}
