//! VirtualServices.

use wattle_compile::Mesh;

use super::{SERVICE, followed, mesh, told, virtual_service};

const HOST: &str = "s.shop.svc.cluster.local:80";

const REQUESTS: &str = "hosts: [s.shop.svc.cluster.local], http: [{redirect: {uri: /away}}]";

/// With the Service.
fn shop(objects: &[String]) -> Mesh {
    mesh(&[&[SERVICE.to_owned()], objects].concat())
}

fn labelled(namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{wattle.io/istio-defaults: enabled}}}}\n"
    )
}

#[test]
fn an_older_virtual_service_of_a_stranger_is_for_its_own_callers_alone() {
    let stranger = virtual_service("author", 1990, REQUESTS);
    assert_eq!(
        followed(&mut shop(std::slice::from_ref(&stranger)), HOST),
        ["", "author", ""]
    );
    let owner = virtual_service("shop", 2020, REQUESTS);
    assert_eq!(
        followed(&mut shop(&[stranger, owner]), HOST),
        ["shop", "author", "shop"]
    );
}

#[test]
fn an_export_does_not_carry_further_than_the_owner_allows() {
    let to_other = virtual_service("author", 1990, &format!("exportTo: [other], {REQUESTS}"));
    assert_eq!(followed(&mut shop(&[to_other]), HOST), ["", "", ""]);
}

#[test]
fn the_root_namespace_routes_every_host() {
    let root = virtual_service("wattle-system", 2020, REQUESTS);
    assert_eq!(followed(&mut shop(&[root]), HOST), ["wattle-system"; 3]);
}

#[test]
fn the_owner_or_the_mesh_may_ask_for_istios_rule_and_the_author_may_not() {
    let stranger = || virtual_service("author", 1990, REQUESTS);
    for (namespace, expected) in [
        ("shop", ["author"; 3]),
        ("wattle-system", ["author"; 3]),
        ("author", ["", "author", ""]),
        ("other", ["", "author", ""]),
    ] {
        let mut mesh = shop(&[stranger(), labelled(namespace)]);
        assert_eq!(followed(&mut mesh, HOST), expected, "{namespace}");
    }
}

#[test]
fn the_label_takes_effect_and_ends_without_another_change() {
    let mut mesh = shop(&[virtual_service("author", 1990, REQUESTS)]);
    assert_eq!(followed(&mut mesh, HOST), ["", "author", ""]);
    let parsed = wattle_api::parse(&labelled("shop"), "t.yaml");
    let label = parsed.objects.into_iter().next().unwrap();
    let key = label.key();
    mesh.apply(label);
    assert_eq!(followed(&mut mesh, HOST), ["author"; 3]);
    mesh.delete(&key);
    assert_eq!(followed(&mut mesh, HOST), ["", "author", ""]);
}

#[test]
fn a_pattern_is_judged_host_by_host() {
    let own = SERVICE.replace("namespace: shop", "namespace: author");
    for pattern in ["'*.local'", "'*.svc.cluster.local'"] {
        let rules = format!("hosts: [{pattern}], http: [{{redirect: {{uri: /away}}}}]");
        let mut mesh = shop(&[own.clone(), virtual_service("author", 1990, &rules)]);
        assert_eq!(followed(&mut mesh, HOST), ["", "author", ""], "{pattern}");
        let there = "s.author.svc.cluster.local:80";
        assert_eq!(followed(&mut mesh, there), ["author"; 3], "{pattern}");
    }
}

#[test]
fn connections_are_routed_by_the_owner_as_well() {
    for rules in [
        "tcp: [{route: [{destination: {host: s.shop.svc.cluster.local}}]}]",
        "tls: [{match: [{sniHosts: [s.shop.svc.cluster.local]}], route: [{destination: {host: s.shop.svc.cluster.local}}]}]",
    ] {
        let spec = format!("hosts: [s.shop.svc.cluster.local], {rules}");
        let mut mesh = shop(&[virtual_service("author", 1990, &spec)]);
        assert_eq!(followed(&mut mesh, HOST), ["", "author", ""], "{rules}");
    }
}

#[test]
fn an_author_is_told_of_a_host_that_others_route() {
    let foreign = |mesh: &Mesh| told(mesh, "VirtualService", "author", "foreign-host");
    let narrow = virtual_service("author", 1990, &format!("exportTo: ['.'], {REQUESTS}"));
    assert_eq!(foreign(&shop(&[narrow])), [""; 0]);
    let wide = virtual_service("author", 1990, REQUESTS);
    assert_eq!(
        foreign(&shop(std::slice::from_ref(&wide))),
        [
            "spec.hosts[0]: s.shop.svc.cluster.local is of namespace shop: callers in other namespaces than author do not follow \
          this VirtualService there, though it is exported to them; write it in namespace shop, limit exportTo to '.', or let \
          namespace shop allow it by the label wattle.io/istio-defaults: enabled"
        ]
    );
    assert_eq!(foreign(&shop(&[wide, labelled("shop")])), [""; 0]);
    let pattern = virtual_service(
        "author",
        1990,
        "hosts: ['*.local'], http: [{redirect: {uri: /away}}]",
    );
    let [said] = <[String; 1]>::try_from(foreign(&shop(&[pattern]))).unwrap();
    assert!(
        said.starts_with("spec.hosts[0]: s.shop.svc.cluster.local is of namespace shop: "),
        "{said}"
    );
}

#[test]
fn an_owner_is_not_told_that_an_older_one_of_a_stranger_counts() {
    let objects = [
        virtual_service("author", 1990, REQUESTS),
        virtual_service("shop", 2020, REQUESTS),
    ];
    let told = |objects: &[String], of| told(&shop(objects), "VirtualService", of, "conflicting-hosts");
    assert_eq!(told(&objects, "shop"), [""; 0]);
    let allowed = [&objects[..], &[labelled("shop")]].concat();
    assert_eq!(told(&allowed, "shop").len(), 1);
}
