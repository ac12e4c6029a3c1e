//! What is held against one endpoint: failures in a row, and how often it was ejected.

use std::cell::Cell;

use super::rates::Volumes;
use super::{Cause, OutlierConfig, nanos};
use crate::picked::Outcome;

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    server_errors: u32,
    gateway_errors: u32,
    local_failures: u32,
}

/// What outlier detection remembers about one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Suspect {
    row: Cell<Row>,
    volumes: Cell<Volumes>,
    /// When it comes back, while it is ejected.
    until: Cell<Option<u64>>,
    /// How often in a row it was ejected.
    times: Cell<u32>,
}

impl Suspect {
    /// Whether it must not be asked at `now`.
    #[inline]
    pub(crate) fn is_ejected(&self, now: u64) -> bool {
        self.until.get().is_some_and(|until| now < until)
    }

    /// When it comes back; the past where nobody has swept since.
    #[inline]
    pub(crate) fn until(&self) -> Option<u64> {
        self.until.get()
    }

    /// Counts an outcome; the cause when it makes the endpoint an outlier.
    pub(crate) fn record(&self, outcome: Outcome, config: &OutlierConfig) -> Option<Cause> {
        let local = match outcome {
            Outcome::Cancelled => return None,
            Outcome::ConnectFailure | Outcome::Failure => true,
            _ => false,
        };
        let error = local || matches!(outcome, Outcome::ServerError | Outcome::GatewayError);
        let mut volumes = self.volumes.get();
        if config.split_external_local_origin {
            volumes.local.count(!local);
        }
        if !(config.split_external_local_origin && local) {
            volumes.external.count(!error);
        }
        self.volumes.set(volumes);
        let mut row = self.row.get();
        let cause = if config.split_external_local_origin && local {
            row.local_failure(config)
        } else {
            row.local_failures = 0;
            row.answer(error, local || outcome == Outcome::GatewayError, config)
        };
        self.row.set(row);
        cause
    }

    /// Takes it out until the time it returns.
    pub(crate) fn eject(&self, now: u64, config: &OutlierConfig) {
        let base = nanos(config.base_ejection_time).max(1);
        let longest = nanos(config.max_ejection_time).max(base);
        // What lengthens an ejection no more need not be worked off either.
        let times = if base.saturating_mul(u64::from(self.times.get())) < longest {
            self.times.get() + 1
        } else {
            self.times.get()
        };
        self.times.set(times);
        let time = base.saturating_mul(u64::from(times)).min(longest);
        self.until.set(Some(now.saturating_add(time)));
    }

    /// At the end of an interval: what it did in it, and whether its ejection has ended now.
    pub(crate) fn sweep(&self, now: u64) -> (Volumes, bool) {
        let volumes = self.volumes.take();
        let back = match self.until.get() {
            Some(until) if now >= until => {
                self.forgive();
                true
            }
            Some(_) => false,
            None => {
                self.times.set(self.times.get().saturating_sub(1));
                false
            }
        };
        (volumes, back)
    }

    /// Ends its ejection; that it was ejected stays remembered.
    pub(crate) fn forgive(&self) {
        self.until.set(None);
        self.row.take();
    }
}

impl Row {
    fn local_failure(&mut self, config: &OutlierConfig) -> Option<Cause> {
        let limit = config.consecutive_local_origin_failure;
        reached(&mut self.local_failures, limit).then_some(Cause::ConsecutiveLocalOriginFailure)
    }

    fn answer(&mut self, error: bool, gateway: bool, config: &OutlierConfig) -> Option<Cause> {
        if !error {
            *self = Self::default();
            return None;
        }
        if !gateway {
            self.gateway_errors = 0;
        }
        let by_gateway = gateway && reached(&mut self.gateway_errors, config.consecutive_gateway_failure);
        let by_5xx = reached(&mut self.server_errors, config.consecutive_5xx);
        if by_gateway {
            return Some(Cause::ConsecutiveGatewayFailure);
        }
        by_5xx.then_some(Cause::Consecutive5xx)
    }
}

