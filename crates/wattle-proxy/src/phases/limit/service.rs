//! Asks a rate limit service (Envoy's `rls.proto`), over connections as requests have them: through the mesh where the
//! service is of it. The worker goes on with other requests meanwhile.

use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Version, header};
use prost::Message as _;
use wattle_http::{Body, Frame, Request, RequestHead, Response, SendError};
use wattle_model::{CallerFacts, NoTrace, Outcome, RequestFacts};
use wattle_wire::proto::rate_limit::rate_limit_descriptor::Entry;
use wattle_wire::proto::rate_limit::rate_limit_response::Code;
use wattle_wire::proto::rate_limit::{
    HeaderValue as Told, RateLimitDescriptor, RateLimitRequest, RateLimitResponse,
};

use super::Caller;
use crate::config::Dialled;
use crate::phases::connect::{self, Wanted};
use crate::phases::pick::{self, Wish};
use crate::phases::{exchange, reply, route};
use crate::worker::{Question, SharedCluster, Worker};

const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Most headers of an answer that are passed on.
const MAX_HEADERS: usize = 32;
/// Times a question is asked again because a kept connection turned out to be closed.
const MAX_STALE: usize = 3;

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

/// Why there is no verdict.
#[derive(Debug)]
pub(super) struct Failure {
    /// Stable id for the log.
    pub(super) cause: &'static str,
    pub(super) detail: String,
}

impl Failure {
    fn new(cause: &'static str, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
        }
    }
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
    let asked = exchanged(worker, question, framed(&message));
    match tokio::time::timeout(question.timeout, asked).await {
        Ok(answer) => verdict(answer?),
        Err(_) => Err(Failure::new("timeout", "no answer in time")),
    }
}

async fn exchanged(
    worker: &Rc<Worker>,
    question: &Question,
    message: Bytes,
) -> Result<RateLimitResponse, Failure> {
    let (cluster, authority) = reach(worker, &question.service).await?;
    let mut request = Request::new(head(authority, question.timeout), Body::full(message));
    for _ in 0..=MAX_STALE {
        let picked = pick::pick(worker, &cluster, Wish::default(), &[])
            .map_err(|reason| Failure::new("no_endpoint", reason.id()))?;
        let authority = request.head.authority.as_str();
        let connection = connect::http(worker, picked.member().payload(), Wanted::Http2, authority)
            .await
            .map_err(|failure| Failure::new(failure.reason.id(), failure.detail))?;
        match exchange::exchange(connection, request).await {
            Ok(answered) => return answer(answered.response).await,
            Err(SendError {
                request: Some(again), ..
            }) => request = *again,
            Err(error) => return Err(Failure::new("exchange", error.to_string())),
        }
    }
    Err(Failure::new("exchange", "kept connections were closed"))
}

/// The endpoints of the service, as its routes say, and its name.
async fn reach(worker: &Rc<Worker>, service: &Dialled) -> Result<(SharedCluster, String), Failure> {
    let found = match service {
        Dialled::Address(address) => worker.destinations.find(worker, *address).await,
        Dialled::Name(name) => worker.destinations.named(name),
    };
    let found = found.map_err(|reason| Failure::new("no_destination", reason.id()))?;
    let authority = match &found.destination.service {
        Some(port) => format!("{}:{}", port.host, port.port),
        None => service.to_string(),
    };
    let head = head(authority, Duration::ZERO);
    let facts = route::facts(&head, CallerFacts::default());
    let decision = found
        .destination
        .route(&facts, worker.clock.random(), &mut NoTrace);
    let cluster = match decision.outcome {
        Outcome::Forward { index, .. } => found.cluster(index).cloned(),
        _ => None,
    };
    let cluster = cluster.ok_or_else(|| Failure::new("no_backend", "its routes lead to no backend"))?;
    Ok((cluster, head.authority.as_str().to_owned()))
}

fn head(authority: String, timeout: Duration) -> RequestHead {
    let mut head = RequestHead::new(Method::POST, authority, METHOD);
    head.version = Version::HTTP_2;
    let headers = &mut head.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let millis = timeout.as_millis().clamp(1, 99_999_999);
    if let Ok(value) = HeaderValue::try_from(format!("{millis}m")) {
        headers.insert("grpc-timeout", value);
    }
    head
}

fn framed(message: &RateLimitRequest) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(length + 5);
    frame.put_u8(0);
    frame.put_u32(length as u32);
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

/// Reads the answer to its end; its status is in the trailers, or in the head where there is nothing else.
async fn answer(response: Response) -> Result<RateLimitResponse, Failure> {
    let Response { head, mut body } = response;
    let mut status = exchange_status(&head.headers);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.next().await {
        match frame.map_err(|error| Failure::new("exchange", error.to_string()))? {
            Frame::Data(data) if bytes.len() + data.len() <= MAX_ANSWER => bytes.extend_from_slice(&data),
            Frame::Data(_) => return Err(Failure::new("answer", "larger than is read")),
            Frame::Trailers(trailers) => status = exchange_status(&trailers).or(status),
        }
    }
    match status {
        Some(0) => {}
        Some(status) => return Err(Failure::new("grpc_status", status.to_string())),
        None => return Err(Failure::new("http_status", head.status.as_str())),
    }
    let message = bytes.get(5..).filter(|message| {
        let length = bytes[1..5]
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        bytes[0] == 0 && length == message.len()
    });
    let message = message.ok_or_else(|| Failure::new("answer", "not one uncompressed message"))?;
    RateLimitResponse::decode(message).map_err(|error| Failure::new("answer", error.to_string()))
}

fn exchange_status(headers: &http::HeaderMap) -> Option<u32> {
    crate::phases::record::grpc_status(headers)
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
