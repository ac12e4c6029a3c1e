//! A body that is kept while it streams, up to a bound, so that it can be sent again.

use super::{Body, BodyError, Frame};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
struct Source {
    body: Body,
    /// Frames that readers may still ask for.
    frames: VecDeque<Frame>,
    /// Number of the first of them, counted from the start of the body.
    first: usize,
    /// Bytes of data in them.
    held: usize,
    /// Bytes that are kept at most; 0 once nothing needs to be kept.
    bound: usize,
    ended: bool,
    /// Readers that wait for the next frame; one for each try under way.
    waiting: Vec<Waker>,
}

/// Keeps what of a body has been read. Dropping it lets go of everything that the readers have passed.
#[derive(Debug)]
pub struct Kept(Rc<RefCell<Source>>);

/// Reads a kept body from its start.
#[derive(Debug)]
pub struct Reader {
    source: Rc<RefCell<Source>>,
    next: usize,
}

impl Kept {
    /// Keeps at most `bound` bytes of data and as many trailers as come. Beyond that the body can no longer be read from
    /// its start, and only the reader that is farthest goes on.
    pub fn new(body: Body, bound: usize) -> Self {
        Self(Rc::new(RefCell::new(Source {
            body,
            frames: VecDeque::new(),
            first: 0,
            held: 0,
            bound,
            ended: false,
            waiting: Vec::new(),
        })))
    }

    /// Can it still be read from its start?
    pub fn is_whole(&self) -> bool {
        self.0.borrow().first == 0
    }

    /// Has it been read to its end?
    pub fn is_read(&self) -> bool {
        let source = self.0.borrow();
        source.ended || source.body.is_end()
    }

    /// The body from its start; `None` when its start was let go.
    pub fn body(&self) -> Option<Body> {
        self.is_whole().then(|| {
            Body::Kept(Reader {
                source: self.0.clone(),
                next: 0,
            })
        })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.borrow_mut().bound = 0;
    }
}

