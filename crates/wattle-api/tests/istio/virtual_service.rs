//! VirtualService.

use super::*;

pub(super) const KIND: &str = "VirtualService";

pub(super) fn http(rule: &str) -> String {
    format!("{{hosts: [a], http: [{{{rule}}}]}}")
}

fn rule(text: &str) -> HttpRule {
    let (Object::VirtualService(mut service), _) = read(KIND, &http(text)) else {
        panic!()
    };
    service.spec.http.remove(0)
}

pub(super) const ROUTE: &str = "route: [{destination: {host: b}}]";

#[test]
fn every_field_comes_back() {
    let with = |rest: &str| http(&format!("{ROUTE}, {rest}"));
    let specs = [
        http(ROUTE),
        with("name: x, timeout: 10s, rewrite: {uri: /b, authority: c.example}"),
        with(
            "match: [{name: m, uri: {regex: '/v[0-9]+'}, scheme: {exact: https}, method: {prefix: P}, \
             authority: {exact: a}, headers: {x-a: {}, x-b: {prefix: c}}, withoutHeaders: {x-c: {exact: d}}, \
             queryParams: {q: {}, r: {regex: s}}, port: 80, sourceLabels: {app: t}, sourceNamespace: u, \
             gateways: [mesh, v/w]}, {uri: {exact: /}, ignoreUriCase: true, statPrefix: z}]",
        ),
        with("rewrite: {uriRegexRewrite: {match: '/a/(.*)', rewrite: '/b/\\1\\\\'}}"),
        with("retries: {attempts: 3, perTryTimeout: 250ms, retryOn: 'connect-failure,409,unavailable', \
              retryRemoteLocalities: true, retryIgnorePreviousHosts: false, backoff: 25ms}"),
        with("fault: {delay: {fixedDelay: 5s, percentage: {value: 0.1}}, abort: {httpStatus: 503, percentage: {value: 50}}}"),
        with("fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}"),
        with("mirrors: [{destination: {host: c}}, {destination: {host: d, subset: e}, percentage: {value: 1.5}}]"),
        with("mirror: {host: c}, mirrorPercentage: {value: 20}"),
        with(
            "corsPolicy: {allowOrigins: [{exact: '*'}, {regex: 'a|b'}], allowMethods: [GET], allowHeaders: [x-a], \
             exposeHeaders: ['*'], maxAge: 24h, allowCredentials: false, unmatchedPreflights: IGNORE}",
        ),
        with("headers: {request: {set: {Host: x, x-p: '100%%'}, add: {b: c}, remove: [d]}, response: {remove: [server]}}"),
        http("redirect: {uri: /b, authority: c.example, port: 8443, scheme: https, redirectCode: 308}"),
        http("redirect: {prefixRewrite: /b, derivePort: FROM_REQUEST_PORT}"),
        http("directResponse: {status: 404, body: {string: gone}}"),
        http("directResponse: {status: 200, body: {bytes: aGVsbG8=}}"),
        http("delegate: {name: d, namespace: m}"),
        format!("{{http: [{{{ROUTE}}}], exportTo: ['.', m]}}"),
        "{hosts: ['*'], gateways: [edge], tls: [{match: [{sniHosts: ['*.a.example'], port: 443, \
         destinationSubnets: [10.0.0.0/8, 10.1.2.3], sourceLabels: {a: b}, sourceNamespace: c, gateways: [edge]}], \
         route: [{destination: {host: b}, weight: 3}, {destination: {host: c}, weight: 1}]}]}"
            .to_owned(),
        "{hosts: [a], tcp: [{match: [{port: 3306}], route: [{destination: {host: b, port: {number: 1}}}]}, \
         {route: [{destination: {host: c}}]}]}"
            .to_owned(),
    ];
    come_back(KIND, &specs.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn what_has_no_effect_or_is_deprecated_is_said() {
    for (rest, expected) in [
        (
            "mirror: {host: c}, mirrorPercent: 5",
            "spec.http[0].mirrorPercent: the field is deprecated",
        ),
        (
            "mirrorPercentage: {value: 5}",
            "spec.http[0]: the mirror's percentage has no effect without mirror",
        ),
        (
            "fault: {delay: {fixedDelay: 1s}}",
            "spec.http[0].fault.delay: without percentage no request is affected",
        ),
        (
            "fault: {delay: {fixedDelay: 1s, percent: 5}}",
            "spec.http[0].fault.delay.percent: the field is deprecated",
        ),
        (
            "corsPolicy: {allowOrigin: ['*']}",
            "spec.http[0].corsPolicy.allowOrigin: the field is deprecated",
        ),
        (
            "match: [{ignoreUriCase: true}]",
            "spec.http[0].match[0]: ignoreUriCase needs uri as exact or prefix",
        ),
    ] {
        warned(KIND, &[(&http(&format!("{ROUTE}, {rest}")), expected)]);
    }
    let idle = http("redirect: {uri: /}, timeout: 1s");
    warned(
        KIND,
        &[(
            &idle,
            "spec.http[0].timeout: the field has no effect without a route",
        )],
    );
}

#[test]
fn what_is_not_written_has_istios_default() {
    let (Object::VirtualService(service), _) = read(KIND, &http(ROUTE)) else {
        panic!()
    };
    assert!(service.spec.is_for_mesh() && !service.spec.is_delegate());
    let HttpAction::Route(route) = &service.spec.http[0].action else {
        panic!()
    };
    assert_eq!(route[0].weight, 1);
    let HttpAction::Redirect(redirect) = rule("redirect: {uri: /}").action else {
        panic!()
    };
    assert_eq!(redirect.redirect_code, 301);
    let mirrored = rule(&format!("{ROUTE}, mirror: {{host: c}}"));
    assert_eq!(mirrored.mirrors[0].percentage, Percentage::ALL);
}

#[test]
fn conditions_of_a_retry_are_words_and_statuses() {
    let retries = rule(&format!(
        "{ROUTE}, retries: {{attempts: 1, retryOn: ' 5xx ,503, cancelled,'}}"
    ))
    .retries;
    let retry_on = retries.unwrap().retry_on.unwrap();
    assert_eq!(retry_on.to_string(), "5xx,cancelled,503");
    assert!(retry_on.conditions.contains(&RetryCondition::ServerError));
    assert!(retry_on.statuses.contains(&503));
}

#[test]
fn a_percentage_is_kept_to_the_ten_thousandth() {
    let fault = rule(&format!(
        "{ROUTE}, fault: {{delay: {{fixedDelay: 1s, percentage: {{value: 0.1}}}}}}"
    ))
    .fault;
    assert_eq!(
        fault.unwrap().delay.unwrap().percentage.parts_per_million(),
        1_000
    );
}
