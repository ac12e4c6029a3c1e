//! Series from worker threads to the text that Prometheus reads.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::*;
use wattle_telemetry::{Exchange, Labels, Limits, Protocol, Registry, ResponseFlags, Snapshot, Status, text};

#[test]
fn counts_of_all_threads_add_up_while_they_are_scraped() {
    let registry = Registry::new(Limits::default());
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let registry = Arc::clone(&registry);
            std::thread::spawn(move || {
                let shard = registry.shard();
                let counter = shard.counter(&REQUESTS, &Labels::new(&[("a", "b")]));
                let metrics = shard.edge(&edge("web", "cart", Protocol::Http));
                for _ in 0..10_000 {
                    counter.increment();
                    metrics.record(&exchange(200));
                }
            })
        })
        .collect();
    let mut last = 0.0;
    while !workers.iter().all(std::thread::JoinHandle::is_finished) {
        let now = sum(&parse(&text(&registry)), "wattle_test_total", "a=\"b\"");
        assert!(now >= last);
        last = now;
    }
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let samples = parse(&text(&registry));
    assert_eq!(samples["wattle_test_total{a=\"b\"}"], 40_000.0);
    assert_eq!(
        sum(&samples, "istio_requests_total", "response_code=\"200\""),
        40_000.0
    );
    let view = &registry.snapshot().edges[0];
    assert_eq!(
        (view.total.requests, view.total.latency.count()),
        (40_000, 40_000)
    );
}

#[test]
fn a_histogram_tells_values_up_to_and_including_each_bound() {
    let registry = Registry::new(Limits::default());
    let histogram = registry.shard().histogram(&SIZES, &Labels::default());
    for value in [0.5, 1.0, 2.0, 11.0] {
        histogram.observe(value);
    }
    let samples = parse(&text(&registry));
    assert_eq!(samples["wattle_sizes_bucket{le=\"1\"}"], 2.0);
    assert_eq!(samples["wattle_sizes_bucket{le=\"2.5\"}"], 3.0);
    assert_eq!(samples["wattle_sizes_bucket{le=\"10\"}"], 3.0);
    assert_eq!(samples["wattle_sizes_bucket{le=\"+Inf\"}"], 4.0);
    assert_eq!(samples["wattle_sizes_sum"], 14.5);
    assert_eq!(samples["wattle_sizes_count"], 4.0);
}

#[test]
fn requests_carry_istios_labels() {
    let registry = Registry::new(Limits::default());
    let metrics = registry.shard().edge(&edge("web", "cart", Protocol::Grpc));
    metrics.record(&Exchange {
        status: Status {
            code: 200,
            flags: ResponseFlags::UPSTREAM_REMOTE_RESET,
            grpc: Some(14),
        },
        ..exchange(200)
    });
    let samples = parse(&text(&registry));
    let series = samples
        .keys()
        .find(|series| series.starts_with("istio_requests_total"))
        .unwrap();
    for label in [
        "reporter=\"source\"",
        "source_workload=\"web\"",
        "source_workload_namespace=\"shop\"",
        "source_principal=\"unknown\"",
        "destination_service=\"cart.shop.svc.cluster.local\"",
        "destination_service_name=\"cart\"",
        "destination_canonical_revision=\"unknown\"",
        "request_protocol=\"grpc\"",
        "response_code=\"200\"",
        "grpc_response_status=\"14\"",
        "response_flags=\"UR\"",
        "connection_security_policy=\"mutual_tls\"",
    ] {
        assert!(series.contains(label), "{label} is not in {series}");
    }
    let bucket = "istio_request_duration_milliseconds_bucket";
    assert_eq!(sum(&samples, bucket, "le=\"10\""), 0.0);
    assert_eq!(sum(&samples, bucket, "le=\"25\""), 1.0);
    assert_eq!(sum(&samples, "istio_request_duration_milliseconds_sum", ""), 12.0);
}

#[test]
fn tcp_connections_are_counted_under_istios_names() {
    let registry = Registry::new(Limits::default());
    let metrics = registry.shard().tcp_edge(&edge("web", "db", Protocol::Tcp));
    metrics.opened();
    metrics.moved(100, 7);
    metrics.closed(ResponseFlags::UPSTREAM_CONNECTION_TERMINATION);
    let samples = parse(&text(&registry));
    assert_eq!(sum(&samples, "istio_tcp_connections_opened_total", "db"), 1.0);
    assert_eq!(sum(&samples, "istio_tcp_connections_closed_total", "\"UC\""), 1.0);
    assert_eq!(sum(&samples, "istio_tcp_sent_bytes_total", ""), 100.0);
    assert_eq!(sum(&samples, "istio_tcp_received_bytes_total", ""), 7.0);
    let total = &registry.snapshot().edges[0].total;
    assert_eq!((total.connections_opened, total.connections_closed), (1, 1));
    assert_eq!((total.sent_bytes, total.received_bytes), (100, 7));
}

#[test]
fn snapshots_of_several_proxies_merge_and_differences_tell_a_span_of_time() {
    let snapshots = ["web", "web", "job"].map(|source| {
        let registry = Registry::new(Limits::default());
        let metrics = registry.shard().edge(&edge(source, "cart", Protocol::Http));
        (0..10).for_each(|_| metrics.record(&exchange(200)));
        metrics.record(&exchange(503));
        registry.snapshot()
    });
    let mut all = snapshots[0].clone();
    all.merge(&snapshots[1]);
    all.merge(&snapshots[2]);
    assert_eq!(all.edges.len(), 2);
    let web = all.edges.iter().find(|edge| edge.name.source == "web").unwrap();
    assert_eq!((web.total.requests, web.total.successes), (22, 20));
    assert!(web.name.mtls);
    let quantiles = web.total.quantiles().unwrap();
    assert!((quantiles.p50_ms - 12.0).abs() < 1.2, "{quantiles:?}");
    let span = all.since(&snapshots[0]);
    let web = span.edges.iter().find(|edge| edge.name.source == "web").unwrap();
    assert_eq!((web.total.requests, web.total.latency.count()), (11, 11));
    let json = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), all);
}

#[test]
fn what_a_proxy_refused_is_no_success_whatever_its_status() {
    let registry = Registry::new(Limits::default());
    let metrics = registry.shard().edge(&edge("web", "cart", Protocol::Http));
    metrics.record(&exchange(403));
    metrics.record(&Exchange {
        refused: true,
        ..exchange(403)
    });
    let total = &registry.snapshot().edges[0].total;
    assert_eq!((total.requests, total.successes), (2, 1));
}
