//! The corpus in `tests/full/` writes every field that a decoder knows, in objects that are in force; what is known only
//! to be refused by name is in `tests/full/refused/`.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use wattle_api::{Kind, Severity, fields_of, parse};

fn read(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    let named = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files
        .iter()
        .map(|path| (named(path), fs::read_to_string(path).unwrap()))
        .collect()
}

/// Conditions of a ServiceProfile hold conditions in turn; one level stands for all.
fn folded(path: &str) -> String {
    ["all[].", "any[].", "not."]
        .iter()
        .fold(path.to_owned(), |path, nested| path.replace(nested, ""))
}

/// The known fields, and whether one of the files has them. What all kinds have alike is one field.
fn known(files: &[(String, String)]) -> BTreeMap<String, bool> {
    let mut known = BTreeMap::new();
    for field in files.iter().flat_map(|(_, text)| fields_of(text)) {
        let alike = field.path.starts_with("metadata.") || field.path == "status";
        let name = match alike {
            true => field.path,
            false => format!("{} {}", field.kind, folded(&field.path)),
        };
        *known.entry(name).or_default() |= field.written;
    }
    known
}

#[test]
fn the_corpus_is_read_without_an_error() {
    for (name, text) in read("tests/full") {
        let parsed = parse(&text, &name);
        let errors: Vec<_> = parsed
            .diagnostics
            .iter()
            .filter(|said| said.severity == Severity::Error)
            .map(ToString::to_string)
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
    }
}

#[test]
fn every_kind_has_a_file() {
    let files = read("tests/full");
    let fields = files.iter().flat_map(|(_, text)| fields_of(text));
    let kinds: BTreeSet<_> = fields.map(|field| field.kind).collect();
    let missing: Vec<_> = Kind::ALL
        .into_iter()
        .filter(|kind| !kinds.contains(kind))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_known_field_is_written_in_the_corpus() {
    let mut files = read("tests/full");
    files.extend(read("tests/full/refused"));
    let missing: Vec<_> = known(&files)
        .into_iter()
        .filter(|(_, written)| !written)
        .map(|(field, _)| field)
        .collect();
    assert!(
        missing.is_empty(),
        "write these in tests/full:\n{}",
        missing.join("\n")
    );
}

/// The pattern of a field path: any item instead of one.
fn pattern(path: &str) -> String {
    let mut steps = path.split('[');
    let first = steps.next().unwrap().to_owned();
    steps.fold(first, |pattern, step| {
        pattern + "[" + step.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

#[test]
fn what_is_known_only_to_be_refused_is_refused_by_its_name() {
    let in_force = known(&read("tests/full"));
    for (name, text) in read("tests/full/refused") {
        let parsed = parse(&text, &name);
        assert!(parsed.objects.is_empty(), "{name} has objects in force");
        let named = parsed.diagnostics.iter().flat_map(|said| {
            let kind = said.object.as_ref().unwrap().kind;
            let more = said.more.iter().map(|finding| &finding.field);
            std::iter::once(&said.field)
                .chain(more)
                .map(move |field| format!("{kind} {}", pattern(field)))
        });
        let named: BTreeSet<_> = named.collect();
        let refused = known(&[(name, text)])
            .into_iter()
            .filter(|(field, written)| *written && !in_force[field]);
        let silent: Vec<_> = refused
            .map(|(field, _)| field)
            .filter(|field| !named.contains(field))
            .collect();
        assert!(silent.is_empty(), "{silent:?} are not among {named:?}");
    }
}
