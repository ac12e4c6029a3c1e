//! Who is revoked: told to proxies, not let in, and not given another certificate on a connection that is older than that.
#![allow(clippy::unwrap_used)]

mod common;

use common::{MANIFESTS, Proxy, World, dial, enrol, eventually, tls};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tonic::Code;
use wattle_identity::{Peer, SpiffeId, Svid, SvidRequest};
use wattle_model::Trust;
use wattle_wire::proto::certificate::IstioCertificateRequest;
use wattle_wire::proto::certificate::istio_certificate_service_client::IstioCertificateServiceClient;
use wattle_wire::{Kind, Resource};

type Signer = Issuer<'static, KeyPair>;

/// An authority below another, or a root, as PEM of certificate and key.
fn authority(name: &str, above: Option<&Signer>) -> (String, String, Signer) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let certificate = match above {
        Some(above) => params.signed_by(&key, above),
        None => params.self_signed(&key),
    };
    (
        certificate.unwrap().pem(),
        key.serialize_pem(),
        Issuer::new(params, key),
    )
}

/// A list of these certificates; of none when there is nobody.
fn list(by: &Signer, of: &[&Svid]) -> String {
    let revoked = |svid: &&Svid| {
        let serial = Peer::from_chain(svid.chain()).unwrap().serial().to_owned();
        let byte = |at| u8::from_str_radix(&serial[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..serial.len()).step_by(2).map(byte).collect();
        RevokedCertParams {
            serial_number: SerialNumber::from_slice(&bytes),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2026, 2, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: of.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(by).unwrap().pem().unwrap()
}

fn lists_told(proxy: &Proxy) -> usize {
    let lists = |resource: &Resource| match resource {
        Resource::Trust(trust) => trust.revocation_lists.len(),
        _ => 0,
    };
    proxy.held.values().map(lists).sum()
}

#[tokio::test]
async fn a_revoked_workload_is_not_let_in_and_gets_no_other_certificate() {
    let (root, _, root_signer) = authority("root", None);
    let (issuer, key, signer) = authority("issuer", Some(&root_signer));
    let files = tempfile::tempdir().unwrap();
    for (name, text) in [("ca.crt", &root), ("tls.crt", &issuer), ("tls.key", &key)] {
        std::fs::write(files.path().join(name), text).unwrap();
    }
    let revoked = files.path().join("revoked.pem");
    std::fs::write(&revoked, list(&signer, &[])).unwrap();
    let mut world = World::start(MANIFESTS).await;
    world.stop().await;
    world.state = tempfile::tempdir().unwrap();
    let directory = files.path().to_owned();
    let path = revoked.clone();
    world
        .resume(|config| {
            config.trust.issuer = Some(directory);
            config.trust.revoked = Some(path);
        })
        .await;
    let (mut other, thief) = (
        world.join("reviews", "reviews-0").await,
        world.join("client", "client-0").await,
    );
    other.connect(&world).await.unwrap();
    let _ = other.want(Kind::Trust, Trust::NAME).await;
    other.until(|proxy| lists_told(proxy) == 1).await;

    let id: SpiffeId = "spiffe://cluster.local/ns/default/sa/client".parse().unwrap();
    let channel = dial(&world, tls(&world, Some(&thief.svid))).await.unwrap();
    let renew = async || {
        let request = IstioCertificateRequest {
            csr: SvidRequest::new(&id).unwrap().csr_pem().to_owned(),
            validity_duration: 0,
        };
        let mut client = IstioCertificateServiceClient::new(channel.clone());
        client.create_certificate(request).await.map(|_| ())
    };
    renew().await.unwrap();
    let next = files.path().join("next");
    std::fs::write(&next, list(&signer, &[&thief.svid])).unwrap();
    std::fs::rename(next, &revoked).unwrap();
    eventually("its open connection gives it nothing more", async || {
        renew()
            .await
            .is_err_and(|status| status.code() == Code::Unauthenticated)
    })
    .await;
    assert!(
        enrol(&world, Some(&thief.svid), None, &id).await.is_err(),
        "nor does a new one"
    );
    let reviews = "spiffe://cluster.local/ns/default/sa/reviews".parse().unwrap();
    enrol(&world, Some(&other.svid), None, &reviews).await.unwrap();
}
