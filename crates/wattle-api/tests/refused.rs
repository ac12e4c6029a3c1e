//! What is wrong with an object is said once, with its place, and disturbs nothing else.

#![allow(clippy::unwrap_used)]

use wattle_api::*;

/// The one diagnostic of a text, as people see it.
fn said(text: &str) -> String {
    let parsed = parse(text, "f.yaml");
    assert_eq!(parsed.diagnostics.len(), 1, "{text}\n{:#?}", parsed.diagnostics);
    assert!(parsed.objects.is_empty(), "{text}");
    parsed.diagnostics[0].to_string()
}

fn service(spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: n}}\nspec:\n  {spec}\n")
}

fn route(rule: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: a, namespace: n}}\nspec:\n  \
         rules:\n  - {rule}\n"
    )
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: n}}\nspec:\n  {spec}\n"
    )
}

fn process(spec: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: a, namespace: n}}\nspec:\n  {spec}\n"
    )
}

fn check(make: fn(&str) -> String, kind: &str, rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let said = said(&make(text));
        let (place, rest) = said.split_once(": ").unwrap();
        let column = place.strip_prefix("f.yaml:").unwrap();
        let shown = format!(
            "{column}: {}",
            rest.strip_prefix(&format!("{kind} n/a: ")).unwrap_or(rest)
        );
        assert_eq!(&shown, expected, "{text}");
    }
}

#[test]
fn services() {
    check(
        service,
        "Service",
        &[
            (
                "ports: [{prot: 80}]",
                "5:12: spec.ports[0].prot: unknown field (write port)\n  also at 5:11: spec.ports[0].port: the \
                 field is required and not there (add port)",
            ),
            (
                "ports: [{port: 0}]",
                "5:18: spec.ports[0].port: found 0, expected 1 to 65535",
            ),
            (
                "ports: [{port: http}]",
                "5:18: spec.ports[0].port: found text \"http\", expected a number from 1 to 65535",
            ),
            (
                "ports: [{port: 80, targetPort: '80'}]",
                "5:34: spec.ports[0].targetPort: found the text \"80\", expected a number or a name (write the \
                 number without quotes)",
            ),
            (
                "ports: [{port: 80, protocol: tcp}]",
                "5:32: spec.ports[0].protocol: found \"tcp\", expected one of TCP, UDP, SCTP (write TCP)",
            ),
            ("ports: []", "5:3: spec: a Service needs at least one port"),
            (
                "{ports: [{port: 80, port: 81}]}",
                "5:23: spec.ports[0].port: the key is given twice, first in line 5 (remove one of the two)",
            ),
            (
                "ports: [{port: 1}, {port: 2}]",
                "5:3: spec: with several ports each needs a name",
            ),
            (
                "clusterIP: 10.0.0\n  ports: [{port: 1}]",
                "5:14: spec.clusterIP: found \"10.0.0\", expected an address or None",
            ),
            (
                "selector: {app: 1}\n  ports: [{port: 1}]",
                "5:19: spec.selector.app: found number 1, expected text (put it in quotes)",
            ),
        ],
    );
}

#[test]
fn routes() {
    check(
        route,
        "HTTPRoute",
        &[
            (
                "matches: [{path: {type: PathPrefix, value: api}}]",
                "6:48: spec.rules[0].matches[0].path.value: found \"api\", expected a path that starts with /",
            ),
            (
                "matches: [{path: {type: RegularExpression, value: 'a(b'}}]",
                "6:55: spec.rules[0].matches[0].path.value: the pattern \"a(b\" does not compile: unclosed group (write \
                 it in RE2 syntax: no look-around, no back-references)",
            ),
            (
                "backendRefs: [{name: b, port: 80, weight: -1}]",
                "6:47: spec.rules[0].backendRefs[0].weight: found -1, expected 0 to 1000000",
            ),
            (
                "backendRefs: [{name: b}]",
                "6:19: spec.rules[0].backendRefs[0]: a Service backend needs a port (add port)",
            ),
            (
                "timeouts: {request: 1.5s}",
                "6:25: spec.rules[0].timeouts.request: found \"1.5s\", expected a duration such as 1h30m, 10s or 500ms",
            ),
            (
                "timeouts: {request: 1s, backendRequest: 2s}",
                "6:15: spec.rules[0].timeouts: backendRequest is longer than request",
            ),
            (
                "filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {}}]",
                "6:14: spec.rules[0].filters: RequestRedirect and URLRewrite exclude each other (remove one of the two)",
            ),
            (
                "filters: [{type: RequestHeaderModifer}]",
                "6:22: spec.rules[0].filters[0].type: found \"RequestHeaderModifer\", expected one of \
                 RequestHeaderModifier, ResponseHeaderModifier, RequestRedirect, URLRewrite, RequestMirror, CORS, \
                 ExtensionRef, ExternalAuth (write RequestHeaderModifier)",
            ),
            (
                "backendRef: []",
                "6:5: spec.rules[0].backendRef: unknown field (write backendRefs)",
            ),
        ],
    );
}

