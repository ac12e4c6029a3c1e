//! Writing a response: head and first data in one write, then as the client reads.

use super::*;
use crate::h1::framing::has_no_body;
use crate::{BodyError, Frame};
use http::StatusCode;
use std::time::Duration;

/// How long a closed connection is still read, so that a reset does not destroy the response on its way (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);
/// How many reads that may take.
const LINGER_READS: u32 = 256;

/// A response on its way.
struct Sending {
    body: Body,
    encoder: Encoder,
    /// The body's end is written into the buffer.
    ended: bool,
}

impl<H: Handler> Server<H> {
    /// Sends the response; `Some` when the connection ends with it.
    pub(super) async fn answer(
        &mut self,
        response: Response,
        asked: &Asked,
    ) -> Result<Option<Ended>, ServeError> {
        let Response { head, body } = response;
        let tunnel = asked.may_upgrade
            && (head.status == StatusCode::SWITCHING_PROTOCOLS
                || (asked.connect && head.status.is_success()));
        if head.status.is_informational() && !tunnel {
            // Nothing sensible can follow: the handler broke its contract.
            let sorry = Response::new(StatusCode::BAD_GATEWAY, Body::Empty);
            return Box::pin(self.answer(sorry, asked)).await;
        }
        let encoder = encoder(&head, &body, asked, tunnel);
        let closes = crate::has_token(&head.headers, &http::header::CONNECTION, "close");
        let keep = !tunnel && !closes && self.keeps(asked, encoder);
        {
            let mut conn = self.conn.borrow_mut();
            conn.decide_tunnel(tunnel);
            conn.head_sent = true;
            let persistence = match keep {
                _ if tunnel => Persistence::Customary,
                false => Persistence::Close,
                true if asked.old => Persistence::KeepAlive,
                true => Persistence::Customary,
            };
            encode::response(conn.transport.out.buffer(), &head, encoder, persistence);
        }
        let mut sending = Sending {
            body,
            encoder,
            ended: encoder == Encoder::Omit,
        };
        poll_fn(|cx| self.poll_send(cx, &mut sending)).await?;
        let body = sending.body;
        if tunnel {
            return self.finish_tunnel(body).await.map(Some);
        }
        drop(body);
        if keep && self.discard().await {
            return Ok(None);
        }
        self.linger().await;
        Ok(Some(if self.drain.is_draining() {
            Ended::Drained
        } else {
            Ended::Closed
        }))
    }

