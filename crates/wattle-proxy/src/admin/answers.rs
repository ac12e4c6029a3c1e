//! Shapes of answers that all pages share.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use wattle_http::{Body, Response};

/// Gauges in the Prometheus text format: name, help, value.
pub(crate) fn gauges(out: &mut String, all: &[(&str, &str, u64)]) {
    for (name, help, value) in all {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
}

pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(status, Body::full(Bytes::from_static(text.as_bytes())));
    response
        .head
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

pub(crate) fn json_page(value: &serde_json::Value) -> Response {
    typed("application/json", value.to_string())
}

pub(crate) fn typed(content_type: &'static str, text: String) -> Response {
    typed_status(StatusCode::OK, content_type, text)
}

pub(crate) fn typed_status(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(status, Body::full(Bytes::from(text)));
    response
        .head
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
