//! The shape of the certificates that are signed here; `None` when the source of randomness fails.

use aws_lc_rs::rand;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SerialNumber,
};

use crate::{
    csr::uri,
    instant::Lifetime,
    spiffe::{SpiffeId, TrustDomain},
};

/// A workload: one URI, both sides of TLS, and nothing that it could sign for others.
pub(crate) fn workload(id: &SpiffeId, lifetime: Lifetime) -> Option<CertificateParams> {
    let mut params = blank(lifetime)?;
    // No subject: the name stands in the URI alone, which RFC 5280 then has marked critical.
    params.subject_alt_names = vec![uri(id.as_str())?];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    Some(params)
}

/// An authority with at most `path_len` authorities below it.
pub(crate) fn authority(
    trust_domain: &TrustDomain,
    role: &str,
    path_len: u8,
    lifetime: Lifetime,
) -> Option<CertificateParams> {
    let mut params = blank(lifetime)?;
    let serial = params
        .serial_number
        .as_ref()
        .map(SerialNumber::to_bytes)
        .unwrap_or_default();
    // A name of its own for each, so that an old and a new root in one bundle are not taken for each other.
    let mark: String = serial.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params
        .distinguished_name
        .push(DnType::OrganizationName, trust_domain.as_str());
    params
        .distinguished_name
        .push(DnType::CommonName, format!("wattle {role} {mark}"));
    params.subject_alt_names = vec![uri(&trust_domain.uri())?];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_len));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Some(params)
}

fn blank(lifetime: Lifetime) -> Option<CertificateParams> {
    let mut serial = [0_u8; 16];
    rand::fill(&mut serial).ok()?;
    // Positive, and without a leading nought that DER would not allow (RFC 5280 section 4.1.2.2).
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    lifetime.stamp(&mut params);
    Some(params)
}
