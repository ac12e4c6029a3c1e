//! GRPCRoutes and VirtualServices for calls of gRPC.

use wattle_testkit::Request;

use super::gateway::{mirror, modifier};
use super::{Config, Family, Step, VALUES, Way, shown, some};
use crate::dice::Dice;

const BACKENDS: [&str; 3] = ["calls-v1", "calls-v2", "calls-other"];
const METHODS: [&str; 6] = [
    "/shop.Cart/Add",
    "/shop.Cart/Remove",
    "/shop.Stock/Add",
    "/shop.v2.Cart/Add",
    "/other.Cart/Add",
    "/shop.cart/add",
];
/// A method that every config answers with its own number.
const MARKER: &str = "/config.Marker/Show";

pub(super) fn config(dice: &mut Dice, number: usize) -> Config {
    let text = if dice.chance(50) {
        gateway(dice, number)
    } else {
        istio(dice, number)
    };
    let to = |request| Step {
        to: "calls".to_owned(),
        port: 90,
        way: Way::Call(request),
    };
    Config {
        family: Family::Calls,
        text,
        probe: to(Request::get("calls:90", MARKER)),
        shows: shown(number),
        steps: Box::new(move |dice| to(request(dice))),
    }
}

fn request(dice: &mut Dice) -> Request {
    let mut headers = vec![("x-echo-key".to_owned(), String::new())];
    let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    for name in ["x-one", "x-two"] {
        if dice.chance(40) {
            add(name, dice.one(&VALUES));
        }
    }
    if dice.chance(35) {
        add(
            "x-echo-status",
            dice.one(&["14", "14,0", "14,14,0", "1,4,8,13,0", "5", "8,0", "13,0", "16"]),
        );
    }
    if dice.chance(5) {
        add("x-echo-delay", "900");
    }
    if dice.chance(8) {
        add("grpc-timeout", dice.one(&["300m", "20S"]));
    }
    Request {
        headers,
        ..Request::get(dice.one(&["calls", "calls:90"]), dice.one(&METHODS))
    }
}

fn gateway(dice: &mut Dice, number: usize) -> String {
    let marker = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {{name: marker}}\nspec:\n  \
         parentRefs: [{{group: '', kind: Service, name: calls}}]\n  rules:\n  - matches: [{{method: {{service: config.Marker, method: Show}}}}]\n    \
         filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-config, value: {}}}]}}}}]\n    \
         backendRefs: [{{name: calls-v1, port: 90}}]\n",
        shown(number)
    );
    let routes = (0..=dice.below(2)).map(|route| {
        let rules: Vec<String> = (0..=dice.below(3)).map(|rule| grpc_rule(dice, rule)).collect();
        let parent = dice.one(&[
            "{group: '', kind: Service, name: calls}",
            "{group: '', kind: Service, name: calls, port: 90}",
            "{group: '', kind: Service, namespace: default, name: calls, sectionName: calls}",
        ]);
        let notes = match dice.below(3) {
            0 => "annotations: {MORE retry.linkerd.io/grpc: 'unavailable,internal', retry.linkerd.io/limit: '2'}, ",
            _ => "",
        };
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {{{notes}name: route-{route}}}\nspec:\n  \
             parentRefs: [{parent}]\n  rules:\n{}",
            rules.concat()
        )
    });
    let routes: String = routes.collect();
    marker + &routes
}

fn grpc_rule(dice: &mut Dice, rule: usize) -> String {
    let mut fields = Vec::new();
    if dice.chance(85) {
        let matches: Vec<String> = (0..=dice.below(2)).map(|_| grpc_match(dice)).collect();
        fields.push(format!("matches: [{}]", matches.join(", ")));
    }
    let filters = filters(dice);
    if !filters.is_empty() {
        fields.push(format!("filters: [{filters}]"));
    }
    let own = if dice.chance(40) {
        format!(", filters: [{}]", self::filters(dice))
    } else {
        String::new()
    };
    if dice.chance(8) {
        fields.push(format!(
            "name: stays-{rule}, sessionPersistence: {{sessionName: stays-{rule}, type: Cookie, absoluteTimeout: 1h, \
             cookieConfig: {{lifetimeType: Permanent}}}}"
        ));
    }
    let to = dice.one(&BACKENDS);
    fields.push(match dice.below(12) {
        11 => "backendRefs: [{name: calls-missing, port: 90}]".to_owned(),
        1 => format!(
            "backendRefs: [{{name: {to}, port: 90, weight: 2{own}}}, {{name: calls-v1, port: 90, weight: 0}}]"
        ),
        2..5 => format!(
            "backendRefs: [{{group: '', kind: Service, namespace: default, name: {to}, port: 90{own}}}]"
        ),
        _ => format!("backendRefs: [{{name: {to}, port: 90{own}}}]"),
    });
    format!("  - {{{}}}\n", fields.join(", "))
}

