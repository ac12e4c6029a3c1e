//! How connections to endpoints are secured.

use std::collections::BTreeSet;
use std::sync::Arc;

use cluster::cluster::TransportSocketMatch;
use common_tls_context::{CombinedCertificateValidationContext, ValidationContextType};
use core::config_source::ConfigSourceSpecifier;
use core::grpc_service::{EnvoyGrpc, TargetSpecifier};
use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::proxy_protocol::v3::ProxyProtocolUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use subject_alt_name_matcher::SanType;
use tls::{common_tls_context, subject_alt_name_matcher, tls_parameters::TlsProtocol};
use wattle_model::BackendPolicy;
use wattle_model::traffic::{ProxyProtocol, Roots, SubjectName, TlsFiles};

use super::Wire;
use super::identity::{PLAINTEXT, told};
use crate::notes::Notes;
use crate::proto::{as_ip, file, inline, transport_socket};
use crate::text::exact;

/// The system's roots, where a policy names none.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// A name that nobody can have.
const NOBODY: &str = "spiffe://nobody.invalid/";

/// Where certificates of the mesh come from.
#[derive(Clone, Debug)]
pub(crate) struct Secrets(pub(crate) Arc<str>);

impl Secrets {
    fn named(&self, name: &str) -> tls::SdsSecretConfig {
        let service = core::GrpcService {
            target_specifier: Some(TargetSpecifier::EnvoyGrpc(EnvoyGrpc {
                cluster_name: self.0.to_string(),
                ..Default::default()
            })),
            ..Default::default()
        };
        let api = core::ApiConfigSource {
            api_type: core::api_config_source::ApiType::Grpc.into(),
            transport_api_version: core::ApiVersion::V3.into(),
            grpc_services: vec![service],
            set_node_on_first_message_only: true,
            ..Default::default()
        };
        tls::SdsSecretConfig {
            name: name.to_owned(),
            sds_config: Some(core::ConfigSource {
                resource_api_version: core::ApiVersion::V3.into(),
                config_source_specifier: Some(ConfigSourceSpecifier::ApiConfigSource(api)),
                ..Default::default()
            }),
        }
    }
}

/// The workload's own side of mutual TLS; `names` are those one of which the peer must have, any of the bundle's if none.
pub(crate) fn own_context(secrets: &Secrets, names: &[&str], alpn: &[&str]) -> tls::CommonTlsContext {
    let wanted = names.iter().map(|name| san(SanType::Uri, name)).collect();
    let combined = CombinedCertificateValidationContext {
        default_validation_context: Some(tls::CertificateValidationContext {
            match_typed_subject_alt_names: wanted,
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(secrets.named("ROOTCA")),
        ..Default::default()
    };
    tls::CommonTlsContext {
        tls_params: versions(TlsProtocol::TlSv13),
        tls_certificate_sds_secret_configs: vec![secrets.named("default")],
        alpn_protocols: alpn.iter().map(|token| (*token).to_owned()).collect(),
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(combined)),
        ..Default::default()
    }
}

fn versions(least: TlsProtocol) -> Option<tls::TlsParameters> {
    Some(tls::TlsParameters {
        tls_minimum_protocol_version: least.into(),
        tls_maximum_protocol_version: TlsProtocol::TlSv13.into(),
        ..Default::default()
    })
}

fn san(kind: SanType, name: &str) -> tls::SubjectAltNameMatcher {
    tls::SubjectAltNameMatcher {
        san_type: kind.into(),
        matcher: Some(exact(name)),
        ..Default::default()
    }
}

/// The mesh's protocol for what is spoken.
fn mesh_alpn(wire: Wire, upgraded: bool) -> &'static str {
    match wire {
        Wire::Http1 if upgraded => "istio-h2",
        Wire::Http1 => "istio-http/1.1",
        Wire::Http2 => "istio-h2",
        Wire::Opaque => "istio",
    }
}

/// Sockets of the mesh: each identity by its own match; what no match is made for finds nobody.
pub(super) fn mesh(
    peers: &BTreeSet<String>,
    policy: &BackendPolicy,
    wire: Wire,
    secrets: &Secrets,
) -> (Vec<TransportSocketMatch>, core::TransportSocket) {
    let alpn = mesh_alpn(
        wire,
        policy.http_version == wattle_model::traffic::HttpVersion::Http2,
    );
    let to = |name: &str| {
        let context = tls::UpstreamTlsContext {
            common_tls_context: Some(own_context(secrets, &[name], &[alpn])),
            ..Default::default()
        };
        announced(policy, transport_socket("envoy.transport_sockets.tls", &context))
    };
    let matched = |peer: &str, socket| TransportSocketMatch {
        name: peer.to_owned(),
        r#match: Some(told(peer)),
        transport_socket: Some(socket),
    };
    let secured = peers.iter().map(|peer| matched(peer, to(peer)));
    let plain = matched(PLAINTEXT, plaintext(policy));
    (secured.chain([plain]).collect(), to(NOBODY))
}

