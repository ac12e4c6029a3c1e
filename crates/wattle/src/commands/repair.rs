//! `wattle repair`: a new authority after the old one has ended.

use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;

use super::rotate;
use crate::cli::Shared;
use crate::failure::Advise as _;
use crate::mesh::ask;
use crate::mesh::view::RotationView;
use crate::output;

/// Arguments of `wattle repair`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

/// Makes the authority anew; the supervisor hands its proxies roots and join tokens by itself.
pub(crate) fn run(_: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let socket = super::mesh(shared)?.admin_socket();
    let found: RotationView = super::block_on(ask::post(&socket, "/repair", Bytes::new())).advise(
        "nothing is repaired",
        "see how the authority is with `wattle rotate --status`",
    )?;
    let text = |found: &RotationView| {
        format!(
            "the authority is made anew; proxies of this mesh join it by themselves, any other needs roots.pem and a join token\n{}",
            rotate::text(found)
        )
    };
    output::show(shared.output, &found, text)?;
    Ok(ExitCode::SUCCESS)
}
