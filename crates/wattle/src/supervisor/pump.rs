//! From a program's output to its log file, bounded, and to the screen.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe::Receiver;

use super::screen::Screen;

/// Size at which a log file is put aside as `.1`, in bytes; one old file is kept.
const MAX_FILE: u64 = 16 << 20;

/// Longest line that is shown; the file has all of it.
const MAX_LINE: usize = 16 << 10;

/// A log file that two pipes may write to.
#[derive(Debug, Clone)]
pub(crate) struct Log(Rc<RefCell<Rotating>>);

#[derive(Debug)]
struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl Log {
    /// Opens the file for appending.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, MAX_FILE)
    }

    fn with_limit(path: &Path, limit: u64) -> io::Result<Self> {
        let file = open(path)?;
        let size = file.metadata()?.len();
        Ok(Self(Rc::new(RefCell::new(Rotating {
            path: path.to_owned(),
            file,
            size,
            limit,
        }))))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut this = self.0.borrow_mut();
        if this.size >= this.limit {
            let aside = format!("{}.1", this.path.display());
            fs::rename(&this.path, aside)?;
            this.file = open(&this.path)?;
            this.size = 0;
        }
        this.size += bytes.len() as u64;
        this.file.write_all(bytes)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

/// Copies lines from a pipe until it is closed by everybody; `shown` names the source on the screen, none shows nothing.
pub(crate) fn pump(pipe: impl Into<OwnedFd>, log: &Log, shown: Option<(Screen, String)>) -> io::Result<()> {
    let pipe = pipe.into();
    let reader = BufReader::new(Receiver::from_owned_fd(pipe)?);
    tokio::task::spawn_local(copy(reader, log.clone(), shown));
    Ok(())
}

async fn copy(mut reader: BufReader<Receiver>, log: Log, shown: Option<(Screen, String)>) {
    let mut line = Vec::new();
    loop {
        let chunk = match reader.fill_buf().await {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) => return tracing::warn!(%error, "reading a program's output failed"),
        };
        let ended = chunk.iter().position(|byte| *byte == b'\n');
        let taken = ended.map_or(chunk.len(), |at| at + 1);
        if let Err(error) = log.write(&chunk[..taken]) {
            tracing::warn!(%error, "writing a log file failed");
        }
        let room = MAX_LINE.saturating_sub(line.len());
        line.extend_from_slice(&chunk[..ended.unwrap_or(taken).min(room)]);
        reader.consume(taken);
        if ended.is_some() {
            show(&mut line, shown.as_ref());
        }
    }
    if !line.is_empty() {
        show(&mut line, shown.as_ref());
    }
}

fn show(line: &mut Vec<u8>, shown: Option<&(Screen, String)>) {
    if let Some((screen, source)) = shown {
        screen.line(source, String::from_utf8_lossy(line).trim_end_matches('\r'));
    }
    line.clear();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_full_log_is_put_aside_and_one_old_file_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.log");
        let log = Log::with_limit(&path, 4).unwrap();
        for text in ["one\n", "two\n", "six\n"] {
            log.write(text.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "six\n");
        assert_eq!(
            fs::read_to_string(directory.path().join("web.log.1")).unwrap(),
            "two\n"
        );
    }

    #[tokio::test]
    async fn a_line_without_end_is_kept_whole_in_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.log");
        let mut child = std::process::Command::new("sh")
            .args(["-c", "head -c 100000 /dev/zero | tr '\\0' x"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let reader = BufReader::new(Receiver::from_owned_fd(child.stdout.take().unwrap().into()).unwrap());
        copy(reader, Log::open(&path).unwrap(), None).await;
        child.wait().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 100_000);
    }
}
