//! `wattle token`: a join token, for whoever starts a proxy or an agent by hand.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::cli::Shared;
use crate::failure::{Advise as _, Failure};
use crate::mesh::ask;
use crate::mesh::view::{TokenAnswer, TokenRequest};
use crate::output;

/// Arguments of `wattle token`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Who its holder becomes: NAMESPACE/ACCOUNT, or an account of namespace default
    #[arg(value_name = "NAMESPACE/ACCOUNT")]
    who: String,
    /// How long it may be used; 1s to 24h
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = super::duration)]
    ttl: Duration,
    /// Write it to a new file for its owner alone, and not to standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Asks for a token.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let (namespace, account) = arguments
        .who
        .split_once('/')
        .unwrap_or(("default", &arguments.who));
    let request = TokenRequest {
        namespace: namespace.to_owned(),
        service_account: account.to_owned(),
        ttl_secs: Some(arguments.ttl.as_secs()),
    };
    let socket = super::mesh(shared)?.admin_socket();
    let asked = ask::post(&socket, "/tokens", serde_json::to_vec(&request)?.into());
    let found: TokenAnswer =
        super::block_on(asked).advise("there is no token", "name it as NAMESPACE/ACCOUNT")?;
    match &arguments.file {
        Some(file) => {
            keep(file, &found.token)?;
            output::write(&format!(
                "{} holds a token of {}\n",
                file.display(),
                found.identity
            ))?;
        }
        None => output::show(shared.output, &found, |found| format!("{}\n", found.token))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that was not there, so that no other keeps an eye on it.
fn keep(file: &Path, token: &str) -> anyhow::Result<()> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    let mut opened = opened.map_err(|error| {
        Failure::error(
            format!("cannot write {}: {error}", file.display()),
            "name a file that does not exist yet",
        )
    })?;
    opened
        .write_all(format!("{token}\n").as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))
}
