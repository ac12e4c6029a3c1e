//! VirtualServices with the DestinationRule of their subsets.

use super::changes::{cors, direct_response, fault, headers, mirrors, redirect, retries, rewrite};
use super::policy::destination_rule;
use super::{BACKENDS, MARKER, METHODS, VALUES, shown, some};
use crate::dice::Dice;

pub(super) fn config(dice: &mut Dice, number: usize) -> String {
    let rules: Vec<String> = (0..=dice.below(5)).map(|_| rule(dice, true)).collect();
    let delegated: Vec<String> = (0..=dice.below(2)).map(|_| rule(dice, false)).collect();
    let scope = dice.one(&[
        "",
        "",
        "  gateways: [mesh]\n",
        "  exportTo: ['.']\n",
        "  exportTo: ['*']\n",
    ]);
    format!(
        "{}---\n{}---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: more}}\nspec:\n  http:\n{}---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: shop}}\n\
         spec:\n  hosts: [shop]\n{scope}  http:\n  - match: [{{uri: {{exact: {MARKER}}}}}]\n    \
         directResponse: {{status: 200, body: {{string: '{}'}}}}\n{}",
        destination_rule(dice, "shop-any", true),
        destination_rule(dice, "other", false),
        delegated.concat(),
        shown(number),
        rules.concat()
    )
}

/// A rule; that of a delegate has none itself.
fn rule(dice: &mut Dice, delegates: bool) -> String {
    let mut fields = Vec::new();
    if dice.chance(20) {
        fields.push("name: some".to_owned());
    }
    if dice.chance(85) {
        let matches: Vec<String> = (0..=dice.below(2)).map(|_| matching(dice)).collect();
        fields.push(format!("match: [{}]", matches.join(", ")));
    }
    match dice.below(12) {
        0 | 1 => fields.push(redirect(dice)),
        2 | 4 => fields.push(direct_response(dice)),
        3 if delegates => fields.push(format!(
            "delegate: {{{}}}",
            dice.one(&["name: more", "name: more, namespace: default"])
        )),
        _ => forward(dice, &mut fields),
    }
    format!("  - {{{}}}\n", fields.join(", "))
}

fn forward(dice: &mut Dice, fields: &mut Vec<String>) {
    let destination = match dice.below(15) {
        12 => dice
            .one(&["{host: shop-any, subset: v3}", "{host: nowhere}"])
            .to_owned(),
        0..3 => "{host: shop-any, subset: v1}".to_owned(),
        3..6 => "{host: shop-any, subset: v2}".to_owned(),
        _ => format!("{{host: {}, port: {{number: 80}}}}", dice.one(&BACKENDS)),
    };
    let lost = destination.contains("v3") || destination.contains("nowhere");
    let changes = dice.chance(20);
    let own = if changes {
        format!(", headers: {}", headers(dice))
    } else {
        String::new()
    };
    fields.push(match dice.below(8) {
        // Nothing goes where the weight is zero.
        0 => format!(
            "route: [{{destination: {destination}{own}, weight: 100}}, {{destination: {{host: other}}, weight: 0}}]"
        ),
        _ => format!("route: [{{destination: {destination}{own}}}]"),
    });
    let more = some(
        dice,
        &[
            (30, &rewrite),
            (30, &|dice| format!("headers: {}", headers(dice))),
            (25, &retries),
            // An aborted request has a destination in Envoy alone, and a delay counts towards its limits.
            (24, &|dice| match dice.chance(50) {
                true => "timeout: 300ms".to_owned(),
                false if changes || lost => "timeout: 20s".to_owned(),
                false => fault(dice),
            }),
            (15, &cors),
            (18, &mirrors),
        ],
    );
    if !more.is_empty() {
        fields.push(more);
    }
}

fn matching(dice: &mut Dice) -> String {
    let fields = some(
        dice,
        &[
            (75, &uri),
            (25, &|dice| format!("method: {}", text(dice, &METHODS))),
            (30, &|dice| format!("headers: {{x-one: {}}}", text_or_any(dice))),
            (12, &|dice| {
                format!("withoutHeaders: {{x-two: {}}}", text_or_any(dice))
            }),
            (15, &|dice| {
                format!(
                    "queryParams: {{q: {}}}",
                    dice.one(&["{exact: '1'}", "{regex: '[0-9]+'}", "{prefix: '1'}"])
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
            (6, &|dice| {
                format!(
                    "scheme: {}",
                    dice.one(&[
                        "{exact: http}",
                        "{prefix: ht}",
                        "{regex: 'https?'}",
                        "{exact: https}"
                    ])
                )
            }),
            (5, &|_| "gateways: [mesh]".to_owned()),
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

/// A value, or that there is any.
fn text_or_any(dice: &mut Dice) -> String {
    match dice.chance(15) {
        true => "{}".to_owned(),
        false => text(dice, &VALUES),
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
