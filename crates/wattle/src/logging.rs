//! The binary's own log, on standard error.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// Environment variable with the level or filter, as `debug` or `wattle_proxy=trace,info`.
const VARIABLE: &str = "WATTLE_LOG";

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging at `default_level` unless `WATTLE_LOG` says otherwise; a filter that cannot be read is said and ignored.
pub(crate) fn start(format: LogFormat, default_level: &str) {
    let wanted = std::env::var(VARIABLE).unwrap_or_else(|_| default_level.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
        eprintln!("warning: cannot read {VARIABLE}={wanted}: {error}; logging at {default_level}");
        EnvFilter::new(default_level)
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = started {
        eprintln!("warning: cannot start logging: {error}");
    }
}
