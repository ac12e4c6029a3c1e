//! VirtualServices with the DestinationRule of their subsets.

use super::{BACKENDS, MARKER, METHODS, VALUES, shown, some};
use crate::dice::Dice;

pub(super) fn config(dice: &mut Dice, number: usize) -> String {
    let rules: Vec<String> = (0..=dice.below(5)).map(|_| rule(dice, true)).collect();
    let delegated: Vec<String> = (0..=dice.below(2)).map(|_| rule(dice, false)).collect();
    format!(
        "{}---\n{}---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: more}}\nspec:\n  http:\n{}---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: shop}}\n\
         spec:\n  hosts: [shop]\n  http:\n  - match: [{{uri: {{exact: {MARKER}}}}}]\n    \
         directResponse: {{status: 200, body: {{string: '{}'}}}}\n{}",
        destination_rule(dice, "shop-any", true),
        destination_rule(dice, "other", false),
        delegated.concat(),
        shown(number),
        rules.concat()
    )
}

fn destination_rule(dice: &mut Dice, host: &str, subsets: bool) -> String {
    let mut fields = vec![format!("host: {host}")];
    if subsets {
        let mut subset = |name: &str| {
            let own = if dice.chance(20) {
                policy(dice)
            } else {
                String::new()
            };
            format!("{{name: {name}, labels: {{version: {name}}}{own}}}")
        };
        fields.push(format!("subsets: [{}, {}]", subset("v1"), subset("v2")));
    }
    let own = if dice.chance(50) {
        policy(dice)
    } else {
        String::new()
    };
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {host}}}\nspec: {{{}{own}}}\n",
        fields.join(", ")
    )
}

/// What may be said of a backend without changing what one request after the other meets.
fn policy(dice: &mut Dice) -> String {
    let fields = some(
        dice,
        &[
            (50, &|dice| format!("loadBalancer: {}", balancer(dice))),
            (50, &|dice| {
                let http = some(
                    dice,
                    &[
                        (50, &|_| "http1MaxPendingRequests: 20".to_owned()),
                        (50, &|_| "http2MaxRequests: 20".to_owned()),
                        (30, &|_| "maxRetries: 20".to_owned()),
                        (30, &|dice| {
                            format!("maxRequestsPerConnection: {}", dice.one(&["1", "2", "100"]))
                        }),
                        (30, &|_| "idleTimeout: 30s".to_owned()),
                        (20, &|_| "maxConcurrentStreams: 50".to_owned()),
                    ],
                );
                format!(
                    "connectionPool: {{tcp: {{maxConnections: 20, connectTimeout: 2s}}, http: {{{http}}}}}"
                )
            }),
            (50, &|dice| {
                format!(
                    "outlierDetection: {{consecutive5xxErrors: {}, interval: 10s, baseEjectionTime: 1s, maxEjectionPercent: 0}}",
                    dice.one(&["50", "5"])
                )
            }),
        ],
    );
    format!(", trafficPolicy: {{{fields}}}")
}

fn balancer(dice: &mut Dice) -> String {
    let way = dice.one(&[
        "simple: ROUND_ROBIN",
        "simple: LEAST_REQUEST",
        "simple: RANDOM",
        "consistentHash: {httpHeaderName: x-one}",
        "consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 64}}",
        "consistentHash: {httpQueryParameterName: q, maglev: {tableSize: 251}}",
        "simple: ROUND_ROBIN, warmup: {duration: 10s}",
    ]);
    format!("{{{way}}}")
}

/// A rule; that of a delegate has none itself.
fn rule(dice: &mut Dice, delegates: bool) -> String {
    let mut fields = Vec::new();
    if dice.chance(85) {
        let matches: Vec<String> = (0..=dice.below(2)).map(|_| matching(dice)).collect();
        fields.push(format!("match: [{}]", matches.join(", ")));
    }
    match dice.below(12) {
        0 | 1 => fields.push(redirect(dice)),
        2 => fields.push(format!(
            "directResponse: {{status: {}, body: {{string: 'said directly'}}}}",
            dice.one(&["200", "403", "503", "418"])
        )),
        3 if delegates => fields.push("delegate: {name: more}".to_owned()),
        _ => forward(dice, &mut fields),
    }
    format!("  - {{{}}}\n", fields.join(", "))
}

fn forward(dice: &mut Dice, fields: &mut Vec<String>) {
    let destination = match dice.below(5) {
        0 => "{host: shop-any, subset: v1}".to_owned(),
        1 => "{host: shop-any, subset: v2}".to_owned(),
        _ => format!("{{host: {}, port: {{number: 80}}}}", dice.one(&BACKENDS)),
    };
    let changes = dice.chance(20);
    let headers = if changes {
        format!(", headers: {}", headers(dice))
    } else {
        String::new()
    };
    fields.push(match dice.below(8) {
        // Nothing goes where the weight is zero.
        0 => format!(
            "route: [{{destination: {destination}{headers}, weight: 100}}, {{destination: {{host: other}}, weight: 0}}]"
        ),
        _ => format!("route: [{{destination: {destination}{headers}}}]"),
    });
    let more = some(
        dice,
        &[
            (30, &rewrite),
            (30, &|dice| format!("headers: {}", headers_of(dice))),
            (25, &retries),
            // An aborted request has a destination in Envoy alone, and a delay counts towards its limits.
            (24, &|dice| match dice.chance(50) {
                true => "timeout: 300ms".to_owned(),
                false if changes => "timeout: 20s".to_owned(),
                false => fault(dice),
            }),
            (15, &cors),
            (10, &|dice| {
                format!(
                    "mirrors: [{{destination: {{host: {}}}, percentage: {{value: 100}}}}]",
                    dice.one(&BACKENDS)
                )
            }),
        ],
    );
    if !more.is_empty() {
        fields.push(more);
    }
}

