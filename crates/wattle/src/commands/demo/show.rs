//! What the demo's audience sees.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use wattle_control::explain::Explanation;
use wattle_demo::summary::Summary;

use crate::commands::stat;
use crate::output::{self, Format};
use crate::view::golden::Report;
use crate::view::number::{milliseconds, percent};

/// Moves the cursor home and clears what is below.
const HOME: &str = "\x1b[H\x1b[J";

/// Shows the table in place on a terminal; elsewhere only what happens.
pub(super) struct Show {
    /// What was told so far, shown above the table.
    told: String,
    /// What is told at the end.
    left: String,
    live: bool,
    silent: bool,
}

impl Show {
    pub(super) fn new(format: Format) -> Self {
        let silent = format == Format::Json;
        Self {
            told: String::new(),
            left: String::new(),
            live: !silent && std::io::stdout().is_terminal(),
            silent,
        }
    }

    /// Tells what happens next.
    pub(super) fn title(&mut self, title: &str) -> anyhow::Result<()> {
        self.tell(&format!("▸ {title}\n"))
    }

    /// Tells why a call is refused: above a live table in one line, and in full at the end.
    pub(super) fn explanation(&mut self, explanation: &Explanation) -> anyhow::Result<()> {
        let text = explanation.to_string();
        let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
        if self.live {
            self.left = indented;
            return self.tell(&format!("    {}\n", explanation.answer.text));
        }
        self.tell(&indented)
    }

    /// What is still to be told when the demo ends.
    pub(super) fn into_rest(self) -> String {
        self.left
    }

    fn tell(&mut self, text: &str) -> anyhow::Result<()> {
        if self.silent {
            return Ok(());
        }
        self.told.push_str(text);
        if self.live { Ok(()) } else { output::write(text) }
    }

    /// Shows the edges as they are.
    pub(super) fn table(&self, report: &Report) -> anyhow::Result<()> {
        if !self.live {
            return Ok(());
        }
        output::write(&format!(
            "{HOME}{}\n{}\nCtrl-C ends the demo\n",
            self.told,
            stat::text(report)
        ))
    }
}

/// The end of the demo as text.
pub(super) fn summary(summary: &Summary, rest: &str) -> String {
    let mut out = format!("\n{rest}\n");
    let _ = writeln!(
        out,
        "{} requests, {} of them well; half took at most {}, 99 of 100 at most {}",
        summary.requests,
        percent(Some(summary.success_rate)),
        milliseconds(Some(summary.p50_ms)),
        milliseconds(Some(summary.p99_ms)),
    );
    let secured = summary.edges.iter().filter(|edge| edge.mtls).count();
    let _ = writeln!(out, "{secured} of {} edges with mutual TLS", summary.edges.len());
    let _ = writeln!(
        out,
        "canary: {} expected, {} observed",
        percent(Some(summary.canary.expected)),
        percent(Some(summary.canary.observed)),
    );
    let _ = writeln!(
        out,
        "intruder: refused with {} {}",
        summary.denied.status, summary.denied.reason
    );
    for error in &summary.errors {
        let _ = writeln!(out, "error: {error}");
    }
    out
}
