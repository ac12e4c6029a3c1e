//! Uploaded: when a request had passed as a whole, and how long its answer may take from then on.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use wattle_http::{Body, BodyError, Frame, Watch};

/// The limit from the end of a request to the head of its response (Linkerd `timeout.linkerd.io/response`).
pub(crate) struct Uploaded {
    limit: Duration,
    end: Rc<End>,
}

#[derive(Default)]
struct End {
    at: Cell<Option<Instant>>,
    passed: Notify,
}

impl Uploaded {
    /// Watches the body pass.
    pub(crate) fn watch(limit: Duration, body: &mut Body) -> Self {
        let end = Rc::new(End::default());
        match is_whole(body) {
            // Not watched, or it could not be sent again.
            true => end.at.set(Some(Instant::now())),
            false => *body = std::mem::take(body).watched(Box::new(Seen(end.clone()))),
        }
        Self { limit, end }
    }

    /// Waits until the answer to a try that began `since` is overdue.
    pub(crate) async fn overdue(&self, since: Instant) {
        let ended = loop {
            match self.end.at.get() {
                Some(at) => break at,
                None => self.end.passed.notified().await,
            }
        };
        match ended.max(since).checked_add(self.limit) {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}

/// Is nothing of it still to come from the client?
pub(crate) fn is_whole(body: &Body) -> bool {
    body.is_end() || body.try_clone().is_some()
}

struct Seen(Rc<End>);

impl Watch for Seen {
    fn frame(&mut self, _frame: &Frame) {}

    fn end(&mut self, _error: Option<&BodyError>) {
        self.0.at.set(Some(Instant::now()));
        // Each of several tries waits; one that is not there yet finds the time.
        self.0.passed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use futures_util::FutureExt as _;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_time_begins_when_the_request_has_passed_as_a_whole() {
        let (sender, mut body) = Body::channel(1);
        let uploaded = Uploaded::watch(LIMIT, &mut body);
        let mut overdue = std::pin::pin!(uploaded.overdue(Instant::now()));
        assert!(overdue.as_mut().now_or_never().is_none());
        tokio::time::advance(LIMIT * 10).await;
        assert!(overdue.as_mut().now_or_never().is_none());
        sender.finish();
        assert!(body.next().await.is_none());
        assert!(overdue.as_mut().now_or_never().is_none());
        tokio::time::advance(LIMIT * 2).await;
        assert!(overdue.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_try_of_a_request_that_has_passed_has_the_whole_time() {
        let mut body = Body::full(Bytes::from_static(b"x"));
        let uploaded = Uploaded::watch(LIMIT, &mut body);
        assert!(body.try_clone().is_some(), "it can still be sent again");
        tokio::time::advance(LIMIT * 10).await;
        let mut overdue = std::pin::pin!(uploaded.overdue(Instant::now()));
        assert!(overdue.as_mut().now_or_never().is_none());
        tokio::time::advance(LIMIT * 2).await;
        assert!(overdue.now_or_never().is_some());
    }
}
