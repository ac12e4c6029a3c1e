//! What a caller is told that is refused on the way in.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use wattle_http::Response;
use wattle_model::Reason;

use super::seconds;
use crate::phases::external::Denial;
use crate::phases::reply;

/// How long a gRPC client waits before it tries again (gRPC A6, retry design).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// A wait that is longer is not told: the time is as good as never.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Why a request is not let in, and what is told besides.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    /// The cause, where the reason has several, for the log.
    pub(crate) detail: &'static str,
    /// When to come again, from now.
    wait: Option<Duration>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What a service that was asked says in place of the usual reply.
    denial: Option<Box<Denial>>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            detail: "",
            wait: None,
            headers: Vec::new(),
            denial: None,
        }
    }
}

impl Refused {
    /// By a limit.
    pub(super) fn limited(wait: Option<Duration>, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self {
            wait: wait.filter(|wait| *wait <= LONGEST),
            headers,
            ..Self::from(Reason::RateLimited)
        }
    }

    /// Because of a token; the caller is not told what is wrong with it (RFC 6750 section 3.1).
    pub(crate) fn token(detail: &'static str) -> Self {
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        Self {
            detail,
            headers: vec![(header::WWW_AUTHENTICATE, challenge)],
            ..Self::from(Reason::TokenInvalid)
        }
    }

    /// By a service that was asked, or because it did not answer.
    pub(crate) fn external(reason: Reason, detail: &'static str, denial: Denial) -> Self {
        Self {
            detail,
            denial: Some(Box::new(denial)),
            ..Self::from(reason)
        }
    }

    /// The reply to the caller.
    pub(crate) fn reply(mut self, grpc: bool) -> Response {
        let mut response = match self.denial.take() {
            Some(denial) => reply::denied(self.reason, *denial, grpc),
            None => reply::local(self.reason, grpc),
        };
        self.tell(&mut response.head.headers, grpc);
        response
    }

    /// Adds what is told to the reply: `retry-after` (RFC 9110 §10.2.3), to gRPC its own.
    fn tell(self, headers: &mut HeaderMap, grpc: bool) {
        headers.extend(self.headers);
        match self.wait {
            None => {}
            Some(wait) if grpc => {
                let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
                headers.insert(PUSHBACK, HeaderValue::from(millis));
            }
            Some(wait) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
            }
        }
    }
}
