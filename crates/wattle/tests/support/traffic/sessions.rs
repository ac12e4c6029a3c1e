//! What keeps a client with an endpoint, or spreads it: which one it is differs by proxy, how many does not.

use wattle_testkit::Request;

use super::{Config, Family, Keep, MARKER, Step, Way, shown, to_shop};
use crate::dice::Dice;

/// Enough that a choice among two meets both.
const MANY: usize = 24;

pub(super) fn config(dice: &mut Dice, number: usize, nth: usize) -> Config {
    let (text, steps) = if nth.is_multiple_of(2) {
        gateway(number, nth / 2)
    } else {
        istio(dice, number, nth / 2)
    };
    Config {
        family: Family::Sessions,
        text,
        probe: to_shop(Way::Http(Request::get("shop", MARKER))),
        shows: shown(number),
        steps: Box::new(move |dice| steps[dice.below(steps.len())].clone()),
    }
}

fn many(target: &str, headers: &[(&str, &str)], keep: Keep) -> Step {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let request = Request {
        headers: headers.collect(),
        ..Request::get("shop", target)
    };
    to_shop(Way::Many(request, MANY, keep))
}

fn gateway(number: usize, nth: usize) -> (String, Vec<Step>) {
    let api = ["gateway.networking.k8s.io/v1", "policy.linkerd.io/v1beta3"][nth / 4 % 2];
    let (persistence, kept) = match nth % 4 {
        0 => ("{sessionName: stays, type: Cookie}", Keep::Cookie),
        1 => (
            "{sessionName: stays, type: Cookie, absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}",
            Keep::Cookie,
        ),
        2 => ("{sessionName: x-stays, type: Header}", Keep::Header("x-stays")),
        _ => (
            "{sessionName: stays, cookieConfig: {lifetimeType: Session}}",
            Keep::Cookie,
        ),
    };
    // By the rule, or for whoever calls the backend.
    let (of_rule, of_backend) = if nth < 8 && nth != 2 {
        (format!("\n    sessionPersistence: {persistence}"), String::new())
    } else {
        let policy = format!(
            "---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\nmetadata: {{name: stays}}\n\
             spec: {{targetRefs: [{{group: '', kind: Service, name: shop-any}}], sessionPersistence: {persistence}, \
             retryConstraint: {{budget: {{percent: 50, interval: 10s}}, minRetryRate: {{count: 50, interval: 1s}}}}}}\n"
        );
        (String::new(), policy)
    };
    let text = format!(
        "apiVersion: {api}\nkind: HTTPRoute\nmetadata: {{name: marker}}\nspec:\n  \
         parentRefs: [{{group: '', kind: Service, namespace: default, name: shop, port: 80}}]\n  rules:\n  \
         - matches: [{{path: {{type: Exact, value: {MARKER}}}}}]\n    \
         filters: [{{type: RequestRedirect, requestRedirect: {{path: {{type: ReplaceFullPath, replaceFullPath: {}}}}}}}]\n  \
         - name: stays\n    matches: [{{path: {{type: PathPrefix, value: /stays}}}}]\n    \
         backendRefs: [{{name: shop-any, port: 80}}]{of_rule}\n  \
         - name: shared\n    matches: [{{path: {{type: PathPrefix, value: /shared}}}}]\n    \
         backendRefs: [{{name: shop-v1, port: 80, weight: 5}}, {{name: shop-v2, port: 80, weight: 5}}]\n\
         {of_backend}",
        shown(number)
    );
    let steps = vec![many("/stays", &[], kept), many("/shared", &[], Keep::Nothing)];
    (text, steps)
}

fn istio(dice: &mut Dice, number: usize, nth: usize) -> (String, Vec<Step>) {
    let (balancer, steps) = match nth % 7 {
        0 => by_header("consistentHash: {httpHeaderName: x-key}"),
        1 => by_header("consistentHash: {httpHeaderName: x-key, ringHash: {minimumRingSize: 64}}"),
        2 => by_header("consistentHash: {httpHeaderName: x-key, maglev: {tableSize: 251}}"),
        3 => (
            "consistentHash: {httpCookie: {name: stays, path: /, ttl: 3600s}}",
            vec![
                many("/", &[], Keep::Cookie),
                many("/", &[("cookie", "stays=here")], Keep::Nothing),
            ],
        ),
        4 => (
            "consistentHash: {useSourceIp: true, minimumRingSize: 64}",
            vec![many("/", &[], Keep::Nothing), many("/", &[], Keep::Vary("x-key"))],
        ),
        5 => (
            "consistentHash: {httpQueryParameterName: q}",
            vec![
                many("/a?q=1", &[], Keep::Nothing),
                many("/a?p=2&q=some", &[], Keep::Vary("x-key")),
            ],
        ),
        _ => (
            dice.one(&["simple: ROUND_ROBIN", "simple: RANDOM", "simple: LEAST_REQUEST"]),
            vec![many("/", &[], Keep::Nothing)],
        ),
    };
    let policy = match nth % 3 {
        0 => format!("trafficPolicy: {{loadBalancer: {{{balancer}}}}}"),
        1 => format!(
            "trafficPolicy: {{loadBalancer: {{simple: RANDOM}}, portLevelSettings: [{{port: {{number: 80}}, loadBalancer: {{{balancer}}}}}]}}"
        ),
        _ => format!(
            "subsets: [{{name: all, labels: {{app: shop}}, trafficPolicy: {{loadBalancer: {{{balancer}}}}}}}]"
        ),
    };
    let subset = if policy.starts_with("subsets") {
        ", subset: all"
    } else {
        ""
    };
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: shop-any}}\nspec: {{host: shop-any, {policy}}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: shop}}\n\
         spec:\n  hosts: [shop]\n  http:\n  - match: [{{uri: {{exact: {MARKER}}}}}]\n    \
         directResponse: {{status: 200, body: {{string: '{}'}}}}\n  \
         - match: [{{uri: {{prefix: /shared}}}}]\n    \
         route: [{{destination: {{host: shop-v1}}, weight: 50}}, {{destination: {{host: shop-v2}}, weight: 50}}]\n  \
         - route: [{{destination: {{host: shop-any, port: {{number: 80}}{subset}}}}}]\n",
        shown(number)
    );
    let mut steps = steps;
    steps.push(many("/shared", &[], Keep::Nothing));
    (text, steps)
}

fn by_header(balancer: &'static str) -> (&'static str, Vec<Step>) {
    let steps = vec![
        many("/", &[("x-key", "some")], Keep::Nothing),
        many("/", &[("x-key", "other")], Keep::Nothing),
        many("/", &[], Keep::Vary("x-key")),
    ];
    (balancer, steps)
}
