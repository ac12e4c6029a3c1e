//! When an endpoint is taken out by how it answers.

use std::time::Duration;

/// Istio `outlierDetection`, with Envoy's statistical kinds; `None` turns a kind off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutlierDetection {
    /// Answers 5xx in a row; Istio's default 5.
    pub consecutive_5xx: Option<u32>,
    /// Answers 502, 503 and 504 in a row.
    pub consecutive_gateway: Option<u32>,
    /// Failures of this side in a row (no connection, reset, time limit), counted apart from answers.
    pub consecutive_local: Option<u32>,
    /// Standard deviations ×1000 below the mean success rate.
    pub success_rate_stdev_thousandths: Option<u32>,
    /// Percent of failures in an interval.
    pub failure_percent: Option<u32>,
    /// Endpoints that must have had enough requests for the last two; default 5.
    pub minimum_hosts: u32,
    /// Requests in an interval that an endpoint must have had for the last two; default 100 and 50.
    pub minimum_requests: Option<u32>,
    /// Time between looks; default 10 s.
    pub interval: Duration,
    /// First time out, multiplied by how often it was out; default 30 s.
    pub base_ejection: Duration,
    /// Longest time out; default 300 s.
    pub max_ejection: Duration,
    /// Most endpoints out, percent; at least one may be. Istio's default 10.
    pub max_ejection_percent: u32,
    /// Below this part of healthy endpoints, percent, all are used; 0 never. Istio's default 0.
    pub minimum_health_percent: u32,
    /// Linkerd's failure accrual instead of all of the above.
    pub accrual: Option<FailureAccrual>,
}

/// Linkerd's consecutive failure accrual: out after so many failures, back by a single request after a growing wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureAccrual {
    /// Failures in a row; default 7.
    pub max_failures: u32,
    /// First wait; default 1 s.
    pub min_penalty: Duration,
    /// Longest wait; default 60 s.
    pub max_penalty: Duration,
    /// Part of the wait that is drawn, 0 to 100; default 0.5.
    pub jitter_ratio: f64,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_5xx: Some(5),
            consecutive_gateway: None,
            consecutive_local: None,
            success_rate_stdev_thousandths: None,
            failure_percent: None,
            minimum_hosts: 5,
            minimum_requests: None,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            max_ejection_percent: 10,
            minimum_health_percent: 0,
            accrual: None,
        }
    }
}
