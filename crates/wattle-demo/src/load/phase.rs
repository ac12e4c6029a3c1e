//! The marker of a phase: a small file whose first word names what the demo is at.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Longest name of a phase; also the most that is read of the file.
const MAX_NAME_BYTES: u64 = 63;

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
        File::open(self.file.as_ref()?).ok()?.take(MAX_NAME_BYTES).read_to_string(&mut text).ok()?;
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
        let file = dir.path().join("phase");
        let mut marker = Marker::new(Some(file.clone()));
        assert_eq!(marker.changed(), None);
        std::fs::write(&file, "steady\n").unwrap();
        assert_eq!(marker.changed().as_deref(), Some("steady"));
        assert_eq!(marker.changed(), None);
        std::fs::write(&file, "").unwrap();
        assert_eq!(marker.changed(), None);
        std::fs::write(&file, "shifted").unwrap();
        assert_eq!(marker.changed().as_deref(), Some("shifted"));
    }
}
