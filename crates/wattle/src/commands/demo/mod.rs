//! `wattle demo`: the sample application in a mesh of its own, with load, a canary and a denied edge.
//!
//! The mesh is that of `wattle up`. A second thread of the outer process, the [`guide`], does what the script says: it
//! asks and edits as a user would, by sockets and files.

mod guide;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use wattle_demo::manifests::{self, NAMESPACE};
use wattle_demo::summary::{Edge, Summary, last_told};

use crate::cli::Shared;
use crate::mesh::Place;
use crate::output;
use crate::supervisor::assignment::{Assignment, ScreenMode};
use crate::view::golden::Report;

use super::up::Stage;
use guide::Guide;

/// Name of the demo's mesh unless another one is given.
const NAME: &str = "demo";

/// Arguments of `wattle demo`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// End by itself after this long; default: when interrupted
    #[arg(long = "for", value_name = "DURATION", value_parser = super::duration)]
    run_for: Option<Duration>,
    /// Only write the demo's manifests to a directory, to be looked at and run with `wattle up`
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

/// Runs the demo to its end.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    if let Some(directory) = &arguments.write {
        manifests::write_to(directory, &program)?;
        return Ok(ExitCode::SUCCESS);
    }
    let stage = Stage::make(shared.mesh.as_deref().unwrap_or(NAME))?;
    let place = stage.place();
    let directory = place.root().join("manifests");
    manifests::write_to(&directory, &program)?;
    let running = stage.start(&assignment(&stage, &place, directory.clone()))?;
    let guide = Guide::new(place.clone(), directory, arguments.run_for, shared.output);
    let guided = std::thread::Builder::new()
        .name("guide".to_owned())
        .spawn(move || guide.run());
    let status = running.wait();
    let told = guided
        .context("cannot start the demo's guide")?
        .join()
        .map_err(|_| anyhow!("the guide broke off"))?;
    if !status.success() {
        return Ok(super::up::exit_code(status));
    }
    // Only now the load has written its last line; the state directory goes with the stage.
    let (report, rest) = told?;
    let summary = summary(&place, report.as_ref())?;
    output::show(shared.output, &summary, |summary| show::summary(summary, &rest))?;
    Ok(ExitCode::SUCCESS)
}

fn assignment(stage: &Stage, place: &Place, directory: PathBuf) -> Assignment {
    Assignment {
        name: stage.name.clone(),
        directory,
        state: place.root().to_owned(),
        // The guide ends it: only it knows when the load began.
        run_for: None,
        exit_with: None,
        access_log: false,
        resolvers: Vec::new(),
        proxy_workers: Some(1),
        accepted_roots: None,
        screen: ScreenMode::Silent,
    }
}

/// From what the load and the intruder told last, and the edges the proxies counted.
fn summary(place: &Place, report: Option<&Report>) -> anyhow::Result<Summary> {
    let log = |process: &str| {
        let path = place.logs().join(format!("{NAMESPACE}.{process}.log"));
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let load = last_told(&log("load")?).unwrap_or_default();
    let intrusion = last_told(&log("intruder")?).unwrap_or_default();
    let edges = report
        .map(|report| report.edges.iter().map(edge).collect())
        .unwrap_or_default();
    Ok(Summary::new(&load, &intrusion, edges))
}

/// A TCP edge has connections instead of requests; one that was opened went well.
fn edge(edge: &crate::view::golden::Edge) -> Edge {
    let golden = &edge.golden;
    let is_tcp = edge.protocol == "tcp";
    let count = if is_tcp {
        golden.connections
    } else {
        golden.requests
    };
    let success_rate = if is_tcp {
        f64::from(u8::from(count > 0))
    } else {
        golden.success_rate.unwrap_or(0.0)
    };
    Edge {
        source: edge.source.clone(),
        destination: edge.destination.clone(),
        protocol: edge.protocol.clone(),
        mtls: edge.mtls,
        requests: count,
        success_rate,
    }
}
