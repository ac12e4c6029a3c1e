//! TCPRoutes and VirtualServices for bytes.

use super::{Config, Family, Step, Way, some};
use crate::dice::Dice;

/// Services of one server each, and the one that no route of ours names.
const BACKENDS: [&str; 3] = ["bytes-v1", "bytes-v2", "bytes-other"];
/// What answers on the marker's port, by turns; without a config `shop-v1` does.
const MARKERS: [(&str, &str); 2] = [("bytes-v2", "shop-v2"), ("bytes-other", "other")];

pub(super) fn config(dice: &mut Dice, nth: usize) -> Config {
    let (marker, server) = MARKERS[nth % 2];
    let text = if dice.chance(50) {
        gateway(dice, marker)
    } else {
        istio(dice, marker)
    };
    let at = |port| Step {
        to: "bytes".to_owned(),
        port,
        way: Way::Bytes,
    };
    Config {
        family: Family::Bytes,
        text,
        probe: at(92),
        shows: format!("{server} heard"),
        steps: Box::new(move |dice| at(if dice.chance(80) { 91 } else { 92 })),
    }
}

fn gateway(dice: &mut Dice, marker: &str) -> String {
    let to = dice.one(&BACKENDS);
    let nowhere = dice.one(&["bytes-missing", "bytes-v1"]);
    let backends = match dice.below(5) {
        0 => format!("{{name: {to}, port: 91, weight: 3}}, {{name: {nowhere}, port: 91, weight: 0}}"),
        1 => format!("{{name: {nowhere}, port: 91}}"),
        2 => format!("{{group: '', kind: Service, namespace: default, name: {to}, port: 91}}"),
        3 => format!("{{name: {to}, port: 92}}"),
        _ => format!("{{name: {to}, port: 91}}"),
    };
    let parent = dice.one(&[
        "{group: '', kind: Service, name: bytes, port: 91}",
        "{group: '', kind: Service, name: bytes, sectionName: bytes}",
        "{group: '', kind: Service, namespace: default, name: bytes, port: 91}",
    ]);
    format!(
        "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\nmetadata: {{name: bytes}}\nspec:\n  \
         parentRefs: [{parent}]\n  rules: [{{name: all, backendRefs: [{backends}]}}]\n---\n\
         apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\nmetadata: {{name: marker}}\nspec:\n  \
         parentRefs: [{{group: '', kind: Service, name: bytes, port: 92}}]\n  \
         rules: [{{backendRefs: [{{name: {marker}, port: 92}}]}}]\n"
    )
}

fn istio(dice: &mut Dice, marker: &str) -> String {
    let rules: Vec<_> = (0..=dice.below(3)).map(|_| rule(dice)).collect();
    format!(
        "{}---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: bytes}}\nspec:\n  \
         hosts: [bytes]\n  tcp:\n  - {{match: [{{port: 92}}], route: [{{destination: {{host: {marker}, port: {{number: 92}}}}}}]}}\n{}",
        super::policy::destination_rule(dice, "bytes-any", true),
        rules.concat()
    )
}

fn rule(dice: &mut Dice) -> String {
    let matches = matching(dice);
    let to = match dice.below(4) {
        0 => format!(
            "{{host: bytes-any, subset: {}, port: {{number: 91}}}}",
            dice.one(&["v1", "v2"])
        ),
        _ => format!("{{host: {}, port: {{number: 91}}}}", dice.one(&BACKENDS)),
    };
    let other = if dice.chance(20) {
        ", weight: 100}, {destination: {host: bytes-other, port: {number: 91}}, weight: 0}"
    } else {
        "}"
    };
    format!("  - {{match: [{matches}], route: [{{destination: {to}{other}]}}\n")
}

/// What holds for a connection, for bytes and TLS alike.
pub(super) fn facts(dice: &mut Dice, port: &str) -> String {
    let wrong = "81";
    some(
        dice,
        &[
            (50, &|dice| format!("port: {}", dice.one(&[port, port, wrong]))),
            (25, &|dice| {
                format!(
                    "destinationSubnets: [{}]",
                    dice.one(&["10.96.0.0/16", "'10.0.0.0/8', 192.0.2.1", "192.0.2.0/24"])
                )
            }),
            (20, &|dice| {
                format!("sourceLabels: {{app: {}}}", dice.one(&["client", "somebody"]))
            }),
            (15, &|dice| {
                format!("sourceNamespace: {}", dice.one(&["default", "other"]))
            }),
            (30, &|_| "gateways: [mesh]".to_owned()),
        ],
    )
}

fn matching(dice: &mut Dice) -> String {
    let facts = facts(dice, "91");
    if facts.is_empty() {
        return "{port: 91}".to_owned();
    }
    format!("{{{facts}}}")
}
