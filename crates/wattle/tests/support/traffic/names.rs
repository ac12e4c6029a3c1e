//! TLSRoutes and VirtualServices by the name that a handshake asks for.

use super::bytes::facts;
use super::{Config, Family, Step, Way};
use crate::dice::Dice;

const BACKENDS: [&str; 3] = ["hello-v1", "hello-v2", "hello-other"];
/// What answers to the marker's name, by turns; without a config `shop-v1` does.
const MARKERS: [(&str, &str); 2] = [("hello-v2", "shop-v2"), ("hello-other", "other")];
/// Names that clients ask for.
const ASKED: [&str; 8] = [
    "hello",
    "hello.default.svc.cluster.local",
    "a.example",
    "b.example",
    "x.b.example",
    "x.y.b.example",
    "A.Example",
    "elsewhere.test",
];

pub(super) fn config(dice: &mut Dice, nth: usize) -> Config {
    let (marker, server) = MARKERS[nth % 2];
    let text = if dice.chance(60) {
        gateway(dice, marker)
    } else {
        istio(dice, marker)
    };
    let name = |name: &str| Step {
        to: "hello".to_owned(),
        port: 443,
        way: Way::Hello(name.to_owned()),
    };
    Config {
        family: Family::Names,
        text,
        probe: name("hello.default.svc"),
        shows: format!("{server} heard"),
        steps: Box::new(move |dice| name(dice.one(&ASKED))),
    }
}

fn gateway(dice: &mut Dice, marker: &str) -> String {
    let mut routes = route(
        "marker",
        "'hello.default.svc'",
        &format!("{{name: {marker}, port: 443}}"),
    );
    for number in 0..=dice.below(3) {
        let hosts = dice.one(&[
            "a.example",
            "'*.example'",
            "'*.b.example', a.example",
            "b.example",
            "hello",
            "hello.default.svc.cluster.local, '*.y.b.example'",
        ]);
        let to = dice.one(&BACKENDS);
        let backends = match dice.below(5) {
            0 => format!("{{name: {to}, port: 443, weight: 3}}, {{name: hello-v1, port: 443, weight: 0}}"),
            1 => "{name: hello-missing, port: 443}".to_owned(),
            2 => format!("{{group: '', kind: Service, namespace: default, name: {to}, port: 443}}"),
            _ => format!("{{name: {to}, port: 443}}"),
        };
        routes.push_str("---\n");
        routes.push_str(&route(&format!("route-{number}"), hosts, &backends));
    }
    let parent = dice.one(&[
        "{group: '', kind: Service, name: hello, port: 443}",
        "{group: '', kind: Service, name: hello, sectionName: tls}",
        "{group: '', kind: Service, namespace: default, name: hello}",
    ]);
    routes.replace("PARENT", parent)
}

fn route(name: &str, hosts: &str, backends: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {{name: {name}}}\nspec:\n  \
         parentRefs: [PARENT]\n  hostnames: [{hosts}]\n  rules: [{{name: all, backendRefs: [{backends}]}}]\n"
    )
}

fn istio(dice: &mut Dice, marker: &str) -> String {
    let rules: Vec<_> = (0..=dice.below(3)).map(|_| rule(dice)).collect();
    format!(
        "{}---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: hello}}\nspec:\n  \
         hosts: [hello.default.svc.cluster.local, hello.default.svc, hello]\n  gateways: [mesh]\n  tls:\n  \
         - {{match: [{{sniHosts: [hello.default.svc]}}], route: [{{destination: {{host: {marker}, port: {{number: 443}}}}}}]}}\n{}",
        super::policy::destination_rule(dice, "hello-any", true),
        rules.concat()
    )
}

fn rule(dice: &mut Dice) -> String {
    let hosts = dice.one(&[
        "hello",
        "hello.default.svc.cluster.local",
        "hello, hello.default.svc.cluster.local",
    ]);
    let facts = facts(dice, "443");
    let comma = if facts.is_empty() { "" } else { ", " };
    let to = match dice.below(4) {
        0 => format!(
            "{{host: hello-any, subset: {}, port: {{number: 443}}}}",
            dice.one(&["v1", "v2"])
        ),
        _ => format!("{{host: {}, port: {{number: 443}}}}", dice.one(&BACKENDS)),
    };
    let other = if dice.chance(20) {
        ", weight: 100}, {destination: {host: hello-other, port: {number: 443}}, weight: 0}"
    } else {
        "}"
    };
    format!("  - {{match: [{{sniHosts: [{hosts}]{comma}{facts}}}], route: [{{destination: {to}{other}]}}\n")
}
