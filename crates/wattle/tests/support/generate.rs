//! Random configs and requests over a small fixed mesh, from a seed.

use wattle_testkit::Request;

use crate::dice::Dice;

/// Among them the ways in which people slip past policies about paths.
const PATHS: [&str; 24] = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/b/c",
    "/ab",
    "/a%2Fb",
    "/b",
    "/b/x?q=1",
    "/admin",
    "/admin/keys",
    "//a",
    "/a/../admin",
    "/a/./b",
    "/%61dmin",
    "/%61/b",
    "/a//b",
    "/ADMIN",
    "/admin;x=1",
    "/admin%2fkeys",
    "/a/%2e%2e/admin",
    "/a?path=/admin",
    "/admin/?q=1",
    "/a\\b",
];
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "HEAD"];
const HEADER_VALUES: [&str; 4] = ["one", "two", "One", "three"];
const HOSTS: [&str; 3] = ["shop", "shop.default.svc.cluster.local", "shop:80"];
const BACKENDS: [&str; 3] = ["shop-v1", "shop-v2", "other"];

/// A request to the service `shop`.
pub(crate) fn request(dice: &mut Dice) -> Request {
    let mut headers = Vec::new();
    for name in ["x-one", "x-two"] {
        if dice.chance(40) {
            headers.push((name.to_owned(), dice.one(&HEADER_VALUES).to_owned()));
        }
    }
    let method = dice.one(&METHODS).to_owned();
    Request {
        method,
        headers,
        ..Request::get(dice.one(&HOSTS), dice.one(&PATHS))
    }
}

/// Routes and policies, all marked with this generation.
pub(crate) fn config(dice: &mut Dice, generation: &str) -> String {
    let mut objects = vec![marker(generation)];
    (0..dice.below(4)).for_each(|number| objects.push(route(dice, number)));
    (0..dice.below(4)).for_each(|number| objects.push(policy(dice, number)));
    objects.join("---\n")
}

/// Read last by its name, so that whoever sees it sees the others.
fn marker(generation: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
         metadata: {{name: default, annotations: {{generation: '{generation}'}}}}\nspec: {{mtls: {{mode: STRICT}}}}\n"
    )
}

fn route(dice: &mut Dice, number: usize) -> String {
    let rules: Vec<String> = (0..=dice.below(3)).map(|_| rule(dice)).collect();
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: route-{number}}}\n\
         spec:\n  parentRefs: [{{group: '', kind: Service, name: shop}}]\n  rules:\n{}",
        rules.concat()
    )
}

fn rule(dice: &mut Dice) -> String {
    let mut rule = String::from("  -");
    if dice.chance(85) {
        let matches: Vec<String> = (0..=dice.below(2)).map(|_| matching(dice)).collect();
        rule.push_str(&format!(" matches: [{}]\n   ", matches.join(", ")));
    }
    match dice.below(10) {
        0 | 1 => rule.push_str(&format!(" filters: [{}]\n", redirect(dice))),
        2 => rule.push_str(" backendRefs: []\n"),
        kind => {
            if kind > 6 {
                rule.push_str(&format!(" filters: [{}]\n   ", change(dice)));
            }
            rule.push_str(&format!(" backendRefs: [{}]\n", backends(dice)));
        }
    }
    rule
}

fn matching(dice: &mut Dice) -> String {
    let mut parts = Vec::new();
    if dice.chance(80) {
        let path = dice.one(&["/", "/a", "/a/", "/a/b", "/b", "/admin", "/nowhere"]);
        parts.push(match dice.below(3) {
            0 => format!("path: {{type: Exact, value: {path}}}"),
            1 => format!("path: {{type: PathPrefix, value: {path}}}"),
            _ => format!("path: {{type: RegularExpression, value: '{path}[a-z/]*'}}"),
        });
    }
    if dice.chance(30) {
        parts.push(format!("method: {}", dice.one(&METHODS)));
    }
    if dice.chance(30) {
        parts.push(format!(
            "headers: [{{name: X-One, value: {}}}]",
            dice.one(&HEADER_VALUES)
        ));
    }
    if dice.chance(15) {
        parts.push("queryParams: [{name: q, value: '1'}]".to_owned());
    }
    format!("{{{}}}", parts.join(", "))
}

