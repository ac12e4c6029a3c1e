//! ServiceEntries.

use std::net::IpAddr;

use wattle_compile::Mesh;
use wattle_model::NameTarget;

use super::{SERVICE, followed, mesh, told, virtual_service};

pub(super) const OUTSIDE: &str = "api.example";

pub(super) fn entry(namespace: &str, rest: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: e, namespace: {namespace}}}\n\
         spec: {{hosts: [{OUTSIDE}], {rest}}}\n"
    )
}

pub(super) fn at(address: &str, port: u16) -> String {
    format!(
        "resolution: STATIC, addresses: [{address}], ports: [{{number: {port}, name: http, protocol: HTTP}}], \
         endpoints: [{{address: 192.0.2.1}}]"
    )
}

/// Whose ServiceEntry a destination is of, for callers in each namespace; nothing where no object names it.
pub(super) fn declared(mesh: &mut Mesh, name: &str) -> [String; 4] {
    ["a", "b", "c", "wattle-system"].map(|from| {
        let destination = mesh.destination(name, from).unwrap();
        let service = destination.service.as_ref();
        service.map_or_else(String::new, |service| service.namespace.to_string())
    })
}

/// The addresses of the host as workloads of a namespace resolve it.
fn resolved(mesh: &mut Mesh, namespace: &str) -> Vec<IpAddr> {
    let names = mesh.names(namespace);
    let host = names.hosts.iter().find(|host| &*host.name == OUTSIDE).unwrap();
    match &host.target {
        NameTarget::Addresses(addresses) => addresses.clone(),
        NameTarget::Alias(_) => Vec::new(),
    }
}

#[test]
fn of_one_host_the_callers_own_entry_counts_then_the_root_namespaces_then_the_first() {
    let [first, second] = [entry("a", &at("10.9.0.1", 80)), entry("b", &at("10.9.0.2", 80))];
    let mut mesh = mesh(&[first.clone(), second.clone()]);
    assert_eq!(declared(&mut mesh, "api.example:80"), ["a", "b", "a", "a"]);
    for (from, last) in [("a", 1), ("b", 2), ("c", 1)] {
        assert_eq!(
            resolved(&mut mesh, from),
            [IpAddr::from([10, 9, 0, last])],
            "{from}"
        );
    }
    let root = entry("wattle-system", &at("10.9.0.3", 80));
    let mut mesh = super::mesh(&[first, second, root]);
    let root = "wattle-system";
    assert_eq!(declared(&mut mesh, "api.example:80"), ["a", "b", root, root]);
    for (from, last) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(
            resolved(&mut mesh, from),
            [IpAddr::from([10, 9, 0, last])],
            "{from}"
        );
    }
}

#[test]
fn a_stranger_answers_no_name_below_a_pattern_of_the_callers_own_namespace() {
    let below = |object: String| object.replace(OUTSIDE, "'*.example'");
    let own = entry(
        "b",
        "resolution: NONE, ports: [{number: 80, name: http, protocol: HTTP}]",
    );
    let mut mesh = mesh(&[below(entry("a", &at("10.9.0.1", 80))), below(own)]);
    for (from, expected) in [("b", 0), ("c", 1)] {
        assert_eq!(mesh.names(from).hosts.len(), expected, "{from}");
    }
}

#[test]
fn a_stranger_adds_no_port_to_a_host_that_the_callers_own_namespace_declares() {
    let objects = [entry("a", &at("10.9.0.1", 443)), entry("b", &at("10.9.0.1", 80))];
    let mut mesh = mesh(&objects);
    for port in ["api.example:443", "10.9.0.1:443"] {
        assert_eq!(declared(&mut mesh, port), ["a", "", "a", "a"], "{port}");
    }
    assert_eq!(declared(&mut mesh, "api.example:80"), ["", "b", "", ""]);
    // Of an address that is nobody's own the first that has the port counts.
    assert_eq!(declared(&mut mesh, "10.9.0.1:80"), ["", "b", "b", "b"]);
}

