//! Session tickets that end when they should.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{crypto::aws_lc_rs::Ticketer, server::ProducesTickets, time_provider::TimeProvider};

use crate::{instant::unix_secs, svid::Svid};

/// Longest life of a ticket. A resumed session skips the certificate check, so this bounds how old a check may be.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_secs(600);
const STAMP: usize = 8;

/// Seals each ticket together with its time of issue and refuses it once it is too old.
///
/// The library's own rotation bounds a ticket's age only while handshakes keep coming: after a quiet hour the first to come
/// may still be opened with the key of an hour ago.
#[derive(Debug)]
pub(crate) struct BoundedTicketer {
    inner: Arc<dyn ProducesTickets>,
    lifetime_secs: u32,
    clock: Arc<dyn TimeProvider>,
}

impl BoundedTicketer {
    /// With a key of its own and a life of at most ten minutes or the rest of the server's own certificate.
    pub(crate) fn new(
        svid: &Svid,
        now: SystemTime,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, rustls::Error> {
        let lifetime_secs = MAX_LIFETIME.min(svid.remaining(now)).as_secs() as u32;
        Ok(Self {
            inner: Ticketer::new()?,
            lifetime_secs,
            clock,
        })
    }

    fn now_secs(&self) -> Option<u64> {
        self.clock.current_time().map(|now| now.as_secs())
    }
}

impl ProducesTickets for BoundedTicketer {
    fn enabled(&self) -> bool {
        self.lifetime_secs > 0
    }

    fn lifetime(&self) -> u32 {
        self.lifetime_secs
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let stamp = self.now_secs()?.to_be_bytes();
        self.inner.encrypt(&[stamp.as_slice(), plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let mut plain = self.inner.decrypt(cipher)?;
        let stamp = plain.first_chunk::<STAMP>().copied().map(u64::from_be_bytes)?;
        // A ticket from the future means that the clock was set back: its age is unknown.
        let age = self.now_secs()?.checked_sub(stamp)?;
        plain.drain(..STAMP);
        (age <= u64::from(self.lifetime_secs)).then_some(plain)
    }
}

/// The time that a configuration's clock shows; `None` when the clock fails.
pub(crate) fn system_now(clock: &dyn TimeProvider) -> Option<SystemTime> {
    let now = clock.current_time()?;
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(now.as_secs()))?;
    Some(crate::instant::system_time(unix_secs(time)))
}
