//! Which endpoints fail unlike the others, by their rates over one interval.

use super::{Cause, OutlierConfig};

/// Requests of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) requests: u32,
    pub(crate) successes: u32,
}

impl Volume {
    pub(super) fn count(&mut self, success: bool) {
        self.requests = self.requests.saturating_add(1);
        self.successes = self.successes.saturating_add(u32::from(success));
    }

    /// Successes of a hundred requests.
    pub(crate) fn success_percent(self) -> f64 {
        f64::from(self.successes) * 100.0 / f64::from(self.requests.max(1))
    }
}

/// The requests that the two sorts of failures are judged by; without a split, all are external.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volumes {
    pub(crate) external: Volume,
    pub(crate) local: Volume,
}

/// The endpoints, by their place in `volumes`, whose rates make them outliers, with the cause.
pub(crate) fn by_rate(volumes: &[Volume], config: &OutlierConfig) -> Vec<(usize, Cause)> {
    let mut found = Vec::new();
    if let Some(rule) = &config.success_rate {
        let judged = enough(volumes, rule.request_volume, rule.minimum_hosts);
        let mean = judged.iter().map(|(_, rate)| rate).sum::<f64>() / judged.len().max(1) as f64;
        let variance =
            judged.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / judged.len().max(1) as f64;
        let threshold = mean - variance.sqrt() * f64::from(rule.stdev_factor) / 1_000.0;
        let below = judged.into_iter().filter(|&(_, rate)| rate < threshold);
        found.extend(below.map(|(index, _)| (index, Cause::SuccessRate)));
    }
    if let Some(rule) = &config.failure_percentage {
        let judged = enough(volumes, rule.request_volume, rule.minimum_hosts);
        let over = judged
            .into_iter()
            .filter(|&(_, rate)| 100.0 - rate >= f64::from(rule.threshold));
        found.extend(over.map(|(index, _)| (index, Cause::FailurePercentage)));
    }
    found
}

/// The success rates of endpoints that had enough requests; none when too few had.
fn enough(volumes: &[Volume], volume: u32, hosts: u32) -> Vec<(usize, f64)> {
    let judged: Vec<_> = volumes
        .iter()
        .enumerate()
        .filter(|(_, it)| it.requests >= volume.max(1))
        .map(|(index, it)| (index, it.success_percent()))
        .collect();
    if judged.len() < hosts as usize {
        return Vec::new();
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::super::{FailurePercentage, SuccessRate};
    use super::*;

    fn volumes(successes: &[u32]) -> Vec<Volume> {
        successes
            .iter()
            .map(|&successes| Volume {
                requests: 100,
                successes,
            })
            .collect()
    }

    #[test]
    fn an_endpoint_whose_success_rate_is_far_below_the_mean_is_an_outlier() {
        let config = OutlierConfig {
            success_rate: Some(SuccessRate::default()),
            ..OutlierConfig::default()
        };
        let found = by_rate(&volumes(&[99, 98, 100, 97, 60, 99]), &config);
        assert_eq!(found, [(4, Cause::SuccessRate)]);
        assert_eq!(by_rate(&volumes(&[90, 91, 92, 93, 94]), &config), []);
        assert_eq!(by_rate(&volumes(&[100, 100, 100, 0]), &config), []);
        assert_eq!(by_rate(&volumes(&[50; 8]), &config), []);
    }

    #[test]
    fn an_endpoint_that_fails_too_much_is_an_outlier_whatever_the_others_do() {
        let config = OutlierConfig {
            failure_percentage: Some(FailurePercentage::default()),
            ..OutlierConfig::default()
        };
        let found = by_rate(&volumes(&[15, 16, 0, 10, 100]), &config);
        let indices: Vec<_> = found.iter().map(|(index, _)| *index).collect();
        assert_eq!(indices, [0, 2, 3]);
        let idle = Volume {
            requests: 49,
            successes: 0,
        };
        assert_eq!(by_rate(&[idle; 10], &config), []);
    }
}
