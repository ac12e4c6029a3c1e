//! What the authority signs, and what it does not.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{Forge, HOUR, Mesh, domain};
use wattle_identity::{CsrError, MAX_TTL, SignError, SpiffeId, Svid, SvidError, SvidRequest};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn life_given(mesh: &Mesh, now: SystemTime, ttl: Duration) -> Duration {
    let request = SvidRequest::new(&mesh.id("web")).unwrap();
    let issued = mesh
        .authority
        .sign(request.csr_pem(), &mesh.id("web"), now, ttl)
        .unwrap();
    assert_eq!(issued.not_before(), now - Duration::from_secs(60));
    issued.not_after().duration_since(now).unwrap()
}

/// A request for these names, signed by its own key.
fn request_for(names: Vec<rcgen::SanType>) -> String {
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = names;
    params
        .serialize_request(&rcgen::KeyPair::generate().unwrap())
        .unwrap()
        .pem()
        .unwrap()
}

fn uri(text: &str) -> rcgen::SanType {
    rcgen::SanType::URI(text.try_into().unwrap())
}

fn refusal(mesh: &Mesh, csr_pem: &str) -> SignError {
    mesh.authority
        .sign(csr_pem, &mesh.id("web"), mesh.clock.now(), HOUR)
        .unwrap_err()
}

#[test]
fn a_certificate_lives_as_asked_but_a_day_at_most() {
    let mesh = Mesh::new("cluster.local");
    let now = mesh.clock.now();
    assert_eq!(life_given(&mesh, now, HOUR), HOUR);
    assert_eq!(life_given(&mesh, now, 10 * DAY), MAX_TTL);
    assert_eq!(life_given(&mesh, now, Duration::MAX), MAX_TTL);
    assert_eq!(life_given(&mesh, now, Duration::ZERO), MAX_TTL);
}

#[test]
fn a_certificate_never_outlives_the_issuer_and_an_expired_issuer_signs_nothing() {
    let mesh = Mesh::new("cluster.local");
    let end = mesh.authority.not_after();
    assert_eq!(life_given(&mesh, end - HOUR, DAY), HOUR);
    let request = SvidRequest::new(&mesh.id("web")).unwrap();
    let refused = mesh
        .authority
        .sign(request.csr_pem(), &mesh.id("web"), end, HOUR)
        .unwrap_err();
    assert!(matches!(refused, SignError::AuthorityExpired { .. }), "{refused}");
}

#[test]
fn a_shorter_longest_life_can_be_set_but_not_a_longer_one() {
    let mut mesh = Mesh::new("cluster.local");
    mesh.authority = mesh.authority.with_max_ttl(HOUR);
    assert_eq!(life_given(&mesh, mesh.clock.now(), DAY), HOUR);
    mesh.authority = mesh.authority.with_max_ttl(100 * DAY);
    assert_eq!(life_given(&mesh, mesh.clock.now(), 100 * DAY), MAX_TTL);
}

#[test]
fn a_request_for_another_name_is_refused_and_both_names_are_told() {
    let mesh = Mesh::new("cluster.local");
    let wish = request_for(vec![uri("spiffe://cluster.local/ns/shop/sa/admin")]);
    let refused = refusal(&mesh, &wish);
    assert!(matches!(refused, SignError::Request(CsrError::OtherName { .. })));
    let text = refused.to_string();
    assert!(text.contains("sa/admin") && text.contains("sa/web"), "{text}");
}

#[test]
fn a_second_name_beside_the_own_is_refused_too() {
    let mesh = Mesh::new("cluster.local");
    let own = uri("spiffe://cluster.local/ns/shop/sa/web");
    let dns = rcgen::SanType::DnsName("web.shop".try_into().unwrap());
    let ip = rcgen::SanType::IpAddress("10.0.0.1".parse().unwrap());
    for other in [dns, ip, uri("spiffe://cluster.local/ns/shop/sa/admin")] {
        let refused = refusal(&mesh, &request_for(vec![own.clone(), other]));
        assert!(matches!(refused, SignError::Request(CsrError::OtherName { .. })));
    }
}

