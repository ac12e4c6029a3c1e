//! When an endpoint is taken out by how it answers.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection as Xds;
use wattle_model::traffic::{FailureAccrual, OutlierDetection};

use crate::notes::Notes;
use crate::proto::{duration, flag, number};

/// Statistics of Envoy that nobody asked for are kept off.
const OFF: u32 = 0;
const ON: u32 = 100;
/// A thousand standard deviations ×1000, where the kind is off.
const STDEV: u32 = 1_900;
/// Linkerd looks at every answer; Envoy's sweep only lets endpoints in again.
const SWEEP: Duration = Duration::from_secs(1);
/// First and longest time out of an endpoint that could not be connected to, where no policy speaks of it.
const CONNECT_PENALTY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The detection of a backend.
pub(super) fn detection(outliers: Option<&OutlierDetection>, notes: &mut Notes) -> Xds {
    match outliers {
        None => unconnected(),
        Some(OutlierDetection {
            accrual: Some(accrual),
            ..
        }) => {
            notes.gap(
                "failure accrual lets an endpoint in again with a single request; \
                 here it comes back with its whole share after the penalty",
            );
            accrued(accrual)
        }
        Some(outliers) => detected(outliers),
    }
}

fn off() -> Xds {
    Xds {
        enforcing_consecutive_5xx: number(OFF),
        enforcing_success_rate: number(OFF),
        enforcing_consecutive_gateway_failure: number(OFF),
        enforcing_consecutive_local_origin_failure: number(OFF),
        enforcing_local_origin_success_rate: number(OFF),
        enforcing_failure_percentage: number(OFF),
        enforcing_failure_percentage_local_origin: number(OFF),
        max_ejection_percent: number(100),
        ..Default::default()
    }
}

/// An endpoint that cannot be connected to is left alone for a moment.
fn unconnected() -> Xds {
    let (first, longest) = CONNECT_PENALTY;
    Xds {
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: number(1),
        enforcing_consecutive_local_origin_failure: number(ON),
        interval: Some(duration(first)),
        base_ejection_time: Some(duration(first)),
        max_ejection_time: Some(duration(longest)),
        ..off()
    }
}

fn accrued(accrual: &FailureAccrual) -> Xds {
    let jitter = accrual.min_penalty.mul_f64(accrual.jitter_ratio.clamp(0.0, 1.0));
    Xds {
        consecutive_5xx: number(accrual.max_failures.max(1)),
        enforcing_consecutive_5xx: number(ON),
        interval: Some(duration(
            SWEEP.min(accrual.min_penalty.max(Duration::from_millis(1))),
        )),
        base_ejection_time: Some(duration(accrual.min_penalty.max(Duration::from_millis(1)))),
        max_ejection_time: Some(duration(accrual.max_penalty.max(accrual.min_penalty))),
        max_ejection_time_jitter: Some(duration(jitter)),
        ..off()
    }
}

fn detected(outliers: &OutlierDetection) -> Xds {
    let enforced = |limit: Option<u32>| number(if limit.is_some_and(|n| n > 0) { ON } else { OFF });
    let base = outliers.base_ejection.max(Duration::from_millis(1));
    Xds {
        consecutive_5xx: outliers.consecutive_5xx.and_then(number),
        enforcing_consecutive_5xx: enforced(outliers.consecutive_5xx),
        consecutive_gateway_failure: outliers.consecutive_gateway.and_then(number),
        enforcing_consecutive_gateway_failure: enforced(outliers.consecutive_gateway),
        split_external_local_origin_errors: outliers.consecutive_local.is_some(),
        consecutive_local_origin_failure: outliers.consecutive_local.and_then(number),
        enforcing_consecutive_local_origin_failure: enforced(outliers.consecutive_local),
        success_rate_stdev_factor: number(outliers.success_rate_stdev_thousandths.unwrap_or(STDEV)),
        enforcing_success_rate: enforced(outliers.success_rate_stdev_thousandths),
        success_rate_minimum_hosts: number(outliers.minimum_hosts),
        success_rate_request_volume: outliers.minimum_requests.and_then(number),
        failure_percentage_threshold: outliers.failure_percent.and_then(|n| number(n.min(100))),
        enforcing_failure_percentage: enforced(outliers.failure_percent),
        failure_percentage_minimum_hosts: number(outliers.minimum_hosts),
        failure_percentage_request_volume: outliers.minimum_requests.and_then(number),
        interval: Some(duration(outliers.interval.max(Duration::from_millis(1)))),
        base_ejection_time: Some(duration(base)),
        max_ejection_time: Some(duration(outliers.max_ejection.max(base))),
        max_ejection_percent: number(outliers.max_ejection_percent.min(100)),
        always_eject_one_host: flag(true),
        ..off()
    }
}
