//! TLS towards an endpoint.

use serde::Serialize;

use crate::decode::{Cursor, Decoded, Fields};
use crate::scalar;

use super::value::{MAX_ITEMS, words};

/// TLS towards an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientTls {
    /// Default DISABLE.
    pub mode: ClientTlsMode,
    /// File with the client's certificates; with MUTUAL, unless there is a `credential_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// File with the client's private key; with MUTUAL, unless there is a `credential_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
    /// File with the authorities that are trusted; none means those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
    /// File with certificates that are revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_crl: Option<String>,
    /// Secret that holds all of these instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_name: Option<String>,
    /// Names of which the endpoint's certificate must have one; empty means that of the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
    /// Server name that is sent; none means the request's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Whether any certificate will do; none means no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
}

/// Which TLS is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClientTlsMode {
    /// None.
    #[default]
    Disable,
    /// The endpoint shows a certificate.
    Simple,
    /// Both show a certificate.
    Mutual,
    /// Both show a certificate of the mesh.
    IstioMutual,
}

/// The fields that say what is shown and trusted.
const MATERIAL: [&str; 5] = [
    "clientCertificate",
    "privateKey",
    "caCertificates",
    "caCrl",
    "credentialName",
];

pub(crate) fn client_tls(cursor: &Cursor<'_>) -> Decoded<ClientTls> {
    let fields = cursor.fields(&[
        "mode",
        "clientCertificate",
        "privateKey",
        "caCertificates",
        "caCrl",
        "credentialName",
        "subjectAltNames",
        "sni",
        "insecureSkipVerify",
    ])?;
    let mode = fields.optional("mode", mode);
    let client_certificate = words(&fields, "clientCertificate");
    let private_key = words(&fields, "privateKey");
    let ca_certificates = words(&fields, "caCertificates");
    let ca_crl = words(&fields, "caCrl");
    let credential_name = words(&fields, "credentialName");
    let subject_alt_names = fields.list("subjectAltNames", MAX_ITEMS, scalar::filled);
    let sni = words(&fields, "sni");
    let insecure_skip_verify = fields.optional("insecureSkipVerify", scalar::flag);
    let tls = ClientTls {
        mode: mode?.unwrap_or_default(),
        client_certificate: client_certificate?,
        private_key: private_key?,
        ca_certificates: ca_certificates?,
        ca_crl: ca_crl?,
        credential_name: credential_name?,
        subject_alt_names: subject_alt_names?,
        sni: sni?,
        insecure_skip_verify: insecure_skip_verify?,
    };
    check(&tls, &fields)?;
    check_unverified(&tls, &fields)?;
    Ok(tls)
}

fn mode(cursor: &Cursor<'_>) -> Decoded<ClientTlsMode> {
    let words = [
        ("DISABLE", ClientTlsMode::Disable),
        ("SIMPLE", ClientTlsMode::Simple),
        ("MUTUAL", ClientTlsMode::Mutual),
        ("ISTIO_MUTUAL", ClientTlsMode::IstioMutual),
    ];
    scalar::word(cursor, &words)
}

fn check(tls: &ClientTls, fields: &Fields<'_>) -> Decoded<()> {
    let own = matches!(tls.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual);
    if !own {
        for at in MATERIAL.iter().filter_map(|key| fields.at(key)) {
            at.warn(
                "no-effect",
                "the field needs mode SIMPLE or MUTUAL",
                "remove it or change the mode",
            );
        }
        return Ok(());
    }
    let files = [
        &tls.client_certificate,
        &tls.private_key,
        &tls.ca_certificates,
        &tls.ca_crl,
    ];
    if tls.credential_name.is_some() {
        if files.iter().any(|file| file.is_some()) {
            let reason = "credentialName excludes clientCertificate, privateKey, caCertificates and caCrl";
            return Err(fields.refuse("incompatible-fields", reason));
        }
        return Ok(());
    }
    if tls.mode == ClientTlsMode::Mutual && (tls.client_certificate.is_none() || tls.private_key.is_none()) {
        let reason = "mode MUTUAL needs clientCertificate and privateKey, or credentialName";
        return Err(fields.refuse("missing-field", reason));
    }
    Ok(())
}

fn check_unverified(tls: &ClientTls, fields: &Fields<'_>) -> Decoded<()> {
    if tls.insecure_skip_verify != Some(true) {
        return Ok(());
    }
    let secret = tls.mode == ClientTlsMode::Simple && tls.credential_name.is_some();
    if tls.ca_certificates.is_some() || !tls.subject_alt_names.is_empty() || secret {
        let reason =
            "insecureSkipVerify excludes caCertificates, subjectAltNames and, in mode SIMPLE, credentialName";
        return Err(fields.refuse("incompatible-fields", reason));
    }
    Ok(())
}
