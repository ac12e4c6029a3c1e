//! Linkerd's HTTPRoutes, ServiceProfiles, and annotations of Services and routes.

use wattle_testkit::Request;

use super::{Config, Family, SERVERS, Step, Way, gateway, request, some};
use crate::dice::Dice;

pub(super) fn config(dice: &mut Dice, number: usize, nth: usize) -> Config {
    match nth % 4 {
        0 | 1 => {
            let api = dice.one(&["policy.linkerd.io/v1beta2", "policy.linkerd.io/v1beta3"]);
            let routes = gateway::config(dice, number, api);
            let text = annotated(dice, &routes);
            Config::of_shop(Family::Linkerd, text, number)
        }
        2 => {
            let noted = format!(", {}", annotations(dice));
            of_noted(service(nth, &noted), nth)
        }
        _ => {
            let text = service(nth, "") + &profile(dice);
            of_noted(text, nth)
        }
    }
}

/// The routes, one of them with annotations, which are for requests without time limits or retries of their own.
fn annotated(dice: &mut Dice, routes: &str) -> String {
    let number = "metadata: {name: route-0}";
    if !routes.contains(number) || dice.chance(40) {
        return routes.to_owned();
    }
    let with = format!(
        "metadata: {{annotations: {{MORE {}}}, name: route-0}}",
        annotations(dice)
    );
    routes.replacen(number, &with, 1)
}

/// Annotations that change nothing but retries and time limits.
fn annotations(dice: &mut Dice) -> String {
    let chosen = some(
        dice,
        &[
            (70, &|dice| {
                format!(
                    "retry.linkerd.io/http: '{}'",
                    dice.one(&["5xx", "503", "500-503,404", "gateway-error"])
                )
            }),
            (50, &|dice| {
                format!("retry.linkerd.io/limit: '{}'", dice.one(&["1", "2", "3"]))
            }),
            (15, &|_| "retry.linkerd.io/timeout: 300ms".to_owned()),
            (20, &|dice| {
                let limit = dice.one(&["request", "response"]);
                format!("timeout.linkerd.io/{limit}: 300ms")
            }),
            (20, &|_| "timeout.linkerd.io/idle: 10s".to_owned()),
        ],
    );
    if chosen.is_empty() {
        return "timeout.linkerd.io/request: 10s".to_owned();
    }
    chosen
}

/// A Service that other configs have not; its server takes turns, so that one sees which config is in force.
fn of_noted(text: String, nth: usize) -> Config {
    let to = |request: Request| Step {
        to: "noted".to_owned(),
        port: 80,
        way: Way::Http(request),
    };
    Config {
        family: Family::Linkerd,
        text,
        probe: to(Request::get("noted", "/")),
        shows: format!("\"{}\"", SERVERS[nth / 2 % 2]),
        steps: Box::new(move |dice| {
            let request = request(dice);
            let host = request.host.to_ascii_lowercase().replacen("shop", "noted", 1);
            to(Request { host, ..request })
        }),
    }
}

fn service(nth: usize, annotations: &str) -> String {
    let accrual = if annotations.is_empty() {
        ""
    } else {
        ", balancer.linkerd.io/failure-accrual: consecutive, \
         balancer.linkerd.io/failure-accrual-consecutive-max-failures: '100'"
    };
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{annotations: {{MORE a: b{annotations}{accrual}}}, name: noted}}\n\
         spec: {{selector: {{app: shop, version: v{}}}, ports: [{{name: http, port: 80, targetPort: 8080, appProtocol: http}}]}}\n",
        nth / 2 % 2 + 1
    )
}

fn profile(dice: &mut Dice) -> String {
    let routes: Vec<String> = (0..=dice.below(3)).map(|number| route(dice, number)).collect();
    let mut more = String::new();
    if dice.chance(30) {
        more.push_str("  retryBudget: {retryRatio: 0.5, minRetriesPerSecond: 1000, ttl: 10s}\n");
    }
    if dice.chance(30) {
        more.push_str("  opaquePorts: ['81']\n");
    }
    if dice.chance(30) {
        // All of it to one backend, so that the outcome is certain; the probe knows where.
        more.push_str("  dstOverrides: [{authority: 'noted.default.svc.cluster.local:80', weight: 500m}]\n");
    }
    format!(
        "---\napiVersion: linkerd.io/v1alpha2\nkind: ServiceProfile\nmetadata: {{name: noted.default.svc.cluster.local}}\n\
         spec:\n{more}  routes:\n{}",
        routes.concat()
    )
}

fn route(dice: &mut Dice, number: usize) -> String {
    let condition = dice.one(&[
        "{pathRegex: '/a.*'}",
        "{method: GET}",
        "{all: [{method: GET}, {pathRegex: '/[a-z]'}]}",
        "{any: [{method: PUT}, {pathRegex: '/a/b'}, {pathRegex: '/b/.*'}]}",
        "{all: [{any: [{method: GET}, {method: POST}]}, {pathRegex: '/v[0-9]/items/[0-9]+'}]}",
    ]);
    let more = some(
        dice,
        &[
            (50, &|_| "isRetryable: true".to_owned()),
            (20, &|_| "timeout: 300ms".to_owned()),
            (40, &|dice| {
                let class = dice.one(&[
                    "{condition: {status: {min: 404, max: 404}}, isFailure: true}",
                    "{condition: {any: [{status: {min: 500, max: 502}}]}, isFailure: false}",
                    "{condition: {all: [{status: {min: 400, max: 599}}, {not: {status: {min: 503, max: 503}}}]}, isFailure: true}",
                    "{condition: {any: [{status: {min: 502}}, {status: {min: 404, max: 410}}]}, isFailure: true}",
                ]);
                format!("responseClasses: [{class}]")
            }),
        ],
    );
    let comma = if more.is_empty() { "" } else { ", " };
    format!("  - {{name: route-{number}, condition: {condition}{comma}{more}}}\n")
}
