//! A response's body: it owns the connection, and goes on sending the request while it is read.

use super::exchange::Exchange;
use crate::{Body, BodyError, Frame};
use std::fmt;
use std::task::{Context, Poll, ready};

/// The body of a response on an HTTP/1 connection, which it owns and gives back at its end.
pub struct ResponseBody(Option<Box<Exchange>>);

impl ResponseBody {
    /// The body of a response whose head was read; nothing is left to own when it has none.
    pub(crate) fn start(exchange: Box<Exchange>) -> Body {
        if exchange.decoder.is_done() {
            exchange.release();
            return Body::Empty;
        }
        Body::H1Response(Self(Some(exchange)))
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let Some(exchange) = &mut self.0 else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(Err(error)) = exchange.poll_upload(cx) {
            self.0 = None;
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(exchange.decoder.poll_frame(&mut exchange.transport, cx));
        if let Some(Err(_)) = frame {
            self.0 = None;
            return Poll::Ready(frame);
        }
        exchange.decoder.settle(&mut exchange.transport);
        // A tunnel's other direction may go on.
        if exchange.decoder.is_done()
            && !exchange.is_tunnel()
            && let Some(exchange) = self.0.take()
        {
            exchange.release();
        }
        Poll::Ready(frame)
    }

    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(exchange) => match ready!(exchange.poll_upload(cx)) {
                Ok(()) => Poll::Ready(()),
                Err(_) => {
                    // Cutting the connection tells the server that the request broke off.
                    self.0 = None;
                    Poll::Ready(())
                }
            },
            None => Poll::Ready(()),
        }
    }

    pub(crate) fn remaining(&self) -> Option<u64> {
        self.0
            .as_ref()
            .map_or(Some(0), |exchange| exchange.decoder.remaining())
    }

    pub(crate) fn is_end(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("ended", &self.is_end())
            .finish_non_exhaustive()
    }
}
