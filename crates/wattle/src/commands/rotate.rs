//! `wattle rotate`: replaces issuer or root while the mesh runs, and says how far that is.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::cli::Shared;
use crate::failure::{Advise as _, Failure};
use crate::mesh::ask;
use crate::mesh::view::{AuthorityView, PhaseView, RotationRequest, RotationView};
use crate::output;
use crate::view::time::until;

/// Between two looks at a rotation that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Arguments of `wattle rotate`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What is replaced; without it, how far a rotation is
    #[arg(value_enum, value_name = "WHAT", required_unless_present = "status")]
    what: Option<What>,
    /// Only say how far a rotation is
    #[arg(long, conflicts_with = "what")]
    status: bool,
    /// Do not wait for workloads that are not connected; they may have to join anew
    #[arg(long, requires = "what")]
    skip_absent: bool,
    /// Return when it is done, at the latest after this time
    #[arg(long, value_name = "DURATION", value_parser = super::duration)]
    wait: Option<Duration>,
}

/// What can be replaced.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// The root, and the issuer with it
    Root,
    /// The certificate that signs workloads
    Issuer,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Issuer => "issuer",
        }
    }
}

/// Begins a rotation or shows it.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let socket = super::mesh(shared)?.admin_socket();
    let asked = async {
        let found = match arguments.what {
            None => ask::get(&socket, "/rotation").await?,
            Some(what) => begin(&socket, what, arguments.skip_absent).await?,
        };
        match arguments.wait {
            None => Ok(found),
            Some(patience) => settled(&socket, found, patience).await,
        }
    };
    let found = super::block_on(asked)?;
    output::show(shared.output, &found, text)?;
    Ok(super::verdict(!found.expired))
}

async fn begin(socket: &Path, what: What, skip_absent: bool) -> anyhow::Result<RotationView> {
    let request = RotationRequest {
        replace: what.as_str().to_owned(),
        skip_absent,
    };
    let body = serde_json::to_vec(&request)?.into();
    let hint = "see how far it is with `wattle rotate --status`";
    ask::post(socket, "/rotation", body)
        .await
        .advise("nothing is rotated", hint)
}

/// Waits until no rotation is under way.
async fn settled(socket: &Path, mut found: RotationView, patience: Duration) -> anyhow::Result<RotationView> {
    let deadline = Instant::now() + patience;
    while found.stage != "steady" {
        if Instant::now() >= deadline {
            let hint = "go on waiting with `wattle rotate --status --wait 1h`, it does not stop meanwhile";
            return Err(Failure::error("the rotation is not done in this time", hint));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        found = ask::get(socket, "/rotation").await?;
    }
    Ok(found)
}

/// A rotation as text.
pub(super) fn text(found: &RotationView) -> String {
    let mut lines = vec![format!("{}: {}", found.stage, meaning(found))];
    lines.push(format!("signing   {}", authority(&found.signing)));
    if found.from_files {
        lines.push("          issuer and root come from files".to_owned());
    }
    lines.extend(found.next.iter().map(|next| format!("next      {}", phase(next))));
    lines.extend(
        found
            .retiring
            .iter()
            .map(|old| format!("retiring  {}", phase(old))),
    );
    lines.push(format!(
        "{} certificates in use, {} of an earlier issuer",
        found.certificates, found.outdated
    ));
    if !found.awaited.is_empty() {
        lines.push(format!("waits for {}", found.awaited.join(", ")));
    }
    lines.extend(found.problems.iter().map(|problem| format!("problem: {problem}")));
    lines.join("\n") + "\n"
}

fn meaning(found: &RotationView) -> String {
    if found.expired {
        return "the authority has ended, run `wattle repair`".to_owned();
    }
    match found.stage.as_str() {
        "spreading" => format!(
            "the next root is being made known, {} workloads do not know it yet ({} of them connected)",
            found.unaware, found.unaware_connected
        ),
        "renewing" => "certificates of an earlier issuer are being renewed".to_owned(),
        _ => "no rotation is under way".to_owned(),
    }
}

fn authority(one: &AuthorityView) -> String {
    format!(
        "issuer {} until {}, root {} until {}",
        one.issuer,
        until(one.not_after_secs),
        one.root,
        until(one.root_not_after_secs)
    )
}

fn phase(one: &PhaseView) -> String {
    format!(
        "{}, {} at the latest",
        authority(&one.authority),
        until(one.until_secs)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_it_stands_and_whom_it_waits_for() {
        let one = AuthorityView {
            issuer: "aa".to_owned(),
            not_after_secs: 1_795_449_600,
            root: "bb".to_owned(),
            root_not_after_secs: 1_795_449_600,
        };
        let next = PhaseView {
            authority: one.clone(),
            since_secs: 0,
            until_secs: 1_795_449_600,
        };
        let found = RotationView {
            stage: "spreading".to_owned(),
            signing: one,
            expired: false,
            from_files: false,
            next: Some(next),
            retiring: Vec::new(),
            certificates: 3,
            unaware: 2,
            unaware_connected: 1,
            outdated: 0,
            awaited: vec!["spiffe://td/ns/a/sa/b".to_owned()],
            problems: Vec::new(),
        };
        let text = text(&found);
        assert!(
            text.starts_with("spreading: the next root is being made known, 2 workloads"),
            "{text}"
        );
        assert!(
            text.contains("next      issuer aa until 2026-11-23T16:00:00Z"),
            "{text}"
        );
        assert!(text.contains("waits for spiffe://td/ns/a/sa/b\n"), "{text}");
    }
}
