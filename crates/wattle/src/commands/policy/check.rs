//! `wattle policy check`: recorded decisions that a candidate would make otherwise.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use wattle_compile::Settings;
use wattle_control::records::{Known, LineError, Record, gathered, of_edge, of_line};
use wattle_control::replay::{Answer, Replay, compared, decided};
use wattle_control::view::Status;
use wattle_telemetry::Snapshot;

use crate::cli::Shared;
use crate::commands::offline::{Assumed, load};
use crate::commands::{block_on, mesh, recorded, verdict};
use crate::failure::Failure;
use crate::mesh::{Place, ask};
use crate::output;

/// Most kinds of records that are compared.
const MAX_RECORDS: usize = 50_000;
/// Longest question to the control plane, bytes; it takes 4 MiB, and a record is shorter than 1 MiB.
const MAX_ASKED: usize = 2 << 20;

/// Arguments of `wattle policy check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 if no decision changes, 1 if some do or cannot be told.\n\
                        A line of the log holds neither headers nor claims of tokens, an edge neither port nor method nor path."
)]
pub(super) struct Arguments {
    /// Directory of manifests as they are to be
    dir: PathBuf,
    /// Access log with recorded decisions, JSON lines; - is standard input. Without it, what the running proxies remember
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Directory of manifests as they are, instead of the running mesh
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    #[command(flatten)]
    assumed: Assumed,
}

/// Prints what changes.
pub(super) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let running = match (&arguments.base, &arguments.log) {
        (Some(_), Some(_)) => None,
        (None, Some(_)) => mesh(shared).ok(),
        (_, None) => Some(mesh(shared)?),
    };
    let mut notes = Vec::new();
    let records = match &arguments.log {
        Some(file) => logged(file, &mut notes)?,
        None => remembered(shared, &mut notes)?,
    };
    if records.is_empty() {
        return Err(Failure::error(
            "nothing was recorded on the way in",
            "give an access log of the called workloads' proxies with `--log`",
        ));
    }
    let settings = settings(arguments, running.as_ref(), &records, &mut notes)?;
    let now = match (&arguments.base, &running) {
        (Some(base), _) => Some(by_manifests(base, settings.clone(), &records)?),
        (None, Some(place)) => Some(by_mesh(place, &records)?),
        (None, None) => {
            notes.push(
                "no mesh runs and no `--base` is given: compared with what was decided then".to_owned(),
            );
            None
        }
    };
    let after = by_manifests(&arguments.dir, settings, &records)?;
    let mut replay: Replay = compared(&records, now.as_deref(), &after);
    replay.notes.extend(notes);
    output::show(shared.output, &replay, ToString::to_string)?;
    Ok(verdict(replay.is_same()))
}

/// Settings of the running mesh; what flags or the facts say instead without one.
fn settings(
    arguments: &Arguments,
    running: Option<&Place>,
    records: &[Record],
    notes: &mut Vec<String>,
) -> anyhow::Result<Settings> {
    if let (Some(place), false) = (running, arguments.assumed.is_told()) {
        let status: Status = block_on(ask::get(&place.admin_socket(), "/status"))?;
        return Ok(status.settings());
    }
    let id = records
        .iter()
        .find_map(|record| record.facts.workload.parse::<wattle_identity::SpiffeId>().ok());
    let (settings, assumed) = arguments
        .assumed
        .settings(id.as_ref().map(wattle_identity::SpiffeId::trust_domain));
    notes.extend(assumed);
    Ok(settings)
}

fn by_manifests(directory: &Path, settings: Settings, records: &[Record]) -> anyhow::Result<Vec<Answer>> {
    let (mut mesh, _) = load(directory, settings)?;
    Ok(decided(&mut mesh, records))
}

/// By the control plane, in parts.
fn by_mesh(place: &Place, records: &[Record]) -> anyhow::Result<Vec<Answer>> {
    let mut all = Vec::new();
    for part in parts(records)? {
        let answers: Vec<Answer> =
            block_on(ask::post_patiently(&place.admin_socket(), "/replay", part.into()))?;
        all.extend(answers);
    }
    Ok(all)
}

