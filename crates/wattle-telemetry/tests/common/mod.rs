//! Families, edges and a strict reader of the text format for the tests of metrics.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::sync::Arc;

use wattle_telemetry::{Edge, Exchange, Family, Kind, Limits, Peer, Protocol, Reporter, Security, Status};

pub static REQUESTS: Family = Family {
    name: "wattle_test_total",
    help: "Things\nthat \\happened.",
    kind: Kind::Counter,
    hides_idle: false,
};
pub static HIDDEN: Family = Family {
    name: "wattle_hidden_total",
    hides_idle: true,
    ..REQUESTS
};
pub static OPEN: Family = Family {
    name: "wattle_open",
    kind: Kind::Gauge,
    ..REQUESTS
};
pub static SIZES: Family = Family {
    name: "wattle_sizes",
    kind: Kind::Histogram(&[1.0, 2.5, 10.0]),
    ..REQUESTS
};
pub static CLASH: Family = Family {
    name: "wattle_test_total",
    kind: Kind::Gauge,
    ..REQUESTS
};

pub fn limits(series: usize, idle_scrapes: u32) -> Limits {
    Limits { series, idle_scrapes }
}

/// Reads the text format strictly: every sample belongs to the family last announced, no series comes twice. Values by series.
pub fn parse(text: &str) -> HashMap<String, f64> {
    let mut samples = HashMap::new();
    let mut seen = Vec::new();
    let (mut helped, mut family, mut kind) = (String::new(), String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split_once(' ').unwrap().0.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped);
            assert!(!seen.contains(&name.to_owned()), "{name} announced twice");
            seen.push(name.to_owned());
            (family, kind) = (name.to_owned(), of.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let ending = name.strip_prefix(family.as_str()).unwrap();
            match kind.as_str() {
                "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&ending)),
                "counter" | "gauge" => assert_eq!(ending, ""),
                other => panic!("kind {other}"),
            }
            check_labels(&series[name.len()..]);
            let value = value.parse().unwrap();
            assert!(
                samples.insert(series.to_owned(), value).is_none(),
                "{series} twice"
            );
        }
    }
    assert!(text.ends_with('\n'));
    samples
}

/// `{name="value",…}` or nothing, each name once.
fn check_labels(text: &str) {
    if text.is_empty() {
        return;
    }
    let mut rest = text.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{name}"
        );
        assert!(!names.contains(&name), "{name} twice");
        names.push(name);
        let mut escaped = false;
        let end = after.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        rest = &after[end.unwrap() + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

pub fn edge(source: &str, service: &str, protocol: Protocol) -> Arc<Edge> {
    Arc::new(Edge {
        reporter: Reporter::Source,
        source: Peer {
            workload: source.into(),
            namespace: "shop".into(),
            ..Peer::default()
        },
        service: format!("{service}.shop.svc.cluster.local").into(),
        service_name: service.into(),
        service_namespace: "shop".into(),
        protocol,
        security: Security::MutualTls,
        ..Edge::default()
    })
}

pub fn exchange(code: u16) -> Exchange {
    Exchange {
        status: Status {
            code,
            ..Status::default()
        },
        refused: false,
        duration_us: 12_000,
        request_bytes: 10,
        response_bytes: 2_000,
    }
}

pub fn sum(samples: &HashMap<String, f64>, name: &str, part: &str) -> f64 {
    let fits = |series: &str| series.split('{').next() == Some(name) && series.contains(part);
    let fitting = samples.iter().filter(|(series, _)| fits(series));
    fitting.map(|(_, value)| value).sum()
}
