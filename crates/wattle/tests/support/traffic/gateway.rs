//! HTTPRoutes of the Gateway API.

use super::policy::destination_rule;
use super::{BACKENDS, MARKER, METHODS, VALUES, shown, some};
use crate::dice::Dice;

/// HTTPRoutes of this group and version.
pub(super) fn config(dice: &mut Dice, number: usize, api: &str) -> String {
    let marker = format!(
        "apiVersion: {api}\nkind: HTTPRoute\nmetadata: {{name: marker}}\nspec:\n  \
         parentRefs: [{{group: '', kind: Service, name: shop}}]\n  rules:\n  - matches: [{{path: {{type: Exact, value: {MARKER}}}}}]\n    \
         filters: [{{type: RequestRedirect, requestRedirect: {{path: {{type: ReplaceFullPath, replaceFullPath: {}}}}}}}]\n",
        shown(number)
    );
    let routes = (0..=dice.below(2)).map(|route| {
        let rules: Vec<String> = (0..=dice.below(3)).map(|number| rule(dice, number)).collect();
        let parent = dice.one(&[
            "name: shop",
            "name: shop, port: 80",
            "namespace: default, name: shop, sectionName: http",
        ]);
        format!(
            "---\napiVersion: {api}\nkind: HTTPRoute\nmetadata: {{name: route-{route}}}\nspec:\n  \
             parentRefs: [{{group: '', kind: Service, {parent}}}]\n  rules:\n{}",
            rules.concat()
        )
    });
    let routes: String = routes.collect();
    let policy = match dice.chance(30) {
        true => format!("---\n{}", destination_rule(dice, "other", false)),
        false => String::new(),
    };
    marker + &routes + &policy
}

fn rule(dice: &mut Dice, number: usize) -> String {
    let mut fields = Vec::new();
    if dice.chance(20) {
        fields.push(format!("name: rule-{number}"));
    }
    if dice.chance(85) {
        let matches: Vec<String> = (0..=dice.below(2)).map(|_| matching(dice)).collect();
        fields.push(format!("matches: [{}]", matches.join(", ")));
    }
    if dice.chance(20) {
        fields.push(format!("filters: [{}]", redirect(dice)));
        return written(dice, fields);
    }
    let filters = some(
        dice,
        &[
            (30, &|dice| {
                modifier(dice, "RequestHeaderModifier", "requestHeaderModifier")
            }),
            (25, &|dice| {
                modifier(dice, "ResponseHeaderModifier", "responseHeaderModifier")
            }),
            (25, &rewrite),
            (15, &cors),
            (12, &|dice| mirror(dice, "")),
        ],
    );
    if !filters.is_empty() {
        fields.push(format!("filters: [{filters}]"));
    }
    let own = if dice.chance(65) {
        format!(", filters: [{}]", of_backend(dice, &filters))
    } else {
        String::new()
    };
    fields.push(match dice.below(20) {
        0 => "backendRefs: [{name: missing, port: 80}]".to_owned(),
        1 => "backendRefs: []".to_owned(),
        // CORS is the rule's where it has several backends.
        2..5 if !own.contains("CORS") => format!(
            "backendRefs: [{{name: {}, port: 80, weight: 3{own}}}, {{name: other, port: 80, weight: 0}}]",
            dice.one(&BACKENDS)
        ),
        5 => format!(
            "backendRefs: [{{group: '', kind: Service, namespace: default, name: {}, port: 80{own}}}]",
            dice.one(&BACKENDS)
        ),
        _ => format!("backendRefs: [{{name: {}, port: 80{own}}}]", dice.one(&BACKENDS)),
    });
    if dice.chance(12) {
        fields.push(
            dice.one(&[
                "timeouts: {request: 300ms}",
                "timeouts: {request: 2s, backendRequest: 300ms}",
            ])
            .to_owned(),
        );
    }
    if dice.chance(20) {
        fields.push(format!(
            "retry: {{attempts: {}, codes: [{}], backoff: 1ms}}",
            dice.one(&["1", "3"]),
            dice.one(&["503", "500, 503", "502", "504"])
        ));
    }
    written(dice, fields)
}

/// The rule; one that replaces the prefix that matched has exactly one match, of a prefix.
fn written(dice: &mut Dice, mut fields: Vec<String>) -> String {
    if fields.iter().any(|field| field.contains("ReplacePrefixMatch")) {
        fields.retain(|field| !field.starts_with("matches"));
        let path = dice.one(&["/", "/a", "/a/b", "/b", "/v1", "/c/d"]);
        fields.push(format!(
            "matches: [{{path: {{type: PathPrefix, value: {path}}}}}]"
        ));
    }
    format!("  - {{{}}}\n", fields.join(", "))
}

