//! An issuer that somebody else made: taken when it is whole, refused with what is wrong when it is not.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use common::{Clock, HOUR, Meeting, Mesh};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use wattle_identity::{
    Authority, AuthorityError, BundleSet, ClientCertificates::Required, Expected, Plugged, PluggedError,
    PluggedFiles, RevocationLists, TlsSettings, TrustDomain,
};

/// A certificate with its key, which may sign others.
struct Link {
    pem: String,
    key_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn link(name: &str, above: Option<&Link>, change: impl FnOnce(&mut CertificateParams)) -> Link {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = match above {
        Some(above) => params.signed_by(&key, &above.issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Link {
        pem: certificate.pem(),
        key_pem: key.serialize_pem(),
        issuer: Issuer::new(params, key),
    }
}

fn plain(_: &mut CertificateParams) {}

fn read(certificate: &str, key: &str, chain: &str, roots: &str) -> Result<Plugged, PluggedError> {
    let domain = TrustDomain::new("cluster.local").unwrap();
    let [certificate, key, chain, roots] = [certificate, key, chain, roots].map(str::as_bytes);
    let files = PluggedFiles {
        certificate,
        key,
        chain,
        roots,
    };
    Plugged::read(&domain, files, now())
}

fn now() -> SystemTime {
    Clock::new().now()
}

fn meet(mut mesh: Mesh, plugged: Plugged) -> bool {
    mesh.authority = plugged.authority;
    let bundles = Arc::new(BundleSet::only(plugged.roots));
    let tls = TlsSettings::new(bundles, &[]).with_clock(mesh.clock.clone());
    let client = tls
        .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
        .unwrap();
    Meeting::hold(client, tls.server(&mesh.svid("cart"), Required).unwrap()).succeeded()
}

#[test]
fn the_layouts_of_istio_and_cert_manager_are_taken_and_sign() {
    let root = link("root", None, plain);
    let middle = link("middle", Some(&root), plain);
    let issuer = link("issuer", Some(&middle), plain);
    let istio = read(
        &issuer.pem,
        &issuer.key_pem,
        &format!("{}{}{}", issuer.pem, middle.pem, root.pem),
        &root.pem,
    );
    assert!(meet(Mesh::new("cluster.local"), istio.unwrap()));
    let cert_manager = read(
        &format!("{}{}", issuer.pem, middle.pem),
        &issuer.key_pem,
        "",
        &root.pem,
    );
    assert!(meet(Mesh::new("cluster.local"), cert_manager.unwrap()));
    let alone = read(&root.pem, &root.key_pem, "", &root.pem);
    assert!(meet(Mesh::new("cluster.local"), alone.unwrap()));
}

#[test]
fn several_roots_are_believed_and_the_issuer_needs_one_of_them() {
    let (old, new) = (link("root", None, plain), link("root", None, plain));
    let issuer = link("issuer", Some(&new), plain);
    let plugged = read(
        &issuer.pem,
        &issuer.key_pem,
        "",
        &format!("{}{}", old.pem, new.pem),
    )
    .unwrap();
    assert_eq!(plugged.roots.roots().len(), 2);
    assert!(!plugged.authority.has_root_key());
    assert_eq!(
        plugged.authority.renewed(now()).unwrap_err(),
        AuthorityError::NoRootKey
    );
    assert!(meet(Mesh::new("cluster.local"), plugged));
    let error = read(&issuer.pem, &issuer.key_pem, "", &old.pem).unwrap_err();
    assert_eq!(error, PluggedError::NoRoot(1));
}

#[test]
fn what_is_wrong_is_said_before_a_workload_would_notice() {
    let root = link("root", None, plain);
    let issuer = link("issuer", Some(&root), plain);
    let says = |found: Result<Plugged, PluggedError>, expected: &str| {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}, expected {expected}");
    };
    let other = link("issuer", Some(&root), plain);
    says(
        read(&issuer.pem, &other.key_pem, "", &root.pem),
        "private key does not belong",
    );
    says(read(&issuer.pem, "", "", &root.pem), "0 private keys");
    says(
        read("", &issuer.key_pem, "", &root.pem),
        "file of the issuer holds no certificate",
    );
    says(read(&issuer.pem, &issuer.key_pem, "", ""), "file of the roots");
    says(
        read("-----BEGIN CERTIFICATE-----\n!", &issuer.key_pem, "", &root.pem),
        "not PEM",
    );
    let leaf = link("leaf", Some(&root), |params| params.is_ca = IsCa::ExplicitNoCa);
    says(
        read(&leaf.pem, &leaf.key_pem, "", &root.pem),
        "is not an authority's",
    );
    let unsigning = link("x", Some(&root), |params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature]
    });
    says(
        read(&unsigning.pem, &unsigning.key_pem, "", &root.pem),
        "keyCertSign",
    );
    let past = link("x", Some(&root), |params| {
        params.not_after = date_time_ymd(2020, 1, 1)
    });
    says(
        read(&past.pem, &past.key_pem, "", &root.pem),
        "expired at 2020-01-01T00:00:00Z: renew it",
    );
    let future = link("x", Some(&root), |params| {
        params.not_before = date_time_ymd(2040, 1, 1)
    });
    says(
        read(&future.pem, &future.key_pem, "", &root.pem),
        "valid from 2040-01-01",
    );
    let narrow = link("root", None, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))
    });
    let below = link("x", Some(&narrow), plain);
    says(
        read(&below.pem, &below.key_pem, "", &narrow.pem),
        "allows 0 authorities below it, there are 1",
    );
}

