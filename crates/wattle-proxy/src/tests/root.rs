//! Authorities of tests: certificates of workloads under them, lists of those that are revoked, and the news of both.

use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use wattle_identity::{BundleSet, RevocationLists, SpiffeId, Svid, TrustBundle, TrustDomain};
use wattle_net::Clock;

use crate::config::News;
use crate::identity::Credentials;

/// A root that signs workloads itself.
pub(crate) struct Root {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Root {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// The certificate of this workload, for the whole of this century's first half; its number among the root's.
    pub(crate) fn svid(&self, id: &SpiffeId, number: u64) -> Arc<Svid> {
        self.svid_until(id, number, 2050)
    }

    /// The same until the beginning of this year.
    pub(crate) fn svid_until(&self, id: &SpiffeId, number: u64, year: i32) -> Arc<Svid> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(id.as_str().try_into().unwrap())];
        params.serial_number = Some(SerialNumber::from(number));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let text = format!("{}{}", leaf.pem(), key.serialize_pem());
        Arc::new(Svid::from_pem(text.as_bytes()).unwrap())
    }

    /// Its list of revoked certificates.
    pub(crate) fn revokes(&self, number: u64) -> RevocationLists {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(number),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2026, 2, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        RevocationLists::from_der(vec![list.der().to_vec()]).unwrap()
    }
}

/// A workload's certificate, and that it believes these roots for these trust domains.
pub(crate) fn credentials(
    svid: &Arc<Svid>,
    roots: &[(&str, &Root)],
    revoked: RevocationLists,
    clock: &Clock,
) -> Arc<Credentials> {
    let mut set = BundleSet::default();
    for (domain, root) in roots {
        let known = set.bundle(domain).map(|bundle| bundle.roots().to_vec());
        let all = known.into_iter().flatten().chain([root.certificate.clone()]);
        let bundle = TrustBundle::new(TrustDomain::new(domain).unwrap(), all).unwrap();
        set.insert(bundle).unwrap();
    }
    let bundles = Arc::new(set.with_revoked(revoked));
    Arc::new(Credentials::new(svid.clone(), bundles, clock).unwrap())
}

/// The same as news for a worker.
pub(crate) fn believing(svid: &Arc<Svid>, roots: &[(&str, &Root)]) -> News {
    News::Credentials(credentials(
        svid,
        roots,
        RevocationLists::default(),
        &Clock::default(),
    ))
}

/// A time when a certificate until 2030 has ended.
pub(crate) fn in_2040() -> SystemTime {
    date_time_ymd(2040, 1, 1).into()
}