/// No security.
pub(super) fn plaintext(policy: &BackendPolicy) -> core::TransportSocket {
    announced(
        policy,
        transport_socket("envoy.transport_sockets.raw_buffer", &RawBuffer {}),
    )
}

/// Begins with a PROXY protocol header where the policy asks for one.
fn announced(policy: &BackendPolicy, inner: core::TransportSocket) -> core::TransportSocket {
    let Some(version) = policy.proxy_protocol else {
        return inner;
    };
    let version = match version {
        ProxyProtocol::V1 => core::proxy_protocol_config::Version::V1,
        ProxyProtocol::V2 => core::proxy_protocol_config::Version::V2,
    };
    let outer = ProxyProtocolUpstreamTransport {
        config: Some(core::ProxyProtocolConfig {
            version: version.into(),
            ..Default::default()
        }),
        transport_socket: Some(inner),
        ..Default::default()
    };
    transport_socket("envoy.transport_sockets.upstream_proxy_protocol", &outer)
}

/// TLS of the outside world.
pub(super) struct Outside<'a> {
    pub(super) sni: Option<&'a str>,
    pub(super) names: &'a [SubjectName],
    pub(super) files: &'a TlsFiles,
    pub(super) unverified: bool,
}

impl Outside<'_> {
    pub(super) fn socket(
        &self,
        policy: &BackendPolicy,
        wire: Wire,
        notes: &mut Notes,
    ) -> core::TransportSocket {
        if self.sni.is_none() {
            notes.gap("neither the policy nor the backend gives a name to ask the server for: connections are refused");
        }
        let upgraded = policy.http_version == wattle_model::traffic::HttpVersion::Http2;
        let alpn: &[&str] = match wire {
            Wire::Http1 if !upgraded => &["http/1.1"],
            Wire::Http1 | Wire::Http2 => &["h2", "http/1.1"],
            Wire::Opaque => &[],
        };
        let own = self.files.certificate.as_deref().zip(self.files.key.as_deref());
        let certificate = own.map(|(chain, key)| tls::TlsCertificate {
            certificate_chain: Some(file(chain)),
            private_key: Some(file(key)),
            ..Default::default()
        });
        let context = tls::UpstreamTlsContext {
            sni: self
                .sni
                .filter(|name| as_ip(name).is_none())
                .unwrap_or_default()
                .to_owned(),
            common_tls_context: Some(tls::CommonTlsContext {
                tls_params: versions(TlsProtocol::TlSv12),
                tls_certificates: certificate.into_iter().collect(),
                alpn_protocols: alpn.iter().map(|token| (*token).to_owned()).collect(),
                validation_context_type: self.validation().map(ValidationContextType::ValidationContext),
                ..Default::default()
            }),
            ..Default::default()
        };
        announced(policy, transport_socket("envoy.transport_sockets.tls", &context))
    }

    fn validation(&self) -> Option<tls::CertificateValidationContext> {
        // Without a name nothing is asked for at all, and no certificate will do.
        if self.unverified && self.sni.is_some() {
            return None;
        }
        Some(tls::CertificateValidationContext {
            trusted_ca: Some(match &self.files.roots {
                Roots::System => file(SYSTEM_ROOTS),
                Roots::File(path) => file(path),
                Roots::Given(pem) => inline(pem),
            }),
            match_typed_subject_alt_names: self.wanted(),
            crl: self.files.revoked.as_deref().map(file),
            only_verify_leaf_cert_crl: true,
            ..Default::default()
        })
    }

    fn wanted(&self) -> Vec<tls::SubjectAltNameMatcher> {
        let Some(sni) = self.sni else {
            return vec![san(SanType::Uri, NOBODY)];
        };
        if self.names.is_empty() {
            let kind = as_ip(sni).map_or(SanType::Dns, |_| SanType::IpAddress);
            return vec![san(kind, sni)];
        }
        let named = |name: &SubjectName| match name {
            SubjectName::Dns(name) => san(SanType::Dns, name),
            SubjectName::Uri(name) => san(SanType::Uri, name),
        };
        self.names.iter().map(named).collect()
    }
}
