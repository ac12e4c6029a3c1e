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
    Counters, Counts, Host, Limits, MAX_ADDRESSES, Names as Table, Outward, ResolvConf, Server, ServerError,
    ServerOptions, Upstream,
};
use wattle_model::{NameTarget, NamedHost, Names};

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

/// The server, and what it answers from.
pub(crate) struct NameServer {
    table: Arc<ArcSwap<Table>>,
    search: Vec<String>,
    shown: Option<Arc<Names>>,
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
        let table = Arc::new(ArcSwap::from_pointee(Table::default()));
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

    /// Answers from these names from now on.
    pub(crate) fn show(&mut self, names: &Arc<Names>) {
        if self.shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, names)) {
            return;
        }
        self.shown = Some(names.clone());
        self.table.store(Arc::new(table(names, &self.search)));
    }
}

/// The loopback addresses this machine has; some have no IPv6.
fn loopbacks() -> impl Iterator<Item = IpAddr> {
    let all = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let there = |ip: &IpAddr| ip.is_ipv4() || UdpSocket::bind((*ip, 0)).is_ok();
    all.into_iter().filter(there)
}

/// The table; a host that cannot be in it is told and left out, and spoils no other.
fn table(names: &Names, search: &[String]) -> Table {
    let mut builder = match Table::builder(search) {
        Ok(builder) => builder,
        Err(error) => {
            tracing::warn!(%error, "search domains are not recognised");
            return Table::default();
        }
    };
    for host in &names.hosts {
        if let Err(error) = builder.add(entry(host)) {
            tracing::warn!(%error, "a name is left out");
        }
    }
    builder.build()
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
        };
        let table = table(&names, &["shop.svc.cluster.local".to_owned()]);
        assert_eq!(table.len(), 2);
        let found = table.find("db.example.com.shop.svc.cluster.local");
        assert_eq!(found.and_then(|found| found.stands_for), Some("db.example.net"));
        let many = table.find("many.example.com");
        assert_eq!(many.map(|found| found.addresses.len()), Some(MAX_ADDRESSES));
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
