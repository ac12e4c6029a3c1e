//! Every kind is read with its defaults, and comes back equal from the manifest it writes.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use wattle_api::*;

const EVERYTHING: &str = include_str!("seed.yaml");

fn parsed(text: &str) -> Parsed {
    let parsed = parse(text, "test.yaml");
    let errors: Vec<_> = parsed
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .collect();
    assert!(
        errors.is_empty(),
        "{}",
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    );
    parsed
}

fn only(text: &str) -> Object {
    let mut objects = parsed(text).objects;
    assert_eq!(objects.len(), 1);
    objects.remove(0)
}

#[test]
fn every_kind_is_read_in_the_order_of_the_file() {
    let kinds: Vec<_> = parsed(EVERYTHING).objects.iter().map(Object::kind).collect();
    assert_eq!(kinds, Kind::ALL);
}

#[test]
fn every_kind_comes_back_equal_from_its_manifest() {
    for object in parsed(EVERYTHING).objects {
        let manifest = serde_json::to_string(&object.manifest().unwrap()).unwrap();
        assert_eq!(only(&manifest), object, "{manifest}");
    }
}

#[test]
fn a_list_and_indented_json_with_tabs_are_expanded() {
    let items: Vec<_> = parsed(EVERYTHING)
        .objects
        .iter()
        .map(|object| object.manifest().unwrap())
        .collect();
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items });
    let pretty = serde_json::to_string_pretty(&list).unwrap().replace("  ", "\t");
    assert_eq!(parsed(&pretty).objects, parsed(EVERYTHING).objects);
}

#[test]
fn an_unsupported_filter_is_kept_and_warned_about() {
    let parsed = parsed(EVERYTHING);
    let [warning] = parsed.diagnostics.as_slice() else {
        panic!("{:?}", parsed.diagnostics)
    };
    assert_eq!(
        (warning.code, warning.severity),
        ("unsupported-filter", Severity::Warning)
    );
    assert_eq!(warning.field, "spec.rules[2].filters[4].extensionRef");
    let Object::HttpRoute(route) = &parsed.objects[3] else {
        panic!()
    };
    assert_eq!(
        route.spec.rules[2].filters[4],
        Filter::Unsupported("ExtensionRef")
    );
}

#[test]
fn a_service_port_targets_its_own_number_by_default() {
    let Object::Service(service) =
        only("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}")
    else {
        panic!()
    };
    assert_eq!(&*service.meta.namespace, "default");
    assert_eq!(
        service.spec.ports[0].target_port,
        TargetPort::Number(Port::new(80).unwrap())
    );
    assert_eq!(service.spec.cluster_ip, ClusterIp::Assigned);
}

#[test]
fn an_http_route_without_rules_matches_everything() {
    let Object::HttpRoute(route) =
        only("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {}")
    else {
        panic!()
    };
    assert_eq!(route.spec.rules.len(), 1);
    assert_eq!(
        route.spec.rules[0].matches[0].path,
        PathMatch::PathPrefix("/".into())
    );
}

#[test]
fn a_process_needs_only_a_command() {
    let Object::Process(process) = only(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: a}\nspec: {command: [sleep, '1']}",
    ) else {
        panic!()
    };
    let spec = process.spec;
    assert_eq!(
        (spec.replicas, spec.service_account_name.as_str()),
        (1, "default")
    );
    assert_eq!(
        (spec.restart_policy, spec.proxy.enabled),
        (RestartPolicy::Always, true)
    );
    assert_eq!(spec.termination_grace_period_seconds, 30);
}

#[test]
fn readiness_defaults_follow_kubernetes_but_for_the_period() {
    let text = "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: a}\n\
                spec: {command: [x], readiness: {tcpSocket: {port: 1}}}";
    let Object::Process(process) = only(text) else {
        panic!()
    };
    let readiness = process.spec.readiness.unwrap();
    assert_eq!(
        (readiness.period, readiness.timeout),
        (Duration::from_secs(1), Duration::from_secs(1))
    );
    assert_eq!(readiness.failure_threshold, 3);
}

#[test]
fn a_workload_is_healthy_only_when_its_condition_says_true() {
    let entry = |status: &str| {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: a}}\n\
             spec: {{address: 10.0.0.1}}\nstatus: {status}"
        );
        let Object::WorkloadEntry(entry) = only(&text) else {
            panic!()
        };
        entry.spec.healthy
    };
    assert_eq!(entry("{}"), None);
    assert_eq!(
        entry("{conditions: [{type: Healthy, status: 'True'}]}"),
        Some(true)
    );
    assert_eq!(
        entry("{conditions: [{type: Healthy, status: 'Unknown'}]}"),
        Some(false)
    );
}

#[test]
fn stars_in_policies_mean_what_istio_says() {
    assert_eq!(TextMatch::new("*"), TextMatch::Present);
    assert_eq!(TextMatch::new("a*"), TextMatch::Prefix("a".into()));
    assert_eq!(TextMatch::new("*a"), TextMatch::Suffix("a".into()));
    assert_eq!(TextMatch::new("a*b"), TextMatch::Exact("a*b".into()));
}

#[test]
fn a_field_is_found_where_it_was_written_and_else_its_nearest_parent() {
    let object = &parsed(EVERYTHING).objects[3];
    let line = |field: &str| object.origin().locate(field).line;
    assert_eq!(
        line("spec.rules[0].matches[0].method"),
        line("spec.rules[0].matches[0]") + 1
    );
    assert_eq!(
        line("spec.rules[0].matches[0].nothing.here[3]"),
        line("spec.rules[0].matches[0]")
    );
    assert_eq!(object.origin().document, 3);
    let written = EVERYTHING
        .lines()
        .position(|line| line.contains("name: canary"))
        .unwrap()
        + 1;
    assert_eq!(line("spec.rules[0].name") as usize, written);
}

#[test]
fn where_an_object_was_written_does_not_make_it_another_object() {
    let moved = format!("# a comment\n\n{EVERYTHING}");
    assert_eq!(parsed(&moved).objects, parsed(EVERYTHING).objects);
}

#[test]
fn durations_are_those_of_the_gateway_api() {
    for (text, millis) in [
        ("0s", 0),
        ("1h", 3_600_000),
        ("1h30m10s500ms", 5_410_500),
        ("99999ms", 99_999),
    ] {
        assert_eq!(
            parse_duration(text),
            Some(Duration::from_millis(millis)),
            "{text}"
        );
    }
    for text in [
        "",
        "1",
        "s",
        "1.5s",
        "-1s",
        "1us",
        "100000s",
        "1s1s1s1s1s",
        " 1s",
        "1d",
    ] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

#[test]
fn a_process_has_a_proxy_unless_field_or_label_says_no() {
    let proxied = |labels: &str, spec: &str| {
        let text = format!(
            "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: a, labels: {{{labels}}}}}\n\
             spec: {{command: [x]{spec}}}"
        );
        let Object::Process(process) = only(&text) else {
            panic!()
        };
        process.has_proxy()
    };
    assert!(proxied("", ""));
    assert!(proxied("wattle.io/inject: enabled", ""));
    assert!(!proxied("wattle.io/inject: disabled", ""));
    assert!(!proxied("", ", proxy: {enabled: false}"));
}
