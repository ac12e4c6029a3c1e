//! What happens to series when there are too many, when nobody uses them, and when config comes and goes.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use wattle_telemetry::{Labels, Limits, MAX_STATUSES, Protocol, Registry, text};

#[test]
fn beyond_the_budget_everything_is_still_counted_and_the_excess_is_told() {
    let registry = Registry::new(limits(20, 240));
    let shard = registry.shard();
    let held: Vec<_> = (0..100)
        .map(|index| shard.counter(&REQUESTS, &Labels::new(&[("n", &index.to_string())])))
        .collect();
    held.iter().for_each(wattle_telemetry::Counter::increment);
    let samples = parse(&text(&registry));
    assert_eq!(samples["wattle_test_total{overflow=\"true\"}"], 80.0);
    assert_eq!(sum(&samples, "wattle_test_total", ""), 100.0);
    assert_eq!(samples["wattle_metric_series_dropped_total"], 80.0);
    assert_eq!(registry.series(), 21);
}

#[test]
fn an_edge_without_room_counts_under_other_with_its_own_labels() {
    let registry = Registry::new(limits(45, 240));
    let metrics = registry.shard().edge(&edge("web", "cart", Protocol::Http));
    (200..260).for_each(|code| metrics.record(&exchange(code)));
    let samples = parse(&text(&registry));
    assert_eq!(
        sum(&samples, "istio_requests_total", "source_workload=\"web\""),
        60.0
    );
    assert!(sum(&samples, "istio_requests_total", "response_code=\"other\"") > 40.0);
    assert!(registry.series() <= 49);
}

#[test]
fn a_peer_that_answers_with_every_status_there_is_makes_a_bounded_number_of_series() {
    let registry = Registry::new(Limits::default());
    let metrics = registry.shard().edge(&edge("web", "cart", Protocol::Http));
    (100..1_000).for_each(|code| metrics.record(&exchange(code)));
    assert!(registry.series() <= 4 * (MAX_STATUSES + 1) + 1);
    assert_eq!(sum(&parse(&text(&registry)), "istio_requests_total", ""), 900.0);
}

#[test]
fn the_last_counts_of_a_worker_that_is_gone_are_told_before_the_series_is_forgotten() {
    let registry = Registry::new(limits(100, 2));
    let labels = Labels::new(&[("a", "b")]);
    let series = "wattle_test_total{a=\"b\"}";
    let shard = registry.shard();
    shard.counter(&REQUESTS, &labels).add(5);
    for _ in 0..3 {
        assert_eq!(parse(&text(&registry))[series], 5.0);
    }
    assert!(!parse(&text(&registry)).contains_key(series));
    assert_eq!(registry.series(), 0);
    shard.counter(&REQUESTS, &labels).add(2);
    assert_eq!(parse(&text(&registry))[series], 2.0);
}

#[test]
fn a_held_series_that_is_idle_is_left_out_and_returns_with_its_full_count() {
    let registry = Registry::new(limits(100, 2));
    let shard = registry.shard();
    let hidden = shard.counter(&HIDDEN, &Labels::default());
    let shown = shard.counter(&REQUESTS, &Labels::default());
    hidden.add(5);
    shown.add(1);
    (0..4).for_each(|_| drop(text(&registry)));
    let samples = parse(&text(&registry));
    assert!(!samples.contains_key("wattle_hidden_total"));
    assert_eq!(samples["wattle_test_total"], 1.0);
    hidden.increment();
    assert_eq!(parse(&text(&registry))["wattle_hidden_total"], 6.0);
}

#[test]
fn config_that_comes_and_goes_neither_loses_counts_nor_gathers_slots() {
    let registry = Registry::new(Limits::default());
    let shard = registry.shard();
    for _ in 0..1_000 {
        shard.counter(&REQUESTS, &Labels::default()).increment();
        shard.gauge(&OPEN, &Labels::default()).set(3);
    }
    shard.gauge(&OPEN, &Labels::default()).add(2);
    let gauge = shard.gauge(&OPEN, &Labels::default());
    gauge.set(4);
    let samples = parse(&text(&registry));
    assert_eq!(samples["wattle_test_total"], 1_000.0);
    assert_eq!(samples["wattle_open"], 4.0);
}

#[test]
fn room_is_made_of_what_nobody_holds_even_when_nobody_scrapes() {
    let registry = Registry::new(limits(1_000, 240));
    let shard = registry.shard();
    for index in 0..5_000 {
        let labels = Labels::new(&[("n", &index.to_string())]);
        shard.counter(&REQUESTS, &labels).increment();
    }
    assert!(registry.series() <= 1_001);
    assert!(registry.dropped() < 2_000, "{}", registry.dropped());
}

#[test]
fn edges_that_come_and_go_make_room_for_one_another_even_when_nobody_scrapes() {
    let registry = Registry::new(limits(50, 240));
    let shard = registry.shard();
    for index in 0..2_000 {
        let metrics = shard.edge(&edge(&format!("web-{index}"), "cart", Protocol::Http));
        metrics.record(&exchange(200));
    }
    let held = shard.edge(&edge("last", "cart", Protocol::Http));
    (0..600).for_each(|index| held.record(&exchange(200 + index % 2)));
    let samples = parse(&text(&registry));
    let last = samples
        .keys()
        .filter(|series| series.starts_with("istio_requests_total") && series.contains("\"last\""));
    assert!(last.count() >= 1);
    assert!(registry.series() <= 60);
}

#[test]
fn a_name_that_is_declared_twice_in_different_ways_is_refused_and_told() {
    let registry = Registry::new(Limits::default());
    let shard = registry.shard();
    shard.counter(&REQUESTS, &Labels::default()).increment();
    shard.gauge(&CLASH, &Labels::default()).set(9);
    assert_eq!(parse(&text(&registry))["wattle_test_total"], 1.0);
    assert_eq!(registry.dropped(), 1);
}
