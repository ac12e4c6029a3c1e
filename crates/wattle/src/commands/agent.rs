//! `wattle agent`: identity and discovery for gRPC programs of a workload without a proxy.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use wattle_model::port;
use wattle_proxy::Settings;

use super::member::{Member, loopback};
use super::proxy::keep_memory_private;
use crate::failure::{Advise as _, Failure};

/// Arguments of `wattle agent`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    member: Member,
    /// Where programs find discovery, loopback only [default: 127.0.0.1:15010]
    #[arg(long, env = "WATTLE_AGENT_DISCOVERY", value_name = "ADDRESS", value_parser = loopback)]
    discovery: Option<SocketAddr>,
}

impl Arguments {
    fn settings(self) -> anyhow::Result<(Settings, SocketAddr)> {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, port::PROGRAMS));
        let discovery = self.discovery.unwrap_or(default);
        let mut settings = self.member.settings();
        // The bootstrap names files below it, to programs that run anywhere.
        settings.state = std::path::absolute(&settings.state).context("--state")?;
        if settings.state.to_str().is_none() {
            let shown = settings.state.display();
            let hint = "name a directory that a JSON file can name";
            return Err(Failure::error(format!("--state: {shown} is not UTF-8"), hint));
        }
        Ok((settings, discovery))
    }
}

/// Runs the agent until it is told to end.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    keep_memory_private();
    let (settings, discovery) = arguments.settings()?;
    let hint = "check that its addresses are free and its state directory is its own";
    wattle_proxy::run_agent(settings, discovery).advise("cannot run the agent", hint)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    use super::*;

    const NEEDED: &str = "wattle agent --id spiffe://cluster.local/ns/shop/sa/batch --instance batch-0 \
                          --control 10.244.0.1:15012 --roots /r.pem";

    fn settings(more: &str) -> anyhow::Result<(Settings, SocketAddr)> {
        let line = format!("{NEEDED} {more}");
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Agent(arguments) => arguments.settings(),
            other => panic!("expected an agent, found {other:?}"),
        }
    }

    #[test]
    fn programs_find_discovery_and_files_wherever_they_run() {
        let (settings, discovery) = settings("--state here --token /t --admin [::1]:15000").unwrap();
        assert_eq!(discovery.to_string(), "127.0.0.1:15010");
        assert!(settings.state.is_absolute() && settings.state.ends_with("here"));
        assert_eq!(settings.inbound_name(), "shop/batch-0");
        assert_eq!(
            (settings.token, settings.admin.to_string()),
            (Some("/t".into()), "[::1]:15000".to_owned())
        );
    }

    #[test]
    fn discovery_cannot_leave_loopback() {
        assert!(settings("--state /s --discovery 0.0.0.0:15010").is_err());
        assert!(settings("--state /s --discovery [::1]:15010").is_ok());
        assert!(settings("").is_err());
    }
}
