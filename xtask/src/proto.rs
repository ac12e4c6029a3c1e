//! `cargo xtask proto`: Rust from the protobuf files of `wattle-wire`, committed, so that no build needs a
//! protobuf compiler. One file for each package; the crate includes it below a `mod` that allows what lints dislike.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const SOURCES: &str = "crates/wattle-wire/proto";
const GENERATED: &str = "crates/wattle-wire/src/generated";

/// Protobuf packages, messages or fields whose `bytes` become `bytes::Bytes`: a resource is encoded once and its
/// bytes are shared by every stream.
const SHARED_BYTES: &[&str] = &[".envoy.service.discovery.v3.EncodedAny.value"];

/// Map fields that keep the order of their keys, so that the same message is always the same bytes.
const ORDERED_MAPS: &[&str] = &["."];

/// Whether to write the generated files or to compare them with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Generated files by name.
type Files = BTreeMap<String, String>;

/// Generates from every `.proto` file below the sources folder.
pub(crate) fn run(root: &Path, mode: Mode) -> Result<()> {
    let sources = proto_files(&root.join(SOURCES))?;
    if sources.is_empty() {
        println!("proto: no .proto file in {SOURCES}");
        return Ok(());
    }
    let wanted = generate(&root.join(SOURCES), &sources, SHARED_BYTES)?;
    let folder = root.join(GENERATED);
    let present = present_files(&folder)?;
    match mode {
        Mode::Write => write(&folder, &wanted, &present),
        Mode::Check => report(&drift(&wanted, &present)),
    }
}

/// Runs the compiler and the generator in a temporary folder.
fn generate(include: &Path, sources: &[PathBuf], shared_bytes: &[&str]) -> Result<Files> {
    let mut compiler = protox::Compiler::new([include]).context("opening the protobuf folder")?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(sources).context("compiling protobuf")?;
    let out = tempfile::tempdir().context("making a temporary folder")?;
    let mut generator = tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .out_dir(out.path());
    for path in shared_bytes {
        generator = generator.bytes(path);
    }
    for path in ORDERED_MAPS {
        generator = generator.btree_map(path);
    }
    generator
        .build_client(true)
        .build_server(true)
        .compile_fds(compiler.file_descriptor_set())
        .context("generating Rust")?;
    present_files(out.path())
}

fn proto_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let Ok(entries) = fs::read_dir(&next) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn present_files(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(files);
    };
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        if name.ends_with(".rs") {
            files.insert(
                name,
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?,
            );
        }
    }
    Ok(files)
}

fn write(folder: &Path, wanted: &Files, present: &Files) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for (name, text) in wanted
        .iter()
        .filter(|(name, text)| present.get(*name) != Some(text))
    {
        fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))?;
        println!("proto: wrote {GENERATED}/{name}");
    }
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        fs::remove_file(folder.join(name)).with_context(|| format!("removing {name}"))?;
        println!("proto: removed {GENERATED}/{name}");
    }
    println!("proto: {} files up to date", wanted.len());
    Ok(())
}

/// The names that differ, each with how.
fn drift(wanted: &Files, present: &Files) -> Vec<String> {
    let mut differing = Vec::new();
    for (name, text) in wanted {
        match present.get(name) {
            None => differing.push(format!("{name} is missing")),
            Some(other) if other != text => differing.push(format!("{name} differs")),
            Some(_) => {}
        }
    }
    differing.extend(
        present
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .map(|name| format!("{name} has no source")),
    );
    differing
}

fn report(differing: &[String]) -> Result<()> {
    if differing.is_empty() {
        println!("proto: no drift");
        return Ok(());
    }
    for line in differing {
        println!("proto: {GENERATED}/{line}");
    }
    bail!("generated code has drifted from {SOURCES}; run `cargo xtask proto`")
}

#[cfg(test)]
mod tests;
