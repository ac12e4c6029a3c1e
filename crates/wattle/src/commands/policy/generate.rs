//! `wattle policy generate`: policies that let in what was seen and nothing else.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wattle_control::propose::{Proposal, ProposalRequest, Scope, propose, reduced};
use wattle_control::records::{Record, gathered, of_edge};
use wattle_telemetry::Snapshot;

use super::check::logged;
use crate::cli::Shared;
use crate::commands::offline::Offline;
use crate::commands::{block_on, mesh};
use crate::failure::Failure;
use crate::mesh::ask;
use crate::output;

/// Most kinds of calls: what is left out would be cut off.
const MAX_KINDS: usize = 4_000;

/// Arguments of `wattle policy generate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 if policies are proposed, 1 otherwise. Look at them before they are applied: what was not seen is refused."
)]
pub(super) struct Arguments {
    /// Access log of the called workloads' proxies, JSON lines; - is standard input. Without it, the running mesh's edges
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Only for workloads of this namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Name paths as well: up to 20 a rule, else their common beginning
    #[arg(long, requires = "log")]
    paths: bool,
    #[command(flatten)]
    offline: Offline,
}

/// Prints the policies.
pub(super) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let scope = Scope {
        namespace: arguments.namespace.clone(),
        paths: arguments.paths,
    };
    let mut notes = Vec::new();
    let seen = match &arguments.log {
        Some(file) => logged(file, &mut notes)?,
        None => edges(shared)?,
    };
    let records = of_interest(seen, &scope)?;
    let request = ProposalRequest { records, scope };
    let mut proposal = match &arguments.offline.dir {
        Some(directory) => {
            let mut loaded = arguments.offline.load(directory, None)?;
            notes.extend(loaded.notes);
            propose(&mut loaded.mesh, &request)
        }
        None => by_mesh(&request, shared)?,
    };
    proposal.notes.extend(notes);
    output::show(shared.output, &proposal, ToString::to_string)?;
    Ok(crate::commands::verdict(!proposal.policies.is_empty()))
}

/// The records that tell something apart that a policy could.
fn of_interest(seen: Vec<Record>, scope: &Scope) -> anyhow::Result<Vec<Record>> {
    let let_in = seen
        .into_iter()
        .filter(|record| record.then() == wattle_control::records::Then::LetIn);
    let (records, left_out) = gathered(let_in.map(|record| reduced(record, scope)), MAX_KINDS);
    if left_out > 0 {
        return Err(Failure::error(
            format!("more than {MAX_KINDS} kinds of calls were seen"),
            "leave out `--paths`, or give the log of fewer workloads",
        ));
    }
    Ok(records)
}

fn edges(shared: &Shared) -> anyhow::Result<Vec<Record>> {
    let socket = mesh(shared)?.supervisor_socket();
    let snapshot: Snapshot = block_on(ask::get(&socket, "/stats"))?;
    Ok(snapshot.edges.iter().filter_map(of_edge).collect())
}

fn by_mesh(request: &ProposalRequest, shared: &Shared) -> anyhow::Result<Proposal> {
    let socket = mesh(shared)?.admin_socket();
    let body = serde_json::to_vec(request)?;
    block_on(ask::post(&socket, "/propose", body.into()))
}
