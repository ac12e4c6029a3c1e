//! Time in certificates: whole seconds since 1970, bounded so that no arithmetic on it can overflow.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, date_time_ymd};

/// The last second that a certificate can name: 9999-12-31T23:59:59Z (RFC 5280 section 4.1.2.5).
const LAST_SECS: u64 = 253_402_300_799;

/// Seconds since 1970; an earlier time counts as 1970, a later one than the year 9999 as its end.
pub(crate) fn unix_secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
        .min(LAST_SECS)
}

/// The inverse of [`unix_secs`].
pub(crate) fn system_time(secs: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(secs.min(LAST_SECS))
}

/// A certificate's time stamp, whose type is signed.
pub(crate) fn from_timestamp(secs: i64) -> u64 {
    u64::try_from(secs).unwrap_or(0).min(LAST_SECS)
}

/// A span in which a certificate is valid, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) not_before_secs: u64,
    pub(crate) not_after_secs: u64,
}

impl Lifetime {
    /// From a little before `now`, for peers whose clock is behind, until `length` after it, but no longer than `outer`.
    pub(crate) fn starting(
        now: SystemTime,
        backdate: Duration,
        length: Duration,
        outer: Option<Lifetime>,
    ) -> Self {
        let now_secs = unix_secs(now);
        let wanted = Self {
            not_before_secs: now_secs.saturating_sub(backdate.as_secs()),
            not_after_secs: now_secs.saturating_add(length.as_secs()).min(LAST_SECS),
        };
        outer.map_or(wanted, |outer| Self {
            not_before_secs: wanted.not_before_secs.max(outer.not_before_secs),
            not_after_secs: wanted.not_after_secs.min(outer.not_after_secs),
        })
    }

    /// Seconds from `now` until the end; nought once it has passed.
    pub(crate) fn remaining(&self, now: SystemTime) -> Duration {
        Duration::from_secs(self.not_after_secs.saturating_sub(unix_secs(now)))
    }

    pub(crate) fn stamp(&self, params: &mut CertificateParams) {
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(self.not_before_secs.min(LAST_SECS));
        params.not_after = epoch + Duration::from_secs(self.not_after_secs.min(LAST_SECS));
    }
}

/// RFC 3339 in UTC, for people.
pub(crate) fn utc(secs: u64) -> String {
    let at = date_time_ymd(1970, 1, 1) + Duration::from_secs(secs.min(LAST_SECS));
    let (year, month, day) = (at.year(), at.month() as u8, at.day());
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        at.hour(),
        at.minute(),
        at.second()
    )
}
