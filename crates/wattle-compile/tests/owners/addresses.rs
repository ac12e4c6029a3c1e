//! Addresses and short names that somebody else has.

use wattle_compile::Mesh;
use wattle_model::NameTarget;

use super::entries::{OUTSIDE, at, declared, entry};
use super::{SERVICE, mesh};

const TAKEN: &str = "10.96.0.7";

fn assign(mesh: &mut Mesh, name: &str) {
    mesh.assign_virtual_ip("shop", name, Some(TAKEN.parse().unwrap()));
}

/// A Service of a namespace that writes the address down.
fn claiming(namespace: &str) -> String {
    let own = SERVICE.replace("namespace: shop", &format!("namespace: {namespace}"));
    own.replace("spec: {", &format!("spec: {{clusterIP: {TAKEN}, "))
}

#[test]
fn an_address_that_was_assigned_is_no_strangers_who_writes_it_down() {
    let written = || entry("a", &at(TAKEN, 80)).replace(OUTSIDE, "other.example");
    let dns = "resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]";
    let own = ["a", "shop", "shop", "shop"];
    for (owner, name, stranger, expected) in [
        (SERVICE.to_owned(), "s", claiming("a"), own),
        (SERVICE.to_owned(), "s", written(), ["shop"; 4]),
        (entry("shop", dns), OUTSIDE, claiming("a"), own),
        (entry("shop", dns), OUTSIDE, written(), own),
    ] {
        let mut mesh = mesh(&[owner, stranger.clone()]);
        assign(&mut mesh, name);
        assert_eq!(
            declared(&mut mesh, &format!("{TAKEN}:80")),
            expected,
            "{name}: {stranger}"
        );
    }
}

#[test]
fn of_services_that_write_one_address_down_the_callers_own_counts() {
    let mut mesh = mesh(&[claiming("a"), claiming("b")]);
    assert_eq!(declared(&mut mesh, &format!("{TAKEN}:80")), ["a", "b", "a", "a"]);
}

#[test]
fn a_stranger_takes_no_short_name_of_a_service() {
    for short in ["s.shop", "s.shop.svc"] {
        let stranger = entry("a", &at("10.9.0.1", 80)).replace(OUTSIDE, short);
        let mut mesh = mesh(&[SERVICE.to_owned(), stranger]);
        assign(&mut mesh, "s");
        for (from, address) in [("a", "10.9.0.1"), ("c", TAKEN), ("shop", TAKEN)] {
            let names = mesh.names(from);
            let called = |host: &&wattle_model::NamedHost| {
                *host.name == *short || host.aliases.iter().any(|alias| **alias == *short)
            };
            let [host] = <[_; 1]>::try_from(names.hosts.iter().filter(called).collect::<Vec<_>>()).unwrap();
            let there = NameTarget::Addresses(vec![address.parse().unwrap()]);
            assert_eq!(host.target, there, "{short} from {from}");
        }
    }
}