#[test]
fn a_stranger_adds_no_port_to_a_block_or_a_pattern_of_the_callers_own_namespace() {
    let block = |namespace: &str, port| entry(namespace, &at("10.9.0.0/16", port));
    let mut mesh = mesh(&[block("b", 443), block("a", 80), block("a", 443)]);
    assert_eq!(declared(&mut mesh, "10.9.0.7:443"), ["a", "b", "a", "a"]);
    assert_eq!(declared(&mut mesh, "10.9.0.7:80")[1], "");
    let elsewhere = |port| block("b", port).replace(OUTSIDE, "other.example");
    let mut mesh = super::mesh(&[block("a", 443), elsewhere(443)]);
    assert_eq!(declared(&mut mesh, "10.9.0.7:443"), ["a", "b", "a", "a"]);
    let mut mesh = super::mesh(&[entry("a", &at("10.9.0.7", 443)), elsewhere(80)]);
    assert_eq!(declared(&mut mesh, "10.9.0.7:80"), ["", "b", "b", "b"]);
    let open = |namespace: &str, port| {
        entry(
            namespace,
            &format!("resolution: NONE, ports: [{{number: {port}, name: http, protocol: HTTP}}]"),
        )
    };
    let mut mesh = super::mesh(&[open("a", 80), open("b", 8080)]);
    let routed = |mesh: &mut Mesh, from| {
        !mesh
            .destination("192.0.2.9:8080", from)
            .unwrap()
            .routes
            .is_empty()
    };
    assert!(!routed(&mut mesh, "a"));
    assert!(routed(&mut mesh, "b"));
    assert!(routed(&mut mesh, "c"));
}

#[test]
fn a_stranger_adds_no_port_to_a_service() {
    let at_host = |namespace: &str| {
        let rest = at("10.96.0.7", 9999);
        entry(namespace, &rest).replace(OUTSIDE, "s.shop.svc.cluster.local")
    };
    let service = SERVICE.replace("spec: {", "spec: {clusterIP: 10.96.0.7, ");
    for (namespace, expected) in [
        ("a", ["a", "", "", ""]),
        ("shop", ["shop"; 4]),
        ("wattle-system", ["wattle-system"; 4]),
    ] {
        let mut mesh = mesh(&[service.clone(), at_host(namespace)]);
        for name in ["s.shop.svc.cluster.local:9999", "10.96.0.7:9999"] {
            assert_eq!(declared(&mut mesh, name), expected, "{namespace} {name}");
        }
    }
}

#[test]
fn a_virtual_service_for_a_host_outside_is_of_the_namespace_whose_entry_counts() {
    let rules = format!("hosts: [{OUTSIDE}], http: [{{redirect: {{uri: /away}}}}]");
    let declared_there = |namespaces: &[&str]| {
        let entries = namespaces
            .iter()
            .map(|namespace| entry(namespace, &at("10.9.0.1", 80)));
        let stranger = virtual_service("author", 1990, &rules);
        mesh(&entries.chain([stranger]).collect::<Vec<_>>())
    };
    let host = "api.example:80";
    assert_eq!(followed(&mut declared_there(&["author"]), host), ["author"; 3]);
    assert_eq!(followed(&mut declared_there(&["shop"]), host), ["", "author", ""]);
    // A ServiceEntry of its own makes the stranger no owner of what callers elsewhere have declared.
    assert_eq!(
        followed(&mut declared_there(&["author", "shop"]), host),
        ["", "author", "author"]
    );
    let foreign = |mesh: &Mesh| told(mesh, "VirtualService", "author", "foreign-host").len();
    assert_eq!(foreign(&declared_there(&["author"])), 0);
    assert_eq!(foreign(&declared_there(&["shop"])), 1);
}

#[test]
fn who_declares_a_host_for_others_that_another_entry_has_is_told() {
    let wide = |namespace: &str| entry(namespace, &at("10.9.0.1", 80));
    let told = |objects: &[String], of: &str| told(&mesh(objects), "ServiceEntry", of, "conflicting-hosts");
    let two = [wide("a"), wide("b")];
    assert_eq!(told(&two, "a"), [""; 0]);
    assert_eq!(
        told(&two, "b"),
        [
            "spec.hosts[0]: ServiceEntry a/e is for the same host, and counts for callers in other namespaces; limit exportTo to \
          '.', or write the host in one namespace"
        ]
    );
    let narrow = entry("b", &format!("exportTo: ['.'], {}", at("10.9.0.1", 80)));
    assert_eq!(told(&[wide("a"), narrow], "b"), [""; 0]);
    let to_a = entry("b", &format!("exportTo: [a], {}", at("10.9.0.1", 80)));
    let [said] = <[String; 1]>::try_from(told(&[wide("a"), to_a], "b")).unwrap();
    assert!(
        said.contains("ServiceEntry a/e is for the same host, and counts for callers in a;"),
        "{said}"
    );
    assert_eq!(told(&[wide("a"), wide("wattle-system")], "a").len(), 1);
    assert_eq!(
        told(&[wide("a"), wide("wattle-system")], "wattle-system"),
        [""; 0]
    );
}