/// Counts one more; at the limit it begins anew.
fn reached(count: &mut u32, limit: u32) -> bool {
    *count = count.saturating_add(1);
    let reached = limit > 0 && *count >= limit;
    if reached {
        *count = 0;
    }
    reached
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn causes(config: OutlierConfig, outcomes: &[Outcome]) -> Vec<Option<Cause>> {
        let suspect = Suspect::default();
        outcomes
            .iter()
            .map(|&outcome| suspect.record(outcome, &config))
            .collect()
    }

    /// At which outcome something was found, and what.
    type Found = Option<(usize, Cause)>;

    fn at(config: OutlierConfig, outcomes: &[Outcome]) -> Found {
        causes(config, outcomes)
            .into_iter()
            .enumerate()
            .find_map(|(index, cause)| Some((index, cause?)))
    }

    const STRICT: OutlierConfig = OutlierConfig {
        consecutive_5xx: 3,
        consecutive_gateway_failure: 2,
        split_external_local_origin: false,
        consecutive_local_origin_failure: 2,
        interval: Duration::from_secs(10),
        base_ejection_time: Duration::from_secs(30),
        max_ejection_time: Duration::from_secs(100),
        max_ejection_percent: 10,
        success_rate: None,
        failure_percentage: None,
    };

    #[test]
    fn failures_in_a_row_count_by_sort_and_anything_else_begins_the_row_anew() {
        use Outcome::{Backpressure, Cancelled, ConnectFailure, Failure, GatewayError, ServerError, Success};
        let split = OutlierConfig {
            split_external_local_origin: true,
            ..STRICT
        };
        let five_hundreds = Some((2, Cause::Consecutive5xx));
        let table: [(OutlierConfig, &[Outcome], Found); 11] = [
            (STRICT, &[ServerError, ServerError, ServerError], five_hundreds),
            (STRICT, &[ServerError, Success, ServerError, ServerError], None),
            (
                STRICT,
                &[ServerError, ServerError, Backpressure, ServerError],
                None,
            ),
            (
                STRICT,
                &[GatewayError, GatewayError],
                Some((1, Cause::ConsecutiveGatewayFailure)),
            ),
            (STRICT, &[GatewayError, ServerError, GatewayError], five_hundreds),
            (
                STRICT,
                &[ConnectFailure, Failure],
                Some((1, Cause::ConsecutiveGatewayFailure)),
            ),
            (
                STRICT,
                &[GatewayError, Cancelled, GatewayError],
                Some((2, Cause::ConsecutiveGatewayFailure)),
            ),
            (
                split,
                &[ConnectFailure, Failure],
                Some((1, Cause::ConsecutiveLocalOriginFailure)),
            ),
            (split, &[ConnectFailure, GatewayError, Failure], None),
            (
                split,
                &[GatewayError, Failure, GatewayError],
                Some((2, Cause::ConsecutiveGatewayFailure)),
            ),
            (
                OutlierConfig {
                    consecutive_5xx: 0,
                    consecutive_gateway_failure: 0,
                    ..STRICT
                },
                &[GatewayError; 50],
                None,
            ),
        ];
        for (config, outcomes, wanted) in table {
            assert_eq!(at(config, outcomes), wanted, "{outcomes:?}");
        }
    }

    #[test]
    fn each_ejection_in_a_row_is_longer_up_to_the_longest_and_time_in_service_shortens_the_next() {
        let suspect = Suspect::default();
        let mut now = 0;
        for seconds in [30, 60, 90, 100, 100] {
            suspect.eject(now, &STRICT);
            assert!(suspect.is_ejected(now + seconds * SECOND - 1));
            now += seconds * SECOND;
            assert!(!suspect.is_ejected(now));
            assert!(suspect.sweep(now).1);
        }
        for _ in 0..3 {
            assert!(!suspect.sweep(now).1);
        }
        suspect.eject(now, &STRICT);
        assert!(suspect.is_ejected(now + 60 * SECOND - 1));
        assert!(!suspect.is_ejected(now + 60 * SECOND));
    }
}
