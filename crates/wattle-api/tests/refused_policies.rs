//! Policies, endpoints, Linkerd's kinds and our own that break a rule are refused, field by field.

mod common;

use common::check;

fn object(version: &str, kind: &str, spec: &str) -> String {
    common::object(version, kind, &format!("spec:\n  {spec}"))
}

const TARGET: &str = "targetRefs: [{group: '', kind: Service, name: a}]";

#[test]
fn backend_traffic_policies() {
    check(
        |spec| {
            object(
                "gateway.networking.x-k8s.io/v1alpha1",
                "XBackendTrafficPolicy",
                spec,
            )
        },
        "spec",
        &[
            (
                "{}",
                ".targetRefs: the field is required and not there (add targetRefs)",
            ),
            (
                "targetRefs: []",
                ".targetRefs: found no target, expected at least one",
            ),
            (
                "targetRefs: [{group: '', kind: Service, name: a}, {group: '', kind: Service, name: a}]",
                ".targetRefs: Service a is given twice",
            ),
            (
                &format!("{TARGET}\n  retryConstraint: {{budget: {{percent: 101}}}}"),
                ".retryConstraint.budget.percent: found 101, expected 0 to 100",
            ),
            (
                &format!("{TARGET}\n  retryConstraint: {{budget: {{interval: 500ms}}}}"),
                ".retryConstraint.budget.interval: found 500ms, expected 1s to 1h",
            ),
            (
                &format!("{TARGET}\n  retryConstraint: {{minRetryRate: {{count: 0}}}}"),
                ".retryConstraint.minRetryRate.count: found 0, expected 1 to 1000000",
            ),
            (
                &format!("{TARGET}\n  retryConstraint: {{minRetryRate: {{interval: 0s}}}}"),
                ".retryConstraint.minRetryRate.interval: found 0s, expected 1ms to 1h",
            ),
        ],
    );
}

#[test]
fn backend_tls_policies() {
    let one_of = ": expected exactly one of caCertificateRefs, wellKnownCACertificates";
    check(
        |validation| {
            let spec = format!("{TARGET}\n  validation: {validation}");
            object("gateway.networking.k8s.io/v1", "BackendTLSPolicy", &spec)
        },
        "spec.validation",
        &[
            ("{hostname: a}", one_of),
            (
                "{hostname: a, wellKnownCACertificates: System, caCertificateRefs: [{group: '', kind: ConfigMap, name: a}]}",
                one_of,
            ),
            (
                "{hostname: a, wellKnownCACertificates: Mine}",
                ".wellKnownCACertificates: found \"Mine\", expected System",
            ),
            (
                "{wellKnownCACertificates: System}",
                ".hostname: the field is required and not there (add hostname)",
            ),
            (
                "{hostname: '*.a', wellKnownCACertificates: System}",
                ".hostname: found \"*.a\", expected a host name",
            ),
            (
                "{hostname: a, wellKnownCACertificates: System, subjectAltNames: [{type: URI, hostname: a}]}",
                ".subjectAltNames[0]: hostname does not belong to this type",
            ),
            (
                "{hostname: a, wellKnownCACertificates: System, subjectAltNames: [{type: URI, uri: a}]}",
                ".subjectAltNames[0].uri: found \"a\", expected a URI such as spiffe://cluster.local/ns/a/sa/b of at \
                 most 253 bytes",
            ),
        ],
    );
}

#[test]
fn two_sections_of_a_target_are_told_apart_by_name() {
    let policy = |second: &str| {
        let spec = format!(
            "targetRefs: [{{group: '', kind: Service, name: a, sectionName: x}}, {second}]\n  \
             validation: {{hostname: a, wellKnownCACertificates: System}}"
        );
        object("gateway.networking.k8s.io/v1", "BackendTLSPolicy", &spec)
    };
    check(
        policy,
        "spec.targetRefs",
        &[
            (
                "{group: '', kind: Service, name: a}",
                ": Service a is given twice",
            ),
            (
                "{group: '', kind: Service, name: a, sectionName: x}",
                ": Service a is given twice",
            ),
        ],
    );
    let good = policy("{group: '', kind: Service, name: a, sectionName: y}");
    assert_eq!(wattle_api::parse(&good, "f.yaml").objects.len(), 1);
}

