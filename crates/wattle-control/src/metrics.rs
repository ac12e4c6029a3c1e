//! The control plane's own metrics, `wattle_control_*`.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of ack latency, seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Counters and gauges; cheap to change from any thread.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) streams: AtomicU64,
    pub(crate) streams_refused: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) pushes: AtomicU64,
    pub(crate) push_resources: AtomicU64,
    pub(crate) push_bytes: AtomicU64,
    pub(crate) compiled: AtomicU64,
    pub(crate) acks: AtomicU64,
    pub(crate) nacks: AtomicU64,
    pub(crate) certificates_issued: AtomicU64,
    pub(crate) certificates_refused: AtomicU64,
    pub(crate) config_errors: AtomicU64,
    pub(crate) config_warnings: AtomicU64,
    pub(crate) objects: AtomicU64,
    /// Acks by bucket; the last one is beyond all bounds.
    ack_buckets: [AtomicU64; BOUNDS.len() + 1],
    ack_micros: AtomicU64,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    /// A response left with so many resources and removals, and so many bytes of resources.
    pub(crate) fn pushed(&self, carried: usize, bytes: usize) {
        count(&self.pushes);
        self.push_resources.fetch_add(carried as u64, Ordering::Relaxed);
        self.push_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A response was answered after this time.
    pub(crate) fn answered(&self, after: Duration) {
        let bucket = BOUNDS
            .iter()
            .position(|bound| after.as_secs_f64() <= *bound)
            .unwrap_or(BOUNDS.len());
        count(&self.ack_buckets[bucket]);
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.ack_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Prometheus text format 0.0.4.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let gauges = [
            (
                "connected_streams",
                "Discovery streams that are open.",
                &self.streams,
            ),
            (
                "connections",
                "Connections of proxies that are open.",
                &self.connections,
            ),
            (
                "config_errors",
                "Diagnostics of severity error.",
                &self.config_errors,
            ),
            (
                "config_warnings",
                "Diagnostics of severity warning.",
                &self.config_warnings,
            ),
            ("objects", "Objects in force.", &self.objects),
        ];
        for (name, help, value) in gauges {
            family(&mut text, name, help, "gauge", value);
        }
        let counters = [
            (
                "streams_refused_total",
                "Discovery streams that were refused.",
                &self.streams_refused,
            ),
            (
                "handshakes_failed_total",
                "TLS handshakes that failed or timed out.",
                &self.handshakes_failed,
            ),
            ("pushes_total", "Discovery responses sent.", &self.pushes),
            (
                "push_resources_total",
                "Resources and removals sent.",
                &self.push_resources,
            ),
            ("push_bytes_total", "Bytes of resources sent.", &self.push_bytes),
            ("compiled_total", "Resources compiled.", &self.compiled),
            ("acks_total", "Responses that proxies acknowledged.", &self.acks),
            ("nacks_total", "Responses that proxies refused.", &self.nacks),
            (
                "certificates_issued_total",
                "Certificates signed.",
                &self.certificates_issued,
            ),
            (
                "certificates_refused_total",
                "Certificate requests that were refused.",
                &self.certificates_refused,
            ),
        ];
        for (name, help, value) in counters {
            family(&mut text, name, help, "counter", value);
        }
        self.render_acks(&mut text);
        text
    }

    fn render_acks(&self, text: &mut String) {
        let name = "wattle_control_ack_seconds";
        let _ = writeln!(
            text,
            "# HELP {name} Time from a response to its answer.\n# TYPE {name} histogram"
        );
        let mut total = 0;
        for (bucket, bound) in self
            .ack_buckets
            .iter()
            .zip(BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]))
        {
            total += bucket.load(Ordering::Relaxed);
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {total}");
        }
        let sum = self.ack_micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(text, "{name}_sum {sum}\n{name}_count {total}");
    }
}

fn family(text: &mut String, name: &str, help: &str, kind: &str, value: &AtomicU64) {
    let value = value.load(Ordering::Relaxed);
    let _ = writeln!(
        text,
        "# HELP wattle_control_{name} {help}\n# TYPE wattle_control_{name} {kind}\nwattle_control_{name} {value}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ack_latency_is_cumulative() {
        let metrics = Metrics::default();
        metrics.answered(Duration::from_millis(3));
        metrics.answered(Duration::from_secs(60));
        let text = metrics.render();
        assert!(
            text.contains("wattle_control_ack_seconds_bucket{le=\"0.001\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("wattle_control_ack_seconds_bucket{le=\"0.005\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("wattle_control_ack_seconds_bucket{le=\"+Inf\"} 2\n"),
            "{text}"
        );
        assert!(text.contains("wattle_control_ack_seconds_count 2\n"), "{text}");
    }
}
