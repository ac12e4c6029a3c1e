//! What is refused in a VirtualService, and why.

use super::refused;
use super::virtual_service::{KIND, ROUTE, http};

/// Each rule is refused at the field and for the reason beside it.
fn refused_rules(rows: &[(&str, &str)]) {
    for (rule, expected) in rows {
        let expected = match expected.strip_prefix('.') {
            Some(field) => format!("spec.http[0].{field}"),
            None => format!("spec.http[0]{expected}"),
        };
        refused(KIND, &[(&http(rule), &expected)]);
    }
}

/// The same, for what stands beside a route.
fn refused_beside_a_route(rows: &[(&str, &str)]) {
    for (rest, expected) in rows {
        refused_rules(&[(&format!("{ROUTE}, {rest}"), expected)]);
    }
}

#[test]
fn objects_that_istio_would_refuse() {
    refused(
        KIND,
        &[
            ("{hosts: [a]}", "spec: expected a rule under http, tls or tcp"),
            (
                "{hosts: [a, a], tcp: [{route: [{destination: {host: b}}]}]}",
                "spec: the host a is given twice",
            ),
            (
                "{hosts: ['*'], http: [{redirect: {uri: /}}]}",
                "spec: the host * is for gateways only",
            ),
            (
                "{hosts: ['*a.example'], http: []}",
                "spec.hosts[0]: found \"*a.example\", expected a host name",
            ),
            (
                "{hosts: [a], gateways: [x/y/z]}",
                "spec.gateways[0]: found \"x/y/z\", expected mesh, a gateway's name",
            ),
            (
                "{tcp: [{route: [{destination: {host: b}}]}]}",
                "spec: without hosts it is a delegate, which has rules",
            ),
            (
                "{gateways: [g], http: [{redirect: {uri: /}}]}",
                "spec: without hosts it is a delegate, which has the gateways",
            ),
            (
                "{http: [{delegate: {name: d}}]}",
                "spec: without hosts it is a delegate, which cannot delegate",
            ),
            (
                "{hosts: [a], exportTo: ['~']}",
                "spec.exportTo[0]: ~ is for a ServiceEntry only",
            ),
            (
                "{hosts: [a], exportTo: [m, m]}",
                "spec.exportTo: m is given twice",
            ),
            ("{hosts: [a], htpp: []}", "spec.htpp: unknown field"),
            (
                "{hosts: [a.example], tls: [{match: [{sniHosts: [b.example]}], route: [{destination: {host: b}}]}]}",
                "spec: the SNI host b.example is not among the hosts",
            ),
            (
                "{hosts: [a], tls: [{match: [{}], route: []}]}",
                "spec.tls[0].route: found no destination",
            ),
            (
                "{hosts: [a], tls: [{match: [], route: [{destination: {host: b}}]}]}",
                "spec.tls[0].match: found no item",
            ),
            (
                "{hosts: [a], tcp: [{match: [{sniHosts: [a]}], route: [{destination: {host: b}}]}]}",
                "spec.tcp[0].match[0].sniHosts: unknown field",
            ),
            (
                "{hosts: [a], tcp: [{match: [{sourceSubnet: 10.0.0.0/8}], route: [{destination: {host: b}}]}]}",
                "spec.tcp[0].match[0].sourceSubnet: the field is not supported yet",
            ),
        ],
    );
}

#[test]
fn a_rule_has_exactly_one_action() {
    refused_rules(&[
        (
            "name: x",
            ": expected exactly one of route, redirect, directResponse, delegate",
        ),
        (
            "route: [{destination: {host: b}}], redirect: {uri: /}",
            ": route and redirect exclude each other",
        ),
        (
            "delegate: {name: d}, directResponse: {status: 200}",
            ": directResponse and delegate exclude each other",
        ),
        ("redirect: {uri: /}, rewrite: {uri: /}", ": rewrite needs a route"),
        (
            "directResponse: {status: 200}, fault: {abort: {httpStatus: 500, percentage: {value: 1}}}",
            ": fault needs a route",
        ),
        ("route: []", ".route: found no destination"),
        (
            "route: [{destination: {host: b}}, {destination: {host: c}}]",
            ".route: found weights that add up to 0",
        ),
        (
            "route: [{destination: {host: b}, weight: -1}]",
            ".route[0].weight: found -1",
        ),
        (
            "route: [{destination: {host: 10.0.0.1}}]",
            ".route[0].destination.host: found \"10.0.0.1\"",
        ),
        ("redirect: {}", ".redirect: expected one of uri"),
        (
            "redirect: {uri: /, prefixRewrite: /}",
            ".redirect: uri and prefixRewrite exclude each other",
        ),
        (
            "redirect: {port: 80, derivePort: FROM_REQUEST_PORT}",
            ".redirect: port and derivePort exclude each other",
        ),
        (
            "redirect: {uri: /, redirectCode: 304}",
            ".redirect.redirectCode: found \"304\", expected one of 301",
        ),
        (
            "redirect: {uri: /, scheme: ftp}",
            ".redirect.scheme: found \"ftp\"",
        ),
        (
            "directResponse: {}",
            ".directResponse.status: the field is required",
        ),
        (
            "directResponse: {status: 100}",
            ".directResponse.status: found 100, expected 200 to 599",
        ),
        (
            "directResponse: {status: 200, body: {bytes: '*'}}",
            ".directResponse.body.bytes: found \"*\", expected base64",
        ),
        (
            "directResponse: {status: 200, body: {}}",
            ".directResponse.body: expected exactly one of string, bytes",
        ),
    ]);
}