fn filters(dice: &mut Dice) -> String {
    some(
        dice,
        &[
            (30, &|dice| {
                modifier(dice, "RequestHeaderModifier", "requestHeaderModifier")
            }),
            (25, &|dice| {
                modifier(dice, "ResponseHeaderModifier", "responseHeaderModifier")
            }),
            (25, &|dice| mirror(dice, "calls")),
        ],
    )
}

fn grpc_match(dice: &mut Dice) -> String {
    let fields = some(
        dice,
        &[
            (80, &|dice| {
                let way = dice.one(&[
                    "service: shop.Cart",
                    "service: shop.Cart, method: Add",
                    "method: Add",
                    "type: Exact, service: shop.Stock",
                    "type: RegularExpression, service: 'shop\\..*', method: '[A-Z][a-z]+'",
                    "type: RegularExpression, service: '[a-z]+\\.Cart'",
                    "type: RegularExpression, method: 'Add|Remove'",
                ]);
                format!("method: {{{way}}}")
            }),
            (40, &|dice| {
                let kind = dice.one(&["Exact", "RegularExpression"]);
                format!(
                    "headers: [{{name: x-one, type: {kind}, value: {}}}]",
                    dice.one(&VALUES)
                )
            }),
        ],
    );
    format!("{{{fields}}}")
}

fn istio(dice: &mut Dice, number: usize) -> String {
    let rules: Vec<String> = (0..=dice.below(4)).map(|_| rule(dice)).collect();
    format!(
        "{}---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: calls}}\nspec:\n  \
         hosts: [calls]\n  http:\n  - match: [{{uri: {{exact: {MARKER}}}}}]\n    \
         headers: {{response: {{set: {{x-config: {}}}}}}}\n    \
         route: [{{destination: {{host: calls-v1, port: {{number: 90}}}}}}]\n{}",
        super::policy::destination_rule(dice, "calls-any", true),
        shown(number),
        rules.concat()
    )
}

fn rule(dice: &mut Dice) -> String {
    let mut fields = Vec::new();
    if dice.chance(85) {
        let uri = dice.one(&[
            "uri: {prefix: /shop.Cart/}",
            "uri: {exact: /shop.Cart/Add}",
            "uri: {regex: '/[a-z.]+/Add'}",
            "headers: {x-one: {exact: one}}",
            "headers: {x-one: {prefix: on}, content-type: {prefix: application/grpc}}",
            "method: {exact: POST}, uri: {prefix: /shop}",
        ]);
        fields.push(format!("match: [{{{uri}}}]"));
    }
    let to = match dice.below(4) {
        0 => format!(
            "{{host: calls-any, subset: {}, port: {{number: 90}}}}",
            dice.one(&["v1", "v2"])
        ),
        _ => format!("{{host: {}, port: {{number: 90}}}}", dice.one(&BACKENDS)),
    };
    fields.push(format!("route: [{{destination: {to}}}]"));
    let more = some(
        dice,
        &[
            (30, &|dice| {
                format!(
                    "headers: {{request: {{set: {{x-two: {}}}}}, response: {{add: {{x-new: {}}}}}}}",
                    dice.one(&VALUES),
                    dice.one(&VALUES)
                )
            }),
            (45, &|dice| {
                let on = dice.one(&[
                    "unavailable",
                    "cancelled,deadline-exceeded,resource-exhausted,internal",
                    "5xx",
                    "unavailable,internal",
                ]);
                format!(
                    "retries: {{attempts: {}, retryOn: '{on}', backoff: 1ms}}",
                    dice.one(&["1", "2", "3"])
                )
            }),
            (25, &|dice| match dice.below(4) {
                0 => "timeout: 300ms".to_owned(),
                1 => format!(
                    "fault: {{abort: {{httpStatus: {}, percentage: {{value: 100}}}}}}",
                    dice.one(&["401", "503"])
                ),
                _ => format!(
                    "fault: {{abort: {{grpcStatus: {}, percentage: {{value: 100}}}}}}",
                    dice.one(&[
                        "UNAVAILABLE",
                        "NOT_FOUND",
                        "RESOURCE_EXHAUSTED",
                        "PERMISSION_DENIED"
                    ])
                ),
            }),
            (10, &|dice| {
                format!(
                    "mirrors: [{{destination: {{host: {}, port: {{number: 90}}}}, percentage: {{value: 100}}}}]",
                    dice.one(&BACKENDS)
                )
            }),
        ],
    );
    if !more.is_empty() {
        fields.push(more);
    }
    format!("  - {{{}}}\n", fields.join(", "))
}
