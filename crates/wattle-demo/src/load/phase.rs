//! The marker of a phase: a small file whose first word names what the demo is at.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The file's name in the load's data directory.
pub(crate) const FILE: &str = "phase";

/// Longest name of a phase; also the most that is read of the file.
const MAX_NAME_BYTES: u64 = 63;

/// Begins a phase of the load whose data directory (`WATTLE_DATA`) this is; it is counted within 50 ms.
///
/// `name` is one word of at most 63 bytes; more is cut off.
pub fn begin_phase(data: &Path, name: &str) -> io::Result<()> {
    let beside = data.join(".phase.new");
    fs::write(&beside, name)?;
    fs::rename(beside, data.join(FILE))
}

/// Looks at the phase file.
#[derive(Debug)]
pub(super) struct Marker {
    file: Option<PathBuf>,
    last: Option<String>,
}

impl Marker {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file, last: None }
    }

    /// The phase's name if it is another than before. A file that is not there or empty changes nothing.
    pub(super) fn changed(&mut self) -> Option<String> {
        let name = self.read()?;
        if self.last.as_ref() == Some(&name) {
            return None;
        }
        self.last = Some(name.clone());
        Some(name)
    }

    fn read(&self) -> Option<String> {
        let mut text = String::new();
        // Less than a page from a local file: not worth a thread.
        File::open(self.file.as_ref()?)
            .ok()?
            .take(MAX_NAME_BYTES)
            .read_to_string(&mut text)
            .ok()?;
        text.split_whitespace().next().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_phase_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut marker = Marker::new(Some(dir.path().join(FILE)));
        assert_eq!(marker.changed(), None);
        begin_phase(dir.path(), "steady\n").unwrap();
        assert_eq!(marker.changed().as_deref(), Some("steady"));
        assert_eq!(marker.changed(), None);
        begin_phase(dir.path(), "").unwrap();
        assert_eq!(marker.changed(), None);
        begin_phase(dir.path(), "shifted").unwrap();
        assert_eq!(marker.changed().as_deref(), Some("shifted"));
    }
}
