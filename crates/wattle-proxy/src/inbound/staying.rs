//! What is open when policy changes and is not judged request by request: an opaque connection, and a request that became a
//! tunnel. It is judged anew, and ends when it would not be let in any more, or when its peer is not believed any more.
//! Other requests need none of this: each is judged when it comes.

use std::cell::OnceCell;
use std::rc::Rc;

use wattle_http::{Body, Request, RequestHead};
use wattle_model::{Inbound, Reason, RequestFacts};
use wattle_telemetry::ResponseFlags;

use super::{Who, tcp};
use crate::phases::authenticate::Verified;
use crate::phases::limit::Refused;
use crate::phases::relay::{Staying, Withdrawn};
use crate::phases::{authorize, external, refuse, reply};
use crate::worker::Worker;

/// What was let in, with all that it is judged by.
pub(super) struct LetIn {
    pub(super) who: Rc<Who>,
    /// `None` for an opaque connection.
    pub(super) request: Option<Box<Began>>,
    /// By what it was judged last.
    pub(super) judged: Option<Rc<Inbound>>,
}

/// The request that a tunnel began as: head and token stay as they were then.
pub(super) struct Began {
    pub(super) head: RequestHead,
    pub(super) token: Option<Rc<Verified>>,
}

/// What tells that it must end.
pub(super) fn of(worker: &Rc<Worker>, mut let_in: LetIn) -> Staying {
    let why = Rc::new(OnceCell::new());
    let (worker, told) = (worker.clone(), why.clone());
    let judging = async move {
        loop {
            let inbound = tokio::select! {
                inbound = worker.inbound_after(let_in.judged.as_ref()) => inbound,
                rejection = let_in.who.rejected() => {
                    let why = (rejection.id(), "", reply::flags(Reason::DownstreamTlsFailure));
                    let _ = told.set(let_in.withdrawn(&worker, why));
                    return;
                }
            };
            let Err(refused) = let_in.judge(&worker, inbound).await else {
                continue;
            };
            let why = (refused.reason.id(), refused.detail, reply::flags(refused.reason));
            let _ = told.set(let_in.withdrawn(&worker, why));
            return;
        }
    };
    Staying {
        judging: Box::pin(judging),
        why,
    }
}

impl LetIn {
    /// Would it be let in now?
    async fn judge(&mut self, worker: &Rc<Worker>, inbound: Rc<Inbound>) -> Result<(), Refused> {
        let before = self.judged.replace(inbound.clone());
        // Who is asked outside is not asked again for a change that has nothing to do with it.
        let asks_anew =
            before.is_none_or(|before| before.authorization.external != inbound.authorization.external);
        match &self.request {
            None if asks_anew => Ok(tcp::asked(worker, &self.who).await?),
            None => Ok(tcp::allowed(worker, &self.who)?),
            Some(began) if asks_anew && !inbound.authorization.external.is_empty() => {
                // A future of its own size only where it is needed.
                Box::pin(began.asked(worker, &self.who, &inbound)).await
            }
            Some(began) => {
                let facts = began.facts(worker, &self.who, &began.head);
                let connection = authorize::facts(&self.who);
                Ok(authorize::authorize(&inbound, &connection, Some(&facts))?)
            }
        }
    }

    fn withdrawn(
        &self,
        worker: &Worker,
        (reason, detail, flags): (&'static str, &'static str, ResponseFlags),
    ) -> Withdrawn {
        let who = &*self.who;
        tracing::info!(
            peer = %who.downstream, id = who.peer.as_ref().map(tracing::field::display),
            port = who.local.port(), is_request = self.request.is_some(), reason,
            "connection ended: it is not let in any more"
        );
        let facts = self
            .request
            .as_ref()
            .map(|began| began.facts(worker, who, &began.head));
        Withdrawn {
            reason,
            flags,
            refusal: Some(refuse::keep(worker, who, (reason, detail), facts.as_ref())),
        }
    }
}

impl Began {
    fn facts<'a>(&'a self, worker: &Worker, who: &Who, head: &'a RequestHead) -> RequestFacts<'a> {
        let token = self.token.as_deref().map(|token| &token.facts);
        authorize::request_facts(worker, who, head, token)
    }

    /// By those who must be asked as well, about a request without a body.
    async fn asked(&self, worker: &Rc<Worker>, who: &Who, inbound: &Inbound) -> Result<(), Refused> {
        let connection = authorize::facts(who);
        let mut request = Request::new(self.head.clone(), Body::Empty);
        let asks = external::asks(inbound, &connection, Some(&self.facts(worker, who, &self.head)))?;
        external::request(worker, who, &asks, &mut request).await?;
        let facts = self.facts(worker, who, &request.head);
        Ok(authorize::authorize(inbound, &connection, Some(&facts))?)
    }
}
