//! What an author gives to the callers of some namespaces is not there for those of others.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use wattle_compile::{Mesh, ResourceName, Settings};
use wattle_model::{Destination, Hop};

const HOST: &str = "s.shop.svc.cluster.local:80";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\n\
    spec: {selector: {app: s}, ports: [{name: http, port: 80}]}\n";

/// The service as callers of a namespace see it, with this object besides.
fn seen(object: &str, from: &str) -> std::sync::Arc<Destination> {
    let mut mesh = Mesh::new(Settings::default());
    let parsed = wattle_api::parse(&format!("{SERVICE}---\n{object}"), "t.yaml");
    assert!(parsed.refused.is_empty(), "{:?}", parsed.diagnostics);
    for object in parsed.objects {
        mesh.apply(object);
    }
    mesh.destination(HOST, from).unwrap()
}

/// For which of these namespaces the object changes something.
fn reached(object: &str, changes: fn(&Destination) -> bool) -> Vec<&'static str> {
    let all = ["shop", "author", "friend", "other", "wattle-system"];
    all.into_iter()
        .filter(|from| changes(&seen(object, from)))
        .collect()
}

fn virtual_service(export: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v, namespace: shop}}\n\
         spec: {{hosts: [s.shop.svc.cluster.local], {export}http: [{{redirect: {{uri: /away}}}}]}}\n"
    )
}

#[test]
fn a_virtual_service_of_the_service_is_for_callers_of_the_namespaces_that_it_is_exported_to() {
    let routed = |destination: &Destination| !destination.routes.is_empty();
    for (export, expected) in [
        ("exportTo: ['.'], ", vec!["shop"]),
        ("exportTo: [friend], ", vec!["friend"]),
        ("exportTo: ['.', friend], ", vec!["shop", "friend"]),
        ("", vec!["shop", "author", "friend", "other", "wattle-system"]),
    ] {
        assert_eq!(reached(&virtual_service(export), routed), expected, "{export}");
    }
}

fn destination_rule(namespace: &str, export: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: d, namespace: {namespace}}}\n\
         spec: {{host: s.shop.svc.cluster.local, {export}trafficPolicy: {{tls: {{mode: DISABLE}}, \
         connectionPool: {{tcp: {{connectTimeout: 7s}}}}}}}}\n"
    )
}

fn governed(destination: &Destination) -> bool {
    let policy = &destination.backends[0].policy;
    policy.limits.connect_timeout == Some(Duration::from_secs(7))
}

#[test]
fn a_destination_rule_of_the_service_is_for_callers_of_the_namespaces_that_it_is_exported_to() {
    for (export, expected) in [
        ("exportTo: ['.'], ", vec!["shop"]),
        ("exportTo: [friend], ", vec!["friend"]),
        ("", vec!["shop", "author", "friend", "other", "wattle-system"]),
    ] {
        assert_eq!(
            reached(&destination_rule("shop", export), governed),
            expected,
            "{export}"
        );
    }
}

#[test]
fn a_destination_rule_of_a_third_namespace_is_for_its_own_callers_alone() {
    for export in ["", "exportTo: ['*'], ", "exportTo: ['.', other], "] {
        assert_eq!(
            reached(&destination_rule("author", export), governed),
            ["author"],
            "{export}"
        );
    }
}

#[test]
fn an_entry_with_the_address_of_somebody_elses_workload_is_nobody_but_its_own_account() {
    let entry = |namespace: &str, app: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n\
             metadata: {{name: w, namespace: {namespace}, labels: {{app: {app}}}, annotations: {{wattle.io/proxy: enabled}}}}\n\
             spec: {{address: 10.0.0.5, serviceAccount: web}}\n---\n"
        )
    };
    let mut mesh = Mesh::new(Settings::default());
    let taken = SERVICE.replace("namespace: shop", "namespace: author");
    let text = format!(
        "{SERVICE}---\n{taken}---\n{}{}",
        entry("shop", "s"),
        entry("author", "s")
    );
    let parsed = wattle_api::parse(&text, "t.yaml");
    assert!(parsed.refused.is_empty(), "{:?}", parsed.diagnostics);
    for object in parsed.objects {
        mesh.apply(object);
    }
    for namespace in ["shop", "author"] {
        let endpoints = mesh.endpoints(&format!("{namespace}/s:80")).unwrap();
        let [only] = endpoints.endpoints.as_slice() else {
            panic!("{namespace}: {endpoints:?}")
        };
        assert_eq!((only.hop, &*only.workload.namespace), (Hop::MutualTls, namespace));
    }
}

#[test]
fn callers_are_kept_to_names_by_objects_of_their_own_namespace_and_again_when_these_change() {
    let mut mesh = Mesh::new(Settings::default());
    let names = ResourceName::Names("shop".into());
    let mut after = |api: &str, kind: &str, namespace: &str, spec: &str| {
        let text = format!(
            "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: p, namespace: {namespace}}}\nspec: {spec}\n"
        );
        for object in wattle_api::parse(&text, "t.yaml").objects {
            mesh.apply(object);
        }
        let changed = mesh.take_changed().contains(&names);
        (mesh.names("shop").scopes.len(), changed)
    };
    let (own, istio) = ("wattle.io/v1alpha1", "networking.istio.io/v1");
    let registry = "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}";
    assert_eq!(
        after(own, "EgressPolicy", "other", "{mode: AllowAny}"),
        (0, false)
    );
    assert_eq!(
        after(own, "EgressPolicy", "other", "{mode: RegistryOnly}"),
        (0, false)
    );
    assert_eq!(
        after(own, "EgressPolicy", "shop", "{mode: RegistryOnly}"),
        (1, true)
    );
    assert_eq!(after(istio, "Sidecar", "other", registry), (1, false));
    assert_eq!(after(istio, "Sidecar", "shop", registry), (2, true));
    assert_eq!(after(own, "EgressPolicy", "shop", "{mode: AllowAny}"), (2, true));
}
