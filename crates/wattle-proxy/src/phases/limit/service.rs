//! Asks a rate limit service (Envoy's `rls.proto`).

use std::rc::Rc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use wattle_model::RequestFacts;
use wattle_wire::proto::rate_limit::rate_limit_descriptor::Entry;
use wattle_wire::proto::rate_limit::rate_limit_response::Code;
use wattle_wire::proto::rate_limit::{
    HeaderValue as Told, RateLimitDescriptor, RateLimitRequest, RateLimitResponse,
};

use super::Caller;
use crate::phases::ask::Failure;
use crate::phases::ask::grpc::{self, Call};
use crate::phases::reply;
use crate::worker::{Question, Worker};

const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
/// Most headers of an answer that are passed on.
const MAX_HEADERS: usize = 32;

/// What the service says.
#[derive(Debug)]
pub(super) enum Verdict {
    Pass,
    Over {
        /// Until the limit is fresh again, where the service says so.
        wait: Option<Duration>,
        /// What the caller is told besides.
        headers: Vec<(HeaderName, HeaderValue)>,
    },
}

/// A descriptor for each limit that applies and whose entries the request has all of.
pub(super) fn descriptors(
    question: &Question,
    caller: &Caller<'_>,
    request: &RequestFacts<'_>,
) -> Vec<RateLimitDescriptor> {
    let (port, peer) = (caller.connection.port, caller.connection.peer.as_ref());
    let applying = question
        .limits
        .iter()
        .filter(|(limit, _)| limit.applies(port, peer, request));
    let described = applying.filter_map(|(_, global)| {
        let entries = global.entries.iter().map(|(key, value)| {
            Some(Entry {
                key: key.to_string(),
                value: value.of(peer, request)?,
            })
        });
        entries.collect::<Option<Vec<_>>>()
    });
    described.map(|entries| RateLimitDescriptor { entries }).collect()
}

/// Asks, within the time that the question has.
pub(super) async fn ask(
    worker: &Rc<Worker>,
    question: &Question,
    descriptors: Vec<RateLimitDescriptor>,
) -> Result<Verdict, Failure> {
    let message = RateLimitRequest {
        domain: question.domain.to_string(),
        descriptors,
        hits_addend: 1,
    };
    let call = Call {
        path: METHOD,
        timeout: question.timeout,
    };
    verdict(grpc::call(worker, &question.service, call, &message).await?)
}

fn verdict(answer: RateLimitResponse) -> Result<Verdict, Failure> {
    match answer.overall_code() {
        Code::Ok => Ok(Verdict::Pass),
        Code::OverLimit => Ok(Verdict::Over {
            wait: wait(&answer),
            headers: answer
                .response_headers_to_add
                .iter()
                .take(MAX_HEADERS)
                .filter_map(told)
                .collect(),
        }),
        Code::Unknown => Err(Failure::new("answer", "neither OK nor OVER_LIMIT")),
    }
}

/// The longest of the times until the limits that are passed are fresh again.
fn wait(answer: &RateLimitResponse) -> Option<Duration> {
    let passed = answer
        .statuses
        .iter()
        .filter(|status| status.code() == Code::OverLimit);
    let until = passed.filter_map(|status| status.duration_until_reset);
    let length = until.map(|until| {
        let seconds = u64::try_from(until.seconds).unwrap_or(0);
        Duration::new(seconds, u32::try_from(until.nanos).unwrap_or(0).min(999_999_999))
    });
    length.max()
}

/// A header for the caller; not one that frames the reply or that only proxies may set.
fn told(header: &Told) -> Option<(HeaderName, HeaderValue)> {
    const KEPT_BACK: [HeaderName; 5] = [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        reply::REASON,
    ];
    let name = HeaderName::from_bytes(header.key.as_bytes()).ok()?;
    let value = match header.raw_value.is_empty() {
        true => header.value.as_bytes(),
        false => &header.raw_value,
    };
    let value = HeaderValue::from_bytes(value).ok()?;
    let framing = KEPT_BACK.contains(&name) || name.as_str().starts_with("grpc-");
    (!framing).then_some((name, value))
}
