//! An authority on disk and over time, and the proofs it gave.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{HOUR, Meeting, Mesh};
use wattle_identity::{
    Authority, AuthorityError, ClientCertificates, Expected, Svid, SvidRequest, TrustBundle,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn an_authority_reads_back_what_it_wrote_and_goes_on_signing() {
    let mut mesh = Mesh::new("cluster.local");
    let before = mesh.svid("web");
    let text = mesh.authority.to_pem();
    mesh.authority = Authority::from_pem(&mesh.trust_domain, text.as_bytes()).unwrap();
    assert_eq!(mesh.authority.to_pem(), text);
    let expected = Expected::only(mesh.id("cart"));
    let client = mesh.tls().client(&before, expected).unwrap();
    let server = mesh
        .tls()
        .server(&mesh.svid("cart"), ClientCertificates::Required)
        .unwrap();
    assert!(Meeting::hold(client, server).succeeded());
}

#[test]
fn an_authority_whose_parts_do_not_belong_together_is_refused() {
    let (one, two) = (Mesh::new("cluster.local"), Mesh::new("cluster.local"));
    let read = |text: &str| Authority::from_pem(&one.trust_domain, text.as_bytes()).unwrap_err();
    let text = one.authority.to_pem();
    let keys = text.find("-----BEGIN PRIVATE").unwrap();
    let other = two.authority.to_pem();
    let other_keys = other.find("-----BEGIN PRIVATE").unwrap();
    assert_eq!(
        read(&format!("{}{}", &text[..keys], &other[other_keys..])),
        AuthorityError::OtherKey
    );
    assert_eq!(
        read(&text[..keys]),
        AuthorityError::Count {
            certificates: 2,
            keys: 0
        }
    );
    // Their issuer and its key under our root.
    let part = |text: &str, number: usize| {
        let start = text.match_indices("-----BEGIN").nth(number).unwrap().0;
        text[start..]
            .split_inclusive("-----\n")
            .take(2)
            .collect::<String>()
    };
    let mixed = part(&text, 0) + &part(&other, 1) + &part(&other, 3);
    assert_eq!(read(&mixed), AuthorityError::Broken);
    let own = part(&text, 0) + &part(&text, 1) + &part(&text, 3);
    assert!(Authority::from_pem(&one.trust_domain, own.as_bytes()).is_ok());
}

#[test]
fn parts_of_an_authority_may_come_in_any_order() {
    let mesh = Mesh::new("cluster.local");
    let text = mesh.authority.to_pem();
    let starts: Vec<usize> = text.match_indices("-----BEGIN").map(|(at, _)| at).collect();
    let backwards: String = starts
        .iter()
        .rev()
        .map(|at| text[*at..].split_inclusive("-----\n").take(2).collect::<String>())
        .collect();
    let again = Authority::from_pem(&mesh.trust_domain, backwards.as_bytes()).unwrap();
    assert_eq!(again.to_pem(), text);
}

#[test]
fn a_root_alone_signs_workloads_itself_whatever_its_kind_of_key() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_RSA_SHA256,
        &rcgen::PKCS_ED25519,
    ] {
        let mut mesh = Mesh::new("cluster.local");
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let text = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
        mesh.authority = Authority::from_pem(&mesh.trust_domain, text.as_bytes()).unwrap();
        let client = mesh
            .tls()
            .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
            .unwrap();
        let server = mesh
            .tls()
            .server(&mesh.svid("cart"), ClientCertificates::Required)
            .unwrap();
        assert!(Meeting::hold(client, server).succeeded());
    }
}

#[test]
fn an_authority_without_the_roots_key_signs_but_cannot_replace_its_issuer() {
    let mut mesh = Mesh::new("cluster.local");
    let text = mesh.authority.to_pem();
    let parts: Vec<usize> = text.match_indices("-----BEGIN").map(|(at, _)| at).collect();
    let offline = format!("{}{}", &text[..parts[2]], &text[parts[3]..]);
    mesh.authority = Authority::from_pem(&mesh.trust_domain, offline.as_bytes()).unwrap();
    assert_eq!(
        mesh.authority.renewed(mesh.clock.now()).unwrap_err(),
        AuthorityError::NoRootKey
    );
    let client = mesh
        .tls()
        .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
        .unwrap();
    let server = mesh
        .tls()
        .server(&mesh.svid("cart"), ClientCertificates::Required)
        .unwrap();
    assert!(Meeting::hold(client, server).succeeded());
}

