//! Routes, filters, sessions and Services that break a rule of their API are refused, field by field.

mod common;

use common::{check, said};

fn http(rule: &str) -> String {
    object(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        &format!("rules: [{rule}]"),
    )
}

fn filter(filter: &str) -> String {
    http(&format!("{{filters: [{filter}]}}"))
}

fn cors(cors: &str) -> String {
    filter(&format!("{{type: CORS, cors: {cors}}}"))
}

fn mirror(mirror: &str) -> String {
    filter(&format!("{{type: RequestMirror, requestMirror: {mirror}}}"))
}

fn session(session: &str) -> String {
    http(&format!("{{sessionPersistence: {session}}}"))
}

fn grpc(rule: &str) -> String {
    object(
        "gateway.networking.k8s.io/v1",
        "GRPCRoute",
        &format!("rules: [{rule}]"),
    )
}

fn method(method: &str) -> String {
    grpc(&format!("{{matches: [{{method: {method}}}]}}"))
}

fn tls(spec: &str) -> String {
    object("gateway.networking.k8s.io/v1", "TLSRoute", spec)
}

fn tcp(spec: &str) -> String {
    object("gateway.networking.k8s.io/v1", "TCPRoute", spec)
}

fn service(spec: &str) -> String {
    object("v1", "Service", &format!("{spec}\n  ports: [{{port: 1}}]"))
}

fn object(version: &str, kind: &str, spec: &str) -> String {
    common::object(version, kind, &format!("spec:\n  {spec}"))
}

#[test]
fn retries() {
    check(
        |retry| http(&format!("{{retry: {retry}}}")),
        "spec.rules[0].retry",
        &[
            ("{codes: [399]}", ".codes[0]: found 399, expected 400 to 599"),
            ("{codes: [500, 500]}", ".codes: 500 is given twice"),
            ("{attempts: 0}", ".attempts: found 0, expected 1 to 100"),
            (
                "{backoff: fast}",
                ".backoff: found \"fast\", expected a duration such as 1h30m, 10s or 500ms",
            ),
        ],
    );
}

#[test]
fn sessions() {
    check(
        session,
        "spec.rules[0].sessionPersistence",
        &[
            (
                "{sessionName: 'a b'}",
                ".sessionName: found \"a b\", expected the name of a cookie or header of at most 128 bytes",
            ),
            (
                "{type: Header, cookieConfig: {}}",
                ": cookieConfig does not belong to type Header (remove cookieConfig)",
            ),
            (
                "{cookieConfig: {lifetimeType: Permanent}}",
                ": a Permanent cookie needs absoluteTimeout (add absoluteTimeout)",
            ),
            (
                "{type: Query}",
                ".type: found \"Query\", expected one of Cookie, Header",
            ),
        ],
    );
}

#[test]
fn mirrors() {
    check(
        mirror,
        "spec.rules[0].filters[0].requestMirror",
        &[
            (
                "{}",
                ".backendRef: the field is required and not there (add backendRef)",
            ),
            (
                "{backendRef: {name: a}}",
                ".backendRef: a Service backend needs a port (add port)",
            ),
            (
                "{backendRef: {name: a, port: 1}, percent: 101}",
                ".percent: found 101, expected 0 to 100",
            ),
            (
                "{backendRef: {name: a, port: 1}, percent: 1, fraction: {numerator: 1}}",
                ": percent and fraction exclude each other (remove one of the two)",
            ),
            (
                "{backendRef: {name: a, port: 1}, fraction: {numerator: 101}}",
                ".fraction: the numerator is greater than the denominator",
            ),
            (
                "{backendRef: {name: a, port: 1}, fraction: {numerator: 0, denominator: 0}}",
                ".fraction.denominator: found 0, expected 1 to 2147483647",
            ),
        ],
    );
}

#[test]
fn cross_origin_rules() {
    let alone = "found * beside other items (write * alone, or leave it out)";
    let origin = "expected * or an origin such as https://a.example or https://*.example:8443";
    check(
        cors,
        "spec.rules[0].filters[0].cors",
        &[
            (
                "{allowOrigins: ['*', 'http://a']}",
                &format!(".allowOrigins: {alone}"),
            ),
            ("{allowMethods: ['*', GET]}", &format!(".allowMethods: {alone}")),
            ("{allowHeaders: ['*', a]}", &format!(".allowHeaders: {alone}")),
            (
                "{allowOrigins: [a.example]}",
                &format!(".allowOrigins[0]: found \"a.example\", {origin}"),
            ),
            (
                "{allowOrigins: ['http://a.*.example']}",
                &format!(".allowOrigins[0]: found \"http://a.*.example\", {origin}"),
            ),
            (
                "{allowOrigins: ['http://a:0']}",
                &format!(".allowOrigins[0]: found \"http://a:0\", {origin}"),
            ),
            (
                "{allowOrigins: ['http://a', 'http://a']}",
                ".allowOrigins: http://a is given twice",
            ),
            (
                "{allowMethods: [get]}",
                ".allowMethods[0]: found \"get\", expected one of GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, \
                 TRACE, PATCH, * (write GET)",
            ),
            ("{maxAge: 0}", ".maxAge: found 0, expected 1 to 2147483647"),
        ],
    );
}

