//! The handshake as one loop: process, send, read.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use super::session::{Session, Step, Want};
use super::stream::TlsStream;
use super::{Phase, TlsError};
use crate::detect::{Verdict, classify};

/// Time an alert has to leave before the failed connection is closed.
const ALERT_PATIENCE: Duration = Duration::from_millis(200);

/// What the client asked for, read from the bytes before rustls takes them: the session without
/// buffers does not tell.
#[derive(Default)]
pub(super) struct HelloCopy {
    sni: Option<String>,
    seen: bool,
}

impl HelloCopy {
    pub(super) fn sni(self) -> Option<String> {
        self.sni
    }

    fn look(&mut self, received: &[u8]) {
        if self.seen {
            return;
        }
        match classify(received) {
            Verdict::NeedMore => {}
            Verdict::Tls(hello) => {
                self.seen = true;
                self.sni = hello.sni;
            }
            _ => self.seen = true,
        }
    }
}

/// Runs the handshake to its end.
pub(super) async fn run<S: Session>(
    tls: &mut TlsStream<S>,
    timeout: Duration,
    mut hello: Option<&mut HelloCopy>,
) -> Result<(), TlsError> {
    let mut phase = Phase::Hello;
    match tokio::time::timeout(timeout, drive(tls, &mut phase, &mut hello)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            // Best effort: the peer should learn why, but must not be able to hold us.
            let farewell = poll_fn(|cx| tls.poll_send(cx));
            let _ = tokio::time::timeout(ALERT_PATIENCE, farewell).await;
            Err(describe(error, phase))
        }
        Err(_) => Err(TlsError::TimedOut { phase, timeout }),
    }
}

async fn drive<S: Session>(
    tls: &mut TlsStream<S>,
    phase: &mut Phase,
    hello: &mut Option<&mut HelloCopy>,
) -> io::Result<()> {
    loop {
        match tls.step(Want::Nothing)? {
            Step::Progress => continue,
            Step::PeerClosed | Step::Closed => return Err(io::ErrorKind::UnexpectedEof.into()),
            Step::Ready | Step::Blocked => {}
        }
        if !tls.state().is_handshaking() && S::ENDS_WITH_TICKETS {
            // Tickets need not arrive now: what the socket does not take leaves with the first
            // reads or writes.
            return poll_fn(|cx| Poll::Ready(tls.send_now(cx))).await;
        }
        poll_fn(|cx| tls.poll_send(cx)).await?;
        if !tls.state().is_handshaking() {
            return Ok(());
        }
        if poll_fn(|cx| tls.poll_fill(cx)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(hello) = hello {
            hello.look(tls.received());
        }
        *phase = Phase::Negotiation;
    }
}

fn describe(error: io::Error, phase: Phase) -> TlsError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return TlsError::Closed { phase };
    }
    match error.downcast::<rustls::Error>() {
        Ok(source) => TlsError::Protocol { phase, source },
        Err(source) => TlsError::Io { phase, source },
    }
}
