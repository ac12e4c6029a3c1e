//! The binary's own log, on standard error.

use std::sync::Arc;

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

/// Changes the level while the program runs, or says what is wrong with the one asked for.
pub(crate) type SetLevel = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Starts logging at `default_level` unless `WATTLE_LOG` says otherwise; a filter that cannot be read is said and ignored.
pub(crate) fn start(format: LogFormat, default_level: &str) -> Option<SetLevel> {
    let wanted = std::env::var(VARIABLE).unwrap_or_else(|_| default_level.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
        eprintln!("warning: cannot read {VARIABLE}={wanted}: {error}; logging at {default_level}");
        EnvFilter::new(default_level)
    });
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    let started = match format {
        LogFormat::Text => builder
            .with_ansi(colour)
            .try_init()
            .map_err(|error| error.to_string()),
        LogFormat::Json => {
            let builder = tracing_subscriber::fmt().json().with_writer(std::io::stderr);
            let builder = builder
                .with_env_filter(EnvFilter::new(&wanted))
                .with_filter_reloading();
            let handle = builder.reload_handle();
            let started = builder.try_init().map_err(|error| error.to_string());
            return finish(started, move |filter| {
                handle.reload(filter).map_err(|error| error.to_string())
            });
        }
    };
    finish(started, move |filter| {
        handle.reload(filter).map_err(|error| error.to_string())
    })
}

fn finish(
    started: Result<(), String>,
    reload: impl Fn(EnvFilter) -> Result<(), String> + Send + Sync + 'static,
) -> Option<SetLevel> {
    if let Err(error) = started {
        eprintln!("warning: cannot start logging: {error}");
        return None;
    }
    Some(Arc::new(move |level: &str| {
        let filter = EnvFilter::try_new(level).map_err(|error| error.to_string())?;
        reload(filter)
    }))
}
