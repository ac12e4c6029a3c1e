//! Questions about a small mesh, and what is said to them.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use tempfile::TempDir;
use wattle_compile::Mesh;

use super::{ExplainError, Explanation, Question, explain};

mod backends;

const MESH: &str = "
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{port: 9080, appProtocol: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: reviews-v2}
spec: {selector: {app: reviews, version: v2}, ports: [{port: 9080, appProtocol: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {selector: {app: store}, ports: [{port: 6379, appProtocol: tcp}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: reviews-v1, labels: {app: reviews, version: v1}}
spec: {command: [x], serviceAccountName: reviews, ports: [{port: 9080}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: reviews-v2, labels: {app: reviews, version: v2}}
spec: {command: [x], serviceAccountName: reviews, ports: [{port: 9080}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: store, labels: {app: store}}
spec: {command: [x], serviceAccountName: store, ports: [{port: 6379}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: page, labels: {app: page}}
spec: {command: [x], serviceAccountName: page}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: outsider}
spec: {command: [x], proxy: {enabled: false}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews}
spec:
  parentRefs: [{group: '', kind: Service, name: reviews}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
  - matches: [{path: {type: PathPrefix, value: /inner}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /secret}}}]
    backendRefs: [{name: reviews, port: 9080}]
  - matches: [{path: {type: PathPrefix, value: /broken}}]
    backendRefs: [{name: nowhere, port: 1}]
  - matches: [{path: {type: PathPrefix, value: /reviews}}, {path: {type: PathPrefix, value: /secret}}]
    backendRefs: [{name: reviews, port: 9080, weight: 90}, {name: reviews-v2, port: 9080, weight: 10}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-secrets}
spec:
  selector: {matchLabels: {app: reviews}}
  action: DENY
  rules: [{to: [{operation: {paths: [/secret*]}}]}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}
";

fn mesh() -> (TempDir, Mesh) {
    load(MESH)
}

fn load(text: &str) -> (TempDir, Mesh) {
    let directory = TempDir::new().unwrap();
    std::fs::File::create(directory.path().join("mesh.yaml"))
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let (mesh, diagnostics) = crate::offline::load(directory.path());
    let errors: Vec<_> = diagnostics
        .iter()
        .filter(|found| found.severity == wattle_api::Severity::Error)
        .collect();
    // The backend that is not there is meant to be missing.
    assert!(
        errors.iter().all(|found| found.to_string().contains("nowhere")),
        "{errors:#?}"
    );
    (directory, mesh)
}

fn ask(from: &str, method: &str, url: &str) -> Result<Explanation, ExplainError> {
    let (_directory, mut mesh) = mesh();
    let question = Question {
        from: from.to_owned(),
        method: method.to_owned(),
        url: url.to_owned(),
        ..Question::default()
    };
    explain(&mut mesh, &question)
}

#[test]
fn a_canary_is_told_by_its_shares() {
    let found = ask("page", "GET", "http://reviews:9080/reviews/1").unwrap();
    assert_eq!(
        found.answer.text,
        "allowed → reviews:9080 90%, reviews-v2:9080 10%"
    );
    assert!(found.answer.allowed);
    assert_eq!(
        found.source.identity.as_deref(),
        Some("spiffe://cluster.local/ns/default/sa/page")
    );
    let rule = found.route.rule.as_deref().unwrap();
    assert!(
        rule.starts_with("HTTPRoute default/reviews (")
            && rule.contains("mesh.yaml:")
            && rule.ends_with("rule 3"),
        "{rule}"
    );
    let workload = &found.backends[1].workloads[0];
    assert_eq!(
        (
            workload.workload.as_str(),
            workload.mtls,
            workload.health.as_str()
        ),
        ("default/reviews-v2", true, "not running")
    );
    assert!(
        workload
            .mode
            .starts_with("STRICT by PeerAuthentication default/strict ("),
        "{}",
        workload.mode
    );
}

#[test]
fn a_refusal_names_policy_rule_file_and_line() {
    let found = ask("default/page", "GET", "http://reviews:9080/secret").unwrap();
    let text = &found.answer.text;
    assert!(
        text.starts_with("refused 403 policy_denied by AuthorizationPolicy default/no-secrets ("),
        "{text}"
    );
    assert!(text.contains("mesh.yaml:") && text.ends_with("rule 0"), "{text}");
    assert_eq!(
        (found.answer.status, found.answer.reason.as_deref()),
        (Some(403), Some("policy_denied"))
    );
}

#[test]
fn policies_see_the_path_that_the_route_made() {
    let found = ask("page", "GET", "http://reviews:9080/inner/x").unwrap();
    assert_eq!(found.answer.reason.as_deref(), Some("policy_denied"), "{found}");
    assert_eq!(found.route.filters, ["matched prefix becomes /secret"]);
}

#[test]
fn redirects_missing_backends_and_missing_routes_are_told_apart() {
    let redirect = ask("page", "GET", "http://reviews:9080/old/x?y=1").unwrap();
    assert_eq!(
        redirect.answer.text,
        "redirected → 301 http://reviews:9080/new/x?y=1"
    );
    let broken = ask("page", "GET", "http://reviews:9080/broken").unwrap();
    assert_eq!(broken.answer.text, "refused 500 no_backend");
    let nowhere = ask("page", "GET", "http://reviews:9080/elsewhere").unwrap();
    assert_eq!(nowhere.answer.text, "refused 404 no_route");
    assert_eq!(
        nowhere.route.trace.len(),
        6,
        "every rule tried, and the end: {:?}",
        nowhere.route.trace
    );
}

#[test]
fn who_has_no_identity_is_refused_where_mutual_tls_is_required() {
    let found = ask("outsider", "GET", "http://reviews:9080/reviews").unwrap();
    assert_eq!(found.source.identity, None);
    assert_eq!(found.answer.reason.as_deref(), Some("mtls_required"));
    assert!(
        found.answer.text.contains("by PeerAuthentication default/strict"),
        "{}",
        found.answer.text
    );
}

#[test]
fn a_policy_about_requests_does_not_see_into_an_opaque_connection() {
    // Bytes to a port of HTTP, over mutual TLS: a DENY rule that asks for a path drops the question and matches.
    let found = ask("page", "GET", "tcp://reviews:9080").unwrap();
    assert_eq!(found.answer.reason.as_deref(), Some("policy_denied"), "{found}");
}

#[test]
fn opaque_connections_go_as_a_whole() {
    let found = ask("page", "GET", "tcp://store:6379").unwrap();
    assert_eq!(found.answer.text, "allowed → default/store:6379");
    assert_eq!(found.destination.protocol, "tcp");
}

#[test]
fn what_the_mesh_does_not_know_is_passed_through() {
    let found = ask("page", "GET", "http://www.example.com/").unwrap();
    assert_eq!(found.answer.text, "allowed → original destination");
    assert_eq!(found.destination.service, None);
}

#[test]
fn an_identity_may_ask_without_a_workload() {
    let found = ask(
        "spiffe://cluster.local/ns/default/sa/anyone",
        "GET",
        "reviews:9080/reviews",
    )
    .unwrap();
    assert!(found.answer.allowed);
}

#[test]
fn questions_that_make_no_sense_are_refused_with_what_was_meant() {
    let error = ask("pag", "GET", "http://reviews/").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no workload default/pag, is default/page meant?"
    );
    assert!(matches!(
        ask("page", "GE T", "http://reviews/"),
        Err(ExplainError::Method(_))
    ));
    assert!(matches!(
        ask("page", "GET", "http://"),
        Err(ExplainError::Url(..))
    ));
    assert!(matches!(
        ask("page", "GET", "tcp://store"),
        Err(ExplainError::Url(..))
    ));
}

#[test]
fn the_text_shows_answer_rule_and_verdict() {
    let text = ask("page", "GET", "http://reviews:9080/secret")
        .unwrap()
        .to_string();
    for part in [
        "refused 403 policy_denied by AuthorizationPolicy default/no-secrets",
        "source        default/page (spiffe://cluster.local/ns/default/sa/page, address unknown, compared as 10.255.255.254)",
        "destination   Service default/reviews port 9080 (10.96.",
        "  · HTTPRoute default/reviews",
        "  verdict     refused policy_denied by AuthorizationPolicy default/no-secrets",
    ] {
        assert!(text.contains(part), "no \"{part}\" in:\n{text}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_question_whatsoever_panics(
        from in "(page|outsider|default/page|spiffe://[a-z/.]{0,20}|[a-z/]{0,6})",
        method in "(GET|POST|[ -~]{0,5})",
        url in "((http|tcp|https|x)://)?(reviews|store|10.96.0.1|[ -~]{0,8})(:[0-9]{0,6})?(/(secret|inner|old|[ -~]{0,12}))?",
        headers in proptest::collection::vec(("[ -~]{0,6}", "[ -~é]{0,6}"), 0..3),
        query in "[ -~é]{0,60}",
    ) {
        let _ = Question::from_query(&query);
        let question = Question { from, method, url, headers, port: None, claims: None };
        MESH_ONCE.with_borrow_mut(|mesh| {
            if let Ok(found) = explain(mesh, &question) {
                let text = found.to_string();
                assert!(text.starts_with(&found.answer.text) && !found.answer.text.is_empty());
            }
        });
    }
}

thread_local! {
    static MESH_ONCE: std::cell::RefCell<Mesh> = std::cell::RefCell::new(mesh().1);
}

const TOKENS: &str = "
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens}
spec:
  selector: {matchLabels: {app: reviews}}
  jwtRules: [{issuer: 'https://issuer.example', audiences: ['https://shop/'], jwks: '{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}'}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: staff}
spec:
  selector: {matchLabels: {app: reviews}}
  rules:
  - from: [{source: {requestPrincipals: ['https://issuer.example/*']}}]
    when: [{key: 'request.auth.claims[scope]', values: [read]}]
";

#[test]
fn a_policy_on_claims_is_asked_with_the_claims_of_a_token() {
    let (_directory, mut mesh) = load(&format!("{MESH}---\n{TOKENS}"));
    let mut answer = |claims: Option<&str>| {
        let question = Question {
            from: "page".to_owned(),
            method: "GET".to_owned(),
            url: "http://reviews:9080/reviews/1".to_owned(),
            claims: claims.map(str::to_owned),
            ..Question::default()
        };
        let found = explain(&mut mesh, &question).map(|found| found.backends[0].workloads[0].clone());
        found.map(|workload| (workload.allowed, workload.reason))
    };
    let refused = |reason: &str| Ok((false, Some(reason.to_owned())));
    let claims = |issuer: &str, scope: &str| {
        format!(r#"{{"iss":"{issuer}","sub":"alice","aud":["shop"],"scope":"{scope}"}}"#)
    };
    assert_eq!(
        answer(Some(&claims("https://issuer.example", "write read"))),
        Ok((true, None))
    );
    assert_eq!(
        answer(Some(&claims("https://issuer.example", "write"))),
        refused("policy_not_allowed")
    );
    assert_eq!(
        answer(Some(&claims("https://other.example", "read"))),
        refused("token_invalid")
    );
    let elsewhere = r#"{"iss":"https://issuer.example","sub":"alice","aud":"bank","scope":"read"}"#;
    assert_eq!(answer(Some(elsewhere)), refused("token_invalid"));
    assert_eq!(answer(None), refused("policy_not_allowed"));
    assert!(matches!(answer(Some("[]")), Err(ExplainError::Claims(_))));
}

const ASKING: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: '{extensionProviders: [{name: opa, envoyExtAuthzGrpc: {service: default/reviews-v2, port: 9080}}]}'}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: asking}
spec:
  selector: {matchLabels: {app: reviews}}
  action: CUSTOM
  provider: {name: opa}
  rules: [{to: [{operation: {paths: [/reviews/*]}}]}]
";

#[test]
fn whom_a_request_is_asked_of_is_told_without_asking() {
    let (_directory, mut mesh) = load(&format!("{MESH}---\n{ASKING}"));
    let question = Question {
        from: "page".to_owned(),
        method: "GET".to_owned(),
        url: "http://reviews:9080/reviews/1".to_owned(),
        ..Question::default()
    };
    let found = explain(&mut mesh, &question).unwrap();
    let workload = &found.backends[0].workloads[0];
    let told: Vec<_> = workload.trace.iter().map(|line| line.detail.as_str()).collect();
    let asked = "asks opa at reviews-v2.default.svc.cluster.local:9080, whose answer is not known here";
    assert!(workload.allowed && told.contains(&asked), "{told:?}");
}
