//! `docs/support.md`: every kind with every field, as the tests find it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use wattle_api::Kind;

use crate::corpus::{self, Field, is_alike};
use crate::effect::Effect;
use crate::exceptions::{self, Why};

/// The page's beginning; figures and tables follow.
const HEAD: &str = "# What is supported, field by field

<!-- Written by a test: WATTLE_BLESS=1 cargo test -p wattle-compile --test support -->

For every kind that is read, every field that Wattle or the kind's own schema knows:

- **applied**: another value changes what the mesh does. A note names values that are not followed, and what is said then.
- **no effect**: it may be written and changes nothing by itself; the note says why. A diagnostic says so too, unless \
                    the field is not about the mesh's traffic.
- **refused**: an object that has it is not in force, and an error names the field. `unknown-field` is what an error \
                    says about a field that Wattle does not know.

A test compiles objects that have every field, takes each field away or changes it, and fails when nothing changes and \
                    nothing is said. What the fields mean is in [configuration.md](configuration.md).
";

/// What a row says of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Support {
    Applied,
    NoEffect,
    Refused,
}

impl Support {
    const ALL: [Self; 3] = [Self::Applied, Self::NoEffect, Self::Refused];

    fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::NoEffect => "no effect",
            Self::Refused => "refused",
        }
    }
}

type Rows = BTreeMap<String, (Support, Vec<String>)>;

/// The page.
pub(crate) fn text(fields: &[(Field, Effect)]) -> String {
    let mut tables: Vec<(String, String, Rows)> = vec![every_object(fields)];
    tables.extend(Kind::ALL.into_iter().map(|kind| of_kind(kind, fields)));
    let mut page = HEAD.to_owned();
    summary(&mut page, &tables);
    for (title, about, rows) in &tables {
        let _ = writeln!(page, "\n## {title}\n\n{about}\n");
        table(&mut page, rows);
    }
    page
}

fn summary(page: &mut String, tables: &[(String, String, Rows)]) {
    let _ = writeln!(
        page,
        "\n| kind | applied | no effect | refused |\n|---|---|---|---|"
    );
    let mut total = [0; 3];
    for (title, _, rows) in tables {
        let counts =
            Support::ALL.map(|wanted| rows.values().filter(|(support, _)| *support == wanted).count());
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
        let [applied, none, refused] = counts;
        let _ = writeln!(page, "| {title} | {applied} | {none} | {refused} |");
    }
    let [applied, none, refused] = total;
    let _ = writeln!(page, "| all | {applied} | {none} | {refused} |");
}

fn table(page: &mut String, rows: &Rows) {
    let _ = writeln!(page, "| field | support | note |\n|---|---|---|");
    for (path, (support, notes)) in rows {
        let notes = notes.iter().map(|note| {
            let plain = note.strip_prefix("the field has no effect: ").unwrap_or(note);
            plain.strip_suffix(" and has no effect").unwrap_or(plain)
        });
        let notes = notes.collect::<Vec<_>>().join("; ").replace('|', "\\|");
        let _ = writeln!(page, "| `{path}` | {} | {notes} |", support.as_str());
    }
}

fn every_object(fields: &[(Field, Effect)]) -> (String, String, Rows) {
    let alike = fields.iter().filter(|(field, _)| is_alike(&field.path));
    let mut rows = Rows::new();
    for (field, effect) in alike {
        let row = row(field, effect);
        let kept = rows.entry(field.path.clone()).or_insert_with(|| row.clone());
        if row.0 < kept.0 {
            *kept = row;
        }
    }
    (
        "Every object".to_owned(),
        "What all kinds have alike.".to_owned(),
        rows,
    )
}

fn of_kind(kind: Kind, fields: &[(Field, Effect)]) -> (String, String, Rows) {
    let own = fields
        .iter()
        .filter(|(field, _)| field.kind == kind && !is_alike(&field.path));
    let mut rows: Rows = own
        .map(|(field, effect)| (field.path.clone(), row(field, effect)))
        .collect();
    let versions = kind.versions().join(", ");
    let group = if kind.group().is_empty() {
        "core"
    } else {
        kind.group()
    };
    let mut about = format!("`{group}`, {versions}.");
    if let Some((source, schema)) = corpus::upstream(kind) {
        let _ = write!(about, " Compared with the schema of {source}.");
        compare(&mut rows, &schema);
    }
    (kind.to_string(), about, rows)
}

fn row(field: &Field, effect: &Effect) -> (Support, Vec<String>) {
    match (effect, exceptions::of(field)) {
        (Effect::Applied(remarks), _) => (Support::Applied, remarks.iter().cloned().collect()),
        (Effect::None(reason), _) => (Support::NoEffect, vec![reason.clone()]),
        (Effect::Refused(reason), _) => (Support::Refused, vec![reason.clone()]),
        (Effect::Silent, Some(Why::ReadBy(who))) => (Support::Applied, vec![format!("by {who}")]),
        (Effect::Silent, Some(Why::Meaningless(reason))) => (Support::NoEffect, vec![reason.to_owned()]),
        (Effect::Silent, None) => (Support::NoEffect, vec!["nothing is said".to_owned()]),
    }
}

/// Adds what the schema has and we do not know, and says what of ours it does not have.
fn compare(rows: &mut Rows, schema: &BTreeMap<String, bool>) {
    let known: BTreeSet<String> = rows.keys().cloned().collect();
    for (path, row) in rows.iter_mut() {
        match schema.get(path) {
            Some(true) => row.1.insert(0, "experimental".to_owned()),
            Some(false) => {}
            None => row.1.insert(0, "not in the schema".to_owned()),
        }
    }
    for (path, experimental) in schema.iter().filter(|(path, _)| !known.contains(*path)) {
        let (support, mut notes) = unknown(path, rows, &known);
        if *experimental {
            notes.insert(0, "experimental".to_owned());
        }
        rows.insert(path.clone(), (support, notes));
    }
}

/// A field that no decoder names: refused where its siblings are known, else a part of the field above it.
fn unknown(path: &str, rows: &Rows, known: &BTreeSet<String>) -> (Support, Vec<String>) {
    let mut above = path;
    while let Some((parent, _)) = above.rsplit_once('.') {
        let inside = |field: &&String| {
            field
                .strip_prefix(parent)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        above = parent;
        if known.iter().any(|field| inside(&field)) {
            return (Support::Refused, vec!["`unknown-field`".to_owned()]);
        }
        let bare = parent.trim_end_matches("[]").trim_end_matches(".*");
        if let Some((support, _)) = rows.get(bare).filter(|_| known.contains(bare)) {
            return (*support, vec![format!("as a part of `{bare}`")]);
        }
    }
    (Support::Refused, vec!["`unknown-field`".to_owned()])
}