#[test]
fn a_revoked_certificate_is_refused_on_both_sides_with_a_reason_of_its_own() {
    let root = link("root", None, plain);
    let issuer = link("issuer", Some(&root), plain);
    let mut mesh = Mesh::new("cluster.local");
    let plugged = read(&issuer.pem, &issuer.key_pem, "", &root.pem).unwrap();
    mesh.authority = plugged.authority;
    let (web, cart) = (mesh.svid("web"), mesh.svid("cart"));
    let lists =
        |by: &Link, serials: &[&str]| RevocationLists::from_pem(list(by, serials).as_bytes()).unwrap();
    let hold = |revoked: RevocationLists| {
        let bundles = BundleSet::only(plugged.roots.clone()).with_revoked(revoked);
        let tls = TlsSettings::new(Arc::new(bundles), &[]).with_clock(mesh.clock.clone());
        let client = tls.client(&web, Expected::only(mesh.id("cart"))).unwrap();
        Meeting::hold(client, tls.server(&cart, Required).unwrap())
    };
    assert!(
        hold(lists(&issuer, &["1234"])).succeeded(),
        "of these two nobody said a word"
    );
    assert!(
        hold(lists(&root, &["1234"])).succeeded(),
        "a list of another issuer's says nothing"
    );
    let serial = |svid: &wattle_identity::Svid| {
        wattle_identity::Peer::from_chain(svid.chain())
            .unwrap()
            .serial()
            .to_owned()
    };
    assert_eq!(
        hold(lists(&issuer, &[&serial(&web)])).server_says().id(),
        "revoked"
    );
    assert_eq!(
        hold(lists(&issuer, &[&serial(&cart)])).client_says().id(),
        "revoked"
    );
    let told = hold(lists(&issuer, &[&serial(&web)])).client_error.unwrap();
    let told = wattle_identity::Rejection::from_tls_error(&told)
        .unwrap()
        .to_string();
    assert!(told.contains("certificate_revoked"), "{told}");
    assert!(
        RevocationLists::from_pem(b"").is_err(),
        "a file without a list is a mistake"
    );
}

#[test]
fn a_revocation_list_that_its_issuer_did_not_sign_refuses_rather_than_lets_in() {
    let root = link("root", None, plain);
    let issuer = link("issuer", Some(&root), plain);
    let impostor = link("issuer", Some(&root), plain);
    let mut mesh = Mesh::new("cluster.local");
    let plugged = read(&issuer.pem, &issuer.key_pem, "", &root.pem).unwrap();
    mesh.authority = plugged.authority;
    let revoked = RevocationLists::from_pem(list(&impostor, &["1234"]).as_bytes()).unwrap();
    let bundles = BundleSet::only(plugged.roots.clone()).with_revoked(revoked);
    let tls = TlsSettings::new(Arc::new(bundles), &[]).with_clock(mesh.clock.clone());
    let client = tls
        .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
        .unwrap();
    assert!(!Meeting::hold(client, tls.server(&mesh.svid("cart"), Required).unwrap()).succeeded());
}

/// A list of these serial numbers.
fn list(by: &Link, serials: &[&str]) -> String {
    let number = |hex: &&str| {
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from_slice(&bytes),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }
    };
    let params = rcgen::CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2026, 2, 1),
        crl_number: rcgen::SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(number).collect(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    params.signed_by(&by.issuer).unwrap().pem().unwrap()
}

#[test]
fn short_lives_are_backdated_by_a_part_of_themselves_only() {
    let domain = TrustDomain::new("cluster.local").unwrap();
    let lifetimes = wattle_identity::Lifetimes {
        root: Duration::from_secs(40),
        issuer: Duration::from_secs(20),
        workload: Duration::from_secs(5),
    };
    let authority = Authority::create_for(&domain, lifetimes, now()).unwrap();
    assert!(!authority.needs_new_issuer(now() + Duration::from_secs(9)));
    assert!(authority.needs_new_issuer(now() + Duration::from_secs(11)));
    assert!(!authority.needs_new_root(now() + Duration::from_secs(31)));
    assert!(authority.needs_new_root(now() + Duration::from_secs(33)));
    assert!(HOUR > lifetimes.root);
}