/// Lists of records as JSON, each short enough to be asked about at once.
fn parts(records: &[Record]) -> serde_json::Result<Vec<String>> {
    let mut parts: Vec<String> = Vec::new();
    for record in records {
        let text = serde_json::to_string(record)?;
        match parts
            .last_mut()
            .filter(|part| part.len() + text.len() < MAX_ASKED)
        {
            Some(part) => part.push(','),
            None => parts.push("[".to_owned()),
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(&text);
        }
    }
    parts.iter_mut().for_each(|part| part.push(']'));
    Ok(parts)
}

/// Records of a log; lines that are none are counted by reason.
pub(super) fn logged(file: &Path, notes: &mut Vec<String>) -> anyhow::Result<Vec<Record>> {
    let (mut records, mut calling, mut unreadable) = (Vec::new(), 0, None);
    let mut left_out = 0;
    recorded::each_line(file, |number, text| {
        let line: Value = serde_json::from_str(text).unwrap_or_default();
        match of_line(&line) {
            Ok(record) => records.push(record),
            Err(LineError::OtherSide) => calling += 1,
            Err(error) => {
                unreadable.get_or_insert(format!("line {number}: {error}"));
            }
        }
        // What is the same is one record, so that a long log does not have to be held.
        if records.len() > 2 * MAX_RECORDS {
            let (few, more) = gathered(std::mem::take(&mut records), MAX_RECORDS);
            records = few;
            left_out += more;
        }
    })?;
    if let Some(error) = unreadable {
        return Err(anyhow::anyhow!(error)).with_context(|| format!("cannot read {}", file.display()));
    }
    if calling > 0 {
        notes.push(format!(
            "{calling} lines of the calling side are left out: the called side has its own"
        ));
    }
    let records = bounded(records, left_out, notes);
    notes.push("lines of a log hold neither headers nor claims of tokens".to_owned());
    Ok(records)
}

/// What the proxies remember: refusals with their facts, and edges.
fn remembered(shared: &Shared, notes: &mut Vec<String>) -> anyhow::Result<Vec<Record>> {
    let refused = recorded::refusals(None, shared)?.into_iter().map(Record::from);
    let socket = mesh(shared)?.supervisor_socket();
    let snapshot: Snapshot = block_on(ask::get(&socket, "/stats"))?;
    let edges = snapshot.edges.iter().filter_map(of_edge);
    let records = bounded(refused.chain(edges).collect(), 0, notes);
    if records.iter().any(|record| record.known == Known::Edge) {
        notes.push(
            "edges hold neither port nor method nor path: give an access log with `--log` for these"
                .to_owned(),
        );
    }
    Ok(records)
}

fn bounded(records: Vec<Record>, left_out: u64, notes: &mut Vec<String>) -> Vec<Record> {
    let (records, more) = gathered(records, MAX_RECORDS);
    if left_out + more > 0 {
        notes.push(format!(
            "{} events beyond {MAX_RECORDS} kinds are left out",
            left_out + more
        ));
    }
    records
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn line(path: &str) -> Value {
        json!({
            "reporter": "destination", "method": "GET", "path": path, "protocol": "HTTP/1.1",
            "response_code_details": "via_upstream",
            "downstream_remote_address": "10.0.0.2:1234", "downstream_local_address": "10.0.0.3:80",
        })
    }

    #[test]
    fn questions_are_cut_where_they_become_too_long_and_none_is_lost() {
        let long = "/x".repeat(MAX_ASKED / 5);
        let records: Vec<Record> = (0..7).map(|_| of_line(&line(&long)).unwrap()).collect();
        let parts = parts(&records).unwrap();
        assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= MAX_ASKED + 2));
        let back: Vec<Record> = parts
            .iter()
            .flat_map(|part| serde_json::from_str::<Vec<Record>>(part).unwrap())
            .collect();
        assert_eq!(back, records);
        assert!(super::parts(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_log_leaves_out_the_calling_side_and_says_how_much_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("access.log");
        let calling = json!({"reporter": "source"});
        let text = format!("{}\n\n{}\n{calling}\n", line("/a"), line("/a"));
        std::fs::write(&file, text).unwrap();
        let mut notes = Vec::new();
        let records = logged(&file, &mut notes).unwrap();
        assert_eq!((records.len(), records[0].count), (1, 2));
        assert!(notes[0].starts_with("1 lines of the calling side"), "{notes:?}");
        std::fs::write(&file, "{}\n").unwrap();
        let error = format!("{:#}", logged(&file, &mut notes).unwrap_err());
        assert!(
            error.contains("access.log") && error.contains("line 1: "),
            "{error}"
        );
    }
}
