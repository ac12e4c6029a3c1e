//! What each field does: it changes what is compiled, or something is said about it, or neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use wattle_api::{Diagnostic, Object, Parsed, Severity, parse};

use crate::corpus::{self, Field, folded};
use crate::edit::{self, Entry};
use crate::mesh::World;

/// Most meshes that are compiled side by side.
const MAX_THREADS: usize = 8;

/// Codes of diagnostics about a field that is read and not followed.
const NOT_APPLIED: &[&str] = &[
    "no-effect",
    "deprecated-field",
    "unsupported-field",
    "unsupported-value",
    "unsupported-filter",
    "filter-not-supported",
    "field-not-supported",
    "action-not-supported",
    "address-not-supported",
    "condition-not-supported",
    "hostnames-ignored",
    "port-not-carried",
    "ca-not-readable",
];

/// What a field does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes what is compiled; the remarks are about some of its values.
    Applied(BTreeSet<String>),
    /// It changes nothing, and this is said about it.
    None(String),
    /// The object is refused for it, with this reason.
    Refused(String),
    /// It changes nothing, and nothing is said.
    Silent,
}

/// One object of the corpus.
struct Document {
    text: String,
    object: Object,
    entries: Vec<Entry>,
    said: Vec<Diagnostic>,
}

/// Every field of the corpus with its effect.
pub(crate) fn of_every_field() -> Vec<(Field, Effect)> {
    let texts = corpus::objects();
    let documents = documents(&texts, &World::new(&texts).diagnostics());
    let written = documents
        .iter()
        .flat_map(|document| corpus::written(&document.text));
    let written: Vec<Field> = written.collect::<BTreeSet<_>>().into_iter().collect();
    let mut found: BTreeMap<Field, Effect> = refused();
    for (field, effect) in effects(&written, &texts) {
        let folded = Field {
            path: folded(&field.path),
            ..field
        };
        let better = |kept: &Effect| rank(&effect) > rank(kept);
        if found.get(&folded).is_none_or(better) {
            found.insert(folded, effect);
        }
    }
    above(&mut found);
    found.into_iter().collect()
}

/// The effects of the fields, each thread with a mesh of its own.
fn effects(fields: &[Field], texts: &[String]) -> Vec<(Field, Effect)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut world = World::new(texts);
        let documents = documents(texts, &world.diagnostics());
        let mut found = Vec::new();
        while let Some(field) = fields.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push((field.clone(), effect(field, &documents, &mut world)));
        }
        found
    };
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running
            .into_iter()
            .flat_map(|running| running.join().unwrap())
            .collect()
    })
}

/// Of several fields with one name, the one that does most speaks for all.
fn rank(effect: &Effect) -> u8 {
    match effect {
        Effect::Silent => 0,
        Effect::Refused(_) => 1,
        Effect::None(_) => 2,
        Effect::Applied(_) => 3,
    }
}

/// A field that cannot be left out, and is but the sum of the fields below it, does what they do.
fn above(found: &mut BTreeMap<Field, Effect>) {
    let silent: Vec<_> = found
        .iter()
        .filter(|(_, effect)| **effect == Effect::Silent)
        .map(|(field, _)| field.clone())
        .collect();
    for field in silent {
        let below = found.iter().filter(|(other, _)| {
            let rest = other.path.strip_prefix(&field.path);
            other.kind == field.kind && rest.is_some_and(|rest| rest.starts_with(['.', '[']))
        });
        let effects: Vec<_> = below.map(|(_, effect)| effect).collect();
        let applied = effects.iter().any(|effect| matches!(effect, Effect::Applied(_)));
        let first = effects
            .iter()
            .find(|effect| matches!(effect, Effect::None(_)))
            .map(|effect| (*effect).clone());
        match (applied, first) {
            (true, _) => found.insert(field, Effect::Applied(BTreeSet::new())),
            (false, Some(none)) => found.insert(field, none),
            (false, None) => None,
        };
    }
}

fn documents(texts: &[String], said: &[Diagnostic]) -> Vec<Document> {
    let document = |text: &String| {
        let Parsed {
            mut objects,
            diagnostics,
            ..
        } = parse(text, "corpus");
        let object = objects.remove(0);
        let key = Some(object.key());
        let compiled = said.iter().filter(|said| said.object == key).cloned();
        Document {
            text: text.clone(),
            entries: edit::entries(text),
            said: diagnostics.into_iter().chain(compiled).collect(),
            object,
        }
    };
    texts.iter().map(document).collect()
}

