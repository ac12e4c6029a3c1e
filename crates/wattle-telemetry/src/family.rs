//! What a metric is called and means.

/// What sort of number a family holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values below each of these bounds, which must grow.
    Histogram(&'static [f64]),
}

/// A family of series under one name.
#[derive(Debug, PartialEq)]
pub struct Family {
    /// The name that Prometheus sees: letters, digits, `_` and `:`.
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether a counter or histogram that has not changed for long is left out of the text until it does, see [`Limits::idle_scrapes`](crate::Limits::idle_scrapes).
    pub hides_idle: bool,
}

/// The bounds that Istio's histograms have (Envoy's defaults); milliseconds for durations, bytes for sizes.
pub const STANDARD_BUCKETS: &[f64] = &[
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// Istio's standard families, and those about the metrics themselves.
pub mod standard {
    use super::{Family, Kind, STANDARD_BUCKETS};

    const fn counter(name: &'static str, help: &'static str) -> Family {
        Family {
            name,
            help,
            kind: Kind::Counter,
            hides_idle: true,
        }
    }

    const fn histogram(name: &'static str, help: &'static str) -> Family {
        Family {
            kind: Kind::Histogram(STANDARD_BUCKETS),
            ..counter(name, help)
        }
    }

    /// `istio_requests_total`.
    pub static REQUESTS: Family = counter("istio_requests_total", "Requests that have ended.");
    /// `istio_request_duration_milliseconds`.
    pub static REQUEST_DURATION: Family = histogram(
        "istio_request_duration_milliseconds",
        "Time from a request's first byte to the last byte of its response.",
    );
    /// `istio_request_bytes`.
    pub static REQUEST_BYTES: Family = histogram("istio_request_bytes", "Size of request bodies in bytes.");
    /// `istio_response_bytes`.
    pub static RESPONSE_BYTES: Family =
        histogram("istio_response_bytes", "Size of response bodies in bytes.");
    /// `istio_tcp_connections_opened_total`.
    pub static TCP_OPENED: Family = counter("istio_tcp_connections_opened_total", "TCP connections opened.");
    /// `istio_tcp_connections_closed_total`.
    pub static TCP_CLOSED: Family = counter("istio_tcp_connections_closed_total", "TCP connections closed.");
    /// `istio_tcp_sent_bytes_total`.
    pub static TCP_SENT: Family = counter(
        "istio_tcp_sent_bytes_total",
        "Bytes sent to the downstream on TCP connections.",
    );
    /// `istio_tcp_received_bytes_total`.
    pub static TCP_RECEIVED: Family = counter(
        "istio_tcp_received_bytes_total",
        "Bytes received from the downstream on TCP connections.",
    );
    /// `wattle_metric_series_dropped_total`.
    pub static SERIES_DROPPED: Family = Family {
        hides_idle: false,
        ..counter(
            "wattle_metric_series_dropped_total",
            "Series that were counted under an overflow series because the budget was spent.",
        )
    };
}
