//! Ask: a question of the proxy's own, sent over connections as requests have them: through the mesh where the service
//! is of it. The worker goes on with other requests meanwhile.

pub(crate) mod grpc;

use std::rc::Rc;

use http::Method;
use wattle_http::{Request, RequestHead, Response, SendError};
use wattle_model::{CallerFacts, NoTrace, Outcome};

use super::connect::{self, Wanted};
use super::pick::{self, Wish};
use super::{exchange, route};
use crate::config::Dialled;
use crate::worker::{SharedCluster, Worker};

/// Times a question is asked again because a kept connection turned out to be closed.
const MAX_STALE: usize = 3;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Stable id for the log.
    pub(crate) cause: &'static str,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(cause: &'static str, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
        }
    }
}

/// Sends what `question` makes of the service's name, as its routes say; waits for the head of the answer for as long as
/// it takes.
pub(crate) async fn ask(
    worker: &Rc<Worker>,
    service: &Dialled,
    wanted: Wanted,
    question: impl FnOnce(&str) -> Request,
) -> Result<Response, Failure> {
    let (cluster, authority) = reach(worker, service).await?;
    let mut request = question(&authority);
    for _ in 0..=MAX_STALE {
        let picked = pick::pick(worker, &cluster, Wish::default(), &[])
            .map_err(|reason| Failure::new("no_endpoint", reason.id()))?;
        let connection = connect::http(worker, picked.member().payload(), wanted, &authority)
            .await
            .map_err(|failure| Failure::new(failure.reason.id(), failure.detail))?;
        match exchange::exchange(connection, Box::new(request)).await {
            Ok(answered) => return Ok(answered.response),
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
    let head = RequestHead::new(Method::POST, authority.as_str(), "/");
    let facts = route::facts(&head, CallerFacts::default());
    let decision = found
        .destination
        .route(&facts, worker.clock.random(), &mut NoTrace);
    let cluster = match decision.outcome {
        Outcome::Forward { index, .. } => found.cluster(index).cloned(),
        _ => None,
    };
    let cluster = cluster.ok_or_else(|| Failure::new("no_backend", "its routes lead to no backend"))?;
    Ok((cluster, authority))
}
