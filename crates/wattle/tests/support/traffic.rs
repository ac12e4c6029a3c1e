//! Random routes, and requests for them, whose outcome is certain: VirtualServices, HTTPRoutes and what goes with them.

#[path = "traffic/gateway.rs"]
mod gateway;
#[path = "traffic/istio.rs"]
mod istio;

use wattle_testkit::Request;

use crate::dice::Dice;

/// Services behind `shop`; each has one server.
pub(crate) const BACKENDS: [&str; 3] = ["shop-v1", "shop-v2", "other"];
/// A path on which every config answers with its own number, so that one can see it in force.
pub(crate) const MARKER: &str = "/__config";

const PATHS: [&str; 16] = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/b/c",
    "/ab",
    "/A/B",
    "/b",
    "/b/x?q=1",
    "/b/x?q=2&p=1",
    "/v1/items/7",
    "/v2/items/77",
    "/a%20b",
    "/a?q=1&q=2",
    "/a/b?",
    "/c/d/e/f",
];
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "HEAD"];
const VALUES: [&str; 5] = ["one", "two", "One", "onetwo", "three"];
const HOSTS: [&str; 4] = ["shop", "shop.default.svc.cluster.local", "shop:80", "SHOP"];
const ORIGINS: [&str; 3] = [
    "https://shop.example",
    "https://evil.example",
    "http://shop.example",
];

/// A config and the number it shows at [`MARKER`].
pub(crate) fn config(dice: &mut Dice, number: usize) -> String {
    let routes = if dice.chance(60) {
        istio::config(dice, number)
    } else {
        gateway::config(dice, number)
    };
    let strict = format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
         metadata: {{name: default, annotations: {{generation: '{number}'}}}}\nspec: {{mtls: {{mode: STRICT}}}}\n"
    );
    format!("{routes}---\n{strict}")
}

/// What is shown at [`MARKER`] under the config of this number.
pub(crate) fn shown(number: usize) -> String {
    format!("/config-{number}-")
}

/// A request to `shop` that counts under `key`.
pub(crate) fn request(dice: &mut Dice, key: &str) -> Request {
    let mut headers = vec![("x-echo-key".to_owned(), key.to_owned())];
    let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    for name in ["x-one", "x-two"] {
        if dice.chance(40) {
            add(name, dice.one(&VALUES));
        }
    }
    if dice.chance(25) {
        add(
            "x-echo-status",
            dice.one(&["503", "503,200", "500,503,200", "404", "502,502,502,200", "201"]),
        );
    }
    if dice.chance(6) {
        add("x-echo-delay", "900");
    }
    let preflight = dice.chance(8);
    if preflight || dice.chance(10) {
        add("origin", dice.one(&ORIGINS));
    }
    if preflight {
        add("access-control-request-method", dice.one(&METHODS));
    }
    if dice.chance(10) {
        add("cookie", dice.one(&["user=ann", "a=b; user=ann", "user=bob"]));
    }
    let method = if preflight { "OPTIONS" } else { dice.one(&METHODS) };
    Request {
        method: method.to_owned(),
        headers,
        ..Request::get(dice.one(&HOSTS), dice.one(&PATHS))
    }
}

/// What may stand in a flow mapping, and how often in a hundred it does.
type Part<'a> = (usize, &'a dyn Fn(&mut Dice) -> String);

/// Those of `parts` for which the dice say so, joined for a flow mapping.
fn some(dice: &mut Dice, parts: &[Part<'_>]) -> String {
    let mut chosen = Vec::new();
    for (percent, part) in parts {
        if dice.chance(*percent) {
            chosen.push(part(dice));
        }
    }
    chosen.join(", ")
}
