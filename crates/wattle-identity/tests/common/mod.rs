//! A mesh of one authority, and handshakes between two ends in memory.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData,
    crypto::aws_lc_rs::default_provider,
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::TimeProvider,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use wattle_identity::{
    Authority, BundleSet, ClientCertificates::Required, Expected, Rejection, ServerVerifier, SpiffeId, Svid,
    SvidRequest, TlsSettings, TrustBundle, TrustDomain,
};

pub const HOUR: Duration = Duration::from_secs(3600);
/// 2026-11-23T16:00:00Z.
pub const NOON_SECS: u64 = 1_795_449_600;

/// A clock that moves only when told.
#[derive(Debug)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(NOON_SECS)))
    }

    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            self.0.load(Ordering::SeqCst),
        )))
    }
}

pub fn domain(name: &str) -> TrustDomain {
    TrustDomain::new(name).unwrap()
}

pub struct Mesh {
    pub clock: Arc<Clock>,
    pub trust_domain: TrustDomain,
    pub authority: Authority,
}

impl Mesh {
    pub fn new(name: &str) -> Self {
        let clock = Clock::new();
        let trust_domain = domain(name);
        let authority = Authority::create(&trust_domain, clock.now()).unwrap();
        Self {
            clock,
            trust_domain,
            authority,
        }
    }

    pub fn id(&self, account: &str) -> SpiffeId {
        SpiffeId::new(&self.trust_domain, "shop", account).unwrap()
    }

    pub fn svid(&self, account: &str) -> Svid {
        self.svid_from(account, self.clock.now(), HOUR)
    }

    pub fn svid_from(&self, account: &str, now: SystemTime, ttl: Duration) -> Svid {
        let id = self.id(account);
        let request = SvidRequest::new(&id).unwrap();
        let issued = self.authority.sign(request.csr_pem(), &id, now, ttl).unwrap();
        request.into_svid(&issued.chain_pem()).unwrap()
    }

    pub fn bundles(&self) -> Arc<BundleSet> {
        Arc::new(BundleSet::only(self.authority.bundle().unwrap()))
    }

    pub fn tls(&self) -> TlsSettings {
        TlsSettings::new(self.bundles(), &[b"wattle"]).with_clock(self.clock.clone())
    }
}

/// How a handshake ended on both sides.
pub struct Meeting {
    pub client: ClientConnection,
    pub server: ServerConnection,
    pub client_error: Option<rustls::Error>,
    pub server_error: Option<rustls::Error>,
}

impl Meeting {
    /// Lets both ends talk until neither has more to say.
    pub fn hold(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Self {
        let name = ServerName::try_from("10.0.0.1").unwrap();
        let client = ClientConnection::new(client, name).unwrap();
        let server = ServerConnection::new(server).unwrap();
        let mut meeting = Self {
            client,
            server,
            client_error: None,
            server_error: None,
        };
        // A mutual handshake takes three flights; twenty rounds are far more than any failure needs.
        for _ in 0..20 {
            carry(
                &mut meeting.client,
                &mut meeting.server,
                &mut meeting.server_error,
            );
            carry(
                &mut meeting.server,
                &mut meeting.client,
                &mut meeting.client_error,
            );
        }
        meeting
    }

    pub fn succeeded(&self) -> bool {
        self.client_error.is_none()
            && self.server_error.is_none()
            && !self.client.is_handshaking()
            && !self.server.is_handshaking()
    }

    pub fn server_says(&self) -> Rejection {
        Rejection::from_tls_error(self.server_error.as_ref().unwrap()).unwrap()
    }

    pub fn client_says(&self) -> Rejection {
        Rejection::from_tls_error(self.client_error.as_ref().unwrap()).unwrap()
    }
}

fn carry<A: SideData, B: SideData>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
    error: &mut Option<rustls::Error>,
) {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).unwrap();
    }
    let mut rest = wire.as_slice();
    while !rest.is_empty() && error.is_none() {
        to.read_tls(&mut rest).unwrap();
        *error = to.process_new_packets().err();
    }
}

/// A certificate such as no sane authority signs: these URIs, by a root of its own for the same trust domain.
pub struct Forge {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub root: CertificateDer<'static>,
}

impl Forge {
    pub fn new() -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: rcgen::Issuer::new(params, key),
            root,
        }
    }

    pub fn leaf(&self, uris: &[&str]) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        self.leaf_with(uris, |_| ())
    }

    /// Answers a request with a certificate for these names instead of those asked for.
    pub fn twist(&self, csr_pem: &str, uris: &[&str]) -> String {
        let mut request = rcgen::CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        request.params.subject_alt_names = uris
            .iter()
            .map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap()))
            .collect();
        request.signed_by(&self.issuer).unwrap().pem()
    }

    pub fn leaf_with(
        &self,
        uris: &[&str],
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = uris
            .iter()
            .map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap()))
            .collect();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (leaf, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

/// A client that shows whatever certificate it is given.
pub fn shameless(
    mesh: &Mesh,
    leaf: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Arc<ClientConfig> {
    let verifier = ServerVerifier::new(mesh.bundles(), Expected::AnyIn(mesh.trust_domain.clone()));
    let certified = CertifiedKey::from_der(vec![leaf], key, &default_provider()).unwrap();
    let mut config = ClientConfig::builder_with_details(default_provider().into(), mesh.clock.clone())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"wattle".to_vec()];
    Arc::new(config)
}

/// A server that believes the forge to be the root of `mesh`'s trust domain.
pub fn gullible(mesh: &Mesh, forge: &Forge) -> Arc<ServerConfig> {
    let bundle = TrustBundle::new(mesh.trust_domain.clone(), [forge.root.clone()]).unwrap();
    let tls = TlsSettings::new(Arc::new(BundleSet::only(bundle)), &[]).with_clock(mesh.clock.clone());
    tls.server(&mesh.svid("cart"), Required).unwrap()
}