#[test]
fn policies_that_would_open_a_door_by_accident() {
    check(
        policy,
        "AuthorizationPolicy",
        &[
            (
                "rules: [{from: []}]",
                "5:18: spec.rules[0].from: found no item, expected at least one (remove the field if anything may match)",
            ),
            (
                "rules: [{from: }]",
                "5:16: spec.rules[0].from: found no item, expected at least one (remove the field if anything may match)",
            ),
            (
                "rules: [{from: [{source: {}}]}]",
                "5:28: spec.rules[0].from[0].source: found no field, expected at least one (remove from if any source \
                 may match)",
            ),
            (
                "rules: [{to: [{operation: {method: [GET]}}]}]",
                "5:30: spec.rules[0].to[0].operation.method: unknown field (write methods)\n  also at 5:29: \
                 spec.rules[0].to[0].operation: found no field, expected at least one (remove to if any operation may match)",
            ),
            (
                "rules: [{when: [{key: source.ips, values: [a]}]}]",
                "5:25: spec.rules[0].when[0].key: found \"source.ips\", expected a condition key (write source.ip)",
            ),
            (
                "action: deny",
                "5:11: spec.action: found \"deny\", expected one of ALLOW, DENY, AUDIT, CUSTOM (write DENY)",
            ),
            (
                "action: CUSTOM",
                "5:3: spec: action CUSTOM and provider need each other",
            ),
        ],
    );
}

#[test]
fn processes() {
    check(
        process,
        "Process",
        &[
            (
                "command: ./run --fast",
                "5:12: spec.command: found text \"./run --fast\", expected a list of words (write it as [\"program\", \
                 \"argument\"]; no shell is used)",
            ),
            (
                "command: []",
                "5:12: spec.command: found no program, expected at least one word",
            ),
            (
                "command: [x]\n  replicas: 33",
                "6:13: spec.replicas: found 33, expected 0 to 32",
            ),
            (
                "command: [x]\n  ports: [{containerPort: 80}]",
                "6:12: spec.ports[0].containerPort: unknown field (remove it; known here: name, port, protocol, \
                 appProtocol)\n  also at 6:11: spec.ports[0].port: the field is required and not there (add port)",
            ),
            (
                "command: [x]\n  readiness: {periodSeconds: 1}",
                "6:14: spec.readiness: expected exactly one of tcpSocket, httpGet, exec",
            ),
            (
                "command: [x]\n  proxy: {certificate: {}}",
                "6:24: spec.proxy.certificate: expected exactly one of workloadAPI, service",
            ),
            (
                "command: [x]\n  proxy: {certificate: {workloadAPI: /run/agent.sock}}",
                "6:38: spec.proxy.certificate.workloadAPI: found \"/run/agent.sock\", expected unix:///ABSOLUTE-PATH",
            ),
            (
                "command: [x]\n  proxy: {certificate: {service: {address: csr, roots: r, token: t}}}",
                "6:44: spec.proxy.certificate.service.address: found \"csr\", expected HOST:PORT, such as \
                 cert-manager-istio-csr.cert-manager.svc:443",
            ),
            (
                "command: [x]\n  env: [{name: PORT, value: 80}]",
                "6:29: spec.env[0].value: found number 80, expected text (put it in quotes)",
            ),
        ],
    );
}

#[test]
fn a_name_that_dns_would_refuse_comes_with_one_that_it_takes() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: My_Service\nspec: {ports: [{port: 1}]}\n";
    assert_eq!(
        said(text),
        "f.yaml:4:9: metadata.name: found \"My_Service\", expected 1 to 63 of a-z, 0-9 and - inside (write my-service)"
    );
}