fn redirect(dice: &mut Dice) -> String {
    let status = dice.one(&["301", "302"]);
    let parts = match dice.below(3) {
        0 => "hostname: elsewhere.example",
        1 => "path: {type: ReplaceFullPath, replaceFullPath: /moved}",
        _ => "scheme: https, port: 8443",
    };
    format!("{{type: RequestRedirect, requestRedirect: {{statusCode: {status}, {parts}}}}}")
}

/// A change of the request that policy at the far end sees.
fn change(dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => "{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /admin}}}"
            .to_owned(),
        1 => "{type: URLRewrite, urlRewrite: {hostname: renamed.example}}".to_owned(),
        _ => format!(
            "{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-two, value: {}}}], remove: [x-one]}}}}",
            dice.one(&HEADER_VALUES)
        ),
    }
}

/// One backend that has all the weight, so that the outcome is certain; sometimes one that does not exist.
fn backends(dice: &mut Dice) -> String {
    if dice.chance(6) {
        return "{name: missing, port: 80}".to_owned();
    }
    let heavy = if dice.chance(6) {
        BACKENDS.len()
    } else {
        dice.below(BACKENDS.len())
    };
    let all = BACKENDS.iter().enumerate();
    let all: Vec<_> = all
        .map(|(at, name)| format!("{{name: {name}, port: 80, weight: {}}}", u8::from(at == heavy)))
        .collect();
    all.join(", ")
}

fn policy(dice: &mut Dice, number: usize) -> String {
    let action = dice.one(&["ALLOW", "ALLOW", "DENY"]);
    let selector = match dice.one(&["", "", "v1", "v2"]) {
        "" => String::new(),
        version => format!("selector: {{matchLabels: {{app: shop, version: {version}}}}}, "),
    };
    let rules: Vec<String> = (0..=dice.below(2)).map(|_| policy_rule(dice)).collect();
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: policy-{number}}}\n\
         spec: {{{selector}action: {action}, rules: [{}]}}\n",
        rules.join(", ")
    )
}

fn policy_rule(dice: &mut Dice) -> String {
    let mut parts = Vec::new();
    if dice.chance(60) {
        let source = match dice.below(4) {
            0 => "principals: [cluster.local/ns/default/sa/ann]",
            1 => "notPrincipals: [cluster.local/ns/default/sa/ann]",
            2 => "namespaces: [default]",
            _ => "principals: ['*/sa/bob']",
        };
        parts.push(format!("from: [{{source: {{{source}}}}}]"));
    }
    if dice.chance(70) {
        let mut fields = Vec::new();
        if dice.chance(50) {
            fields.push(format!("methods: [{}]", dice.one(&METHODS)));
        }
        if dice.chance(60) {
            fields.push(format!(
                "paths: ['{}']",
                dice.one(&["/a", "/a*", "*/keys", "/admin*", "/b/x"])
            ));
        }
        if dice.chance(20) {
            fields.push(format!("notPaths: ['{}']", dice.one(&["/a", "/admin*"])));
        }
        if dice.chance(20) {
            fields.push(format!("ports: ['{}']", dice.one(&["8080", "9999"])));
        }
        if dice.chance(20) {
            fields.push(format!(
                "hosts: ['{}']",
                dice.one(&["shop", "shop.*", "renamed.example"])
            ));
        }
        if fields.is_empty() {
            fields.push("methods: ['*']".to_owned());
        }
        parts.push(format!("to: [{{operation: {{{}}}}}]", fields.join(", ")));
    }
    if dice.chance(25) {
        parts.push(format!(
            "when: [{{key: 'request.headers[x-two]', values: [{}]}}]",
            dice.one(&HEADER_VALUES)
        ));
    }
    format!("{{{}}}", parts.join(", "))
}
