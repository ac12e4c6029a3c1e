//! The command line: what every command shares, and the list of commands.

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    agent, analyze, certs, check, completions, control, demo, diff, exec_in, explain, get, policy, proxy,
    repair, rotate, sample, stat, supervise, token, up, why,
};
use crate::logging::LogFormat;
use crate::output::Format;

const EXIT_CODES: &str = "Exit codes: 0 done and well, 1 failed or denied, 2 wrong usage.";

/// A service mesh in one binary: control plane, proxy and command line.
#[derive(Debug, Parser)]
#[command(name = "wattle", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shared {
    /// How the result is written
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) output: Format,
    /// Which running mesh is meant; default: the only one that runs
    #[arg(long, global = true, env = "WATTLE_MESH", value_name = "NAME")]
    pub(crate) mesh: Option<String>,
    /// How log lines on standard error are written; their level is in WATTLE_LOG
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "WATTLE_LOG_FORMAT",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,
}

/// The commands, in the order in which a newcomer meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a mesh of sample services on this machine
    Demo(demo::Arguments),
    /// Run the mesh described in a directory on this machine
    Up(up::Arguments),
    /// Show success rate, requests per second and latency of every edge
    Stat(stat::Arguments),
    /// Say what would happen to a request, and why
    Explain(explain::Arguments),
    /// Say why something was refused, and what would have to change
    Why(why::Arguments),
    /// Prove what policies let in, for all requests there could be
    Policy(policy::Arguments),
    /// Say what is wrong with manifests, or does not do what one may expect
    Analyze(analyze::Arguments),
    /// Say what changes for whom between two directories of manifests
    Diff(diff::Arguments),
    /// List objects, processes, proxies or endpoints
    Get(get::Arguments),
    /// List certificates: who, until when, issued by whom
    Certs(certs::Arguments),
    /// Replace issuer or root while the mesh runs, or say how far that is
    Rotate(rotate::Arguments),
    /// Make the certificate authority anew after it has ended
    Repair(repair::Arguments),
    /// Print a join token, with which a proxy or agent gets its first certificate
    Token(token::Arguments),
    /// Check this machine and the running mesh
    Check(check::Arguments),
    /// Run a control plane
    Control(Box<control::Arguments>),
    /// Run a proxy beside a workload
    Proxy(Box<proxy::Arguments>),
    /// Run an agent for gRPC programs of a workload without a proxy
    Agent(Box<agent::Arguments>),
    /// Say which version this is
    Version,
    /// Write a completion script for a shell
    Completions(completions::Arguments),
    /// Supervise a mesh from inside its namespaces
    #[command(hide = true)]
    Supervise(supervise::Arguments),
    /// Become a program inside a workload's namespaces
    #[command(hide = true)]
    ExecIn(exec_in::Arguments),
    /// Run one service of the sample application
    #[command(hide = true)]
    Sample(sample::Arguments),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_output_format_may_stand_before_or_after_the_command() {
        assert_eq!(
            parse("wattle -o json version").unwrap().shared.output,
            Format::Json
        );
        assert_eq!(
            parse("wattle version -o json").unwrap().shared.output,
            Format::Json
        );
        assert_eq!(parse("wattle version").unwrap().shared.output, Format::Text);
    }

    #[test]
    fn the_inner_commands_are_hidden_and_the_others_are_not() {
        let help = Cli::command().render_help().to_string();
        for shown in [
            "demo",
            "up",
            "stat",
            "explain",
            "why",
            "policy",
            "analyze",
            "diff",
            "get",
            "certs",
            "rotate",
            "repair",
            "token",
            "check",
            "control",
            "proxy",
            "version",
            "completions",
        ] {
            assert!(
                help.contains(&format!("\n  {shown}")),
                "{shown} is missing in\n{help}"
            );
        }
        for hidden in ["supervise", "exec-in", "sample"] {
            assert!(
                !help.contains(&format!("\n  {hidden}")),
                "{hidden} is shown in\n{help}"
            );
        }
        assert!(help.contains(EXIT_CODES));
    }

    #[test]
    fn wrong_usage_ends_with_2() {
        for line in [
            "wattle",
            "wattle up",
            "wattle nonsense",
            "wattle stat --interval x",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
