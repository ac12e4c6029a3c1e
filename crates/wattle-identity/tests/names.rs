//! Which certificates name a workload, on the wire.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Forge, Meeting, Mesh, gullible, shameless};
use wattle_identity::{Rejection, peer_identity};

fn refusal_of(mesh: &Mesh, uris: &[&str]) -> Rejection {
    let forge = Forge::new();
    let (leaf, key) = forge.leaf(uris);
    Meeting::hold(shameless(mesh, leaf, key), gullible(mesh, &forge)).server_says()
}

#[test]
fn a_certificate_without_a_name_is_refused() {
    let mesh = Mesh::new("cluster.local");
    assert_eq!(
        refusal_of(&mesh, &[]),
        Rejection::NotSpiffe { got: "no URI".into() }
    );
}

#[test]
fn a_certificate_with_two_names_is_refused() {
    let mesh = Mesh::new("cluster.local");
    let (one, two) = (
        "spiffe://cluster.local/ns/shop/sa/web",
        "spiffe://cluster.local/ns/shop/sa/admin",
    );
    assert_eq!(
        refusal_of(&mesh, &[one, two]),
        Rejection::NotSpiffe { got: "2 URIs".into() }
    );
    let rejection = refusal_of(&mesh, &[one, "https://example.com/"]);
    assert_eq!(rejection.id(), "not_spiffe");
}

#[test]
fn a_certificate_with_a_foreign_uri_is_refused_and_the_uri_is_shown() {
    let mesh = Mesh::new("cluster.local");
    assert_eq!(
        refusal_of(&mesh, &["https://evil/\n"]),
        Rejection::NotSpiffe {
            got: "https://evil/\\n".into()
        }
    );
}

#[test]
fn the_forge_could_get_in_with_a_proper_name() {
    // Keeps the refusals above honest: the forged chain itself is believed.
    let (mesh, forge) = (Mesh::new("cluster.local"), Forge::new());
    let (leaf, key) = forge.leaf(&["spiffe://cluster.local/ns/shop/sa/web"]);
    assert!(Meeting::hold(shameless(&mesh, leaf, key), gullible(&mesh, &forge)).succeeded());
}

#[test]
fn a_certificate_that_may_sign_or_is_for_servers_only_is_refused_as_a_client() {
    let (mesh, forge) = (Mesh::new("cluster.local"), Forge::new());
    let name = ["spiffe://cluster.local/ns/shop/sa/web"];
    let refuse = |change: fn(&mut rcgen::CertificateParams)| {
        let (leaf, key) = forge.leaf_with(&name, change);
        Meeting::hold(shameless(&mesh, leaf, key), gullible(&mesh, &forge)).server_says()
    };
    let signs = refuse(|params| params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign]);
    assert_eq!(signs.id(), "malformed");
    let authority = refuse(|params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    assert_eq!(authority.id(), "malformed");
    let server =
        refuse(|params| params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(server.id(), "wrong_purpose");
}

#[test]
fn an_authority_is_never_read_as_a_workload_though_it_bears_its_name() {
    let (leaf, _) = Forge::new().leaf_with(&["spiffe://cluster.local/ns/shop/sa/web"], |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    assert_eq!(peer_identity(&[leaf]).unwrap_err().id(), "malformed");
    assert_eq!(peer_identity(&[]), Err(Rejection::NoCertificate));
}