/// Filters of a backend. What its rule does as well is left out: the backend's rewrite replaces the rule's in Envoy.
fn of_backend(dice: &mut Dice, of_rule: &str) -> String {
    let rewrites = !of_rule.contains("URLRewrite");
    let permits = !of_rule.contains("CORS");
    some(
        dice,
        &[
            (60, &|dice| {
                modifier(dice, "RequestHeaderModifier", "requestHeaderModifier")
            }),
            (30, &|dice| {
                modifier(dice, "ResponseHeaderModifier", "responseHeaderModifier")
            }),
            (if rewrites { 35 } else { 0 }, &rewrite),
            (if permits { 35 } else { 0 }, &cors),
            (45, &|dice| mirror(dice, "")),
        ],
    )
}

/// A copy of every request, or of none.
pub(super) fn mirror(dice: &mut Dice, prefix: &str) -> String {
    let (to, port) = match prefix {
        "calls" => (dice.one(&["calls-v1", "calls-v2", "calls-other"]), 90),
        _ => (dice.one(&BACKENDS), 80),
    };
    let share = dice.one(&[
        "",
        ", percent: 100",
        ", percent: 0",
        ", fraction: {numerator: 5, denominator: 5}",
        ", fraction: {numerator: 0, denominator: 5}",
    ]);
    let space = dice.one(&["", "group: '', kind: Service, namespace: default, "]);
    format!(
        "{{type: RequestMirror, requestMirror: {{backendRef: {{{space}name: {to}, port: {port}}}{share}}}}}"
    )
}

fn matching(dice: &mut Dice) -> String {
    let path = |dice: &mut Dice| {
        let path = dice.one(&["/", "/a", "/a/", "/a/b", "/b", "/v1", "/c/d"]);
        match dice.below(3) {
            0 => format!("path: {{type: Exact, value: {path}}}"),
            1 => format!("path: {{type: PathPrefix, value: {path}}}"),
            _ => format!("path: {{type: RegularExpression, value: '{path}[a-z0-9/]*'}}"),
        }
    };
    let fields = some(
        dice,
        &[
            (80, &path),
            (25, &|dice| format!("method: {}", dice.one(&METHODS))),
            (30, &|dice| {
                let kind = dice.one(&["Exact", "RegularExpression"]);
                format!(
                    "headers: [{{name: x-one, type: {kind}, value: {}}}]",
                    dice.one(&VALUES)
                )
            }),
            (15, &|dice| {
                dice.one(&[
                    "queryParams: [{name: q, value: '1'}]",
                    "queryParams: [{name: q, type: RegularExpression, value: '[0-9]+'}]",
                ])
                .to_owned()
            }),
        ],
    );
    format!("{{{fields}}}")
}

pub(super) fn modifier(dice: &mut Dice, kind: &str, field: &str) -> String {
    let fields = some(
        dice,
        &[
            (60, &|dice| {
                format!("set: [{{name: x-two, value: {}}}]", dice.one(&VALUES))
            }),
            (40, &|dice| {
                format!("add: [{{name: x-new, value: {}}}]", dice.one(&VALUES))
            }),
            (40, &|dice| {
                format!("remove: [{}]", dice.one(&["x-one", "x-served-by"]))
            }),
        ],
    );
    let fields = if fields.is_empty() {
        "remove: [x-one]".to_owned()
    } else {
        fields
    };
    format!("{{type: {kind}, {field}: {{{fields}}}}}")
}

fn redirect(dice: &mut Dice) -> String {
    let parts = dice.one(&[
        "hostname: elsewhere.example",
        "path: {type: ReplaceFullPath, replaceFullPath: /moved}",
        "path: {type: ReplacePrefixMatch, replacePrefixMatch: /moved}",
        "scheme: https, port: 8443",
        "scheme: https",
    ]);
    let status = dice.one(&["301", "302", "303", "307", "308"]);
    format!("{{type: RequestRedirect, requestRedirect: {{statusCode: {status}, {parts}}}}}")
}

fn rewrite(dice: &mut Dice) -> String {
    let parts = dice.one(&[
        "hostname: renamed.example",
        "path: {type: ReplaceFullPath, replaceFullPath: /rewritten}",
        "path: {type: ReplacePrefixMatch, replacePrefixMatch: /}",
        "path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}",
    ]);
    format!("{{type: URLRewrite, urlRewrite: {{{parts}}}}}")
}

fn cors(dice: &mut Dice) -> String {
    let origins = dice.one(&["['https://shop.example']", "['https://*.example']", "['*']"]);
    let more = some(
        dice,
        &[
            (50, &|_| "allowMethods: [GET, POST]".to_owned()),
            (50, &|_| "allowHeaders: [x-one]".to_owned()),
            (30, &|_| "exposeHeaders: [x-served-by]".to_owned()),
            (50, &|_| "maxAge: 60".to_owned()),
            (40, &|_| "allowCredentials: true".to_owned()),
        ],
    );
    let more = if more.is_empty() {
        more
    } else {
        format!(", {more}")
    };
    format!("{{type: CORS, cors: {{allowOrigins: {origins}{more}}}}}")
}