#[test]
fn a_renewed_issuer_keeps_the_root_and_what_the_old_one_signed() {
    let mut mesh = Mesh::new("cluster.local");
    let old = mesh.svid("web");
    assert!(!mesh.authority.needs_new_issuer(mesh.clock.now() + 180 * DAY));
    assert!(mesh.authority.needs_new_issuer(mesh.clock.now() + 184 * DAY));
    let renewed = mesh.authority.renewed(mesh.clock.now()).unwrap();
    assert_eq!(renewed.bundle().unwrap(), mesh.authority.bundle().unwrap());
    mesh.authority = renewed;
    let client = mesh.tls().client(&old, Expected::only(mesh.id("cart"))).unwrap();
    let server = mesh
        .tls()
        .server(&mesh.svid("cart"), ClientCertificates::Required)
        .unwrap();
    assert!(Meeting::hold(client, server).succeeded());
}

#[test]
fn a_proof_is_renewed_between_two_fifths_and_half_of_its_life() {
    let mesh = Mesh::new("cluster.local");
    // Sixty seconds of backdating and 39,940 of life make 40,000.
    let svid = mesh.svid_from("web", mesh.clock.now(), Duration::from_secs(39_940));
    let after = |jitter| {
        svid.renew_at(jitter)
            .duration_since(svid.not_before())
            .unwrap()
            .as_secs()
    };
    assert_eq!((after(0.0), after(1.0)), (20_000, 16_000));
    assert_eq!(
        (after(-5.0), after(7.0), after(f64::NAN)),
        (20_000, 16_000, 20_000)
    );
}

#[test]
fn a_proof_reads_back_what_it_wrote_and_prints_no_key() {
    let mesh = Mesh::new("cluster.local");
    let svid = mesh.svid("web");
    let text = svid.to_pem();
    let again = Svid::from_pem(text.as_bytes()).unwrap();
    assert_eq!(
        (again.id(), again.to_pem(), again.not_after()),
        (svid.id(), text, svid.not_after())
    );
    let printed = format!("{svid:?} {:?}", mesh.authority);
    assert!(
        printed.contains("sa/web") && !printed.contains("PRIVATE"),
        "{printed}"
    );
}

#[test]
fn the_blocks_for_istio_end_with_the_root_and_are_taken_without_it() {
    let mesh = Mesh::new("cluster.local");
    let request = SvidRequest::new(&mesh.id("web")).unwrap();
    let issued = mesh
        .authority
        .sign(request.csr_pem(), &mesh.id("web"), mesh.clock.now(), HOUR)
        .unwrap();
    let blocks = issued.pem_blocks();
    assert_eq!(blocks.len(), 3);
    assert_eq!(blocks[2], mesh.authority.bundle().unwrap().to_pem());
    assert_eq!(request.into_svid(&blocks.concat()).unwrap().chain().len(), 2);
}

#[test]
fn a_bundle_reads_back_what_it_wrote_and_holds_authorities_only() {
    let (old, new) = (Mesh::new("cluster.local"), Mesh::new("cluster.local"));
    let joined = old
        .authority
        .bundle()
        .unwrap()
        .joined(&new.authority.bundle().unwrap())
        .unwrap();
    let again = TrustBundle::from_pem(old.trust_domain.clone(), joined.to_pem().as_bytes()).unwrap();
    assert_eq!((again.roots().len(), &again), (2, &joined));
    assert!(TrustBundle::from_pem(old.trust_domain.clone(), b"").is_err());
    let leaf = old.svid("web").chain_pem();
    assert!(TrustBundle::from_pem(old.trust_domain.clone(), leaf.as_bytes()).is_err());
}
