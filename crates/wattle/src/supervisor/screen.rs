//! What the terminal shows: lines of processes behind their names, and what happens to them.

use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use serde_json::json;

use super::assignment::ScreenMode;

/// Lines that wait for a slow terminal, at most; further ones are counted and left out.
const MAX_WAITING: usize = 8192;

/// Name of the supervisor among the processes.
const SELF: &str = "wattle";

/// Widest column of names.
const MAX_NAME: usize = 24;

/// Colours of names, as ANSI codes that read well on dark and on light.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// Longest wait for the terminal to take the last lines.
const FLUSH: Duration = Duration::from_secs(1);

/// The writing end; cheap to clone. Never waits.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    out: SyncSender<Message>,
}

#[derive(Debug)]
enum Message {
    Line(Line),
    /// Everything before is written.
    Flushed(SyncSender<()>),
}

#[derive(Debug)]
struct Line {
    source: String,
    text: String,
    is_event: bool,
}

impl Screen {
    /// Starts the thread that writes; it ends with the last writer.
    pub(crate) fn start(mode: ScreenMode) -> io::Result<Self> {
        let (out, messages) = sync_channel(MAX_WAITING);
        std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || write_all(mode, &messages))?;
        Ok(Self { out })
    }

    /// Waits until what was shown so far is written, or the terminal is found too slow.
    pub(crate) fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        if self.out.try_send(Message::Flushed(done)).is_ok() {
            let _ = flushed.recv_timeout(FLUSH);
        }
    }

    /// Shows a line that a process printed.
    pub(crate) fn line(&self, source: &str, text: &str) {
        self.send(Line {
            source: source.to_owned(),
            text: text.to_owned(),
            is_event: false,
        });
    }

    /// Shows what happened to an instance, or to the mesh itself.
    pub(crate) fn event(&self, subject: &str, text: impl Into<String>) {
        self.send(Line {
            source: subject.to_owned(),
            text: text.into(),
            is_event: true,
        });
    }

    /// The same about the mesh.
    pub(crate) fn news(&self, text: impl Into<String>) {
        self.event(SELF, text);
    }

    fn send(&self, line: Line) {
        if let Err(TrySendError::Full(Message::Line(line))) = self.out.try_send(Message::Line(line)) {
            tracing::debug!(source = line.source, "the terminal is slow, a line was left out");
        }
    }
}

fn write_all(mode: ScreenMode, messages: &Receiver<Message>) {
    for message in messages {
        let text = match &message {
            Message::Line(line) => render(mode, line).unwrap_or_default(),
            Message::Flushed(done) => {
                let _ = done.try_send(());
                continue;
            }
        };
        // Nobody may be reading any more: what matters is in the log files.
        let _ = io::stdout().lock().write_all(text.as_bytes());
    }
}

fn render(mode: ScreenMode, line: &Line) -> Option<String> {
    match mode {
        ScreenMode::Silent => None,
        ScreenMode::Json if line.is_event => Some(format!(
            "{}\n",
            json!({ "event": line.text, "subject": line.source })
        )),
        ScreenMode::Json => Some(format!(
            "{}\n",
            json!({ "instance": line.source, "line": line.text })
        )),
        ScreenMode::Lines { colour } => {
            let name = format!(
                "{:<MAX_NAME$} {}",
                line.source,
                if line.is_event { '*' } else { '|' }
            );
            let text = printable(&line.text);
            Some(if colour {
                format!("\x1b[{}m{name}\x1b[0m {text}\n", colour_of(&line.source))
            } else {
                format!("{name} {text}\n")
            })
        }
    }
}

/// A process must not be able to move the cursor or rename the window.
fn printable(text: &str) -> String {
    text.chars()
        .map(|one| {
            if one.is_control() && one != '\t' {
                '\u{fffd}'
            } else {
                one
            }
        })
        .collect()
}

fn colour_of(source: &str) -> u8 {
    let sum = source
        .bytes()
        .fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    COLOURS[sum % COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(is_event: bool) -> Line {
        Line {
            source: "redis".to_owned(),
            text: "ready\x1b[2J".to_owned(),
            is_event,
        }
    }

    #[test]
    fn a_line_stands_behind_its_name_and_cannot_steer_the_terminal() {
        let text = render(ScreenMode::Lines { colour: false }, &line(false));
        assert_eq!(
            text.as_deref(),
            Some("redis                    | ready\u{fffd}[2J\n")
        );
    }

    #[test]
    fn programs_get_one_object_a_line() {
        let text = render(ScreenMode::Json, &line(true));
        assert_eq!(
            text.as_deref(),
            Some("{\"event\":\"ready\\u001b[2J\",\"subject\":\"redis\"}\n")
        );
        assert_eq!(render(ScreenMode::Silent, &line(false)), None);
    }
}