#[test]
fn slips_in_kind_group_and_version_are_not_taken_for_somebody_elses_kind() {
    let rows = [
        (
            "v1",
            "Servce",
            "2:7: kind: found the kind \"Servce\" of the core group, which does not exist (write kind: Service)",
        ),
        (
            "v1",
            "HTTPRoute",
            "2:7: kind: found the kind \"HTTPRoute\" of the core group, which does not exist (write apiVersion: \
             gateway.networking.k8s.io/v1)",
        ),
        (
            "security.istio.io/v1",
            "AuthorisationPolicy",
            "2:7: kind: found the kind \"AuthorisationPolicy\" of security.istio.io, which does not exist (write kind: \
             AuthorizationPolicy)",
        ),
        (
            "gateway.networking.k8s.io/v2",
            "HTTPRoute",
            "1:13: HTTPRoute default/a: apiVersion: found version \"v2\", expected v1 or v1beta1 (write apiVersion: \
             gateway.networking.k8s.io/v1)",
        ),
    ];
    for (version, kind, expected) in rows {
        let said = said(&format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n"
        ));
        assert_eq!(said.strip_prefix("f.yaml:").unwrap(), expected);
    }
}

#[test]
fn other_kinds_are_skipped_aloud_by_how_much_it_matters() {
    let severity = |text: &str| {
        let parsed = parse(text, "f.yaml");
        assert!(parsed.refused.is_empty());
        (parsed.diagnostics[0].severity, parsed.diagnostics[0].code)
    };
    let info = (Severity::Info, "skipped-kind");
    assert_eq!(severity("apiVersion: apps/v1\nkind: Deployment\n"), info);
    assert_eq!(
        severity("apiVersion: serving.knative.dev/v1\nkind: Service\n"),
        info
    );
    assert_eq!(
        severity("apiVersion: telemetry.istio.io/v1\nkind: Telemetry\n"),
        (Severity::Warning, "unsupported-kind")
    );
}

#[test]
fn a_bad_document_does_not_disturb_its_neighbours() {
    let good = |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    let broken = "apiVersion: v1\nkind: Service\nmetadata:\n  name: b\n  namespace: n\nspec: {ports: [\n";
    let parsed = parse(&format!("{}---\n{broken}---\n{}", good("a"), good("c")), "f.yaml");
    let names: Vec<_> = parsed
        .objects
        .iter()
        .map(|object| object.meta().name.to_string())
        .collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(
        parsed.refused[0].key,
        Some(ObjectKey::new(Kind::Service, "n", "b"))
    );
    let [diagnostic] = parsed.diagnostics.as_slice() else {
        panic!()
    };
    assert_eq!(
        (diagnostic.code, diagnostic.severity),
        ("invalid-yaml", Severity::Error)
    );
    assert!((9..=11).contains(&diagnostic.at.line), "{diagnostic}");
    assert_eq!(parsed.objects[1].origin().at.line, 12);
}

#[test]
fn an_object_with_many_flaws_is_one_diagnostic() {
    let parsed = parse(
        &service("ports: [{port: 0}, {port: 0, protocol: x}]\n  typ: y"),
        "f.yaml",
    );
    let [diagnostic] = parsed.diagnostics.as_slice() else {
        panic!("{:?}", parsed.diagnostics)
    };
    assert_eq!(diagnostic.more.len(), 3);
    assert_eq!(diagnostic.object, Some(ObjectKey::new(Kind::Service, "n", "a")));
}

#[test]
fn a_diagnostic_is_json_for_programs() {
    let parsed = parse(&service("ports: [{port: 0}]"), "f.yaml");
    let json = serde_json::to_value(&parsed.diagnostics[0]).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "severity": "error",
            "code": "out-of-range",
            "object": {"kind": "Service", "namespace": "n", "name": "a"},
            "file": "f.yaml",
            "line": 5,
            "column": 18,
            "field": "spec.ports[0].port",
            "reason": "found 0, expected 1 to 65535",
            "hint": "",
        })
    );
}

#[test]
fn a_claim_fills_no_header_by_which_a_message_is_framed() {
    let rules = [
        "outputPayloadToHeader: Content-Length",
        "outputClaimToHeaders: [{header: transfer-encoding, claim: sub}]",
    ];
    for rule in rules {
        let said = said(&format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: a, namespace: n}}\n\
             spec: {{jwtRules: [{{issuer: i, {rule}}}]}}\n"
        ));
        assert!(
            said.contains("a header that does not say how the message is read"),
            "{said}"
        );
    }
}
