//! `wattle stat`: success rate, requests per second and latency of every service and edge.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use wattle_telemetry::Snapshot;

use crate::cli::Shared;
use crate::mesh::ask;
use crate::output::{self, Format};
use crate::view::golden::{Counted, Edge, Golden, Report, report};
use crate::view::number::{bytes, milliseconds, percent, rate};
use crate::view::table::{numbers, render, words};

/// Moves the cursor home and clears what is below, so that a watched table stays where it is.
const HOME: &str = "\x1b[H\x1b[J";

/// Arguments of `wattle stat`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this service, its callers and those it calls
    service: Option<String>,
    /// Show the table again and again
    #[arg(short, long)]
    watch: bool,
    /// How long requests per second are counted
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = super::duration)]
    interval: Duration,
    /// Count everything during the interval only, not since the start
    #[arg(long)]
    recent: bool,
}

/// Prints the table, or the same as JSON.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let socket = super::mesh(shared)?.supervisor_socket();
    super::block_on(async {
        let mut earlier = (snapshot(&socket).await?, Instant::now());
        loop {
            tokio::time::sleep(arguments.interval).await;
            let now = (snapshot(&socket).await?, Instant::now());
            let lately = now.0.since(&earlier.0);
            let total = if arguments.recent {
                lately.clone()
            } else {
                now.0.clone()
            };
            let counted = Counted {
                total,
                lately: Some((lately, now.1 - earlier.1)),
            };
            show(
                &report(&counted, arguments.service.as_deref()),
                arguments.watch,
                shared.output,
            )?;
            if !arguments.watch {
                return Ok(ExitCode::SUCCESS);
            }
            earlier = now;
        }
    })
}

async fn snapshot(socket: &Path) -> anyhow::Result<Snapshot> {
    ask::get(socket, "/stats").await
}

fn show(report: &Report, watch: bool, format: Format) -> anyhow::Result<()> {
    match format {
        // One document a line, so that a program can read a stream of them.
        Format::Json if watch => output::write(&format!("{}\n", serde_json::to_string(report)?)),
        Format::Json => output::json(report),
        Format::Text if watch && std::io::stdout().is_terminal() => {
            output::write(&format!("{HOME}{}", text(report)))
        }
        Format::Text => output::write(&text(report)),
    }
}

/// The report as tables.
pub(super) fn text(report: &Report) -> String {
    if report.edges.is_empty() {
        return "no traffic yet\n".to_owned();
    }
    let home = home(report);
    let (tcp, requests): (Vec<&Edge>, Vec<&Edge>) =
        report.edges.iter().partition(|edge| edge.protocol == "tcp");
    let mut out = String::new();
    let services = report
        .services
        .iter()
        .filter(|service| service.golden.requests > 0);
    let rows = services.map(|service| {
        let name = full(&service.service, &service.namespace, home);
        [vec![name, secured(service.mtls)], golden(&service.golden)].concat()
    });
    section(
        &mut out,
        &[&[words("SERVICE"), words("MTLS")], GOLDEN].concat(),
        rows,
    );
    let rows = requests.into_iter().map(|edge| {
        let source = full(&edge.source, &edge.source_namespace, home);
        let ends = vec![
            source,
            destination(edge, home),
            edge.protocol.clone(),
            secured(edge.mtls),
        ];
        [ends, golden(&edge.golden)].concat()
    });
    section(&mut out, &[EDGE, GOLDEN].concat(), rows);
    section(
        &mut out,
        &[EDGE, TCP].concat(),
        tcp.into_iter().map(|edge| tcp_row(edge, home)),
    );
    out
}

const EDGE: &[crate::view::table::Column] = &[
    words("SOURCE"),
    words("DESTINATION"),
    words("PROTOCOL").dispensable(1),
    words("MTLS"),
];
const GOLDEN: &[crate::view::table::Column] = &[
    numbers("SUCCESS"),
    numbers("RPS"),
    numbers("P50"),
    numbers("P95").dispensable(3),
    numbers("P99"),
    numbers("REQUESTS").dispensable(2),
];
const TCP: &[crate::view::table::Column] = &[
    numbers("CONNECTIONS"),
    numbers("OPEN"),
    numbers("SENT"),
    numbers("RECEIVED").dispensable(2),
];

fn section(
    out: &mut String,
    columns: &[crate::view::table::Column],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let table = render(columns, rows);
    if !table.is_empty() && !out.is_empty() {
        out.push('\n');
    }
    let _ = write!(out, "{table}");
}

