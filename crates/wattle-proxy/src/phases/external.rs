//! External: services outside the proxy that policies with action CUSTOM ask whether a request or connection may in. The
//! model says who is asked; one that refuses, or does not answer, has the last word.

mod answer;
mod body;
mod grpc;
mod http;

use std::rc::Rc;

use ::http::HeaderMap;
use wattle_http::Request;
use wattle_model::{
    Ask, CheckProtocol, ConnectionFacts, ExternalAuthorizer, Inbound, NoTrace, Reason, RequestFacts,
};
use wattle_telemetry::{Family, Kind, Labels};

use super::ask::Failure;
use super::limit::Refused;
use crate::inbound::Who;
use crate::worker::Worker;
use answer::Answer;
pub(crate) use answer::Change;

static ASKED: Family = Family {
    name: "wattle_external_authorization_refused_total",
    help: "Requests and connections that an external authorizer refused, or could not be asked about, by authorizer and result.",
    kind: Kind::Counter,
    hides_idle: false,
};

/// Who must be asked. A connection that is not secured as the port asks is refused before anybody hears of it.
pub(crate) fn asks<'a>(
    inbound: &'a Inbound,
    connection: &ConnectionFacts<'_>,
    request: Option<&RequestFacts<'_>>,
) -> Result<Vec<Ask<'a>>, Reason> {
    inbound
        .admit(connection, &mut NoTrace)
        .map_err(|refusal| refusal.reason)?;
    Ok(inbound.asks(connection, request, &mut NoTrace))
}

/// Asks about a request, one after another, and changes it as they say; gives what the response is changed by.
pub(crate) async fn request(
    worker: &Rc<Worker>,
    who: &Who,
    asks: &[Ask<'_>],
    request: &mut Request,
) -> Result<Vec<Change>, Refused> {
    let mut to_client = Vec::new();
    for ask in asks {
        let shown = match ask.authorizer.body {
            Some(wanted) => body::shown(wanted, request).await?,
            None => None,
        };
        let head = &request.head;
        let answered = match &ask.authorizer.protocol {
            CheckProtocol::Grpc => {
                grpc::ask(worker, ask, grpc::of_request(worker, who, ask, head, shown)).await
            }
            CheckProtocol::Http(check) => http::ask(worker, ask.authorizer, check, (head, shown)).await,
        };
        let Some(allowed) = judge(worker, ask, answered)? else {
            continue;
        };
        allowed.apply(&mut request.head);
        to_client.extend(allowed.to_client);
    }
    Ok(to_client)
}

/// Asks about an opaque connection; a service that is asked over HTTP cannot be, whatever it would have said.
pub(crate) async fn connection(worker: &Rc<Worker>, who: &Who, asks: &[Ask<'_>]) -> Result<(), Reason> {
    for ask in asks {
        if let CheckProtocol::Http(_) = ask.authorizer.protocol {
            count(worker, ask.authorizer, "failed");
            tracing::info!(authorizer = %ask.authorizer.name, "a connection cannot be asked about over HTTP");
            return Err(Reason::ExternalFailure);
        }
        let answered = grpc::ask(worker, ask, grpc::of_connection(worker, who, ask)).await;
        judge(worker, ask, answered).map_err(|refused| refused.reason)?;
    }
    Ok(())
}

/// What it lets in with, or nothing where it did not answer and that does not matter.
fn judge(
    worker: &Worker,
    ask: &Ask<'_>,
    answered: Result<Answer, Failure>,
) -> Result<Option<answer::Allowed>, Refused> {
    let authorizer = ask.authorizer;
    let failure = match answered {
        Ok(Answer::Allowed(allowed)) => return Ok(Some(*allowed)),
        Ok(Answer::Denied(denial)) => {
            count(worker, authorizer, "denied");
            tracing::debug!(authorizer = %authorizer.name, policy = %ask.policy, "refused by the authorizer");
            return Err(Refused::external(Reason::ExternalDenied, "", *denial));
        }
        Err(failure) => failure,
    };
    tracing::info!(
        authorizer = %authorizer.name, service = %authorizer.service, cause = failure.cause,
        detail = failure.detail, allowed = authorizer.fail_open, "external authorizer failed"
    );
    if authorizer.fail_open {
        count(worker, authorizer, "failed_open");
        return Ok(None);
    }
    count(worker, authorizer, "failed");
    let denial = Denial::of(authorizer.status_on_error);
    Err(Refused::external(Reason::ExternalFailure, failure.cause, denial))
}

/// What the client is told in place of the usual reply.
#[derive(Debug)]
pub(crate) struct Denial {
    /// 200 to 599.
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Empty for the usual sentence.
    pub(crate) body: bytes::Bytes,
}

impl Denial {
    /// The usual words with this status.
    fn of(status: u16) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
        }
    }
}

fn count(worker: &Worker, authorizer: &ExternalAuthorizer, result: &str) {
    let labels = Labels::new(&[("authorizer", &authorizer.name), ("result", result)]);
    worker.shard.counter(&ASKED, &labels).increment();
}