#[test]
fn endpoint_slices() {
    let slice = |fields: &str| common::object("discovery.k8s.io/v1", "EndpointSlice", fields);
    check(
        slice,
        "",
        &[
            (
                "endpoints: []",
                "addressType: the field is required and not there (add addressType)",
            ),
            (
                "addressType: IPv4\nendpoints: [{addresses: ['::1']}]",
                "endpoints[0].addresses[0]: found \"::1\", expected an IPv4 address of one host",
            ),
            (
                "addressType: IPv6\nendpoints: [{addresses: ['::']}]",
                "endpoints[0].addresses[0]: found \"::\", expected an IPv6 address of one host",
            ),
            (
                "addressType: FQDN\nendpoints: [{addresses: [10.0.0.1]}]",
                "endpoints[0].addresses[0]: found \"10.0.0.1\", expected a host name",
            ),
            (
                "addressType: IPv4\nendpoints: [{addresses: []}]",
                "endpoints[0].addresses: found no address, expected at least one",
            ),
            (
                "addressType: IPv4\nendpoints: []\nports: [{port: 1}, {port: 2}]",
                "ports: two ports have the name \"\"",
            ),
            (
                "addressType: IPv4\nspec: {}",
                "spec: unknown field (remove it; known here: apiVersion, kind, metadata, addressType, endpoints, ports)",
            ),
        ],
    );
}

#[test]
fn linkerd_servers_networks_and_limits() {
    let linkerd = |kind: &'static str, version: &str| {
        let version = format!("policy.linkerd.io/{version}");
        move |spec: &str| object(&version, kind, spec)
    };
    check(
        linkerd("Server", "v1beta3"),
        "spec",
        &[
            (
                "port: 80",
                ".podSelector: the field is required and not there (add podSelector)",
            ),
            (
                "{port: 80, externalWorkloadSelector: {}}",
                ".externalWorkloadSelector: external workloads are not supported (select workloads with podSelector)",
            ),
            (
                "{port: 80, podSelector: {}, accessPolicy: allow}",
                ".accessPolicy: found \"allow\", expected one of deny, audit, all-unauthenticated, all-authenticated, \
                 cluster-unauthenticated, cluster-authenticated",
            ),
            (
                "{port: 80, podSelector: {matchExpressions: [{key: a, operator: In}]}}",
                ".podSelector.matchExpressions[0]: found 0 values, expected at least one",
            ),
        ],
    );
    check(
        linkerd("EgressNetwork", "v1alpha1"),
        "spec",
        &[
            (
                "{}",
                ".trafficPolicy: the field is required and not there (add trafficPolicy)",
            ),
            (
                "{trafficPolicy: Deny, networks: [{cidr: 10.0.0.0/8, except: [11.0.0.0/8]}]}",
                ".networks[0]: 11.0.0.0/8 in except does not lie in 10.0.0.0/8",
            ),
        ],
    );
    let limit = |fields: &str| {
        let spec = format!("{{targetRef: {{group: policy.linkerd.io, kind: Server, name: a}}, {fields}}}");
        object("policy.linkerd.io/v1alpha1", "HTTPLocalRateLimitPolicy", &spec)
    };
    check(
        limit,
        "spec",
        &[
            (
                "total: {requestsPerSecond: 0}",
                ".total.requestsPerSecond: found 0, expected 1 to 4294967295",
            ),
            (
                "total: {requestsPerSecond: 1}, identity: {requestsPerSecond: 2}",
                ": found 2 requests per second for one client, expected at most the total of 1",
            ),
            (
                "overrides: [{requestsPerSecond: 1, clientRefs: []}]",
                ".overrides[0].clientRefs: found no client, expected at least one",
            ),
        ],
    );
}

#[test]
fn service_profiles() {
    let none = "found no condition, expected at least one";
    check(
        |spec| object("linkerd.io/v1alpha2", "ServiceProfile", spec),
        "spec",
        &[
            (
                "routes: [{name: a, condition: {}}]",
                &format!(".routes[0].condition: {none}"),
            ),
            (
                "routes: [{name: a, condition: {all: []}}]",
                &format!(".routes[0].condition.all: {none}"),
            ),
            (
                "routes: [{name: a, condition: {method: GET}, timeout: 5}]",
                ".routes[0].timeout: found number 5, expected text (put it in quotes)",
            ),
            (
                "routes: [{name: a, condition: {method: GET}, responseClasses: [{condition: {status: {min: 9}}}]}]",
                ".routes[0].responseClasses[0].condition.status.min: found 9, expected 100 to 599",
            ),
            (
                "retryBudget: {retryRatio: -1, minRetriesPerSecond: 1, ttl: 10s}",
                ".retryBudget.retryRatio: found -1, expected 0 to 1000",
            ),
            (
                "retryBudget: {retryRatio: 1, minRetriesPerSecond: 1, ttl: 10}",
                ".retryBudget.ttl: found number 10, expected text (put it in quotes)",
            ),
            (
                "dstOverrides: [{authority: 'a:b', weight: 1}]",
                ".dstOverrides[0].authority: found \"a:b\", expected a host name, perhaps with a port",
            ),
            (
                "dstOverrides: [{authority: a, weight: 1Gi}]",
                ".dstOverrides[0].weight: expected a weight such as 1, 0.5 or 500m, at most 1000000",
            ),
        ],
    );
}

