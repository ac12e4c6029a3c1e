//! What the client and the servers saw of a request, without what differs for a reason that `docs/differences.md` gives.

use serde_json::Value;
use wattle_testkit::{Answer, Echo, Request};

/// What was seen of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Of HTTP; 0 where the connection ended first, or where it carried bytes.
    pub(crate) status: u16,
    /// What was said directly, where no server answered; what a server of bytes said; who answered many requests.
    pub(crate) said: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) delayed: bool,
    /// What each server was asked, by its name.
    pub(crate) asked: Vec<Value>,
}

impl Outcome {
    /// An address that nobody may call, or that nobody has: Envoy closes, a Wattle proxy answers if it can.
    pub(crate) fn forget_refusal(&mut self) {
        let said = self.said.is_some() || !self.asked.is_empty();
        if matches!(self.status, 0 | 403 | 502 | 503) && !said {
            *self = Self::default();
        }
    }

    /// When the time is up nobody has answered whom a session could hold to: Envoy begins one all the same.
    pub(crate) fn forget_session_of_the_overdue(&mut self) {
        let is = |name: &str, value: &str| self.headers.iter().any(|(n, v)| n == name && v == value);
        if self.delayed && (self.status == 504 || is("grpc-status", "4")) {
            self.headers.retain(|(name, _)| name != "set-cookie");
        }
    }
}

/// Headers that say who carried a request, or when, and not how it was routed.
const CARRIERS: [&str; 15] = [
    "x-request-id",
    "x-forwarded-proto",
    "x-forwarded-for",
    "x-forwarded-client-cert",
    "x-echo-key",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "date",
    "server",
    "via",
    "accept-encoding",
    "content-type",
    // The sentence of a local reply.
    "grpc-message",
];

fn routed<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let mut kept: Vec<_> = headers
        .filter(|(name, _)| !CARRIERS.contains(name))
        .filter(|(name, _)| !name.starts_with("x-envoy-") && !name.starts_with("wattle-"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // How much is left when a call is repeated; Envoy says the whole limit again.
    let limits = kept.iter_mut().filter(|(name, _)| name == "grpc-timeout");
    limits.for_each(|(_, value)| value.clear());
    kept.sort();
    kept
}

/// The headers of an answer, and behind them its trailers.
pub(crate) fn headers_of(request: &Request, answer: &Answer) -> Vec<(String, String)> {
    let pairs = answer.headers.iter().chain(&answer.trailers);
    let mut headers = routed(pairs.map(|(name, value)| (&**name, &**value)));
    forget_listed(request, &mut headers);
    headers
}

fn forget_listed(request: &Request, headers: &mut Vec<(String, String)>) {
    let preflight = request
        .headers
        .iter()
        .any(|(name, _)| name == "access-control-request-method");
    let permitted = headers
        .iter()
        .any(|(name, _)| name == "access-control-allow-origin");
    headers.retain(|(name, _)| {
        let listed =
            (name.starts_with("access-control-") && !permitted) || name == "access-control-expose-headers";
        !(preflight && listed)
    });
    for (_, place) in headers.iter_mut().filter(|(name, _)| name == "location") {
        // The port that the scheme implies, which the client wrote.
        if place.starts_with("http://") {
            *place = place.replacen(":80/", "/", 1);
        }
    }
    for (_, cookie) in headers.iter_mut().filter(|(name, _)| name == "set-cookie") {
        *cookie = cookie_without_value(cookie);
    }
}

/// The name and the attributes; how an endpoint is written is each proxy's own.
fn cookie_without_value(cookie: &str) -> String {
    let mut parts = cookie.split(';').map(|part| part.trim().to_ascii_lowercase());
    let name = parts.next().unwrap_or_default();
    let name = name.split('=').next().unwrap_or_default().to_owned();
    let mut attributes: Vec<_> = parts.collect();
    attributes.sort();
    format!("{name}; {}", attributes.join("; "))
}

/// What the servers were asked with a key, without what says who carried it.
pub(crate) fn asked(key: &str) -> Vec<Value> {
    let mut all = Echo::asked(key);
    for one in &mut all {
        let headers = one["headers"].as_array().unwrap();
        let pairs = headers
            .iter()
            .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)));
        one["headers"] = serde_json::to_value(routed(pairs)).unwrap();
    }
    all.sort_by_key(ToString::to_string);
    all
}
