//! Transform: what belongs to one hop goes, what the route changes is changed.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use wattle_http::{RequestHead, ResponseHead, Spelling, restore_upgrade, strip_hop_by_hop};
use wattle_model::{CallerFacts, CorsReply, Filters, PathMatch, PathNormalization};

use super::{reply, route};

/// Tells the far proxy how an HTTP/1 message looked, on connections that multiplex it on HTTP/2: minor version, then spelling.
const HTTP1: HeaderName = HeaderName::from_static("wattle-http1");
/// A reason phrase that is not the customary one, beside [`HTTP1`].
const PHRASE: HeaderName = HeaderName::from_static("wattle-http1-phrase");
/// Who the peer is, for the application (Envoy's name).
const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// Removes hop-by-hop fields, and fields that only proxies may set. An upgrade stays asked for.
pub(crate) fn leave_downstream(head: &mut RequestHead) {
    let stripped = strip_hop_by_hop(&mut head.headers);
    if let Some(protocols) = stripped.upgrade {
        restore_upgrade(&mut head.headers, protocols);
    }
    if stripped.of_the_mesh {
        remove(&mut head.headers, &[HTTP1, PHRASE]);
    }
}

/// Whether an HTTP/2 request says for whom it is; HTTP/1 was asked by its parser, and HTTP/1.0 need not.
pub(crate) fn has_host(head: &RequestHead) -> bool {
    head.version < Version::HTTP_2 || !head.authority.is_empty()
}

/// Removes hop-by-hop fields of a response; those of an accepted upgrade stay.
pub(crate) fn leave_upstream(head: &mut ResponseHead) {
    leave(head, &[HTTP1, PHRASE]);
}

/// The same of an application's, and what only proxies may say: one that repeats another's refusal must not be taken for its
/// proxy.
pub(crate) fn leave_application(head: &mut ResponseHead) {
    leave(head, &[HTTP1, PHRASE, reply::REASON, reply::REFUSAL]);
}

fn leave(head: &mut ResponseHead, not_from_here: &[HeaderName]) {
    let stripped = strip_hop_by_hop(&mut head.headers);
    if stripped.of_the_mesh {
        remove(&mut head.headers, not_from_here);
    }
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS
        && let Some(protocols) = stripped.upgrade
    {
        restore_upgrade(&mut head.headers, protocols);
    }
}

/// The path in the form that policies are to judge and the application is to get.
pub(crate) fn normalize(head: &mut RequestHead, form: PathNormalization) {
    if let Cow::Owned(normal) = form.of(head.path_and_query.as_str()) {
        head.path_and_query = normal.into();
    }
}

/// Applies a rule's or backend's filters to the request.
pub(crate) fn request(head: &mut RequestHead, filters: &Filters, matched: Option<&PathMatch>) {
    filters.request_headers.apply(&mut head.headers);
    let rewritten = filters
        .rewrite
        .path_and_query(&route::facts(head, CallerFacts::default()), matched);
    if let Some(target) = rewritten {
        head.path_and_query = target.into();
    }
    if let Some(authority) = filters.rewrite.authority() {
        head.authority = authority.to_owned().into();
    }
}

/// Applies a rule's or backend's filters to the response.
pub(crate) fn response(head: &mut ResponseHead, filters: &Filters) {
    filters.response_headers.apply(&mut head.headers);
}

/// Tells a web page of another origin what it may do; what the application said of it goes.
pub(crate) fn cors(head: &mut ResponseHead, reply: CorsReply) {
    for (name, value) in reply {
        head.headers.insert(name, value);
    }
}

/// Before an HTTP/1 request leaves on a multiplexed connection.
pub(crate) fn mark_request(head: &mut RequestHead) {
    if head.version < Version::HTTP_2 {
        head.headers.insert(HTTP1, mark(head.version, &head.spelling));
    }
}

/// After a request came in on a multiplexed connection: an HTTP/1 request becomes one again.
pub(crate) fn unmark_request(head: &mut RequestHead) {
    if let Some((version, spelling)) = head.headers.remove(HTTP1).and_then(|value| unmark(&value)) {
        head.version = version;
        head.spelling = spelling;
    }
}

/// Before an HTTP/1 response leaves on a multiplexed connection.
pub(crate) fn mark_response(head: &mut ResponseHead) {
    if head.version < Version::HTTP_2 {
        head.headers.insert(HTTP1, mark(head.version, &head.spelling));
        if let Some(value) = head
            .reason
            .take()
            .and_then(|phrase| HeaderValue::from_maybe_shared(phrase).ok())
        {
            head.headers.insert(PHRASE, value);
        }
    }
}