impl Source {
    /// The frame with this number.
    fn poll_frame(&mut self, number: usize, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let Some(index) = number.checked_sub(self.first) else {
            return Poll::Ready(Some(Err(BodyError::Abandoned)));
        };
        if index < self.frames.len() {
            return Poll::Ready(self.held_frame(index).map(Ok));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(next) = self.body.poll_next(cx) else {
            if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                self.waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        };
        self.waiting.drain(..).for_each(Waker::wake);
        match next {
            Some(Ok(frame)) => {
                self.keep(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                // Said to one reader; whoever comes after it cannot have the whole.
                self.let_go(self.frames.len());
                self.first += 1;
                self.ended = true;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.ended = true;
                Poll::Ready(None)
            }
        }
    }

    /// A frame that was read before. Once nothing needs to be kept, it and those before it go.
    fn held_frame(&mut self, index: usize) -> Option<Frame> {
        let frame = self.frames.get(index).cloned();
        if self.bound == 0 {
            self.let_go(index + 1);
        }
        frame
    }

    fn keep(&mut self, frame: &Frame) {
        self.held += size(frame);
        self.frames.push_back(frame.clone());
        if self.held > self.bound || self.bound == 0 {
            self.bound = 0;
            self.let_go(self.frames.len());
        }
    }

    fn let_go(&mut self, count: usize) {
        self.first += count;
        self.held -= self
            .frames
            .drain(..count)
            .map(|frame| size(&frame))
            .sum::<usize>();
    }

    /// Bytes from the frame with this number on, where known.
    fn remaining(&self, number: usize) -> Option<u64> {
        let coming = if self.ended {
            Some(0)
        } else {
            self.body.remaining()
        }?;
        let held = self.frames.iter().skip(number.saturating_sub(self.first));
        Some(coming + held.map(|frame| size(frame) as u64).sum::<u64>())
    }

    fn is_end(&self, number: usize) -> bool {
        number >= self.first + self.frames.len() && (self.ended || self.body.is_end())
    }
}

fn size(frame: &Frame) -> usize {
    match frame {
        Frame::Data(data) => data.len(),
        Frame::Trailers(_) => 0,
    }
}

impl Reader {
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let next = std::task::ready!(self.source.borrow_mut().poll_frame(self.next, cx));
        if let Some(Ok(_)) = next {
            self.next += 1;
        }
        Poll::Ready(next)
    }

    pub(super) fn remaining(&self) -> Option<u64> {
        self.source.borrow().remaining(self.next)
    }

    pub(super) fn is_end(&self) -> bool {
        self.source.borrow().is_end(self.next)
    }

    /// A second reader that has read nothing either; `None` for one that has begun.
    pub(super) fn try_clone(&self) -> Option<Self> {
        (self.next == 0 && self.source.borrow().first == 0).then(|| Self {
            source: self.source.clone(),
            next: 0,
        })
    }
}

impl Drop for Reader {
    /// The body below may know the waker of this reader alone: the others ask anew.
    fn drop(&mut self) {
        if let Ok(mut source) = self.source.try_borrow_mut() {
            source.waiting.drain(..).for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bytes::Bytes;
    use futures_util::FutureExt as _;

    fn frame(text: &'static str) -> Frame {
        Frame::Data(Bytes::from_static(text.as_bytes()))
    }

    async fn rest(mut body: Body) -> Result<String, BodyError> {
        let mut text = String::new();
        while let Some(frame) = body.next().await {
            if let Frame::Data(data) = frame? {
                text.push_str(std::str::from_utf8(&data).unwrap());
            }
        }
        Ok(text)
    }

    #[tokio::test]
    async fn what_streams_within_the_bound_can_be_read_again() {
        let (sender, body) = Body::channel(8);
        let kept = Kept::new(body, 8);
        let mut first = kept.body().unwrap();
        sender.try_send(frame("ab")).unwrap();
        assert_eq!(first.next().await.unwrap().unwrap(), frame("ab"));
        sender.try_send(frame("cd")).unwrap();
        sender.finish();
        assert!(!kept.is_read());
        assert_eq!(rest(kept.body().unwrap()).await.unwrap(), "abcd");
        assert!(kept.is_read());
        assert_eq!(rest(first).await.unwrap(), "cd");
    }

    #[tokio::test]
    async fn beyond_the_bound_only_the_reader_that_is_farthest_goes_on() {
        let (sender, body) = Body::channel(8);
        let kept = Kept::new(body, 3);
        let (mut far, mut near) = (kept.body().unwrap(), kept.body().unwrap());
        sender.try_send(frame("ab")).unwrap();
        sender.try_send(frame("cd")).unwrap();
        far.next().await.unwrap().unwrap();
        far.next().await.unwrap().unwrap();
        assert!(!kept.is_whole() && kept.body().is_none());
        sender.finish();
        assert_eq!(rest(far).await.unwrap(), "");
        assert!(near.next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn two_readers_at_once_both_hear_of_what_comes() {
        let (sender, body) = Body::channel(8);
        let kept = Kept::new(body, 64);
        let both = async { tokio::join!(rest(kept.body().unwrap()), rest(kept.body().unwrap())) };
        let send = async {
            tokio::task::yield_now().await;
            sender.send(frame("ab")).await.unwrap();
            tokio::task::yield_now().await;
            sender.send(frame("cd")).await.unwrap();
            sender.finish();
        };
        let ((one, other), ()) = tokio::join!(both, send);
        assert_eq!((one.unwrap().as_str(), other.unwrap().as_str()), ("abcd", "abcd"));
    }

    #[tokio::test]
    async fn once_let_go_nothing_is_held() {
        let (sender, body) = Body::channel(8);
        let kept = Kept::new(body, 64);
        let mut reader = kept.body().unwrap();
        sender.try_send(frame("ab")).unwrap();
        reader.next().await.unwrap().unwrap();
        drop(kept);
        sender.try_send(frame("cd")).unwrap();
        reader.next().await.unwrap().unwrap();
        let Body::Kept(reader) = &reader else { panic!() };
        assert!(reader.source.borrow().frames.is_empty());
    }

    #[tokio::test]
    async fn the_length_that_was_announced_stays_known() {
        let kept = Kept::new(Body::full(Bytes::from_static(b"abc")), 64);
        let mut reader = kept.body().unwrap();
        assert_eq!(reader.remaining(), Some(3));
        reader.next().await.unwrap().unwrap();
        assert_eq!((reader.remaining(), reader.is_end()), (Some(0), true));
        assert_eq!(kept.body().unwrap().remaining(), Some(3));
    }

    #[tokio::test]
    async fn a_body_that_broke_off_is_told_to_its_reader_and_cannot_be_sent_again() {
        let (sender, body) = Body::channel(8);
        let kept = Kept::new(body, 64);
        let mut reader = kept.body().unwrap();
        drop(sender);
        assert!(reader.next().now_or_never().unwrap().unwrap().is_err());
        assert!(!kept.is_whole());
        assert!(reader.next().await.unwrap().is_err());
    }
}
