//! What a rule for HTTP does with a request: send it on, redirect it, answer it, or ask another VirtualService.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded, Fields, one_of};
use crate::istio::destination::{self, Destination};
use crate::istio::headers::{Headers, headers};
use crate::istio::value::{MAX_ITEMS, at_most_one, exactly_one, words};
use crate::scalar::{self, Port};
use crate::tree::quote;

/// Longest body of a direct response, in bytes (Istio).
const MAX_BODY: usize = 1 << 20;

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HttpAction {
    /// It goes to one of these, by weight; never empty, weights never all 0.
    Route(Vec<HttpDestination>),
    /// It is answered with a redirect.
    Redirect(Redirect),
    /// It is answered at once.
    DirectResponse(DirectResponse),
    /// Another VirtualService decides.
    Delegate(Delegate),
}

/// A destination of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpDestination {
    /// Where.
    pub destination: Destination,
    /// Share relative to the other destinations, up to 2,147,483,647; 1 when it is the only one.
    pub weight: u32,
    /// How headers change for this destination only.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
}

/// A redirect; what is none stays as in the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Redirect {
    /// New path, whole; never together with `prefix_rewrite`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What stands for the prefix that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_rewrite: Option<String>,
    /// New host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// New port.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub port: Option<RedirectPort>,
    /// New scheme, `http` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<&'static str>,
    /// 301, 302, 303, 307 or 308; default 301.
    pub redirect_code: u16,
}

/// The port of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RedirectPort {
    /// This one.
    Port(Port),
    /// One that follows from the request.
    DerivePort(DerivePort),
}

/// How the port of a redirect follows from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DerivePort {
    /// 80 for http, 443 for https.
    FromProtocolDefault,
    /// The port the request came to.
    FromRequestPort,
}

/// An answer that needs no backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectResponse {
    /// Status, 200 to 599.
    pub status: u16,
    /// Body; none means an empty one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// A body of at most 1 MiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// Text.
    String(String),
    /// Bytes, base64 in a manifest.
    #[serde(serialize_with = "write_bytes")]
    Bytes(Vec<u8>),
}

/// Another VirtualService, one without hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delegate {
    /// Name.
    pub name: String,
    /// Namespace; none means the own one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

fn write_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

pub(super) fn action(fields: &Fields<'_>) -> Decoded<HttpAction> {
    let keys = ["route", "redirect", "directResponse", "delegate"];
    Ok(match exactly_one(fields, &keys)? {
        "route" => HttpAction::Route(fields.required("route", route)?),
        "redirect" => HttpAction::Redirect(fields.required("redirect", redirect)?),
        "delegate" => HttpAction::Delegate(fields.required("delegate", delegate)?),
        answer => HttpAction::DirectResponse(fields.required(answer, direct_response)?),
    })
}

fn route(cursor: &Cursor<'_>) -> Decoded<Vec<HttpDestination>> {
    let mut destinations = cursor.list(MAX_ITEMS, |at| {
        let fields = at.fields(&["destination", "weight", "headers"])?;
        let destination = fields.required("destination", destination::destination);
        let weight = fields.optional("weight", destination::weight);
        let headers = fields.optional("headers", headers);
        Ok(HttpDestination {
            destination: destination?,
            weight: weight?.unwrap_or_default(),
            headers: headers?.unwrap_or_default(),
        })
    })?;
    let weights = destinations.iter_mut().map(|item| &mut item.weight).collect();
    destination::check_weights(cursor, weights)?;
    Ok(destinations)
}

fn redirect(cursor: &Cursor<'_>) -> Decoded<Redirect> {
    let fields = cursor.fields(&[
        "uri",
        "prefixRewrite",
        "authority",
        "port",
        "derivePort",
        "scheme",
        "redirectCode",
    ])?;
    at_most_one(&fields, &["uri", "prefixRewrite"])?;
    at_most_one(&fields, &["port", "derivePort"])?;
    let uri = words(&fields, "uri");
    let prefix_rewrite = words(&fields, "prefixRewrite");
    let authority = words(&fields, "authority");
    let port = fields.optional("port", |at| scalar::port(at).map(RedirectPort::Port));
    let derive_port = fields.optional("derivePort", derive_port);
    let scheme = fields.optional("scheme", |at| {
        scalar::word(at, &[("http", "http"), ("https", "https")])
    });
    let redirect_code = fields.optional("redirectCode", redirect_code);
    let redirect = Redirect {
        uri: uri?,
        prefix_rewrite: prefix_rewrite?,
        authority: authority?,
        port: port?.or(derive_port?),
        scheme: scheme?,
        redirect_code: redirect_code?.unwrap_or(301),
    };
    let changes = [&redirect.uri, &redirect.prefix_rewrite, &redirect.authority];
    if changes.iter().all(|change| change.is_none()) && redirect.port.is_none() && redirect.scheme.is_none() {
        let reason = "expected one of uri, prefixRewrite, authority, port, derivePort, scheme";
        return Err(cursor.refuse("missing-field", reason));
    }
    Ok(redirect)
}

fn derive_port(cursor: &Cursor<'_>) -> Decoded<RedirectPort> {
    let words = [
        ("FROM_PROTOCOL_DEFAULT", DerivePort::FromProtocolDefault),
        ("FROM_REQUEST_PORT", DerivePort::FromRequestPort),
    ];
    scalar::word(cursor, &words).map(RedirectPort::DerivePort)
}

fn redirect_code(cursor: &Cursor<'_>) -> Decoded<u16> {
    let number = scalar::integer(cursor, 0, 599)?;
    match number {
        0 => Ok(301),
        301 | 302 | 303 | 307 | 308 => Ok(u16::try_from(number).unwrap_or(301)),
        _ => {
            let known = ["301", "302", "303", "307", "308"];
            Err(one_of(cursor, &number.to_string(), &known))
        }
    }
}

fn direct_response(cursor: &Cursor<'_>) -> Decoded<DirectResponse> {
    let fields = cursor.fields(&["status", "body"])?;
    let status = fields.required("status", |at| scalar::integer(at, 200, 599));
    let body = fields.optional("body", body);
    Ok(DirectResponse {
        status: u16::try_from(status?).unwrap_or(500),
        body: body?,
    })
}

fn body(cursor: &Cursor<'_>) -> Decoded<Body> {
    let fields = cursor.fields(&["string", "bytes"])?;
    let body = match exactly_one(&fields, &["string", "bytes"])? {
        "string" => Body::String(fields.required("string", scalar::text)?),
        bytes => Body::Bytes(fields.required(bytes, |at| {
            let text = scalar::text(at)?;
            STANDARD.decode(&text).map_err(|_| {
                let reason = format!("found {}, expected base64", quote(&text));
                at.refuse("invalid-base64", reason)
            })
        })?),
    };
    let length = match &body {
        Body::String(text) => text.len(),
        Body::Bytes(bytes) => bytes.len(),
    };
    if length > MAX_BODY {
        let reason = format!("found a body of {length} bytes, expected at most {MAX_BODY}");
        return Err(cursor.refuse("too-long", reason));
    }
    Ok(body)
}

fn delegate(cursor: &Cursor<'_>) -> Decoded<Delegate> {
    let fields = cursor.fields(&["name", "namespace"])?;
    let name = fields.required("name", scalar::subdomain);
    let namespace = fields.optional("namespace", scalar::label);
    Ok(Delegate {
        name: name?,
        namespace: namespace?,
    })
}
