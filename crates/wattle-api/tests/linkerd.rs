//! Linkerd's annotations are read as Linkerd reads them, and its HTTPRoute is not the Gateway API's.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use wattle_api::*;

fn service(annotations: &str) -> Parsed {
    let text = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations:\n    {annotations}\nspec: {{ports: [{{port: 1}}]}}\n"
    );
    parse(&text, "f.yaml")
}

fn read(annotations: &[&str]) -> LinkerdAnnotations {
    let parsed = service(&annotations.join("\n    "));
    assert_eq!(parsed.diagnostics, [], "{annotations:?}");
    LinkerdAnnotations::of(parsed.objects[0].meta())
}

#[test]
fn without_annotations_nothing_is_asked_for() {
    assert_eq!(read(&["other.io/a: b"]), LinkerdAnnotations::default());
}

#[test]
fn retries_have_codes_a_limit_and_a_timeout() {
    let retry = read(&[
        "retry.linkerd.io/http: 404,500-502,gateway-error,5XX",
        "retry.linkerd.io/grpc: cancelled,unavailable",
        "retry.linkerd.io/limit: '3'",
        "retry.linkerd.io/timeout: 500ms",
    ])
    .retry
    .unwrap();
    assert_eq!(retry.http, [(404, 404), (500, 502), (502, 504), (500, 599)]);
    assert_eq!(
        retry.grpc.iter().map(|code| code.number()).collect::<Vec<_>>(),
        [1, 14]
    );
    assert_eq!(
        (retry.limit, retry.timeout),
        (3, Some(Duration::from_millis(500)))
    );
}

#[test]
fn one_retry_is_the_default_and_zero_counts_as_absent() {
    let retry = read(&["retry.linkerd.io/http: 5xx", "retry.linkerd.io/limit: '0'"]).retry;
    assert_eq!(retry.unwrap().limit, 1);
    assert_eq!(read(&["retry.linkerd.io/limit: '3'"]).retry, None);
}

#[test]
fn timeouts_are_whole_numbers_with_a_unit() {
    let read = read(&[
        "timeout.linkerd.io/request: 1d",
        "timeout.linkerd.io/response: 2m",
        "timeout.linkerd.io/idle: '0'",
    ]);
    assert_eq!(read.request_timeout, Some(Duration::from_secs(86_400)));
    assert_eq!(read.response_timeout, Some(Duration::from_secs(120)));
    assert_eq!(read.idle_timeout, None);
}

#[test]
fn failure_accrual_has_linkerds_defaults() {
    let accrual = read(&["balancer.linkerd.io/failure-accrual: consecutive"])
        .failure_accrual
        .unwrap();
    let expected = FailureAccrual {
        max_failures: 7,
        min_penalty: Duration::from_secs(1),
        max_penalty: Duration::from_secs(60),
        jitter_thousandths: 500,
    };
    assert_eq!(accrual, expected);
    let without_mode = read(&["balancer.linkerd.io/failure-accrual-consecutive-max-failures: '3'"]);
    assert_eq!(without_mode.failure_accrual, None);
}

#[test]
fn ports_are_lists_of_ranges() {
    let read = read(&[
        "config.linkerd.io/opaque-ports: 25,3000-3010",
        "config.linkerd.io/skip-inbound-ports: '4567'",
        "config.linkerd.io/skip-outbound-ports: ''",
    ]);
    assert!(read.opaque_ports.as_ref().unwrap().contains(3010));
    assert_eq!(read.skip_inbound_ports.unwrap().ranges(), [(4567, 4567)]);
    assert_eq!(read.skip_outbound_ports, Some(PortRanges::default()));
}

#[test]
fn an_annotation_that_cannot_be_read_is_told_of_at_its_line_and_left_out() {
    let rows = [
        (
            "retry.linkerd.io/http: '200-700'",
            "found \"200-700\", expected codes",
        ),
        ("retry.linkerd.io/grpc: ok", "found \"ok\", expected cancelled"),
        (
            "retry.linkerd.io/limit: many",
            "found \"many\", expected 0 to 65535",
        ),
        (
            "timeout.linkerd.io/request: 1.5s",
            "found \"1.5s\", expected a duration",
        ),
        ("timeout.linkerd.io/idle: '5'", "found \"5\", expected a duration"),
        (
            "balancer.linkerd.io/failure-accrual: unified",
            "found \"unified\", expected consecutive",
        ),
        (
            "config.linkerd.io/opaque-ports: http",
            "found \"http\", expected ports and ranges",
        ),
        (
            "retry.linkerd.io/htp: 5xx",
            "the annotation is not supported and has no effect",
        ),
        (
            "balancer.alpha.linkerd.io/penalize-failures: 'true'",
            "the annotation is not supported",
        ),
    ];
    for (annotation, expected) in rows {
        let parsed = service(annotation);
        let [warning] = parsed.diagnostics.as_slice() else {
            panic!("{annotation}: {:?}", parsed.diagnostics)
        };
        let key = annotation.split_once(": ").unwrap().0;
        assert_eq!(warning.severity, Severity::Warning);
        assert_eq!(warning.field, format!("metadata.annotations.{key}"));
        assert_eq!(warning.at.line, 6, "{annotation}");
        assert!(warning.reason.starts_with(expected), "{}", warning.reason);
        let read = LinkerdAnnotations::of(parsed.objects[0].meta());
        assert_eq!(read, LinkerdAnnotations::default(), "{annotation}");
    }
}

