//! Istio's traffic kinds: what is read comes back from the manifest, and what is refused says why.

#![allow(clippy::unwrap_used)]

use wattle_api::istio::*;
use wattle_api::{Object, Severity, parse};

mod destination_rule;
mod service_entry;
mod sidecar;
mod virtual_service;
mod virtual_service_refused;
mod workload_group;

fn manifest(kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: a, namespace: n}}\nspec: {spec}\n"
    )
}

/// The object of a spec and what was said about it.
fn read(kind: &str, spec: &str) -> (Object, Vec<String>) {
    let mut parsed = parse(&manifest(kind, spec), "f.yaml");
    assert_eq!(parsed.objects.len(), 1, "{spec}\n{:#?}", parsed.diagnostics);
    let said = parsed
        .diagnostics
        .iter()
        .map(|d| format!("{}: {}", d.field, d.reason));
    (parsed.objects.remove(0), said.collect())
}

/// Each spec is read without a word and is the same again after it was written.
fn come_back(kind: &str, specs: &[&str]) {
    for spec in specs {
        let (object, said) = read(kind, spec);
        assert!(said.is_empty(), "{spec}\n{said:?}");
        let json = object.manifest().unwrap();
        let written = serde_json::to_string(&json["spec"]).unwrap();
        let (again, said) = read(kind, &written);
        assert_eq!(again, object, "{written}");
        assert!(said.is_empty(), "{written}\n{said:?}");
    }
}

/// Each spec is refused, and the first reason is the one beside it.
fn refused(kind: &str, rows: &[(&str, &str)]) {
    for (spec, expected) in rows {
        let parsed = parse(&manifest(kind, spec), "f.yaml");
        assert!(parsed.objects.is_empty(), "{spec}");
        let first = &parsed.diagnostics[0];
        assert_eq!(first.severity, Severity::Error, "{spec}");
        let said = format!("{}: {}", first.field, first.reason);
        assert!(said.starts_with(expected), "{spec}\n  said {said}");
    }
}

/// Each spec is read, with the one remark beside it.
fn warned(kind: &str, rows: &[(&str, &str)]) {
    for (spec, expected) in rows {
        let (object, said) = read(kind, spec);
        assert_eq!(said, [*expected], "{spec}");
        let json = serde_json::to_string(&object.manifest().unwrap()["spec"]).unwrap();
        assert_eq!(read(kind, &json).0, object, "{json}");
    }
}

#[test]
fn all_versions_are_read() {
    for version in ["v1", "v1beta1", "v1alpha3"] {
        let text = manifest("Sidecar", "{egress: [{hosts: ['*/*']}]}");
        let text = text.replace("istio.io/v1", &format!("istio.io/{version}"));
        assert_eq!(parse(&text, "f.yaml").objects.len(), 1, "{version}");
    }
}

#[test]
fn an_export_reaches_the_namespaces_it_names() {
    let export = |list: &str| {
        let spec = format!("{{hosts: [a.example], exportTo: {list}}}");
        let (Object::ServiceEntry(entry), _) = read("ServiceEntry", &spec) else {
            panic!()
        };
        entry.spec.export_to
    };
    assert_eq!(export("[]").reaches("n", "n"), None);
    assert_eq!(export("['.']").reaches("n", "n"), Some(true));
    assert_eq!(export("['.']").reaches("n", "m"), Some(false));
    assert_eq!(export("['.', m]").reaches("n", "m"), Some(true));
    assert_eq!(export("['*']").reaches("n", "m"), Some(true));
    assert_eq!(export("['~']").reaches("n", "n"), Some(false));
}
