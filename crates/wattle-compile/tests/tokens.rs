//! Whose tokens a workload takes, and what is said of rules that take none.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wattle_compile::{KeyAddress, Mesh, Settings};
use wattle_model::TokenLocation;

const WORKLOAD: &str = "
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: w-0}
spec: {address: 10.0.0.1, labels: {app: w}}
---
";
const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn policy(namespace: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
         metadata: {{name: tokens, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )
}

fn mesh(texts: &[&str]) -> Mesh {
    let mut mesh = Mesh::new(Settings::default());
    let parsed = wattle_api::parse(&texts.concat(), "in.yaml");
    assert_eq!(parsed.objects.len(), texts.len(), "{:?}", parsed.diagnostics);
    for object in parsed.objects {
        mesh.apply(object);
    }
    mesh
}

#[test]
fn rules_of_the_whole_mesh_come_before_those_of_the_namespace_and_of_nobody_else() {
    let mut mesh = mesh(&[
        WORKLOAD,
        &policy(
            "default",
            &format!("{{jwtRules: [{{issuer: own, jwks: '{KEYS}'}}]}}"),
        ),
        &policy("wattle-system", "{jwtRules: [{issuer: 'https://all'}]}"),
        &policy("other", "{jwtRules: [{issuer: 'https://other'}]}"),
    ]);
    let inbound = mesh.inbound("default/w-0").unwrap();
    let rules = inbound.tokens.iter();
    let found: Vec<_> = rules
        .map(|rule| (rule.issuer.as_deref(), rule.keys.as_deref()))
        .collect();
    assert_eq!(found, [(Some("https://all"), None), (Some("own"), Some(KEYS))]);
    assert_eq!(inbound.tokens[0].locations, TokenLocation::usual());
}

#[test]
fn keys_are_wanted_once_from_each_address_within_the_longest_time() {
    let mesh = mesh(&[
        &policy(
            "a",
            "{jwtRules: [{issuer: 'https://a/'}, {issuer: b, jwksUri: 'https://k', timeout: 1s}]}",
        ),
        &policy(
            "b",
            &format!("{{jwtRules: [{{jwksUri: 'https://k', timeout: 9s}}, {{issuer: c, jwks: '{KEYS}'}}]}}"),
        ),
    ]);
    let expected: BTreeMap<Arc<str>, KeyAddress> = [
        ("https://a/.well-known/openid-configuration", 5, ["a"].as_slice()),
        ("https://k", 9, &["a", "b"]),
    ]
    .map(|(address, secs, namespaces)| {
        let wanted = KeyAddress {
            time: Duration::from_secs(secs),
            namespaces: namespaces.iter().map(|name| Arc::from(*name)).collect(),
            plaintext: false,
        };
        (address.into(), wanted)
    })
    .into();
    assert_eq!(mesh.key_addresses(), expected);
}

#[test]
fn keys_may_come_in_plaintext_where_every_namespace_that_wants_them_takes_istios_defaults() {
    let rule = "{jwtRules: [{issuer: i, jwksUri: 'http://k'}]}";
    let defaults = |namespace: &str, word: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{wattle.io/istio-defaults: {word}}}}}\n---\n"
        )
    };
    let plaintext = |objects: &[&str]| {
        let wanted = mesh(objects).key_addresses();
        wanted["http://k"].plaintext
    };
    let (a, b) = (policy("a", rule), policy("b", rule));
    let (of_a, of_b) = (defaults("a", "enabled"), defaults("b", "enabled"));
    assert!(!plaintext(&[&a]));
    assert!(plaintext(&[&a, &of_a]));
    assert!(!plaintext(&[&a, &b, &of_a]));
    assert!(plaintext(&[&a, &b, &of_a, &of_b]));
    let (all, not_a) = (defaults("wattle-system", "enabled"), defaults("a", "disabled"));
    assert!(plaintext(&[&a, &b, &all]));
    assert!(!plaintext(&[&a, &b, &all, &not_a]));
}

#[test]
fn keys_that_are_none_and_policies_for_nobody_are_told() {
    let table = [
        (
            "{selector: {matchLabels: {app: x}}, jwtRules: []}",
            "selects-nothing",
        ),
        ("{jwtRules: [{issuer: a, jwks: '{}'}]}", "keys-unusable"),
        (
            r#"{jwtRules: [{issuer: a, jwks: '{"keys":[{"kty":"oct","k":"AA"}]}'}]}"#,
            "keys-unusable",
        ),
        (
            "{targetRefs: [{group: '', kind: Service, name: gone}], jwtRules: []}",
            "target-not-found",
        ),
    ];
    for (spec, expected) in table {
        let found = mesh(&[WORKLOAD, &policy("default", spec)]).diagnostics();
        assert!(
            found.iter().any(|found| found.code == expected),
            "{spec} {found:#?}"
        );
    }
    let good = policy(
        "default",
        &format!("{{jwtRules: [{{issuer: a, jwks: '{KEYS}'}}]}}"),
    );
    assert_eq!(mesh(&[WORKLOAD, &good]).diagnostics(), []);
}

#[test]
fn keys_that_could_not_be_fetched_are_told_at_the_rule_that_wants_them() {
    let rules = "{jwtRules: [{issuer: a, jwksUri: 'https://a'}, {issuer: b, jwksUri: 'https://b'}]}";
    let mesh = mesh(&[&policy("default", rules)]);
    let problems = BTreeMap::from([("https://b".into(), "no answer".to_owned())]);
    let found = mesh.missing_keys(&problems);
    let told: Vec<_> = found
        .iter()
        .map(|found| (found.code, &*found.field, &*found.reason))
        .collect();
    assert_eq!(told, [("keys-not-fetched", "spec.jwtRules[1]", "no answer")]);
}
