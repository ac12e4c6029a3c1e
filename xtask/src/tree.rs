//! The files of the checkout that the checks read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::rust_text::SourceFile;

/// A deeper tree than this is a loop of symbolic links or a mistake.
const MAX_DEPTH: usize = 16;

/// The workspace root: the folder above this crate.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// Every hand-written Rust file of the workspace, sorted by path. Generated code is left out.
pub(crate) fn rust_files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    for folder in ["crates", "xtask", "bench", "fuzz"] {
        collect(&root.join(folder), 0, &mut found)?;
    }
    found.sort();
    found.iter().map(|path| read(root, path)).collect()
}

fn read(root: &Path, path: &Path) -> Result<SourceFile> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let name = path
        .strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned();
    Ok(SourceFile::new(name, text))
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("{} is nested deeper than {MAX_DEPTH} folders", folder.display());
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() {
            if !matches!(name, "target" | "generated" | "corpus" | "artifacts") && !name.starts_with('.') {
                collect(&path, depth + 1, found)?;
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    Ok(())
}
