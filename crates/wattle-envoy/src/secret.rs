//! Secrets of a workload in Envoy's terms (`envoy.extensions.transport_sockets.tls.v3.Secret`).

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate, secret,
};
use prost::Message;

/// Type URL of secrets.
pub const TYPE_URL: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
/// Name of the workload's own chain and key.
pub const IDENTITY: &str = "default";
/// Name of the roots to trust.
pub const ROOTS: &str = "ROOTCA";

/// The workload's own chain, leaf first, and its key, both as PEM.
pub fn identity(chain: &str, key: &str) -> Bytes {
    let certificate = TlsCertificate {
        certificate_chain: inline(chain),
        private_key: inline(key),
        ..TlsCertificate::default()
    };
    encode(IDENTITY, secret::Type::TlsCertificate(certificate))
}

/// The roots to trust, as PEM.
pub fn roots(bundle: &str) -> Bytes {
    let context = CertificateValidationContext {
        trusted_ca: inline(bundle),
        ..CertificateValidationContext::default()
    };
    encode(ROOTS, secret::Type::ValidationContext(context))
}

fn inline(pem: &str) -> Option<DataSource> {
    Some(DataSource {
        specifier: Some(Specifier::InlineBytes(pem.as_bytes().to_vec())),
        ..DataSource::default()
    })
}

fn encode(name: &str, secret: secret::Type) -> Bytes {
    let secret = Secret {
        name: name.to_owned(),
        r#type: Some(secret),
    };
    secret.encode_to_vec().into()
}
