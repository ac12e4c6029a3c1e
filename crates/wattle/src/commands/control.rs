//! `wattle control`: the control plane.

mod trust;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use wattle_control::{Control, ControlConfig, KeySettings};
use wattle_model::IpBlock;
use wattle_source::Directory;

use crate::failure::Advise as _;
use crate::mesh::port;

/// Arguments of `wattle control`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Directory of manifests, watched; may be given several times, the first wins. After NAMESPACE= its author may write
    /// objects of that namespace alone
    #[arg(
        long,
        env = "WATTLE_CONTROL_CONFIG",
        value_name = "[NAMESPACE=]DIRECTORY",
        value_delimiter = ',',
        value_parser = super::manifests::parser(),
        required = true
    )]
    config: Vec<Directory>,
    /// Directory for keys, join tokens and virtual addresses; only its owner may read it
    #[arg(long, env = "WATTLE_CONTROL_STATE", value_name = "DIRECTORY")]
    state: PathBuf,
    /// Where proxies connect: discovery and certificates
    #[arg(long, env = "WATTLE_CONTROL_LISTEN", value_name = "ADDRESS", default_value_t = any(port::DISCOVERY))]
    listen: SocketAddr,
    /// Metrics and health
    #[arg(long, env = "WATTLE_CONTROL_METRICS", value_name = "ADDRESS", default_value_t = any(port::METRICS))]
    metrics: SocketAddr,
    /// Socket for commands [default: admin.sock in the state directory]
    #[arg(long, env = "WATTLE_CONTROL_ADMIN", value_name = "FILE")]
    admin: Option<PathBuf>,
    /// Trust domain of every workload
    #[arg(
        long,
        env = "WATTLE_CONTROL_TRUST_DOMAIN",
        value_name = "NAME",
        default_value = "cluster.local"
    )]
    trust_domain: String,
    /// DNS domain of the mesh
    #[arg(
        long,
        env = "WATTLE_CONTROL_CLUSTER_DOMAIN",
        value_name = "NAME",
        default_value = "cluster.local"
    )]
    cluster_domain: String,
    /// Namespace whose policies are for the whole mesh
    #[arg(
        long,
        env = "WATTLE_CONTROL_ROOT_NAMESPACE",
        value_name = "NAME",
        default_value = "wattle-system"
    )]
    root_namespace: String,
    /// Addresses that keys of token issuers may be fetched from though they are loopback, link-local or metadata
    #[arg(long, env = "WATTLE_CONTROL_KEYS_ALLOW", value_name = "BLOCK", value_delimiter = ',', value_parser = block)]
    keys_allow: Vec<IpBlock>,
    /// Addresses besides loopback that keys of token issuers may be fetched from in plaintext (http://)
    #[arg(long, env = "WATTLE_CONTROL_KEYS_PLAINTEXT", value_name = "BLOCK", value_delimiter = ',', value_parser = block)]
    keys_plaintext: Vec<IpBlock>,
    /// PEM file with authorities that issuers' servers may have besides the system's
    #[arg(long, env = "WATTLE_CONTROL_KEYS_ROOTS", value_name = "FILE")]
    keys_roots: Option<PathBuf>,
    /// Time from one fetch of keys to the next
    #[arg(long, env = "WATTLE_CONTROL_KEYS_REFRESH", value_name = "DURATION", default_value = "20m", value_parser = super::duration)]
    keys_refresh: Duration,
    /// Life of a workload's certificate, at most 24h
    #[arg(long, env = "WATTLE_CONTROL_CERTIFICATE_TTL", value_name = "DURATION", default_value = "24h", value_parser = super::duration)]
    certificate_ttl: Duration,
    #[command(flatten)]
    trust: trust::Trust,
}

fn block(text: &str) -> Result<IpBlock, String> {
    IpBlock::parse(text).ok_or_else(|| "expected an address or a block such as 127.0.0.0/8".to_owned())
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

impl Arguments {
    fn config(self) -> ControlConfig {
        let mut config = ControlConfig::new(self.state, self.config);
        config.discovery = self.listen;
        config.metrics = self.metrics;
        config.keys = KeySettings {
            // Less would be a flood.
            refresh: self.keys_refresh.max(Duration::from_secs(1)),
            allow: self.keys_allow,
            plaintext: self.keys_plaintext,
            roots: self.keys_roots,
        };
        config.trust = self.trust.settings(self.certificate_ttl);
        config.settings.trust_domain = self.trust_domain.into();
        config.settings.trust_domain_aliases = config.trust.aliases.clone();
        config.settings.cluster_domain = self.cluster_domain.into();
        config.settings.root_namespace = self.root_namespace.into();
        if let Some(admin) = self.admin {
            config.admin = admin;
        }
        config
    }
}

/// Runs the control plane until it is told to end.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    super::proxy::keep_memory_private();
    // Compiling and commands have threads of their own; this one encrypts and sends.
    super::block_on(serve(arguments.config()))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: ControlConfig) -> anyhow::Result<()> {
    let hint = "check that its addresses are free and that no other control plane uses its state directory";
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let control = Control::start(config)
        .await
        .advise("cannot start the control plane", hint)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = control.ended() => {}
    }
    control.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    use super::*;

    fn config(line: &str) -> Result<ControlConfig, clap::Error> {
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Control(arguments) => Ok(arguments.config()),
            other => panic!("expected a control plane, found {other:?}"),
        }
    }

    #[test]
    fn without_flags_the_defaults_hold() {
        let config = config("wattle control --config /a --config shop=/b --state /s").unwrap();
        let directories = vec![Directory::new("/a"), Directory::new("/b").only("shop")];
        let defaults = ControlConfig::new("/s", directories);
        assert_eq!(format!("{config:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn the_directories_are_needed() {
        assert!(config("wattle control --config /a").is_err());
        assert!(config("wattle control --state /s").is_err());
    }
}
