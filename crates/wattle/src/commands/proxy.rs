//! `wattle proxy`: the data plane beside one workload.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use rustix::process::DumpableBehavior;
use wattle_proxy::{AccessLogTarget, Hooks, Settings};

use super::member::Member;
use crate::failure::Advise as _;
use crate::logging::SetLevel;

/// Arguments of `wattle proxy`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    member: Member,
    /// Where redirected outbound connections arrive [default: 127.0.0.1:15001]
    #[arg(long, env = "WATTLE_PROXY_OUTBOUND", value_name = "ADDRESS")]
    outbound: Option<SocketAddr>,
    /// Where redirected inbound connections arrive [default: 0.0.0.0:15006]
    #[arg(long, env = "WATTLE_PROXY_INBOUND", value_name = "ADDRESS")]
    inbound: Option<SocketAddr>,
    /// Port on both loopbacks where redirected DNS queries arrive, usually 15053 [default: none, names are left alone]
    #[arg(long, env = "WATTLE_PROXY_DNS_PORT", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    dns_port: Option<u16>,
    /// Worker threads [default: the CPU quota, at most 2]
    #[arg(long, env = "WATTLE_PROXY_WORKERS", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: Option<u8>,
    /// Mark on the proxy's own sockets, exempt from redirection; needs CAP_NET_ADMIN
    #[arg(long, env = "WATTLE_PROXY_MARK", value_name = "N")]
    mark: Option<u32>,
    /// Source address towards the application, or `none` to let the kernel choose [default: 127.0.0.6]
    #[arg(long, env = "WATTLE_PROXY_INBOUND_SOURCE", value_name = "ADDRESS", value_parser = source)]
    inbound_source: Option<Source>,
    /// Longest time for open work when draining [default: 30s]
    #[arg(long, env = "WATTLE_PROXY_DRAIN_GRACE", value_name = "DURATION", value_parser = super::duration)]
    drain_grace: Option<Duration>,
    /// Longest wait for the configuration of a destination dialled for the first time [default: 5s]
    #[arg(long, env = "WATTLE_PROXY_CONFIG_TIMEOUT", value_name = "DURATION", value_parser = super::duration)]
    config_timeout: Option<Duration>,
    /// Longest wait for a connection to an endpoint, TLS included [default: 5s]
    #[arg(long, env = "WATTLE_PROXY_CONNECT_TIMEOUT", value_name = "DURATION", value_parser = super::duration)]
    connect_timeout: Option<Duration>,
    /// File for one JSON line per request, `-` for standard output [default: none]
    #[arg(long, env = "WATTLE_PROXY_ACCESS_LOG", value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Carry HTTP/1.1 as HTTP/1.1 between proxies instead of multiplexing it on HTTP/2
    #[arg(long, env = "WATTLE_PROXY_HTTP1_HOP")]
    http1_hop: bool,
    /// Envoy to run as the proxy, under an agent that holds its identity
    #[arg(long, env = "WATTLE_PROXY_ENVOY", value_name = "FILE")]
    envoy: Option<PathBuf>,
}

/// The address towards the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Fixed(IpAddr),
    Kernel,
}

fn source(text: &str) -> Result<Source, String> {
    match text {
        "none" => Ok(Source::Kernel),
        _ => text
            .parse()
            .map(Source::Fixed)
            .map_err(|_| format!("expected an address or `none`, found `{text}`")),
    }
}

impl Arguments {
    fn settings(self) -> Settings {
        let mut settings = self.member.settings();
        let defaults = settings.clone();
        settings.outbound = self.outbound.unwrap_or(defaults.outbound);
        settings.inbound = self.inbound.unwrap_or(defaults.inbound);
        settings.dns_port = self.dns_port;
        settings.workers = self.workers.map_or(defaults.workers, usize::from);
        settings.mark = self.mark;
        settings.inbound_source = match self.inbound_source {
            Some(Source::Fixed(address)) => Some(address),
            Some(Source::Kernel) => None,
            None => defaults.inbound_source,
        };
        settings.drain_grace = self.drain_grace.unwrap_or(defaults.drain_grace);
        settings.config_timeout = self.config_timeout.unwrap_or(defaults.config_timeout);
        settings.connect_timeout = self.connect_timeout.unwrap_or(defaults.connect_timeout);
        settings.access_log = self.access_log.map(|path| match path.to_str() {
            Some("-") => AccessLogTarget::Stdout,
            _ => AccessLogTarget::File(path),
        });
        settings.http1_hop = self.http1_hop;
        settings
    }
}

