//! `wattle policy`: what policies let in, for all requests there could be.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use wattle_control::reach::{Claim, prove};

use crate::cli::Shared;
use crate::failure::Advise as _;
use crate::mesh::ask;
use crate::output;
use crate::supervisor::api::MeshView;

/// Arguments of `wattle policy`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Prove that nothing of some callers reaches a workload, or show what does
    Prove(Prove),
}

/// Arguments of `wattle policy prove`.
#[derive(Debug, Args)]
#[command(
    after_help = "CLAIM: nothing [in NAMESPACE | from NAMESPACE/ACCOUNT] reaches NAMESPACE/WORKLOAD [on PORT] [with METHOD [PATH]]\n\
                  NAMESPACE/* is every workload of the namespace. Exit code 0 if the claim is proved, 1 if it is not."
)]
struct Prove {
    /// The claim, such as 'nothing in guests reaches shop/web on 8080'
    claim: String,
    /// Directory of manifests; default: that of the running mesh
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Answers the question.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    match &arguments.question {
        Question::Prove(arguments) => proved(arguments, shared),
    }
}

fn proved(arguments: &Prove, shared: &Shared) -> anyhow::Result<ExitCode> {
    let claim: Claim = arguments.claim.parse().advise(
        "cannot read the claim",
        "see `wattle policy prove --help` for its grammar",
    )?;
    let directory = match &arguments.dir {
        Some(directory) => directory.clone(),
        None => manifests(shared)?,
    };
    std::fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let (mut mesh, _) = wattle_control::offline::load(&directory);
    let reach = prove(&mut mesh, &claim).advise(
        "cannot prove the claim",
        "list workloads with `wattle get processes`",
    )?;
    output::show(shared.output, &reach, ToString::to_string)?;
    Ok(super::verdict(reach.holds))
}

/// Where the manifests of the running mesh are.
fn manifests(shared: &Shared) -> anyhow::Result<PathBuf> {
    let socket = super::mesh(shared)?.supervisor_socket();
    let mesh: MeshView = super::block_on(ask::get(&socket, "/mesh"))?;
    Ok(mesh.directory.into())
}
