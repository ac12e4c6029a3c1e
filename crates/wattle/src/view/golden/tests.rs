use wattle_telemetry::Buckets;

use super::*;

fn edge(reporter: &str, ends: (&str, &str), version: &str, requests: u64, successes: u64) -> EdgeView {
    let mut latency = Buckets::default();
    (0..requests).for_each(|_| latency.observe(4000));
    EdgeView {
        name: EdgeName {
            reporter: reporter.to_owned(),
            source: ends.0.to_owned(),
            destination: ends.1.to_owned(),
            destination_workload: ends.1.to_owned(),
            destination_version: version.to_owned(),
            protocol: "http".to_owned(),
            mtls: true,
            ..EdgeName::default()
        },
        total: EdgeTotal {
            requests,
            successes,
            latency,
            ..EdgeTotal::default()
        },
    }
}

fn counted(edges: Vec<EdgeView>) -> Counted {
    Counted {
        total: Snapshot { edges },
        lately: None,
    }
}

#[test]
fn what_both_sides_tell_counts_once() {
    let edges = vec![
        edge("source", ("web", "reviews"), "v1", 10, 9),
        edge("destination", ("web", "reviews"), "v1", 10, 10),
        // The route led from the service that was called to this one.
        edge("destination", ("web", "reviews-v1"), "v1", 10, 10),
    ];
    let report = report(&counted(edges), None);
    assert_eq!(report.edges.len(), 1);
    assert_eq!(
        (
            report.edges[0].golden.requests,
            report.edges[0].golden.success_rate
        ),
        (10, Some(0.9))
    );
}

#[test]
fn a_client_without_a_proxy_is_told_by_the_destination() {
    let edges = vec![
        edge("source", ("web", "reviews"), "v1", 10, 9),
        edge("destination", ("curl", "reviews"), "v1", 3, 3),
    ];
    let report = report(&counted(edges), None);
    let sources: Vec<&str> = report.edges.iter().map(|edge| edge.source.as_str()).collect();
    assert_eq!(sources, ["curl", "web"]);
    assert_eq!(report.services[0].golden.requests, 13);
}

#[test]
fn versions_of_one_service_are_one_edge_with_its_shares() {
    let edges = vec![
        edge("source", ("web", "reviews"), "v1", 90, 90),
        edge("source", ("web", "reviews"), "v2", 10, 10),
    ];
    let report = report(&counted(edges), None);
    assert_eq!(report.edges.len(), 1);
    assert_eq!(
        report.edges[0].versions,
        BTreeMap::from([("v1".to_owned(), 90), ("v2".to_owned(), 10)])
    );
    let p50 = report.edges[0].golden.p50_ms.unwrap_or_default();
    assert!((3.5..4.5).contains(&p50), "{p50}");
}

#[test]
fn the_rate_is_that_of_the_interval_and_not_of_the_whole_time() {
    let lately = Snapshot {
        edges: vec![edge("source", ("web", "reviews"), "v1", 30, 30)],
    };
    let total = Snapshot {
        edges: vec![edge("source", ("web", "reviews"), "v1", 1000, 1000)],
    };
    let counted = Counted {
        total,
        lately: Some((lately, Duration::from_secs(2))),
    };
    let report = report(&counted, None);
    assert_eq!(
        (report.edges[0].golden.rps, report.edges[0].golden.requests),
        (Some(15.0), 1000)
    );
    assert_eq!(report.services[0].golden.rps, Some(15.0));
}

#[test]
fn a_named_service_is_shown_with_its_callers_and_those_it_calls() {
    let edges = vec![
        edge("source", ("web", "reviews"), "v1", 1, 1),
        edge("source", ("reviews", "ratings"), "v1", 1, 1),
        edge("source", ("web", "cart"), "v1", 1, 1),
    ];
    let report = report(&counted(edges), Some("reviews"));
    assert_eq!(report.edges.len(), 2);
}

#[test]
fn requests_that_went_nowhere_do_not_make_an_edge_insecure() {
    let mut nowhere = edge("source", ("web", "reviews"), "", 3, 0);
    (nowhere.name.mtls, nowhere.name.destination_workload) = (false, String::new());
    let edges = vec![edge("source", ("web", "reviews"), "v1", 7, 7), nowhere.clone()];
    let told = report(&counted(edges), None);
    assert_eq!(
        (
            told.edges.len(),
            told.edges[0].mtls,
            told.edges[0].golden.requests
        ),
        (1, true, 10)
    );
    assert!(told.services[0].mtls);
    assert!(!report(&counted(vec![nowhere]), None).edges[0].mtls);
}

#[test]
fn plaintext_that_arrived_is_told_apart_from_what_was_secured() {
    let mut plain = edge("source", ("web", "reviews"), "v2", 3, 0);
    plain.name.mtls = false;
    let told = report(
        &counted(vec![edge("source", ("web", "reviews"), "v1", 7, 7), plain]),
        None,
    );
    let secured: Vec<bool> = told.edges.iter().map(|edge| edge.mtls).collect();
    assert_eq!(secured, [false, true]);
    assert!(!told.services[0].mtls);
}
