//! A bounded queue of frames between two tasks of one thread.

use super::{BodyError, Frame};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bound: usize,
    sender_gone: bool,
    finished: bool,
    receiver_gone: bool,
    sender: Option<Waker>,
    receiver: Option<Waker>,
}

pub(super) fn new(bound: usize) -> (Sender, Receiver) {
    let queue = Rc::new(RefCell::new(Queue {
        bound: bound.max(1),
        ..Queue::default()
    }));
    (Sender(queue.clone()), Receiver(queue))
}

/// Feeds a body; dropping it before [`Sender::finish`] breaks the body off.
#[derive(Debug)]
pub struct Sender(Rc<RefCell<Queue>>);

impl Sender {
    /// Waits for room and adds a frame; gives it back when nobody reads any more.
    pub async fn send(&self, frame: Frame) -> Result<(), Frame> {
        let mut frame = Some(frame);
        poll_fn(|cx| {
            let mut queue = self.0.borrow_mut();
            if queue.receiver_gone {
                return Poll::Ready(frame.take().map_or(Ok(()), Err));
            }
            if queue.frames.len() >= queue.bound {
                queue.sender = Some(cx.waker().clone());
                return Poll::Pending;
            }
            queue.frames.extend(frame.take());
            wake(&mut queue.receiver);
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Adds a frame if there is room at once; gives it back otherwise.
    pub fn try_send(&self, frame: Frame) -> Result<(), Frame> {
        let mut queue = self.0.borrow_mut();
        if queue.receiver_gone || queue.frames.len() >= queue.bound {
            return Err(frame);
        }
        queue.frames.push_back(frame);
        wake(&mut queue.receiver);
        Ok(())
    }

    /// Ends the body in order.
    pub fn finish(self) {
        self.0.borrow_mut().finished = true;
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut queue = self.0.borrow_mut();
        queue.sender_gone = true;
        wake(&mut queue.receiver);
    }
}

/// The reading side of a fed body.
#[derive(Debug)]
pub struct Receiver(Rc<RefCell<Queue>>);

impl Receiver {
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut queue = self.0.borrow_mut();
        if let Some(frame) = queue.frames.pop_front() {
            wake(&mut queue.sender);
            return Poll::Ready(Some(Ok(frame)));
        }
        match (queue.finished, queue.sender_gone) {
            (true, _) => Poll::Ready(None),
            (false, true) => {
                // Said once; the end follows.
                queue.finished = true;
                Poll::Ready(Some(Err(BodyError::Abandoned)))
            }
            (false, false) => {
                queue.receiver = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn is_end(&self) -> bool {
        let queue = self.0.borrow();
        queue.finished && queue.frames.is_empty()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut queue = self.0.borrow_mut();
        queue.receiver_gone = true;
        queue.frames.clear();
        wake(&mut queue.sender);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