#[test]
fn matches_that_istio_would_refuse() {
    refused_beside_a_route(&[
        (
            "match: [{uri: {}}]",
            ".match[0].uri: expected exactly one of exact, prefix, regex",
        ),
        (
            "match: [{uri: {prefix: ''}}]",
            ".match[0].uri.prefix: found empty text",
        ),
        (
            "match: [{uri: {exact: /, prefix: /}}]",
            ".match[0].uri: exact and prefix exclude each other",
        ),
        (
            "match: [{uri: {regex: '(?=a)'}}]",
            ".match[0].uri.regex: the pattern",
        ),
        (
            "match: [{headers: {'a b': {}}}]",
            ".match[0].headers.a b: found \"a b\", expected a header name",
        ),
        (
            "match: [{headers: {':path': {}}}]",
            ".match[0].headers.:path: found \":path\"",
        ),
        (
            "match: [{headers: {a: {}, A: {}}}]",
            ".match[0].headers: \"A\" is given twice",
        ),
        (
            "match: [{headers: {a: }}]",
            ".match[0].headers.a: found nothing, expected a mapping",
        ),
        (
            "match: [{headers: {'@request.auth.claims.sub': {exact: a}}}]",
            ".match[0].headers.@request.auth.claims.sub: matching on a token's claims",
        ),
        ("match: [{port: 0}]", ".match[0].port: found 0"),
        (
            "match: [{sourceNamespace: A}]",
            ".match[0].sourceNamespace: found \"A\"",
        ),
    ]);
}

#[test]
fn changes_and_limits_that_istio_would_refuse() {
    refused_beside_a_route(&[
        ("timeout: 0s", ".timeout: found no time at all"),
        (
            "timeout: 1us",
            ".timeout: found \"1us\", expected a duration in whole milliseconds",
        ),
        ("rewrite: {}", ".rewrite: expected one of uri"),
        (
            "rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}}",
            ".rewrite: uri and uriRegexRewrite exclude",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: a, rewrite: '\\1'}}",
            ".rewrite.uriRegexRewrite: found \\1 in",
        ),
        ("retries: {perTryTimeout: 1s}", ".retries: attempts is 0"),
        (
            "retries: {attempts: 1, retryOn: 5xxx}",
            ".retries.retryOn: found \"5xxx\", expected one of 5xx",
        ),
        (
            "retries: {attempts: 1, retryOn: '99'}",
            ".retries.retryOn: found status 99, expected 100 to 599",
        ),
        ("fault: {}", ".fault: expected delay or abort"),
        (
            "fault: {delay: {exponentialDelay: 1s}}",
            ".fault.delay.exponentialDelay: the field is not supported yet",
        ),
        (
            "fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}",
            ".fault.delay.percentage.value: found 101",
        ),
        (
            "fault: {delay: {fixedDelay: 1s, percentage: {value: 0.00001}}}",
            ".fault.delay.percentage.value: found 0.00001, expected 0 or",
        ),
        (
            "fault: {abort: {http2Error: x}}",
            ".fault.abort.http2Error: the field is not supported yet",
        ),
        (
            "fault: {abort: {httpStatus: 600}}",
            ".fault.abort.httpStatus: found 600",
        ),
        (
            "fault: {abort: {grpcStatus: UNAVAILBLE}}",
            ".fault.abort.grpcStatus: found \"UNAVAILBLE\"",
        ),
        (
            "fault: {abort: {httpStatus: 500, grpcStatus: OK}}",
            ".fault.abort: httpStatus and grpcStatus exclude",
        ),
        (
            "mirror: {host: b}, mirrors: []",
            ": mirror and mirrors exclude each other",
        ),
        (
            "mirror: {host: b}, mirrorPercentage: {value: -1}",
            ".mirrorPercentage.value: found -1",
        ),
        (
            "mirror: {host: b}, mirror_percent: 101",
            ".mirror_percent: found 101",
        ),
        (
            "corsPolicy: {allowOrigin: [a], allowOrigins: []}",
            ".corsPolicy: allowOrigin and allowOrigins exclude",
        ),
        (
            "corsPolicy: {maxAge: 1500ms}",
            ".corsPolicy.maxAge: expected whole seconds",
        ),
        (
            "corsPolicy: {allowMethods: ['G T']}",
            ".corsPolicy.allowMethods[0]: found \"G T\"",
        ),
        (
            "headers: {request: {remove: [host]}}",
            ".headers.request.remove[0]: host can be set or added",
        ),
        (
            "headers: {response: {set: {':authority': a}}}",
            ".headers.response.set.:authority: :authority can be",
        ),
        (
            "headers: {request: {set: {':path': a}}}",
            ".headers.request.set.:path: found \":path\"",
        ),
        (
            "headers: {request: {set: {a: '%REQ(b)%'}}}",
            ".headers.request.set.a: found \"%REQ(b)%\"; Envoy's commands",
        ),
        (
            "rewrite: {authority: a}, headers: {request: {set: {Host: b}}}",
            ": the host is changed twice",
        ),
    ]);
}