#[test]
fn a_request_without_a_name_gets_the_callers_and_none_of_its_other_wishes() {
    let mesh = Mesh::new("cluster.local");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let issued = mesh
        .authority
        .sign(&csr, &mesh.id("web"), mesh.clock.now(), HOUR)
        .unwrap();
    let text = issued.chain_pem() + &key.serialize_pem();
    // Reading it as a workload's proof refuses authorities and signing keys.
    assert_eq!(Svid::from_pem(text.as_bytes()).unwrap().id(), &mesh.id("web"));
}

#[test]
fn a_request_not_signed_by_its_own_key_is_refused() {
    let mesh = Mesh::new("cluster.local");
    let request = SvidRequest::new(&mesh.id("web")).unwrap();
    let mut der = pem_body(request.csr_pem());
    let last = der.len() - 1;
    der[last] ^= 1;
    let damaged = format!(
        "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
        encode(&der)
    );
    assert_eq!(refusal(&mesh, &damaged), SignError::Request(CsrError::Signature));
}

fn pem_body(text: &str) -> Vec<u8> {
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

fn encode(der: &[u8]) -> String {
    STANDARD.encode(der)
}

#[test]
fn two_requests_in_one_text_are_refused() {
    let mesh = Mesh::new("cluster.local");
    let one = SvidRequest::new(&mesh.id("web")).unwrap();
    let twice = one.csr_pem().repeat(2);
    assert_eq!(refusal(&mesh, &twice), SignError::Request(CsrError::Malformed));
    assert_eq!(refusal(&mesh, ""), SignError::Request(CsrError::Malformed));
}

#[test]
fn a_caller_of_another_trust_domain_gets_nothing() {
    let mesh = Mesh::new("cluster.local");
    let stranger = SpiffeId::new(&domain("elsewhere"), "shop", "web").unwrap();
    let request = SvidRequest::new(&stranger).unwrap();
    let refused = mesh
        .authority
        .sign(request.csr_pem(), &stranger, mesh.clock.now(), HOUR)
        .unwrap_err();
    assert!(matches!(refused, SignError::ForeignTrustDomain { .. }));
}

#[test]
fn a_certificate_for_another_key_or_name_is_not_taken() {
    let mesh = Mesh::new("cluster.local");
    let sign = |request: &SvidRequest, account: &str| {
        mesh.authority
            .sign(request.csr_pem(), &mesh.id(account), mesh.clock.now(), HOUR)
            .unwrap()
            .chain_pem()
    };
    let mine = SvidRequest::new(&mesh.id("web")).unwrap();
    let other = SvidRequest::new(&mesh.id("web")).unwrap();
    assert_eq!(
        mine.into_svid(&sign(&other, "web")).unwrap_err(),
        SvidError::OtherKey
    );

    let request = SvidRequest::new(&mesh.id("web")).unwrap();
    let twisted = Forge::new().twist(request.csr_pem(), &[mesh.id("cart").as_str()]);
    assert!(matches!(
        request.into_svid(&twisted),
        Err(SvidError::OtherName { .. })
    ));

    let request = SvidRequest::new(&mesh.id("web")).unwrap();
    assert!(matches!(request.into_svid(""), Err(SvidError::Count { .. })));
}

#[test]
fn the_same_key_certified_twice_gets_two_serial_numbers() {
    let mesh = Mesh::new("cluster.local");
    let request = SvidRequest::new(&mesh.id("web")).unwrap();
    let sign = || {
        mesh.authority
            .sign(request.csr_pem(), &mesh.id("web"), mesh.clock.now(), HOUR)
            .unwrap()
    };
    let serial = |issued: wattle_identity::Issued| {
        let der = pem_body(&issued.pem_blocks()[0]);
        x509_parser::parse_x509_certificate(&der)
            .unwrap()
            .1
            .raw_serial()
            .to_vec()
    };
    assert_ne!(serial(sign()), serial(sign()));
}

#[test]
fn a_workload_certificate_has_no_subject_and_a_critical_name() {
    let mesh = Mesh::new("cluster.local");
    let svid = mesh.svid("web");
    let (_, leaf) = x509_parser::parse_x509_certificate(&svid.chain()[0]).unwrap();
    assert_eq!(leaf.subject().iter().count(), 0);
    assert!(leaf.subject_alternative_name().unwrap().unwrap().critical);
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && usage.server_auth && !usage.any);
    assert_eq!(svid.chain().len(), 2, "leaf and issuer, but not the root");
}