fn headers_of(dice: &mut Dice) -> String {
    headers(dice)
}

fn matching(dice: &mut Dice) -> String {
    let fields = some(
        dice,
        &[
            (75, &uri),
            (25, &|dice| format!("method: {}", text(dice, &METHODS))),
            (30, &|dice| format!("headers: {{x-one: {}}}", text(dice, &VALUES))),
            (12, &|dice| {
                format!("withoutHeaders: {{x-two: {}}}", text(dice, &VALUES))
            }),
            (15, &|dice| {
                format!(
                    "queryParams: {{q: {}}}",
                    dice.one(&["{exact: '1'}", "{regex: '[0-9]+'}"])
                )
            }),
            (10, &|dice| {
                format!(
                    "authority: {}",
                    dice.one(&["{exact: shop}", "{prefix: shop.}", "{regex: 'shop.*'}"])
                )
            }),
            (8, &|dice| {
                format!("sourceLabels: {{app: {}}}", dice.one(&["client", "somebody"]))
            }),
            (8, &|dice| format!("port: {}", dice.one(&["80", "81"]))),
            (6, &|dice| {
                format!("sourceNamespace: {}", dice.one(&["default", "other"]))
            }),
        ],
    );
    if fields.is_empty() {
        return "{uri: {prefix: /}}".to_owned();
    }
    format!("{{{fields}}}")
}

fn uri(dice: &mut Dice) -> String {
    let path = dice.one(&["/", "/a", "/a/", "/a/b", "/b", "/v1", "/A", "/c/d"]);
    let case = if dice.chance(15) {
        ", ignoreUriCase: true"
    } else {
        ""
    };
    match dice.below(4) {
        0 => format!("uri: {{exact: {path}}}{case}"),
        1 => format!("uri: {{regex: '{path}[a-z0-9/]*'}}"),
        _ => format!("uri: {{prefix: {path}}}{case}"),
    }
}

fn text(dice: &mut Dice, of: &[&str]) -> String {
    let value = dice.one(of);
    match dice.below(4) {
        0 => format!("{{prefix: {}}}", &value[..2]),
        1 => format!("{{regex: '{value}|{}'}}", dice.one(of)),
        _ => format!("{{exact: {value}}}"),
    }
}

fn redirect(dice: &mut Dice) -> String {
    let fields = some(
        dice,
        &[
            (50, &|_| "uri: /moved".to_owned()),
            (50, &|_| "authority: elsewhere.example".to_owned()),
            (30, &|_| "scheme: https".to_owned()),
            (20, &|_| "port: 8443".to_owned()),
            (50, &|dice| {
                format!("redirectCode: {}", dice.one(&["302", "303", "307", "308"]))
            }),
        ],
    );
    if fields.is_empty() {
        return "redirect: {uri: /moved}".to_owned();
    }
    format!("redirect: {{{fields}}}")
}

fn rewrite(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => "rewrite: {uri: /rewritten}".to_owned(),
        1 => "rewrite: {uri: /}".to_owned(),
        2 => "rewrite: {authority: renamed.example}".to_owned(),
        _ => "rewrite: {uriRegexRewrite: {match: '^/([a-z0-9]+)/(.*)$', rewrite: '/\\2/\\1'}}".to_owned(),
    }
}

fn headers(dice: &mut Dice) -> String {
    let change = |dice: &mut Dice| {
        let fields = some(
            dice,
            &[
                (50, &|dice| format!("set: {{x-two: {}}}", dice.one(&VALUES))),
                (40, &|dice| format!("add: {{x-new: {}}}", dice.one(&VALUES))),
                (40, &|dice| {
                    format!("remove: [{}]", dice.one(&["x-one", "x-served-by"]))
                }),
            ],
        );
        format!("{{{fields}}}")
    };
    format!("{{request: {}, response: {}}}", change(dice), change(dice))
}

fn retries(dice: &mut Dice) -> String {
    let on = dice.one(&[
        "5xx",
        "gateway-error",
        "503",
        "retriable-status-codes,404",
        "connect-failure",
    ]);
    format!(
        "retries: {{attempts: {}, retryOn: '{on}', backoff: 1ms}}",
        dice.one(&["0", "1", "3"])
    )
}

fn fault(dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => "fault: {delay: {fixedDelay: 500ms, percentage: {value: 100}}}".to_owned(),
        1 => "fault: {abort: {httpStatus: 418, percentage: {value: 0}}}".to_owned(),
        _ => format!(
            "fault: {{abort: {{httpStatus: {}, percentage: {{value: 100}}}}}}",
            dice.one(&["400", "418", "503"])
        ),
    }
}

fn cors(dice: &mut Dice) -> String {
    let origins = dice.one(&[
        "[{exact: 'https://shop.example'}]",
        "[{regex: 'https?://shop.*'}]",
        "[{prefix: 'https://'}]",
    ]);
    let more = some(
        dice,
        &[
            (50, &|_| "allowMethods: [GET, POST]".to_owned()),
            (30, &|_| "allowHeaders: [x-one]".to_owned()),
            (30, &|_| "exposeHeaders: [x-served-by]".to_owned()),
            (30, &|_| "maxAge: 60s".to_owned()),
            (30, &|_| "allowCredentials: true".to_owned()),
        ],
    );
    let more = if more.is_empty() {
        more
    } else {
        format!(", {more}")
    };
    format!("corsPolicy: {{allowOrigins: {origins}{more}}}")
}
