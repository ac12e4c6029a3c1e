//! An opaque connection that is open when policy changes is judged anew, and ends when it would not be let in any more.
//! Requests need none of this: each is judged when it comes.

use std::cell::OnceCell;
use std::rc::Rc;

use super::Who;
use super::tcp::{allowed, asked};
use crate::phases::refuse;
use crate::phases::relay::{Staying, Withdrawn};
use crate::worker::Worker;

/// What tells a connection that was let in just now when it must go.
pub(super) fn of(worker: &Rc<Worker>, who: Rc<Who>) -> Staying {
    let why = Rc::new(OnceCell::new());
    let (worker, told) = (worker.clone(), why.clone());
    let mut judged = worker.inbound();
    let judging = async move {
        loop {
            let inbound = worker.inbound_after(judged.as_ref()).await;
            // Who is asked outside is not asked again for a change that has nothing to do with it.
            let asked_as_before =
                judged.is_some_and(|judged| judged.authorization.external == inbound.authorization.external);
            judged = Some(inbound);
            let verdict = match asked_as_before {
                true => allowed(&worker, &who),
                false => asked(&worker, &who).await,
            };
            let Err(reason) = verdict else { continue };
            tracing::info!(
                peer = %who.downstream, id = who.peer.as_ref().map(tracing::field::display),
                port = who.local.port(), reason = reason.id(), "connection ended: it is not let in any more"
            );
            let refusal = refuse::keep(&worker, &who, (reason.id(), ""), None);
            let _ = told.set(Withdrawn { reason, refusal });
            return;
        }
    };
    Staying {
        judging: Box::pin(judging),
        why,
    }
}
