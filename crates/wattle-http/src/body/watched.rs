//! A body that somebody watches pass: to count it, to learn how it ended, to cut it at a deadline.

use super::{Body, BodyError, Frame};
use std::fmt;
use std::task::{Context, Poll, ready};

/// Sees a body pass. Dropped without [`Watch::end`], the body was given up by its reader.
pub trait Watch {
    /// A frame passes.
    fn frame(&mut self, frame: &Frame);

    /// It ended, in order or with this error; called once.
    fn end(&mut self, error: Option<&BodyError>);

    /// Ready to cut the body off with this error; asked whenever the body is, also for what it does beside being read.
    fn poll_cut(&mut self, _cx: &mut Context<'_>) -> Poll<BodyError> {
        Poll::Pending
    }
}

/// A body with its watcher.
pub struct Watched {
    body: Body,
    watch: Box<dyn Watch>,
    ended: bool,
}

impl Watched {
    pub(crate) fn new(body: Body, watch: Box<dyn Watch>) -> Self {
        let mut watched = Self {
            body,
            watch,
            ended: false,
        };
        watched.note_end();
        watched
    }

    pub(crate) fn body(&self) -> &Body {
        &self.body
    }

    /// Also after the body's end, when a tunnel's other direction goes on.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        if let Poll::Ready(error) = self.poll_cut(cx) {
            return Poll::Ready(Err(error));
        }
        self.body.poll_drive(cx)
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if !self.ended
            && let Poll::Ready(error) = self.poll_cut(cx)
        {
            return Poll::Ready(Some(Err(error)));
        }
        let next = ready!(self.body.poll_next(cx));
        match &next {
            Some(Ok(frame)) => {
                self.watch.frame(frame);
                self.note_end();
            }
            Some(Err(error)) => self.finish(Some(error)),
            None => self.finish(None),
        }
        Poll::Ready(next)
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let error = ready!(self.watch.poll_cut(cx));
        self.finish(Some(&error));
        self.body = Body::Empty;
        Poll::Ready(error)
    }

    /// A reader that knows the length may never ask for the end.
    fn note_end(&mut self) {
        if self.body.is_end() {
            self.finish(None);
        }
    }

    fn finish(&mut self, error: Option<&BodyError>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.watch.end(error);
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bytes::Bytes;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Notes(Rc<RefCell<Vec<String>>>);

    impl Watch for Notes {
        fn frame(&mut self, frame: &Frame) {
            self.0.borrow_mut().push(format!("{frame:?}"));
        }

        fn end(&mut self, error: Option<&BodyError>) {
            self.0.borrow_mut().push(format!("end {}", error.is_some()));
        }
    }

    #[tokio::test]
    async fn the_end_is_told_once_even_to_a_reader_that_never_asks_for_it() {
        let notes = Notes::default();
        let mut body = Body::full(Bytes::from_static(b"ab")).watched(Box::new(notes.clone()));
        assert_eq!(body.remaining(), Some(2));
        assert_eq!(
            body.next().await.unwrap().unwrap(),
            Frame::Data(Bytes::from_static(b"ab"))
        );
        assert!(body.is_end());
        drop(body);
        assert_eq!(*notes.0.borrow(), ["Data(b\"ab\")", "end false"]);
    }

    #[tokio::test]
    async fn an_empty_body_ends_at_once() {
        let notes = Notes::default();
        let body = Body::Empty.watched(Box::new(notes.clone()));
        assert!(body.is_end());
        assert_eq!(*notes.0.borrow(), ["end false"]);
    }

    /// Cuts at once.
    struct Cut;

    impl Watch for Cut {
        fn frame(&mut self, _frame: &Frame) {}

        fn end(&mut self, _error: Option<&BodyError>) {}

        fn poll_cut(&mut self, _cx: &mut Context<'_>) -> Poll<BodyError> {
            Poll::Ready(BodyError::Abandoned)
        }
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_is_cut_while_it_is_driven() {
        let (sender, body) = Body::channel(1);
        let mut body = body.watched(Box::new(Cut));
        let driven = std::future::poll_fn(|cx| body.poll_drive(cx)).await;
        assert!(matches!(driven, Err(BodyError::Abandoned)));
        let more = sender.try_send(Frame::Data(Bytes::from_static(b"x")));
        assert!(more.is_err(), "its producer goes on");
    }

    #[tokio::test]
    async fn a_body_given_up_midway_has_no_end() {
        let notes = Notes::default();
        let (sender, body) = Body::channel(2);
        sender.try_send(Frame::Data(Bytes::from_static(b"x"))).unwrap();
        let mut body = body.watched(Box::new(notes.clone()));
        body.next().await.unwrap().unwrap();
        drop(body);
        assert_eq!(*notes.0.borrow(), ["Data(b\"x\")"]);
    }
}
