//! TLS that a listener terminates.

use serde::Serialize;

use crate::decode::{Cursor, Decoded, Fields};
use crate::scalar;

use super::value::{MAX_ITEMS, unsupported, words};

/// TLS that a sidecar terminates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerTls {
    /// Whether the client shows a certificate too.
    pub mode: ServerTlsMode,
    /// File with the certificates that are shown.
    pub server_certificate: String,
    /// File with their private key.
    pub private_key: String,
    /// File with the authorities that client certificates are checked against; always there with MUTUAL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
    /// Names of which the client's certificate must have one; empty means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
    /// Oldest version; none means 1.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_protocol_version: Option<TlsVersion>,
    /// Newest version; none means the newest there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_protocol_version: Option<TlsVersion>,
}

/// Whether the client shows a certificate too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServerTlsMode {
    /// No.
    Simple,
    /// Yes.
    Mutual,
}

/// A version of TLS; older ones than 1.2 are not spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum TlsVersion {
    /// 1.2.
    #[serde(rename = "TLSV1_2")]
    V1_2,
    /// 1.3.
    #[serde(rename = "TLSV1_3")]
    V1_3,
}

const FIELDS: &[&str] = &[
    "mode",
    "serverCertificate",
    "privateKey",
    "caCertificates",
    "subjectAltNames",
    "minProtocolVersion",
    "maxProtocolVersion",
    "httpsRedirect",
    "credentialName",
    "credentialNames",
    "caCertCredentialName",
    "tlsCertificates",
    "caCrl",
    "verifyCertificateSpki",
    "verifyCertificateHash",
    "cipherSuites",
    "ecdhCurves",
];

pub(crate) fn server_tls(cursor: &Cursor<'_>) -> Decoded<ServerTls> {
    let fields = cursor.fields(FIELDS)?;
    // Each of these narrows who may connect, or how.
    unsupported(&fields, &FIELDS[7..])?;
    let mode = fields.required("mode", |at| {
        let words = [
            ("SIMPLE", ServerTlsMode::Simple),
            ("MUTUAL", ServerTlsMode::Mutual),
        ];
        scalar::word(at, &words)
    });
    let server_certificate = fields.required("serverCertificate", scalar::filled);
    let private_key = fields.required("privateKey", scalar::filled);
    let ca_certificates = words(&fields, "caCertificates");
    let subject_alt_names = fields.list("subjectAltNames", MAX_ITEMS, scalar::filled);
    let min_protocol_version = fields.optional("minProtocolVersion", version);
    let max_protocol_version = fields.optional("maxProtocolVersion", version);
    let tls = ServerTls {
        mode: mode?,
        server_certificate: server_certificate?,
        private_key: private_key?,
        ca_certificates: ca_certificates?,
        subject_alt_names: subject_alt_names?,
        min_protocol_version: min_protocol_version?.flatten(),
        max_protocol_version: max_protocol_version?.flatten(),
    };
    check(&tls, &fields)?;
    Ok(tls)
}

fn version(cursor: &Cursor<'_>) -> Decoded<Option<TlsVersion>> {
    let words = [
        ("TLS_AUTO", None),
        ("TLSV1_2", Some(TlsVersion::V1_2)),
        ("TLSV1_3", Some(TlsVersion::V1_3)),
    ];
    scalar::word(cursor, &words)
}

fn check(tls: &ServerTls, fields: &Fields<'_>) -> Decoded<()> {
    if tls.mode == ServerTlsMode::Mutual && tls.ca_certificates.is_none() {
        return Err(fields.refuse("missing-field", "mode MUTUAL needs caCertificates"));
    }
    let newest = tls.max_protocol_version.unwrap_or(TlsVersion::V1_3);
    if tls.min_protocol_version.is_some_and(|oldest| oldest > newest) {
        let reason = "minProtocolVersion is newer than maxProtocolVersion";
        return Err(fields.refuse("incompatible-fields", reason));
    }
    Ok(())
}