#[test]
fn filters_that_exclude_each_other() {
    assert_eq!(
        said(&filter("{type: CORS, cors: {}}, {type: CORS, cors: {}}")),
        "spec.rules[0].filters: CORS can be given only once"
    );
    assert_eq!(
        said(&filter("{type: CORS, requestMirror: {}}")),
        "spec.rules[0].filters[0]: a filter of type CORS cannot have requestMirror (make it a filter of its own)"
    );
}

#[test]
fn grpc_routes() {
    let neither = "expected a service, a method, or both (remove method if any call may match)";
    check(
        method,
        "spec.rules[0].matches[0].method",
        &[
            ("{}", &format!(": {neither}")),
            ("{service: ''}", &format!(": {neither}")),
            (
                "{service: a/b}",
                ".service: found \"a/b\", expected letters, digits and _",
            ),
            (
                "{method: a.b}",
                ".method: found \"a.b\", expected letters, digits and _",
            ),
            (
                "{type: RegularExpression, method: 'a('}",
                ".method: the pattern \"a(\" does not compile: unclosed group (write it in RE2 syntax: no look-around, \
                 no back-references)",
            ),
        ],
    );
    check(
        grpc,
        "spec.rules",
        &[
            ("{name: a}, {name: a}", ": two rules are named a"),
            (
                "{filters: [{type: URLRewrite}]}",
                "[0].filters[0].type: found \"URLRewrite\", expected one of RequestHeaderModifier, \
                 ResponseHeaderModifier, RequestMirror, ExtensionRef",
            ),
            (
                "{backendRefs: [{name: a}]}",
                "[0].backendRefs[0]: a Service backend needs a port (add port)",
            ),
        ],
    );
}

#[test]
fn routes_for_connections() {
    let rules = "rules: [{backendRefs: [{name: a, port: 1}]}]";
    check(
        tls,
        "spec",
        &[
            (
                rules,
                ".hostnames: the field is required and not there (add hostnames)",
            ),
            (
                &format!("{rules}\n  hostnames: []"),
                ".hostnames: found no host name, expected at least one",
            ),
            (
                &format!("{rules}\n  hostnames: [1.2.3.4]"),
                ".hostnames[0]: found \"1.2.3.4\", expected a host name or *.host name",
            ),
        ],
    );
    check(
        tcp,
        "spec",
        &[
            (
                "rules: []",
                ".rules: found 0 rules, expected exactly one (write one rule with all backends)",
            ),
            (
                "rules: [{backendRefs: [{name: a, port: 1}]}, {backendRefs: [{name: a, port: 1}]}]",
                ".rules: found 2 rules, expected exactly one (write one rule with all backends)",
            ),
            (
                "rules: [{backendRefs: []}]",
                ".rules[0].backendRefs: found no backend, expected at least one",
            ),
            (
                "rules: [{backendRefs: [{name: a, port: 1, filters: []}]}]",
                ".rules[0].backendRefs[0].filters: unknown field (remove it; known here: group, kind, namespace, \
                 name, port, weight)",
            ),
            (
                "rules: [{backendRefs: [{name: a, port: 1}]}]\n  parentRefs: [{name: a}, {name: a}]",
                ".parentRefs: Gateway a is given twice (tell them apart by sectionName or port)",
            ),
        ],
    );
}

#[test]
fn services() {
    check(
        service,
        "spec",
        &[
            (
                "sessionAffinityConfig: {clientIP: {timeoutSeconds: 1}}",
                ".sessionAffinityConfig: found a config, but sessionAffinity is not ClientIP (remove it)",
            ),
            (
                "sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}",
                ".sessionAffinityConfig.clientIP.timeoutSeconds: found 86401, expected 1 to 86400",
            ),
            (
                "trafficDistribution: Near",
                ".trafficDistribution: found \"Near\", expected one of PreferSameZone, PreferClose, PreferSameNode",
            ),
            (
                "internalTrafficPolicy: local",
                ".internalTrafficPolicy: found \"local\", expected one of Cluster, Local (write Local)",
            ),
        ],
    );
}
