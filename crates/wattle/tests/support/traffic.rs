//! Random configs, and steps of a client under them, whose outcome is certain.

#[path = "traffic/bytes.rs"]
mod bytes;
#[path = "traffic/calls.rs"]
mod calls;
#[path = "traffic/changes.rs"]
mod changes;
#[path = "traffic/gateway.rs"]
mod gateway;
#[path = "traffic/istio.rs"]
mod istio;
#[path = "traffic/linkerd.rs"]
mod linkerd;
#[path = "traffic/names.rs"]
mod names;
#[path = "traffic/outside.rs"]
mod outside;
#[path = "traffic/places.rs"]
mod places;
#[path = "traffic/policy.rs"]
mod policy;
#[path = "traffic/sessions.rs"]
mod sessions;

use std::net::IpAddr;

use wattle_testkit::Request;

use crate::dice::Dice;

/// Servers of the mesh; each answers to HTTP, gRPC and bytes.
pub(crate) const SERVERS: [&str; 3] = ["shop-v1", "shop-v2", "other"];
/// Services behind `shop`; each has one server.
pub(crate) const BACKENDS: [&str; 3] = ["shop-v1", "shop-v2", "other"];
/// A path on which every config answers with its own number, so that one can see it in force.
pub(crate) const MARKER: &str = "/__config";

/// What a config is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// VirtualServices and DestinationRules, for HTTP.
    Istio,
    /// HTTPRoutes of the Gateway API.
    Gateway,
    /// HTTPRoutes, ServiceProfiles and annotations of Linkerd.
    Linkerd,
    /// GRPCRoutes and VirtualServices, for calls of gRPC.
    Calls,
    /// TCPRoutes and VirtualServices, for bytes.
    Bytes,
    /// TLSRoutes and VirtualServices, by the name that a handshake asks for.
    Names,
    /// What keeps a client with an endpoint, or spreads it over several.
    Sessions,
    /// Who sees what: ServiceEntries, Sidecars, `exportTo`, localities.
    Places,
}

impl Family {
    pub(crate) const ALL: [Self; 8] = [
        Self::Istio,
        Self::Gateway,
        Self::Linkerd,
        Self::Calls,
        Self::Bytes,
        Self::Names,
        Self::Sessions,
        Self::Places,
    ];

    /// The order of families. One follows the other, so that no step finds what an older config of its family left.
    const ORDER: [Self; 14] = [
        Self::Istio,
        Self::Gateway,
        Self::Calls,
        Self::Bytes,
        Self::Places,
        Self::Linkerd,
        Self::Names,
        Self::Istio,
        Self::Sessions,
        Self::Gateway,
        Self::Calls,
        Self::Places,
        Self::Istio,
        Self::Linkerd,
    ];

    /// The family of a config, and how many of it came before.
    fn of(number: usize) -> (Self, usize) {
        let (turn, place) = (number / Self::ORDER.len(), number % Self::ORDER.len());
        let family = Self::ORDER[place];
        let count = |within: &[Self]| within.iter().filter(|other| **other == family).count();
        (family, turn * count(&Self::ORDER) + count(&Self::ORDER[..place]))
    }
}

/// Something that a client does.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// A Service, or an address.
    pub(crate) to: String,
    pub(crate) port: u16,
    pub(crate) way: Way,
}

impl Step {
    /// Whether it goes where no Service is.
    pub(crate) fn is_to_an_address(&self) -> bool {
        self.to.parse::<IpAddr>().is_ok()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// A request of HTTP/1.1.
    Http(Request),
    /// A call of gRPC.
    Call(Request),
    /// A line on a connection of its own.
    Bytes,
    /// A TLS handshake with a server's name.
    Hello(String),
    /// So many requests, and what of one becomes a part of the next.
    Many(Request, usize, Keep),
}

/// What of an answer the next request carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    Nothing,
    /// Its cookie.
    Cookie,
    /// A header of this name.
    Header(&'static str),
    /// Nothing, and what counts is who answered.
    Named,
    /// Nothing, and a header of this name has another value each time.
    Vary(&'static str),
}

/// What the generators have to know of the mesh.
pub(crate) struct World {
    /// Addresses of the [`SERVERS`].
    pub(crate) addresses: Vec<IpAddr>,
    /// That of a server without a proxy.
    pub(crate) outside: IpAddr,
    /// One that no object of the mesh names.
    pub(crate) beyond: IpAddr,
    /// Where the files are by which its TLS is known.
    pub(crate) certificates: String,
}

/// Objects, and the steps that are taken under them.
pub(crate) struct Config {
    pub(crate) family: Family,
    pub(crate) text: String,
    /// Shows whether the config is in force, by an answer that has [`Config::shows`] in it.
    pub(crate) probe: Step,
    pub(crate) shows: String,
    steps: Box<dyn Fn(&mut Dice) -> Step>,
}

impl Config {
    /// A step whose requests count under a key that the client puts in.
    pub(crate) fn step(&self, dice: &mut Dice) -> Step {
        (self.steps)(dice)
    }

    /// One whose marker is at [`MARKER`] of `shop`, for requests to it.
    fn of_shop(family: Family, text: String, number: usize) -> Self {
        Self {
            family,
            text,
            probe: to_shop(Way::Http(Request::get("shop", MARKER))),
            shows: shown(number),
            steps: Box::new(|dice| to_shop(Way::Http(request(dice)))),
        }
    }
}

fn to_shop(way: Way) -> Step {
    Step {
        to: "shop".to_owned(),
        port: 80,
        way,
    }
}

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

/// The config of a number.
pub(crate) fn config(dice: &mut Dice, number: usize, world: &World) -> Config {
    let (family, nth) = Family::of(number);
    let mut config = match family {
        Family::Istio => Config::of_shop(family, istio::config(dice, number), number),
        Family::Gateway => {
            let api = "gateway.networking.k8s.io/v1";
            Config::of_shop(family, gateway::config(dice, number, api), number)
        }
        Family::Linkerd => linkerd::config(dice, number, nth),
        Family::Calls => calls::config(dice, number),
        Family::Bytes => bytes::config(dice, nth),
        Family::Names => names::config(dice, nth),
        Family::Sessions => sessions::config(dice, number, nth),
        Family::Places => places::config(dice, (number, nth), world),
    };
    let strict = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                  metadata: {name: default}\nspec: {mtls: {mode: STRICT}}\n";
    config.text.push_str(strict);
    let mark = format!("metadata: {{annotations: {{generation: '{number}'}}, name: ");
    config.text = config.text.replace("metadata: {name: ", &mark);
    let more = format!("annotations: {{generation: '{number}', ");
    config.text = config.text.replace("annotations: {MORE ", &more);
    config
}

/// What is shown at [`MARKER`] under the config of this number.
fn shown(number: usize) -> String {
    format!("/config-{number}-")
}

/// A request to `shop`.
fn request(dice: &mut Dice) -> Request {
    let mut headers = vec![("x-echo-key".to_owned(), String::new())];
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
    // Both proxies keep as much for another try.
    let body = match method {
        "POST" | "PUT" => vec![b'x'; [0, 0, 5, 2000, 40_000][dice.below(5)]],
        _ => Vec::new(),
    };
    Request {
        method: method.to_owned(),
        headers,
        body,
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
