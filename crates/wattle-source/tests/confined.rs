//! A directory whose author has one namespace.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{bad_service, service, told};
use tempfile::TempDir;
use wattle_source::{Contents, Directory, Snapshot, State};

/// An object of a namespace.
fn of(namespace: &str, text: &str) -> String {
    text.replacen("{name: ", &format!("{{namespace: {namespace}, name: "), 1)
}

fn policy(namespace: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{namespace: {namespace}, name: p}}\n\
         spec: {{action: DENY, rules: [{{}}]}}\n"
    )
}

fn read(files: &[(&str, String)]) -> Snapshot {
    let home = TempDir::new().unwrap();
    for (file, text) in files {
        fs::write(home.path().join(file), text).unwrap();
    }
    Directory::new(home.path()).only("shop").read()
}

/// Keys of objects, and of what cannot be read.
fn there(snapshot: &Snapshot) -> Vec<String> {
    let good = snapshot.objects.iter().map(|object| object.key().to_string());
    let bad = snapshot.unreadable.iter().map(|bad| format!("!{}", bad.key));
    good.chain(bad).collect()
}

#[test]
fn what_is_of_another_namespace_or_of_none_is_not_there_and_is_told() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: wattle-system}\n\
                    data: {mesh: 'outboundTrafficPolicy: {mode: ALLOW_ANY}'}\n";
    let snapshot = read(&[
        (
            "a.yaml",
            [&service("a", 80), &*of("shop", &service("b", 80))].join("---\n"),
        ),
        (
            "b.yaml",
            [&policy("wattle-system"), namespace, settings].join("---\n"),
        ),
    ]);
    assert_eq!(there(&snapshot), ["Service shop/a", "Service shop/b"]);
    let told = |text: &str| {
        snapshot
            .diagnostics
            .iter()
            .any(|said| said.to_string().ends_with(text))
    };
    for expected in [
        "b.yaml:3:12: metadata.namespace: AuthorizationPolicy wattle-system/p does not count: this directory is for objects of \
         namespace shop alone (write namespace shop, or write it in a directory for namespace wattle-system)",
        "b.yaml:7:1: kind: Namespace shop does not count: this directory is for objects of namespace shop alone (write it in a \
         directory for all namespaces)",
        "metadata.namespace: ConfigMap wattle-system/istio does not count: this directory is for objects of namespace shop alone \
         (write namespace shop, or write it in a directory for namespace wattle-system)",
    ] {
        assert!(told(expected), "{expected}: {:#?}", snapshot.diagnostics);
    }
    // It is no status of an object that somebody else may have under this key.
    assert!(snapshot.diagnostics.iter().all(|said| said.object.is_none()));
}

#[test]
fn an_unreadable_policy_of_another_namespace_closes_nothing_there() {
    let bad = |namespace: &str| policy(namespace).replace("DENY", "PERHAPS");
    let snapshot = read(&[("a.yaml", [bad("payments"), bad("shop")].join("---\n"))]);
    assert_eq!(there(&snapshot), ["!AuthorizationPolicy shop/p"]);
    let codes: Vec<_> = snapshot.diagnostics.iter().map(|said| said.code).collect();
    assert_eq!(codes.len(), 2, "{codes:?}");
    assert!(codes.contains(&"foreign-namespace"), "{codes:?}");
}

#[test]
fn an_object_of_the_same_name_elsewhere_hides_none_of_ones_own() {
    for files in [["a.yaml", "b.yaml"], ["b.yaml", "a.yaml"]] {
        let snapshot = read(&[(files[0], policy("payments")), (files[1], policy("shop"))]);
        assert_eq!(there(&snapshot), ["AuthorizationPolicy shop/p"], "{files:?}");
    }
    let both = [policy("payments"), policy("shop")].join("---\n");
    assert_eq!(there(&read(&[("a.yaml", both)])), ["AuthorizationPolicy shop/p"]);
}

/// A policy that a slip moves to another namespace is not gone from its own.
#[test]
fn an_edit_into_another_namespace_leaves_the_last_good_version_in_force() {
    let mut state = State::only("shop");
    let mut write = |text: &str| told(&state.update(vec![("f.yaml".into(), Contents::Bytes(text.into()))]));
    assert_eq!(write(&policy("shop")), ["apply p"]);
    assert_eq!(write(&policy("shpo")), ["said f.yaml: foreign-namespace"]);
    assert_eq!(
        write(&bad_service("a")),
        ["unreadable a", "delete p", "said f.yaml: wrong-type"]
    );
    assert_eq!(write(&policy("shop")), ["apply p", "delete a", "said f.yaml:"]);
    assert_eq!(write(""), ["delete p"]);
}

#[test]
fn what_is_told_of_one_file_is_bounded() {
    let many: Vec<_> = (0..1200)
        .map(|index| of("other", &service(&format!("s{index}"), 80)))
        .collect();
    let snapshot = read(&[("a.yaml", many.join("---\n"))]);
    assert_eq!((snapshot.objects.len(), snapshot.diagnostics.len()), (0, 1000));
}
