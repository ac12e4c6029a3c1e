//! DestinationRules, with the subsets of what they are for.

use super::some;
use crate::dice::Dice;

/// A DestinationRule with all that changes nothing in what one request after the other meets.
pub(super) fn destination_rule(dice: &mut Dice, host: &str, subsets: bool) -> String {
    let mut fields = vec![format!("host: {host}")];
    if subsets {
        let mut subset = |name: &str| {
            let own = if dice.chance(20) {
                policy(dice, host)
            } else {
                String::new()
            };
            format!("{{name: {name}, labels: {{version: {name}}}{own}}}")
        };
        fields.push(format!("subsets: [{}, {}]", subset("v1"), subset("v2")));
    }
    if dice.chance(60) {
        let of_all = policy(dice, host);
        fields.push(of_all[2..].to_owned());
    }
    // A rule for some callers stays in its namespace.
    if dice.chance(10) {
        fields.push("workloadSelector: {matchLabels: {app: client}}".to_owned());
    } else if dice.chance(10) {
        fields.push(format!("exportTo: [{}]", dice.one(&["'*'", "'.'", "default"])));
    }
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {host}}}\nspec: {{{}}}\n",
        fields.join(", ")
    )
}

fn policy(dice: &mut Dice, host: &str) -> String {
    let port = match host.split('-').next() {
        Some("calls") => 90,
        Some("bytes") => 91,
        Some("hello") => 443,
        _ => 80,
    };
    let settings = settings(dice, port);
    let more = some(
        dice,
        &[
            (25, &|dice| {
                format!(
                    "portLevelSettings: [{{port: {{number: {port}}}, {}}}]",
                    self::settings(dice, port)
                )
            }),
            (15, &|dice| {
                format!(
                    "retryBudget: {{percent: {}, minRetryConcurrency: 20}}",
                    dice.one(&["50", "100"])
                )
            }),
        ],
    );
    let comma = if more.is_empty() { "" } else { ", " };
    format!(", trafficPolicy: {{{settings}{comma}{more}}}")
}

/// What may be said of one port as well; never nothing.
fn settings(dice: &mut Dice, port: u16) -> String {
    let fields = some(
        dice,
        &[
            (50, &|dice| format!("loadBalancer: {}", balancer(dice))),
            (50, &|dice| format!("connectionPool: {{{}}}", pool(dice, port))),
            (50, &|dice| format!("outlierDetection: {{{}}}", detection(dice))),
            (20, &|_| "tls: {mode: ISTIO_MUTUAL}".to_owned()),
        ],
    );
    if fields.is_empty() {
        return "loadBalancer: {simple: RANDOM}".to_owned();
    }
    fields
}

fn pool(dice: &mut Dice, port: u16) -> String {
    let tcp = some(
        dice,
        &[
            (60, &|_| "maxConnections: 20".to_owned()),
            (60, &|_| "connectTimeout: 2s".to_owned()),
            (20, &|_| "idleTimeout: 60s".to_owned()),
            (20, &|_| "maxConnectionDuration: 60s".to_owned()),
            (30, &|_| {
                "tcpKeepalive: {probes: 3, time: 60s, interval: 10s}".to_owned()
            }),
        ],
    );
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
            (20, &|dice| {
                // An upgrade reaches the server: those of calls alone speak HTTP/2.
                let policies = match port {
                    90 => &["UPGRADE", "DO_NOT_UPGRADE", "DEFAULT"][..],
                    _ => &["DO_NOT_UPGRADE", "DEFAULT"],
                };
                format!("h2UpgradePolicy: {}", dice.one(policies))
            }),
        ],
    );
    format!("tcp: {{{tcp}}}, http: {{{http}}}")
}

/// Endpoints that fail often; none of them is ejected, since that lasts.
fn detection(dice: &mut Dice) -> String {
    let more = some(
        dice,
        &[
            (40, &|dice| {
                format!("consecutive5xxErrors: {}", dice.one(&["50", "5"]))
            }),
            (30, &|_| "consecutiveGatewayErrors: 5".to_owned()),
            (20, &|_| {
                "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 50".to_owned()
            }),
            (20, &|_| "minHealthPercent: 0".to_owned()),
        ],
    );
    let comma = if more.is_empty() { "" } else { ", " };
    format!("interval: 10s, baseEjectionTime: 1s, maxEjectionPercent: 0{comma}{more}")
}

fn balancer(dice: &mut Dice) -> String {
    let way = dice.one(&[
        "simple: ROUND_ROBIN",
        "simple: LEAST_REQUEST",
        "simple: RANDOM",
        "consistentHash: {httpHeaderName: x-one}",
        "consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 64}}",
        "consistentHash: {httpQueryParameterName: q, maglev: {tableSize: 251}}",
        "simple: ROUND_ROBIN, warmup: {duration: 10s, minimumPercent: 20, aggression: 2}",
        "simple: LEAST_REQUEST, warmupDurationSecs: 10s",
    ]);
    format!("{{{way}}}")
}