fn golden(golden: &Golden) -> Vec<String> {
    vec![
        percent(golden.success_rate),
        rate(golden.rps),
        milliseconds(golden.p50_ms),
        milliseconds(golden.p95_ms),
        milliseconds(golden.p99_ms),
        golden.requests.to_string(),
    ]
}

fn tcp_row(edge: &Edge, home: &str) -> Vec<String> {
    let Golden {
        connections,
        open,
        sent_bytes,
        received_bytes,
        ..
    } = &edge.golden;
    vec![
        full(&edge.source, &edge.source_namespace, home),
        destination(edge, home),
        edge.protocol.clone(),
        secured(edge.mtls),
        connections.to_string(),
        open.to_string(),
        bytes(*sent_bytes),
        bytes(*received_bytes),
    ]
}

/// The namespace that needs no saying: the only one, or `default`.
fn home(report: &Report) -> &str {
    let ends = report
        .edges
        .iter()
        .flat_map(|edge| [&edge.source_namespace, &edge.destination_namespace]);
    let mut namespaces: Vec<&String> = ends.filter(|namespace| !namespace.is_empty()).collect();
    namespaces.sort();
    namespaces.dedup();
    match namespaces.as_slice() {
        [only] => only,
        _ => "default",
    }
}

fn full(name: &str, namespace: &str, home: &str) -> String {
    if namespace.is_empty() || namespace == home {
        name.to_owned()
    } else {
        format!("{name}.{namespace}")
    }
}

/// With the share of each version, if there are several.
fn destination(edge: &Edge, home: &str) -> String {
    let name = full(&edge.destination, &edge.destination_namespace, home);
    let all: u64 = edge.versions.values().sum();
    if edge.versions.len() < 2 || all == 0 {
        return name;
    }
    let share =
        |(version, count): (&String, &u64)| format!("{version} {:.0}%", *count as f64 * 100.0 / all as f64);
    let shares: Vec<String> = edge.versions.iter().map(share).collect();
    format!("{name} ({})", shares.join(", "))
}

fn secured(mtls: bool) -> String {
    if mtls { "yes".to_owned() } else { "no".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::view::golden::Service;

    use super::*;

    fn numbers(requests: u64) -> Golden {
        Golden {
            requests,
            success_rate: (requests > 0).then_some(0.995),
            rps: Some(12.0),
            p50_ms: Some(1.25),
            p95_ms: Some(20.0),
            p99_ms: Some(150.0),
            connections: 7,
            open: 2,
            sent_bytes: 2048,
            received_bytes: 10,
        }
    }

    fn edge(destination: &str, protocol: &str, requests: u64) -> Edge {
        Edge {
            source: "web".to_owned(),
            source_namespace: "shop".to_owned(),
            destination: destination.to_owned(),
            destination_namespace: "shop".to_owned(),
            protocol: protocol.to_owned(),
            mtls: true,
            versions: BTreeMap::from([("v1".to_owned(), 9), ("v2".to_owned(), 1)]),
            golden: numbers(requests),
        }
    }

    #[test]
    fn requests_and_connections_have_tables_of_their_own() {
        let service = Service {
            service: "reviews".into(),
            namespace: "shop".into(),
            mtls: true,
            golden: numbers(1000),
        };
        let report = Report {
            services: vec![service],
            edges: vec![edge("reviews", "http", 1000), edge("ledger", "tcp", 0)],
        };
        let expected = "\
SERVICE  MTLS  SUCCESS   RPS     P50     P95    P99  REQUESTS
reviews  yes    99.50%  12.0  1.25ms  20.0ms  150ms      1000

SOURCE  DESTINATION               PROTOCOL  MTLS  SUCCESS   RPS     P50     P95    P99  REQUESTS
web     reviews (v1 90%, v2 10%)  http      yes    99.50%  12.0  1.25ms  20.0ms  150ms      1000

SOURCE  DESTINATION              PROTOCOL  MTLS  CONNECTIONS  OPEN    SENT  RECEIVED
web     ledger (v1 90%, v2 10%)  tcp       yes             7     2  2.0KiB       10B
";
        assert_eq!(text(&report), expected);
    }

    #[test]
    fn a_namespace_is_named_where_there_are_several() {
        let mut foreign = edge("reviews", "http", 1);
        foreign.source_namespace = "other".to_owned();
        let report = Report {
            services: Vec::new(),
            edges: vec![foreign, edge("ledger", "http", 1)],
        };
        let text = text(&report);
        assert!(
            text.contains("web.other") && text.contains("ledger.shop"),
            "{text}"
        );
    }

    #[test]
    fn silence_is_said() {
        assert_eq!(text(&Report::default()), "no traffic yet\n");
    }
}
