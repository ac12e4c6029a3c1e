//! The two sides of rustls behind one face, and the one loop that feeds them.

use std::ops::DerefMut;

use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};

use crate::buffer::Pending;

/// Most encrypted bytes that may wait for a peer that does not read; one write of a chunk and the
/// largest handshake flight fit, a peer that asks for answers without reading them does not.
const OUTGOING_LIMIT_BYTES: usize = 256 * 1024;

/// A rustls connection of either side that keeps no buffers.
pub trait Session: DerefMut<Target: std::ops::Deref<Target = CommonState>> + Unpin {
    #[doc(hidden)]
    type Data;

    #[doc(hidden)]
    const ENDS_WITH_TICKETS: bool;

    #[doc(hidden)]
    fn records<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Session for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    const ENDS_WITH_TICKETS: bool = true;

    fn records<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

impl Session for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    const ENDS_WITH_TICKETS: bool = false;

    fn records<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

/// What one look at the incoming records gave.
pub(super) enum Step {
    /// Plain bytes were handed over, or something went into the outgoing bytes.
    Progress,
    /// All records were used up and sending is possible.
    Ready,
    /// All records were used up and the handshake needs more.
    Blocked,
    /// The peer has said that it sends no more.
    PeerClosed,
    /// Both sides have said so: nothing follows.
    Closed,
}

/// Encrypted bytes that wait for the socket: a pooled buffer for traffic, and an overflow for what
/// the handshake produces.
#[derive(Default)]
pub(super) struct Outgoing {
    first: Pending,
    overflow: Vec<u8>,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.overflow.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        if self.first.is_empty() {
            return &self.overflow;
        }
        self.first.bytes()
    }

    pub(super) fn consume(&mut self, count: usize) {
        if !self.first.is_empty() {
            return self.first.consume(count);
        }
        self.overflow.drain(..count.min(self.overflow.len()));
        if self.overflow.is_empty() {
            self.overflow = Vec::new();
        }
    }

    /// Appends what `encode` writes, into the pooled buffer if it fits there in order.
    fn append(
        &mut self,
        mut encode: impl FnMut(&mut [u8]) -> Result<usize, Encode>,
    ) -> Result<(), rustls::Error> {
        if self.overflow.is_empty() {
            match encode(self.first.room(0)) {
                Ok(count) => {
                    self.first.fill(count);
                    self.first.release_if_empty();
                    return Ok(());
                }
                Err(Encode::Needs(_)) => self.first.release_if_empty(),
                Err(Encode::Failed(error)) => return Err(error),
            }
        }
        self.append_overflow(encode)
    }

    fn append_overflow(
        &mut self,
        mut encode: impl FnMut(&mut [u8]) -> Result<usize, Encode>,
    ) -> Result<(), rustls::Error> {
        let before = self.overflow.len();
        let mut wanted = 1024;
        // The first answer may be how much is needed; a second such answer is an error.
        for _ in 0..2 {
            if before + wanted > OUTGOING_LIMIT_BYTES {
                break;
            }
            self.overflow.resize(before + wanted, 0);
            match encode(&mut self.overflow[before..]) {
                Ok(count) => {
                    self.overflow.truncate(before + count);
                    return Ok(());
                }
                Err(Encode::Needs(size)) => wanted = size,
                Err(Encode::Failed(error)) => return Err(error),
            }
        }
        self.overflow.truncate(before);
        Err(rustls::Error::General(
            "peer does not read the answers it asks for".into(),
        ))
    }
}

enum Encode {
    Needs(usize),
    Failed(rustls::Error),
}

impl From<InsufficientSizeError> for Encode {
    fn from(error: InsufficientSizeError) -> Self {
        Self::Needs(error.required_size)
    }
}

impl From<EncodeError> for Encode {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(error) => error.into(),
            EncodeError::AlreadyEncoded => {
                Self::Failed(rustls::Error::General("record encoded twice".into()))
            }
        }
    }
}

impl From<EncryptError> for Encode {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(error) => error.into(),
            EncryptError::EncryptExhausted => Self::Failed(rustls::Error::EncryptError),
        }
    }
}

/// What to do once the session can send.
pub(super) enum Want<'a> {
    /// Nothing.
    Nothing,
    /// Encrypt these bytes.
    Plain(&'a [u8]),
    /// Say that we send no more.
    CloseNotify,
}

/// Processes incoming records up to the next event, then sends what was asked for if it may.
///
/// Plain bytes go to `plain`, at most one record's worth per call. After an error the alert for the
/// peer waits in `outgoing`.
pub(super) fn step<S: Session>(
    session: &mut S,
    incoming: &mut Pending,
    outgoing: &mut Outgoing,
    plain: &mut dyn FnMut(&[u8]),
    send: Want<'_>,
) -> Result<Step, rustls::Error> {
    let UnbufferedStatus { discard, state, .. } = session.records(incoming.bytes_mut());
    let mut used = discard;
    let step = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    used += record.discard;
                    plain(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Step::Progress),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => outgoing
            .append(|room| Ok(data.encode(room)?))
            .map(|()| Step::Progress),
        Ok(ConnectionState::TransmitTlsData(transmit)) => {
            // Outgoing bytes leave in order, so nothing needs to wait for them to be sent.
            transmit.done();
            Ok(Step::Progress)
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) => {
            dispatch(&mut traffic, outgoing, send).map(|()| Step::Ready)
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Step::Blocked),
        Ok(ConnectionState::PeerClosed) => Ok(Step::PeerClosed),
        Ok(ConnectionState::Closed) => Ok(Step::Closed),
        Ok(_) => Err(rustls::Error::General("unexpected state of TLS".into())),
    };
    incoming.consume(used);
    step
}

fn dispatch<D>(
    traffic: &mut WriteTraffic<'_, D>,
    outgoing: &mut Outgoing,
    send: Want<'_>,
) -> Result<(), rustls::Error> {
    match send {
        Want::Nothing => Ok(()),
        Want::Plain(bytes) => outgoing.append(|room| Ok(traffic.encrypt(bytes, room)?)),
        Want::CloseNotify => outgoing.append(|room| Ok(traffic.queue_close_notify(room)?)),
    }
}

/// Collects the alert that rustls wants sent after an error.
///
/// The rest of the incoming bytes goes along: rustls remembers where in them a message began, and
/// panics when they are missing. One look only: a second one would judge the same bytes again.
pub(super) fn collect_alert<S: Session>(session: &mut S, incoming: &mut Pending, outgoing: &mut Outgoing) {
    // Without an alert there is nothing to collect, and the error is known already.
    let _ = step(session, incoming, outgoing, &mut |_| (), Want::Nothing);
}
