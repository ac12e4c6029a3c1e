//! Istio's MeshConfig: the ConfigMap `istio`, and nobody else's.

#![allow(clippy::unwrap_used)]

use wattle_api::*;

mod common;

/// The ConfigMap with one provider that says this of a check over `how`.
fn config(how: &str, check: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: n}}\ndata:\n  mesh: |\n    \
         extensionProviders:\n    - name: p\n      {how}: {{{check}}}\n"
    )
}

fn over_grpc(check: &str) -> String {
    config("envoyExtAuthzGrpc", check)
}

fn over_http(check: &str) -> String {
    config("envoyExtAuthzHttp", &format!("service: a.b, port: 80, {check}"))
}

#[test]
fn a_config_map_of_somebody_else_is_not_read() {
    let istio =
        |data: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio}}\ndata: {data}\n");
    for text in [
        common::object("v1", "ConfigMap", "data: {mesh: '{'}"),
        istio("{values: 'not YAML: {'}"),
        istio("{}"),
    ] {
        let parsed = parse(&text, "f.yaml");
        assert!(parsed.objects.is_empty() && parsed.refused.is_empty(), "{text}");
        let severities: Vec<_> = parsed.diagnostics.iter().map(|said| said.severity).collect();
        assert_eq!(severities, [Severity::Info], "{text}");
    }
}

#[test]
fn certificates_are_read_from_any_and_what_lies_beside_them_is_nobodys_business() {
    let read = |data: &str| parse(&common::object("v1", "ConfigMap", data), "f.yaml");
    let parsed = read("data: {ca.crt: PEM, mesh: '{', other: x}");
    let Object::ConfigMap(map) = &parsed.objects[0] else {
        panic!("{:?}", parsed.diagnostics)
    };
    assert_eq!(map.spec.authorities.as_deref(), Some("PEM"));
    assert!(
        map.spec.mesh.is_none() && parsed.diagnostics.is_empty(),
        "{parsed:?}"
    );

    for (data, code) in [
        ("data: {ca.crt: ''}".to_owned(), "empty"),
        ("data: {ca.crt: [a]}".to_owned(), "wrong-type"),
        (format!("data: {{ca.crt: '{}'}}", "x".repeat(65_537)), "too-long"),
    ] {
        let parsed = read(&data);
        assert!(parsed.objects.is_empty(), "{code}");
        let said = &parsed.diagnostics[0];
        assert_eq!((said.code, said.field.as_str()), (code, "data.ca.crt"));
    }
}

#[test]
fn fields_that_are_not_read_are_named_once_each_and_refuse_nothing() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  meshNetworks: '{}'\n  mesh: |\n    \
                accessLogFile: /dev/stdout\n    extensionProviders:\n    - name: spans\n      zipkin: {service: z, \
                port: 1}\n    - name: p\n      envoyExtAuthzGrpc: {service: a.b, port: 80, clearRouteCache: true}\n";
    let parsed = parse(text, "f.yaml");
    let Object::ConfigMap(map) = &parsed.objects[0] else {
        panic!("{:?}", parsed.objects)
    };
    let config = map.spec.mesh.as_ref().unwrap();
    let names: Vec<_> = config
        .extension_providers
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    assert_eq!(names, ["p"]);
    let said: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|said| (said.severity, said.at.line, said.field.as_str()))
        .collect();
    let base = "data.mesh.extensionProviders";
    assert_eq!(
        said,
        [
            (Severity::Warning, 5, "data.meshNetworks"),
            (Severity::Warning, 7, "data.mesh.accessLogFile"),
            (Severity::Warning, 10, format!("{base}[0].zipkin").as_str()),
            (
                Severity::Warning,
                12,
                format!("{base}[1].envoyExtAuthzGrpc.clearRouteCache").as_str()
            ),
        ]
    );
}

#[test]
fn a_port_may_be_quoted_as_in_istios_pages() {
    let of = |port: &str| {
        let parsed = parse(&over_grpc(&format!("service: a.b, port: {port}")), "f.yaml");
        assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
        format!("{:?}", parsed.objects)
    };
    assert_eq!(of("'9000'"), of("9000"));
}

