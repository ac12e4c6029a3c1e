//! Answers of the admin API: JSON, or a sentence on why not.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use wattle_http::{Body, Response};

use crate::view::ErrorView;

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("nothing is at {0}")]
    NotFound(String),
    #[error("{0}")]
    Absent(String),
    #[error("method {0} is not allowed here, {1} expected")]
    Method(String, &'static str),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Failed(String),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) | Self::Absent(_) => StatusCode::NOT_FOUND,
            Self::Method(..) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn response(&self) -> Response {
        json(
            self.status(),
            &ErrorView {
                error: self.to_string(),
            },
        )
    }
}

/// A value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => with_type(status, "application/json", body.into()),
        Err(error) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("answer cannot be written: {error}\n"),
        ),
    }
}

/// Plain text.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    with_type(status, "text/plain; version=0.0.4; charset=utf-8", text.into())
}

fn with_type(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(status, Body::full(body));
    response
        .head
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
        .head
        .headers
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