fn refused() -> BTreeMap<Field, Effect> {
    let said = corpus::refused()
        .into_iter()
        .flat_map(|text| parse(&text, "corpus").diagnostics);
    let fields = said.flat_map(|said| {
        let kind = said.object.unwrap().kind;
        let first = (said.field, said.reason);
        let more = said
            .more
            .into_iter()
            .map(|finding| (finding.field, finding.reason));
        std::iter::once(first)
            .chain(more)
            .map(move |(path, reason)| (kind, path, reason))
    });
    let effects = fields.map(|(kind, path, reason)| {
        let path = edit::pattern(&path);
        (Field { kind, path }, Effect::Refused(reason))
    });
    effects.collect()
}

fn effect(field: &Field, documents: &[Document], world: &mut World) -> Effect {
    let mut remarks = BTreeSet::new();
    let mut above = None;
    let mut applied = false;
    let values = values(field, documents);
    for document in documents
        .iter()
        .filter(|document| document.object.kind() == field.kind)
    {
        for entry in document
            .entries
            .iter()
            .filter(|entry| edit::matches(&field.path, &entry.pattern))
        {
            let said = said_of(document, &entry.path);
            remarks.extend(
                said.iter()
                    .filter(|said| said.field == entry.path)
                    .map(|said| said.reason.clone()),
            );
            above = above.or_else(|| said.first().map(|said| said.reason.clone()));
            applied = applied || changes(document, entry, &values, world);
        }
    }
    match (applied, remarks.first().cloned().or(above)) {
        (true, _) => Effect::Applied(remarks),
        (false, Some(reason)) => Effect::None(reason),
        (false, None) => Effect::Silent,
    }
}

/// What is said of a field, of a field it is part of, or of its object.
fn said_of<'d>(document: &'d Document, path: &str) -> Vec<&'d Diagnostic> {
    let covers = |said: &Diagnostic| match path.strip_prefix(said.field.as_str()) {
        _ if said.field.is_empty() => said.code == "no-effect",
        Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
        None => false,
    };
    let about = document.said.iter();
    about
        .filter(|said| NOT_APPLIED.contains(&said.code) && covers(said))
        .collect()
}

/// The values that the corpus has for a field: what one object may say, another may as well.
fn values(field: &Field, documents: &[Document]) -> BTreeSet<String> {
    let of_kind = documents
        .iter()
        .filter(|document| document.object.kind() == field.kind);
    let entries = of_kind.flat_map(|document| &document.entries);
    let same = entries.filter(|entry| edit::matches(&field.path, &entry.pattern) && edit::is_scalar(entry));
    same.map(|entry| entry.value.clone()).collect()
}

fn changes(document: &Document, entry: &Entry, values: &BTreeSet<String>, world: &mut World) -> bool {
    candidates(document, entry, values).into_iter().any(|text| {
        let parsed = parse(&text, "corpus");
        let good = parsed
            .diagnostics
            .iter()
            .all(|said| said.severity != Severity::Error);
        let changed = parsed.objects.into_iter().next().filter(|_| good);
        changed.is_some_and(|changed| world.differs(&document.object, changed))
    })
}

/// The object without the field, and with other values for it or for what is below it.
fn candidates(document: &Document, entry: &Entry, values: &BTreeSet<String>) -> Vec<String> {
    let mut candidates = vec![edit::without(&document.text, entry)];
    if edit::is_scalar(entry) {
        let others = values.iter().cloned().chain(near(&entry.value));
        let others = others.filter(|value| *value != entry.value);
        candidates.extend(others.map(|value| edit::with(&document.text, entry, &value)));
        return candidates;
    }
    for number in 0..near("").len() {
        let change = |value: &str| near(value).swap_remove(number);
        candidates.extend(edit::with_first_below(&document.text, entry, change));
    }
    candidates
}

/// Other values that a field of this value could have; some of them do not make sense for it.
fn near(value: &str) -> Vec<String> {
    let bare = value.trim_matches(['\'', '"']);
    let digits = bare.find(|c: char| !c.is_ascii_digit()).unwrap_or(bare.len());
    let number = bare[..digits].parse::<u64>().unwrap_or_default();
    let flipped = if bare == "true" { "false" } else { "true" };
    vec![
        format!("\"{bare}x\""),
        format!("\"x-{bare}\""),
        format!("1{bare}"),
        format!("{}{}", number + 1, &bare[digits..]),
        format!("{}{}", number.saturating_sub(1), &bare[digits..]),
        format!("\"{}\"", number + 1),
        flipped.to_owned(),
    ]
}