#[test]
fn providers_that_make_no_sense_are_refused_at_their_field() {
    common::check(
        over_grpc,
        "data.mesh.extensionProviders[0].envoyExtAuthzGrpc",
        &[
            (
                "port: 80",
                ".service: the field is required and not there (add service)",
            ),
            (
                "service: a.b",
                ".port: the field is required and not there (add port)",
            ),
            (
                "service: a.b, port: '0'",
                ".port: found text \"0\", expected a number from 1 to 65535",
            ),
            (
                "service: 'a/b/c', port: 80",
                ".service: found \"a/b/c\", expected NAMESPACE/HOST or HOST",
            ),
            (
                "service: a.b, port: 80, timeout: 11m",
                ".timeout: expected at most 10m",
            ),
            (
                "service: a.b, port: 80, statusOnError: '99'",
                ".statusOnError: found \"99\", expected a status from 200 to 599",
            ),
            (
                "service: a.b, port: 80, includeRequestBodyInCheck: {maxRequestBytes: 0}",
                ".includeRequestBodyInCheck.maxRequestBytes: found 0, expected 1 to 4194304",
            ),
            (
                "service: a.b, port: 80, failopen: true",
                ".failopen: unknown field (write failOpen)",
            ),
        ],
    );
    common::check(
        over_http,
        "data.mesh.extensionProviders[0].envoyExtAuthzHttp",
        &[
            (
                "pathPrefix: check",
                ".pathPrefix: found \"check\", expected a path from / on",
            ),
            (
                "headersToUpstreamOnAllow: ['a b']",
                ".headersToUpstreamOnAllow[0]: found \"a b\", expected a header name",
            ),
            (
                "includeAdditionalHeadersInCheck: {x: \"a\\nb\"}",
                ".includeAdditionalHeadersInCheck.x: expected a value that a header may have",
            ),
        ],
    );
}

#[test]
fn a_config_that_cannot_be_read_is_refused_as_a_whole() {
    let config = |mesh: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: n}}\ndata:\n  mesh: {mesh}\n"
        )
    };
    let one = "{name: p, envoyExtAuthzGrpc: {service: a.b, port: 80}}";
    common::check(
        config,
        "data.mesh",
        &[
            (
                "{a: 1}",
                ": found a mapping, expected YAML in a text (write mesh: |)",
            ),
            (
                &format!("'extensionProviders: [{one}, {one}]'"),
                ".extensionProviders: two providers have the same name",
            ),
            (
                "'extensionProviders: [{name: p}]'",
                ".extensionProviders[0]: a provider needs a service, such as envoyExtAuthzGrpc",
            ),
        ],
    );
    let parsed = parse(&config("'a: ['"), "f.yaml");
    assert_eq!(parsed.diagnostics[0].code, "invalid-yaml");
    let key = parsed.refused[0].key.as_ref().unwrap();
    assert_eq!(key.to_string(), "ConfigMap n/istio");
}

#[test]
fn a_normalization_of_paths_is_read_by_its_name_and_another_refused() {
    let read = |text: &str| {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio}}\ndata:\n  mesh: |\n    pathNormalization: {text}\n"
        );
        parse(&text, "f.yaml")
    };
    for (text, expected) in [
        ("{}", NormalizationType::Base),
        ("{normalization: DEFAULT}", NormalizationType::Base),
        ("{normalization: NONE}", NormalizationType::None),
        ("{normalization: BASE}", NormalizationType::Base),
        ("{normalization: MERGE_SLASHES}", NormalizationType::MergeSlashes),
        (
            "{normalization: DECODE_AND_MERGE_SLASHES}",
            NormalizationType::DecodeAndMergeSlashes,
        ),
    ] {
        let parsed = read(text);
        let Object::ConfigMap(map) = &parsed.objects[0] else {
            panic!("{:?}", parsed.diagnostics)
        };
        let found = map.spec.mesh.as_ref().unwrap().path_normalization;
        assert_eq!(found.map(|found| found.normalization), Some(expected), "{text}");
    }
    let parsed = read("{normalization: MERGE}");
    assert!(parsed.objects.is_empty());
    assert_eq!(
        parsed.diagnostics[0].field,
        "data.mesh.pathNormalization.normalization"
    );
}
