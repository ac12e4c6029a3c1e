//! Outlier detection: an endpoint that fails unlike the others is ejected for a while (Envoy's algorithm, Istio's fields).
//!
//! Failures in a row eject at once; success rates are compared in a sweep at each interval. An ejection lasts the base time × how
//! often in a row the endpoint was ejected; each sweep that finds it in service takes one off again. At most a percentage of the
//! endpoints is ejected at a time, but always one. This ejects by what is observed in passing; [`crate::HealthConfig`] takes out by
//! failures in a row with one probe after a backoff (Linkerd's failure accrual), and either works without the other.

mod rates;
mod suspect;
mod sweep;

use std::time::Duration;

pub(crate) use suspect::Suspect;

/// When an endpoint is ejected, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierConfig {
    /// 5xx responses in a row, gateway errors and (unless split) failures of local origin among them (`consecutive5xxErrors`);
    /// default 5, zero switches it off.
    pub consecutive_5xx: u32,
    /// Responses 502, 503 and 504 in a row and (unless split) failures of local origin (`consecutiveGatewayErrors`); default 0, off.
    pub consecutive_gateway_failure: u32,
    /// Whether failures of local origin are counted by themselves (`splitExternalLocalOriginErrors`); default false.
    pub split_external_local_origin: bool,
    /// Failures of local origin in a row, when split (`consecutiveLocalOriginFailures`); default 5, zero switches it off.
    pub consecutive_local_origin_failure: u32,
    /// The time between sweeps (`interval`); default 10 s.
    pub interval: Duration,
    /// The first time out (`baseEjectionTime`); default 30 s.
    pub base_ejection_time: Duration,
    /// The longest time out (Envoy's `max_ejection_time`); default 300 s, never less than the base time.
    pub max_ejection_time: Duration,
    /// How many of the endpoints may be ejected at a time, in percent (`maxEjectionPercent`); default 10, but always one; zero means none.
    pub max_ejection_percent: u32,
    /// Ejection by success rate; default off.
    pub success_rate: Option<SuccessRate>,
    /// Ejection by percentage of failures; default off.
    pub failure_percentage: Option<FailurePercentage>,
}

impl Default for OutlierConfig {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            consecutive_gateway_failure: 0,
            split_external_local_origin: false,
            consecutive_local_origin_failure: 5,
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejection_percent: 10,
            success_rate: None,
            failure_percentage: None,
        }
    }
}

/// Ejects endpoints whose success rate is far below the mean (Envoy's `success_rate_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// Endpoints with enough requests in the interval that it takes to compare; default 5.
    pub minimum_hosts: u32,
    /// Requests in the interval from which an endpoint is compared; default 100.
    pub request_volume: u32,
    /// Thousandths of the standard deviation below the mean from which an endpoint is ejected; default 1,900.
    pub stdev_factor: u32,
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self {
            minimum_hosts: 5,
            request_volume: 100,
            stdev_factor: 1_900,
        }
    }
}

/// Ejects endpoints that fail too large a part of their requests (Envoy's `failure_percentage_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// Failures of a hundred requests from which an endpoint is ejected; default 85.
    pub threshold: u32,
    /// Endpoints with enough requests in the interval that it takes; default 5.
    pub minimum_hosts: u32,
    /// Requests in the interval from which an endpoint is judged; default 50.
    pub request_volume: u32,
}

impl Default for FailurePercentage {
    fn default() -> Self {
        Self {
            threshold: 85,
            minimum_hosts: 5,
            request_volume: 50,
        }
    }
}

/// What ejected an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Consecutive5xx,
    ConsecutiveGatewayFailure,
    ConsecutiveLocalOriginFailure,
    SuccessRate,
    FailurePercentage,
}

/// Ejections since the beginning by what caused them, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ejections {
    /// Endpoints ejected now.
    pub active: u32,
    /// By 5xx responses in a row.
    pub consecutive_5xx: u64,
    /// By gateway errors in a row.
    pub consecutive_gateway_failure: u64,
    /// By failures of local origin in a row.
    pub consecutive_local_origin_failure: u64,
    /// By a success rate far below the mean.
    pub success_rate: u64,
    /// By percentage of failures.
    pub failure_percentage: u64,
    /// Not ejected although they were outliers, because as many as allowed were.
    pub overflow: u64,
}

impl Ejections {
    pub(crate) fn count(&mut self, cause: Cause) {
        let counter = match cause {
            Cause::Consecutive5xx => &mut self.consecutive_5xx,
            Cause::ConsecutiveGatewayFailure => &mut self.consecutive_gateway_failure,
            Cause::ConsecutiveLocalOriginFailure => &mut self.consecutive_local_origin_failure,
            Cause::SuccessRate => &mut self.success_rate,
            Cause::FailurePercentage => &mut self.failure_percentage,
        };
        *counter += 1;
        self.active += 1;
    }

    /// Whether one more of so many endpoints may be ejected.
    pub(crate) fn leaves_room(&self, total: u32, max_percent: u32) -> bool {
        let after = u64::from(self.active) + 1;
        max_percent > 0 && (self.active == 0 || after * 100 <= u64::from(max_percent) * u64::from(total))
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_of_endpoints_may_be_ejected_but_always_one_unless_none_may() {
        let room = |active, total, percent| {
            let ejections = Ejections {
                active,
                ..Ejections::default()
            };
            ejections.leaves_room(total, percent)
        };
        for (active, total, percent, wanted) in [
            (0, 3, 10, true),
            (1, 3, 10, false),
            (1, 20, 10, true),
            (2, 20, 10, false),
            (4, 5, 100, true),
            (0, 5, 0, false),
        ] {
            assert_eq!(
                room(active, total, percent),
                wanted,
                "{active} of {total} at {percent}%"
            );
        }
    }
}