fn limit(spec: &str) -> String {
    object("wattle.io/v1alpha1", "RateLimit", spec)
}

#[test]
fn rate_limits() {
    let local = "local: {requests: 1, unit: second}";
    check(
        limit,
        "spec",
        &[
            ("rules: []", ".rules: found no rule, expected at least one"),
            ("rules: [{}]", ".rules[0]: expected exactly one of local, global"),
            (
                "rules: [{local: {requests: 0, unit: second}}]",
                ".rules[0].local.requests: found 0, expected 1 to 1000000000",
            ),
            (
                "rules: [{local: {requests: 1, unit: day}}]",
                ".rules[0].local.unit: found \"day\", expected one of second, minute, hour",
            ),
            (
                &format!("{{selector: {{matchLabels: {{a: b}}}}, {TARGET}, rules: [{{{local}}}]}}"),
                ": selector and targetRefs exclude each other",
            ),
            (
                &format!("{{selector: {{}}, rules: [{{{local}}}]}}"),
                ".selector: found no label, expected at least one in matchLabels (remove selector for the whole \
                 namespace)",
            ),
            (
                &format!("{{targetRefs: [{{group: '', kind: Pod, name: a}}], rules: [{{{local}}}]}}"),
                ".targetRefs: found Pod of group \"\", expected a Service of the core group",
            ),
            (
                &format!("rules: [{{clients: [], {local}}}]"),
                ".rules[0].clients: found no item, expected at least one (remove the field if anything may match)",
            ),
        ],
    );
}

#[test]
fn global_rate_limits() {
    let source = "expected exactly one of value, header, clientIdentity, path, method";
    let entry = "descriptors: [{key: a, path: true}]";
    check(
        |fields| {
            let global = format!("{{service: {{name: a, port: 1}}, domain: a, {fields}}}");
            limit(&format!("rules: [{{global: {global}}}]"))
        },
        "spec.rules[0].global",
        &[
            (
                "descriptors: []",
                ".descriptors: found no entry, expected at least one",
            ),
            ("descriptors: [{key: a}]", &format!(".descriptors[0]: {source}")),
            (
                "descriptors: [{key: a, value: b, path: true}]",
                &format!(".descriptors[0]: {source}"),
            ),
            (
                "descriptors: [{key: a, path: false}]",
                ".descriptors[0].path: found false, expected true (remove the field)",
            ),
            (
                "descriptors: [{key: a, path: true}, {key: a, method: true}]",
                ".descriptors: a is given twice",
            ),
            (
                &format!("{entry}, timeout: 11s"),
                ".timeout: found 11s, expected 1ms to 10s",
            ),
        ],
    );
}

#[test]
fn egress_policies() {
    let egress = |spec: &str| object("wattle.io/v1alpha1", "EgressPolicy", spec);
    check(
        egress,
        "spec",
        &[
            ("{}", ": expected mode, allow, or both"),
            (
                "allow: [{hosts: [], ports: [{port: 1, protocol: TCP}]}]",
                ".allow[0].hosts: found no host, expected at least one",
            ),
            (
                "allow: [{hosts: ['a.*'], ports: [{port: 1, protocol: TCP}]}]",
                ".allow[0].hosts[0]: found \"a.*\", expected a host name or *.host name",
            ),
            (
                "allow: [{hosts: [a], ports: []}]",
                ".allow[0].ports: found no port, expected at least one",
            ),
            (
                "allow: [{hosts: [a], ports: [{port: 1, protocol: TCP}, {port: 1, protocol: HTTP}]}]",
                ".allow[0].ports: 1 is given twice",
            ),
            (
                "allow: [{hosts: [a], ports: [{port: 443, protocol: HTTPS}], tlsOrigination: {mode: SIMPLE}}]",
                ".allow[0]: port 443 is TLS already, and cannot be originated (declare what the workload sends, such as \
                 HTTP)",
            ),
            (
                "allow: [{hosts: [a], ports: [{port: 80, protocol: HTTP}], tlsOrigination: {mode: SIMPLE, \
                 caCertificates: ca.pem}}]",
                ".allow[0].tlsOrigination.caCertificates: found \"ca.pem\", expected an absolute path of a file",
            ),
        ],
    );
    check(
        |proxy| {
            object(
                "wattle.io/v1alpha1",
                "Process",
                &format!("{{command: [a], proxy: {proxy}}}"),
            )
        },
        "spec.proxy",
        &[(
            "{kind: Envoy}",
            ".kind: found \"Envoy\", expected one of wattle, envoy (write envoy)",
        )],
    );
}
