//! The DNS proxy of the workload's namespace: names that are held, as the table its server answers from.
//!
//! It runs on the main thread beside config and admin, so that no query delays a request. What the table does not have
//! goes to the resolvers of the proxy's own resolv.conf, byte for byte.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use wattle_dns::{
    Counters, Counts, Host, Limits, MAX_ADDRESSES, Names as Table, NamesBuilder, Outside as Kept, Outward,
    ResolvConf, Server, ServerError, ServerOptions, Upstream,
};
use wattle_model::{CallerFacts, HostMatch, NameTarget, NamedHost, Names, ObjectRef, Outside};

use crate::settings::Settings;

/// Who is asked for names, and what a resolver appends to short ones.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The resolvers around the proxy; none if their file cannot be read.
pub(crate) fn resolvers() -> ResolvConf {
    ResolvConf::read(Path::new(RESOLV_CONF)).unwrap_or_else(|error| {
        tracing::warn!(%error, "names outside the mesh cannot be resolved");
        ResolvConf::default()
    })
}

/// What is answered from: whose names, and by whom they are asked for.
struct Shown {
    names: Arc<Names>,
    labels: Vec<(Arc<str>, Arc<str>)>,
}

impl Shown {
    fn is_still(&self, names: &Arc<Names>, caller: &CallerFacts<'_>) -> bool {
        Arc::ptr_eq(&self.names, names) && (!names.differs_by_caller() || self.labels == caller.labels)
    }
}

/// The server, and what it answers from.
pub(crate) struct NameServer {
    table: Arc<ArcSwap<Table>>,
    search: Vec<String>,
    shown: Option<Shown>,
    server: Server,
}

impl NameServer {
    /// Listens where redirected queries arrive, if the settings say that any are; it knows no name yet.
    pub(crate) fn start(settings: &Settings) -> Result<Option<Self>, ServerError> {
        let Some(port) = settings.dns_port else {
            return Ok(None);
        };
        let conf = resolvers();
        let outward = Outward { mark: settings.mark };
        let upstream = Upstream::new(&conf.resolvers, outward, Upstream::DEFAULT_TIMEOUT);
        let options = ServerOptions {
            listen: loopbacks().map(|ip| SocketAddr::new(ip, port)).collect(),
            limits: Limits::default(),
        };
        let table = Arc::new(ArcSwap::from_pointee(unknown()));
        let server = Server::start(&options, table.clone(), Arc::new(upstream))?;
        tracing::info!(port, resolvers = ?conf.resolvers, search = ?conf.search, "answering for names");
        Ok(Some(Self {
            table,
            search: conf.search,
            shown: None,
            server,
        }))
    }

    /// Counts for metrics.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        self.server.counters().clone()
    }

    /// Answers `caller` from these names from now on.
    pub(crate) fn show(&mut self, names: &Arc<Names>, caller: &CallerFacts<'_>) {
        if self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.is_still(names, caller))
        {
            return;
        }
        self.shown = Some(Shown {
            names: names.clone(),
            labels: caller.labels.to_vec(),
        });
        self.table.store(Arc::new(table(names, caller, &self.search)));
    }
}

/// The loopback addresses this machine has; some have no IPv6.
fn loopbacks() -> impl Iterator<Item = IpAddr> {
    let all = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let there = |ip: &IpAddr| ip.is_ipv4() || UdpSocket::bind((*ip, 0)).is_ok();
    all.into_iter().filter(there)
}

/// Before it is known which names there are, and whom the workload may ask for others.
fn unknown() -> Table {
    let mut builder = NamesBuilder::default();
    builder.keep_to(Kept::nothing("the mesh's names are not known yet".to_owned()));
    builder.build()
}

/// The table; a host that cannot be in it is told and left out, and spoils no other.
fn table(names: &Names, caller: &CallerFacts<'_>, search: &[String]) -> Table {
    let mut builder = Table::builder(search).unwrap_or_else(|error| {
        tracing::warn!(%error, "search domains are not recognised");
        NamesBuilder::default()
    });
    for host in &names.hosts {
        if let Err(error) = builder.add(entry(host)) {
            tracing::warn!(%error, "a name is left out");
        }
    }
    if let Some(outside) = names.outside(caller) {
        keep(&mut builder, &outside);
    }
    builder.build()
}

/// Keeps the workload to some names outside. One that cannot be among them is left out, and so is not asked for.
fn keep(builder: &mut NamesBuilder, outside: &Outside<'_>) {
    let ObjectRef {
        kind,
        namespace,
        name,
        ..
    } = outside.origin;
    let mut kept = Kept::nothing(format!("{kind} {namespace}/{name}"));
    for host in outside.hosts() {
        if *host == HostMatch::Any {
            return;
        }
        if let Err(error) = kept.add(&host.to_string()) {
            tracing::warn!(%error, "a name outside is left out");
        }
    }
    builder.keep_to(kept);
}