#[test]
fn an_rsa_key_as_istios_agent_makes_is_certified_but_a_short_one_is_not() {
    let mesh = Mesh::new("cluster.local");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![uri(mesh.id("web").as_str())];
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let issued = mesh
        .authority
        .sign(&csr, &mesh.id("web"), mesh.clock.now(), HOUR)
        .unwrap();
    let text = issued.chain_pem() + &key.serialize_pem();
    assert_eq!(Svid::from_pem(text.as_bytes()).unwrap().id(), &mesh.id("web"));
    assert_eq!(refusal(&mesh, SHORT_RSA), SignError::Request(CsrError::Signature));
}

/// A request of 1,024 bits, made with OpenSSL and signed by its own key.
const SHORT_RSA: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIIBSzCBtQIBADAMMQowCAYDVQQDDAF4MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB
iQKBgQDsEwcIRc3QugLj7zWBFW9OIHAmwcPyt97E2+Te5Ppl7M3HvDJdJBUAS4cH
lgz17SHtTgI1xBiIMglDVq6z4s0tZwtG5JMeHRnsI3V55DHx9O7PRWpdTJHY1xqL
IqSo6QRSubFPsP7XrPK8uUhlJpRcv4NaPgClsdxdCFLvGF3VOwIDAQABoAAwDQYJ
KoZIhvcNAQELBQADgYEAKeoykYFCU7RXeJevmjrIbri0mFCfxd/6LGVtN6wIxrSg
St9ZBRUVsDT15llG26+mJFgxbZCX7wLiZDjvNffAK5JTUAN0LZLucZ1JGsKKkgNj
+nnJsZ4SdDOUa+tSzmOA9JyaivK9LCUOFgkhaGrehhsLiw7d67JtaPm/MdeLMB4=
-----END CERTIFICATE REQUEST-----
";

#[test]
fn a_request_signed_over_sha_1_is_refused() {
    let mesh = Mesh::new("cluster.local");
    assert_eq!(refusal(&mesh, SHA1_RSA), SignError::Request(CsrError::Signature));
}

/// A request of 2,048 bits with a SHA-1 signature, made with OpenSSL.
const SHA1_RSA: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIICUTCCATkCAQAwDDEKMAgGA1UEAwwBeDCCASIwDQYJKoZIhvcNAQEBBQADggEP
ADCCAQoCggEBANrjUlAWMJyzllpi/rkmEHtsUudD4w4TLvs5Wn+DX5pUv+C7LAWd
U5V6dOmxTrEjTaqyP+rPHxLfRjxdkXJiVSMxOamrkz2IsPNLfbmWsqMxcB6Wt0fu
fWULhiZvQszWqaiZPBtbKmMgHT+Sk4RIUDSFiBmAVGUQ42QxCD9PKmBeSxoQuejE
1fdN41PxmRaY6NmPxTlkcf7cf3t1I/jec4gfNrhkkPWqlXUL3SRKPyuJPocahpK7
uQ4DgDMYBRKVwwlQYeAu7CzknkQzVYJ83rzbqk2MoMPPbn1eL1fvLYN9bJb7Zml9
/ZzhOyax09yo/pXpKKIBoE52Gp67/G0py1MCAwEAAaAAMA0GCSqGSIb3DQEBBQUA
A4IBAQDHFthvo4REGckfEcg+ZmDuUAKGkRJJx2JCY+R7GahR/mlBYFssGRN2xOi5
CbLUbKqIFg2ZUUiTxt3gjnUFSmvq3w2nmSOElvhiynEc+OcbJ/tom06WukWe+rTH
X90kwCyfEYBnVKgN9PW+czdsT/AXzKgafYMgFRNB1ALXG0pEGc+2vQAT/KuUK4uB
j89dFIIrshvms6y2vCxLmfuPwy0v7xWnxZGLwzh9zD+k65AlAw15RKBVFlEG+DwO
xvgOeJPZ0AiW9xqh3904a6hmoVZmXEoaD9Fq7IuoOJmaeOg9YA4bhcIEJJ/SYah9
NDli99Fw3cRmKcTVi94o6Hr/pg1F
-----END CERTIFICATE REQUEST-----
";