/// After a response came in on a multiplexed connection.
pub(crate) fn unmark_response(head: &mut ResponseHead) {
    if let Some((version, spelling)) = head.headers.remove(HTTP1).and_then(|value| unmark(&value)) {
        head.version = version;
        head.spelling = spelling;
        head.reason = head
            .headers
            .remove(PHRASE)
            .map(|phrase| bytes::Bytes::copy_from_slice(phrase.as_bytes()));
    }
}

fn mark(version: Version, spelling: &Spelling) -> HeaderValue {
    let old = version == Version::HTTP_10;
    match spelling {
        Spelling::Lower if !old => HeaderValue::from_static("1:l"),
        Spelling::Title if !old => HeaderValue::from_static("1:t"),
        spelling => {
            let spelled = spelling.to_header_value();
            let mut text = Vec::with_capacity(spelled.len() + 1);
            text.push(if old { b'0' } else { b'1' });
            text.extend_from_slice(spelled.as_bytes());
            HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
                .unwrap_or(HeaderValue::from_static("1:t"))
        }
    }
}

fn unmark(value: &HeaderValue) -> Option<(Version, Spelling)> {
    let (minor, spelled) = value.as_bytes().split_first()?;
    let version = match minor {
        b'0' => Version::HTTP_10,
        b'1' => Version::HTTP_11,
        _ => return None,
    };
    let spelling = match spelled {
        b":l" => Spelling::Lower,
        b":t" => Spelling::Title,
        other => Spelling::from_header_value(&HeaderValue::from_bytes(other).ok()?)?,
    };
    Some((version, spelling))
}

/// Tells the application who the peer is; what the peer itself said of it goes.
pub(crate) fn name_peer(headers: &mut HeaderMap, client_cert: Option<&HeaderValue>) {
    match client_cert {
        Some(value) => {
            headers.insert(CLIENT_CERT, value.clone());
        }
        None => drop(headers.remove(CLIENT_CERT)),
    }
    // Rare: names are told apart by their lengths.
    if headers.keys().any(is_client_cert_alike) {
        let alike: Vec<_> = headers
            .keys()
            .filter(|name| is_client_cert_alike(name))
            .cloned()
            .collect();
        for name in alike {
            headers.remove(name);
        }
    }
}

/// Is it another name that many applications cannot tell from `x-forwarded-client-cert`, since they read `_` as `-`?
fn is_client_cert_alike(name: &HeaderName) -> bool {
    let own = CLIENT_CERT;
    let (name, own) = (name.as_str(), own.as_str());
    let alike = |(a, b): (u8, u8)| a == b || (a, b) == (b'_', b'-');
    name.len() == own.len() && name != own && name.bytes().zip(own.bytes()).all(alike)
}

/// `x-forwarded-client-cert` of a connection: `By=` this workload, `URI=` the peer (Envoy's format).
pub(crate) fn client_cert(own: &str, peer: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("By={own};URI={peer}")).ok()
}

/// Is it gRPC, by its content type?
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn version_and_spelling_survive_the_hop() {
        for version in [Version::HTTP_10, Version::HTTP_11] {
            for spelling in [
                Spelling::Lower,
                Spelling::Title,
                Spelling::from_header_value(&HeaderValue::from_static("HOST,X-aBc")).unwrap(),
            ] {
                let mut head = RequestHead::new(http::Method::GET, "a", "/");
                head.version = version;
                head.spelling = spelling.clone();
                mark_request(&mut head);
                head.version = Version::HTTP_2;
                head.spelling = Spelling::Lower;
                unmark_request(&mut head);
                assert_eq!((head.version, &head.spelling), (version, &spelling));
                assert!(head.headers.is_empty());
            }
        }
    }

    #[test]
    fn a_mark_that_makes_no_sense_is_dropped() {
        let mut head = RequestHead::new(http::Method::GET, "a", "/");
        head.version = Version::HTTP_2;
        head.headers.insert(HTTP1, HeaderValue::from_static("7:t"));
        unmark_request(&mut head);
        assert_eq!(head.version, Version::HTTP_2);
        assert!(head.headers.is_empty());
    }

    #[test]
    fn a_peer_cannot_name_itself() {
        let mut headers = HeaderMap::new();
        headers.insert(
            CLIENT_CERT,
            HeaderValue::from_static("URI=spiffe://cluster.local/ns/a/sa/admin"),
        );
        name_peer(&mut headers, None);
        assert!(headers.is_empty());
    }
}
