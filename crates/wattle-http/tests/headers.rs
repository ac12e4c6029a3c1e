//! Hop-by-hop fields.
#![allow(clippy::unwrap_used)]

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use wattle_http::{has_token, restore_upgrade, strip_hop_by_hop};

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

#[test]
fn what_belongs_to_the_hop_goes_and_the_rest_stays() {
    let mut headers = map(&[
        ("connection", "keep-alive, X-Mine ,close,, content-length, host"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip;q=0.5, Trailers"),
        ("x-mine", "1"),
        ("content-length", "3"),
        ("x-yours", "2"),
    ]);
    assert_eq!(
        strip_hop_by_hop(&mut headers).upgrade,
        None,
        "upgrade without the connection option is not an upgrade"
    );
    let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["content-length", "te", "x-yours"]);
    assert_eq!(headers["te"], "trailers");
}

#[test]
fn an_upgrade_can_be_put_back_but_h2c_never() {
    let mut headers = map(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
    let upgrade = strip_hop_by_hop(&mut headers).upgrade.unwrap();
    assert!(headers.is_empty());
    restore_upgrade(&mut headers, upgrade);
    assert!(has_token(&headers, &http::header::CONNECTION, "UPGRADE") && headers["upgrade"] == "websocket");
    for smuggled in ["h2c", "websocket, H2C"] {
        let mut headers = map(&[("connection", "Upgrade, HTTP2-Settings"), ("http2-settings", "x")]);
        headers.insert("upgrade", HeaderValue::from_static(smuggled));
        assert_eq!(strip_hop_by_hop(&mut headers).upgrade, None);
        assert!(headers.is_empty());
    }
}