/// Runs the proxy until it is told to end.
pub(crate) fn run(arguments: Arguments, set_log_level: Option<SetLevel>) -> anyhow::Result<ExitCode> {
    keep_memory_private();
    let hooks = Hooks {
        set_log_level,
        once_settled: Some(let_go_of_code),
    };
    let hint = "check that its addresses are free and its state directory is its own";
    let ended = match arguments.envoy.clone() {
        Some(program) => wattle_proxy::run_envoy(arguments.settings(), program),
        None => wattle_proxy::run(arguments.settings(), hooks),
    };
    ended.advise("cannot run the proxy", hint)?;
    Ok(ExitCode::SUCCESS)
}

/// What only the start needed stays out of memory from now on.
fn let_go_of_code() {
    if let Err(error) = wattle_capture::memory::let_go_of_code() {
        tracing::debug!(%error, "code of the start stays in memory");
    }
}

/// Keys are in memory: a process of the same user, such as another workload's, must not read it.
pub(super) fn keep_memory_private() {
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "other processes of this user may read this one's memory");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;
    use wattle_proxy::CertificateSource;

    use crate::cli::{Cli, Command};

    use super::*;

    const NEEDED: &str = "wattle proxy --id spiffe://cluster.local/ns/shop/sa/web --instance web-0 \
                          --control 10.244.0.1:15012 --roots /r.pem --state /s";

    fn settings(more: &str) -> Result<Settings, clap::Error> {
        let line = format!("{NEEDED} {more}");
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Proxy(arguments) => Ok(arguments.settings()),
            other => panic!("expected a proxy, found {other:?}"),
        }
    }

    #[test]
    fn without_flags_the_defaults_hold() {
        let settings = settings("").unwrap();
        let defaults = Settings::new(
            settings.id.clone(),
            "web-0".into(),
            settings.control,
            "/r.pem".into(),
            "/s".into(),
        );
        assert_eq!(format!("{settings:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn every_flag_reaches_the_settings() {
        let settings = settings(
            "--mark 1337 --workers 3 --inbound-source none --access-log - --drain-grace 1m --http1-hop --token /t \
             --dns-port 15053",
        )
        .unwrap();
        assert_eq!(
            (settings.mark, settings.workers, settings.inbound_source),
            (Some(1337), 3, None)
        );
        assert_eq!(settings.access_log, Some(AccessLogTarget::Stdout));
        assert_eq!(
            (settings.drain_grace, settings.http1_hop),
            (Duration::from_secs(60), true)
        );
        assert_eq!(
            (settings.token, settings.dns_port),
            (Some("/t".into()), Some(15_053))
        );
    }

    #[test]
    fn one_source_of_certificates_is_named_whole() {
        let of = |text: &str| settings(text).map(|settings| settings.certificates);
        assert_eq!(of("").unwrap(), CertificateSource::ControlPlane);
        assert_eq!(
            of("--workload-api unix:///run/spire.sock").unwrap(),
            CertificateSource::WorkloadApi("/run/spire.sock".into())
        );
        for wrong in ["/run/spire.sock", "unix://run/spire.sock", "tcp://127.0.0.1:8081"] {
            assert!(of(&format!("--workload-api {wrong}")).is_err(), "{wrong}");
        }
        let files = "--ca-roots roots.pem --ca-token token";
        for (address, host) in [
            ("csr.example:443", "csr.example"),
            ("[2001:db8::1]:443", "2001:db8::1"),
        ] {
            let CertificateSource::Service(service) = of(&format!("--ca-address {address} {files}")).unwrap()
            else {
                panic!("{address}");
            };
            assert_eq!((&*service.host, service.port), (host, 443));
        }
        for wrong in ["csr.example", "csr.example:0", ":443", "2001:db8::1:443"] {
            assert!(of(&format!("--ca-address {wrong} {files}")).is_err(), "{wrong}");
        }
        assert!(of("--ca-address csr.example:443").is_err());
        assert!(of(files).is_err());
        assert!(
            of(&format!(
                "--ca-address csr.example:443 {files} --workload-api unix:///s"
            ))
            .is_err()
        );
    }

    #[test]
    fn the_admin_endpoint_cannot_leave_loopback() {
        assert!(settings("--admin 0.0.0.0:15000").is_err());
        assert!(settings("--admin [::1]:15000").is_ok());
        assert!(settings("--workers 0").is_err());
        assert!(settings("--dns-port 0").is_err());
    }
}