#[test]
fn penalties_that_contradict_each_other_switch_failure_accrual_off() {
    let parsed = service(
        "balancer.linkerd.io/failure-accrual: consecutive\n    \
         balancer.linkerd.io/failure-accrual-consecutive-min-penalty: 2m",
    );
    assert_eq!(parsed.diagnostics.len(), 1);
    assert_eq!(
        LinkerdAnnotations::of(parsed.objects[0].meta()).failure_accrual,
        None
    );
}

#[test]
fn two_kinds_that_are_written_alike_are_told_apart() {
    let route = |version: &str| {
        let text = format!("apiVersion: {version}\nkind: HTTPRoute\nmetadata: {{name: a}}\nspec: {{}}\n");
        parse(&text, "f.yaml").objects.remove(0)
    };
    let (ours, theirs) = (
        route("gateway.networking.k8s.io/v1"),
        route("policy.linkerd.io/v1beta3"),
    );
    assert_ne!(ours.key(), theirs.key());
    assert_eq!(ours.key().to_string(), "HTTPRoute default/a");
    assert_eq!(theirs.key().to_string(), "HTTPRoute.policy.linkerd.io default/a");
    assert_eq!(theirs.manifest().unwrap()["kind"], "HTTPRoute");
    let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.unique_name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
}

#[test]
fn label_expressions_select_as_in_kubernetes() {
    let labels = |text: &str| -> Labels {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let expression = |operator, values: &[&str]| LabelSelector {
        match_labels: Labels::new(),
        match_expressions: vec![LabelExpression {
            key: "v".to_owned(),
            operator,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }],
    };
    for (operator, values, selected) in [
        (LabelOperator::In, &["1"][..], [true, false, false]),
        (LabelOperator::NotIn, &["1"][..], [false, true, true]),
        (LabelOperator::Exists, &[][..], [true, true, false]),
        (LabelOperator::DoesNotExist, &[][..], [false, false, true]),
    ] {
        let selector = expression(operator, values);
        let found = ["v=1", "v=2", ""].map(|text| selector.selects(&labels(text)));
        assert_eq!(found, selected, "{operator:?}");
    }
}

#[test]
fn linkerds_authorization_policy_is_not_istios() {
    let text = "apiVersion: policy.linkerd.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n\
                spec: {targetRef: {kind: Namespace, group: core, name: default}, requiredAuthenticationRefs: []}\n";
    let object = parse(text, "f.yaml").objects.remove(0);
    assert_eq!(
        object.key().to_string(),
        "AuthorizationPolicy.policy.linkerd.io default/a"
    );
    assert_eq!(object.manifest().unwrap()["kind"], "AuthorizationPolicy");
}

#[test]
fn both_clients_of_a_server_authorization_come_back_as_they_were_written() {
    let written = |client: &str| {
        let text = format!(
            "apiVersion: policy.linkerd.io/v1beta1\nkind: ServerAuthorization\nmetadata: {{name: a}}\n\
             spec: {{server: {{name: s}}, client: {client}}}\n"
        );
        let object = parse(&text, "f.yaml").objects.remove(0);
        let manifest = object.manifest().unwrap();
        assert_eq!(parse(&manifest.to_string(), "f.yaml").objects, [object]);
        manifest["spec"]["client"].to_string()
    };
    assert_eq!(written("{unauthenticated: true}"), r#"{"unauthenticated":true}"#);
    assert_eq!(
        written("{meshTLS: {unauthenticatedTLS: true}}"),
        r#"{"meshTLS":{"unauthenticatedTLS":true}}"#
    );
    assert_eq!(
        written("{meshTLS: {unauthenticatedTLS: false, identities: ['*']}, unauthenticated: false}"),
        r#"{"meshTLS":{"identities":["*"]}}"#
    );
}

#[test]
fn a_default_policy_that_cannot_be_read_denies() {
    let read = |value: &str| {
        let parsed = service(&format!("config.linkerd.io/default-inbound-policy: {value}"));
        let said = parsed.diagnostics.first().map(|said| said.reason.clone());
        (
            LinkerdAnnotations::of(parsed.objects[0].meta()).default_inbound_policy,
            said.unwrap_or_default(),
        )
    };
    assert_eq!(read("audit"), (Some(AccessPolicy::Audit), String::new()));
    assert_eq!(
        read("cluster-authenticated"),
        (Some(AccessPolicy::ClusterAuthenticated), String::new())
    );
    let (policy, said) = read("all-unauthenicated");
    assert_eq!(policy, Some(AccessPolicy::Deny));
    assert!(
        said.starts_with("found \"all-unauthenicated\", expected one of deny, audit"),
        "{said}"
    );
}