    /// Whether the connection can serve another request after this response.
    fn keeps(&self, asked: &Asked, encoder: Encoder) -> bool {
        let conn = self.conn.borrow();
        // Unread and not asked for with a 100: whether the body comes is anybody's guess.
        let unclear = conn.expect_continue && !conn.decoder.is_done();
        let usable = !conn.broken && !conn.transport.eof;
        // Bytes sent ahead into a tunnel that was refused must not be read as a request.
        !asked.connect
            && asked.keep_alive
            && encoder != Encoder::Raw
            && !self.drain.is_draining()
            && !unclear
            && usable
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, sending: &mut Sending) -> Poll<Result<(), ServeError>> {
        loop {
            // The connection is not borrowed while the body is polled: the body may pull from the request in turn.
            while !sending.ended && !self.conn.borrow().transport.out.is_full() {
                let Poll::Ready(frame) = sending.body.poll_next(cx) else {
                    break;
                };
                match self.add(frame, &mut sending.encoder) {
                    Ok(more) => sending.ended = !more,
                    Err(error) => return Poll::Ready(Err(ServeError::Response(error))),
                }
            }
            let mut conn = self.conn.borrow_mut();
            let full = conn.transport.out.is_full();
            match conn.transport.poll_flush(cx) {
                Poll::Ready(Ok(())) if sending.ended => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if full => {}
                Poll::Ready(Ok(())) => return conn.poll_watch(cx).map(Err),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(ServeError::Io(error))),
                Poll::Pending => {
                    drop(conn);
                    if !sending.ended
                        && let Poll::Ready(Err(error)) = sending.body.poll_drive(cx)
                    {
                        return Poll::Ready(Err(ServeError::Response(error)));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Adds a frame to what goes out; false at the end.
    fn add(
        &mut self,
        frame: Option<Result<Frame, BodyError>>,
        encoder: &mut Encoder,
    ) -> Result<bool, BodyError> {
        let mut conn = self.conn.borrow_mut();
        let out = &mut conn.transport.out;
        let added = match frame {
            Some(Ok(Frame::Data(data))) => out.data(encoder, data).map(|()| true),
            Some(Ok(Frame::Trailers(trailers))) => out.end(*encoder, Some(&trailers)).map(|()| false),
            Some(Err(error)) => return Err(error),
            None => out.end(*encoder, None).map(|()| false),
        };
        added.map_err(|_| BodyError::Length)
    }

    /// The server has sent all it has: passes that on, and goes on with what the client still sends.
    async fn finish_tunnel(&mut self, mut body: Body) -> Result<Ended, ServeError> {
        poll_fn(|cx| self.conn.borrow_mut().transport.poll_shutdown(cx))
            .await
            .map_err(ServeError::Io)?;
        poll_fn(|cx| body.poll_drive(cx))
            .await
            .map_err(ServeError::Response)?;
        Ok(Ended::Tunnel)
    }

    /// Reads what is left of the request's body, within bounds; false when the connection cannot be used again.
    async fn discard(&mut self) -> bool {
        if self.conn.borrow().decoder.is_done() {
            return !self.conn.borrow().broken;
        }
        let mut left = self.limits.max_discard_bytes;
        self.timer.set(Some(LINGER));
        poll_fn(|cx| {
            loop {
                let mut conn = self.conn.borrow_mut();
                if conn.decoder.is_done() || conn.broken {
                    return Poll::Ready(!conn.broken);
                }
                if conn.decoder.remaining().is_some_and(|remaining| remaining > left) {
                    return Poll::Ready(false);
                }
                let conn = &mut *conn;
                match conn.decoder.poll_frame(&mut conn.transport, cx) {
                    Poll::Ready(Some(Ok(Frame::Data(data)))) if data.len() as u64 <= left => {
                        left -= data.len() as u64
                    }
                    Poll::Ready(Some(Ok(Frame::Data(_)) | Err(_))) => return Poll::Ready(false),
                    Poll::Ready(_) => {}
                    Poll::Pending => return self.timer.poll(cx).map(|()| false),
                }
            }
        })
        .await
    }

    /// Sends what waits, ends our direction, and reads for a moment what the client had already sent.
    pub(super) async fn linger(&mut self) {
        self.timer.set(Some(LINGER));
        let mut reads = 0;
        let mut shut = false;
        poll_fn(|cx| {
            loop {
                let mut conn = self.conn.borrow_mut();
                if !shut {
                    match conn.transport.poll_shutdown(cx) {
                        Poll::Ready(Ok(())) => shut = true,
                        Poll::Ready(Err(_)) => return Poll::Ready(()),
                        Poll::Pending => return self.timer.poll(cx),
                    }
                }
                conn.transport.read = Bytes::new();
                match conn.transport.poll_fill(cx) {
                    Poll::Ready(Ok(true)) if reads < LINGER_READS => reads += 1,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.timer.poll(cx),
                }
            }
        })
        .await;
    }
}

fn encoder(head: &crate::ResponseHead, body: &Body, asked: &Asked, tunnel: bool) -> Encoder {
    match body.remaining() {
        _ if tunnel => Encoder::Raw,
        _ if asked.head_only || has_no_body(head.status) => Encoder::Omit,
        Some(length) => Encoder::Length(length),
        None if asked.old => Encoder::Raw,
        None => Encoder::Chunked,
    }
}
