//! `wattle policy prove`: that nothing of some callers reaches a workload, or what does.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use wattle_control::reach::{Claim, ProofRequest, Reach, prove};

use crate::cli::Shared;
use crate::commands::offline::{Loaded, Offline};
use crate::commands::{block_on, mesh, verdict};
use crate::failure::Advise as _;
use crate::mesh::ask;
use crate::output;

/// Arguments of `wattle policy prove`.
#[derive(Debug, Args)]
#[command(
    after_help = "CLAIM: nothing [in NAMESPACE | from NAMESPACE/ACCOUNT] reaches NAMESPACE/WORKLOAD [on PORT] [with METHOD [PATH]]\n\
                  NAMESPACE/* is every workload of the namespace. Exit code 0 if the claim is proved, 1 if it is not."
)]
pub(super) struct Arguments {
    /// The claim, such as 'nothing in guests reaches shop/web on 8080'
    claim: String,
    #[command(flatten)]
    offline: Offline,
}

/// Prints the proof; whether it holds is the exit code.
pub(super) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let claim: Claim = arguments.claim.parse().advise(
        "cannot read the claim",
        "see `wattle policy prove --help` for its grammar",
    )?;
    let proved = match &arguments.offline.dir {
        Some(directory) => by_manifests(directory, &arguments.offline, &claim),
        None => by_mesh(&claim, shared),
    };
    let reach = proved.advise(
        "cannot prove the claim",
        "list workloads with `wattle get processes`",
    )?;
    output::show(shared.output, &reach, ToString::to_string)?;
    Ok(verdict(reach.holds))
}

fn by_manifests(directory: &Path, offline: &Offline, claim: &Claim) -> anyhow::Result<Reach> {
    let Loaded { mut mesh, notes } = offline.load(directory, None)?;
    Ok(Reach {
        notes,
        ..prove(&mut mesh, claim)?
    })
}

/// By the control plane: it alone knows the mesh's settings and what is in force.
fn by_mesh(claim: &Claim, shared: &Shared) -> anyhow::Result<Reach> {
    let socket = mesh(shared)?.admin_socket();
    let request = ProofRequest {
        claim: claim.to_string(),
    };
    let body = serde_json::to_vec(&request)?;
    block_on(ask::post_patiently(&socket, "/prove", body.into()))
}