fn entry(host: &NamedHost) -> Host {
    let (mut addresses, mut stands_for) = (Vec::new(), None);
    match &host.target {
        // As many as fit in an answer; any of them will do for a client.
        NameTarget::Addresses(all) => addresses = all.iter().copied().take(MAX_ADDRESSES).collect(),
        NameTarget::Alias(name) => stands_for = Some(name.to_string()),
    }
    Host {
        name: host.name.to_string(),
        aliases: host.aliases.iter().map(ToString::to_string).collect(),
        addresses,
        stands_for,
    }
}

/// The counts in Prometheus' text format, under Istio's names where it has one.
pub(crate) fn metrics(counters: &Counters) -> String {
    let Counts {
        requests,
        answered,
        forwarded,
        failures,
        overloaded,
        dropped,
        refused,
        upstream_requests,
        upstream_failures,
        upstream_latency,
    } = counters.read();
    let mut out = String::new();
    let latency = upstream_latency.as_secs_f64();
    for (name, help, value) in [
        ("dns_requests_total", "DNS messages of the workload.", requests),
        (
            "dns_upstream_requests_total",
            "DNS messages to resolvers, each try counted.",
            upstream_requests,
        ),
        (
            "dns_upstream_failures_total",
            "DNS messages to resolvers that were not answered.",
            upstream_failures,
        ),
    ] {
        let _ = write!(
            out,
            "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n"
        );
    }
    let name = "wattle_dns_queries_total";
    let _ = write!(
        out,
        "# HELP {name} DNS messages by outcome; those that fail are also among the forwarded.\n# TYPE {name} counter\n"
    );
    for (outcome, value) in [
        ("answered", answered),
        ("forwarded", forwarded),
        ("failed", failures),
        ("overloaded", overloaded),
        ("dropped", dropped),
        ("refused", refused),
    ] {
        let _ = writeln!(out, "{name}{{outcome=\"{outcome}\"}} {value}");
    }
    let name = "wattle_dns_upstream_seconds_total";
    let _ = write!(
        out,
        "# HELP {name} Time that answers of resolvers took, summed.\n# TYPE {name} counter\n{name} {latency}\n"
    );
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use wattle_model::{Asked, NameScope};

    use super::*;

    fn host(name: &str, target: NameTarget) -> NamedHost {
        NamedHost {
            name: name.into(),
            aliases: Vec::new(),
            target,
        }
    }

    #[test]
    fn a_host_that_cannot_be_in_the_table_spoils_no_other() {
        let names = Names {
            namespace: "shop".into(),
            hosts: vec![
                host("no name", NameTarget::Addresses(vec![[10, 0, 0, 1].into()])),
                host("db.example.com", NameTarget::Alias("db.example.net".into())),
                host(
                    "many.example.com",
                    NameTarget::Addresses(vec![[10, 0, 0, 1].into(); MAX_ADDRESSES + 1]),
                ),
            ],
            ..Names::default()
        };
        let table = table(
            &names,
            &CallerFacts::default(),
            &["shop.svc.cluster.local".to_owned()],
        );
        assert_eq!(table.len(), 2);
        let found = table.find("db.example.com.shop.svc.cluster.local");
        assert_eq!(found.and_then(|found| found.stands_for), Some("db.example.net"));
        let many = table.find("many.example.com");
        assert_eq!(many.map(|found| found.addresses.len()), Some(MAX_ADDRESSES));
    }

    fn kept_by(policy: &str, labels: &[(&str, &str)], besides: &[&str]) -> NameScope {
        NameScope {
            labels: labels
                .iter()
                .map(|&(key, value)| (key.into(), value.into()))
                .collect(),
            origin: ObjectRef {
                kind: "EgressPolicy".into(),
                namespace: "shop".into(),
                name: policy.into(),
                file: "".into(),
                line: 0,
            },
            asked: Asked::Registered(besides.iter().map(|host| HostMatch::parse(host)).collect()),
        }
    }

    #[test]
    fn a_workload_is_kept_to_names_by_what_is_said_of_its_labels_also_where_search_domains_are_no_names() {
        let names = Names {
            registered: vec![HostMatch::parse("*.example.org")],
            scopes: vec![
                kept_by("own", &[("app", "web")], &["api.example.com"]),
                kept_by("open", &[("app", "open")], &["*"]),
            ],
            ..Names::default()
        };
        let kept = |app: &str, search: &[String]| {
            let labels = [("app".into(), app.into())];
            let caller = CallerFacts {
                labels: &labels,
                ..CallerFacts::default()
            };
            let table = table(&names, &caller, search);
            table.outside().map(|outside| format!("{outside:?}"))
        };
        for search in [vec![], vec!["no name".to_owned()]] {
            let own = kept("web", &search).unwrap();
            for text in ["api.example.com", "example.org", "EgressPolicy shop/own"] {
                assert!(own.contains(text), "{text} in {own}");
            }
        }
        assert_eq!(kept("open", &[]), None);
        assert_eq!(kept("other", &[]), None);
    }

    #[test]
    fn every_count_is_a_metric() {
        let text = metrics(&Counters::default());
        for name in [
            "dns_requests_total 0\n",
            "outcome=\"forwarded\"} 0\n",
            "seconds_total 0\n",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }
}
