//! Fields that change nothing that is compiled and about which nothing is to be said, each with its reason:
//! `tests/support/exceptions.txt`, a line each: `KIND PATH: WHY, REASON`. KIND may be `*`; a PATH that ends in a dot stands
//! for all below it; WHY is `read by`, when another part of the program applies the field, or `meaningless`.

use std::sync::OnceLock;

use crate::corpus::Field;

/// Why a field may change nothing in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Another part of the program reads it.
    ReadBy(&'static str),
    /// It says nothing about the mesh's traffic.
    Meaningless(&'static str),
}

struct Exception {
    kind: &'static str,
    path: &'static str,
    why: Why,
}

fn all() -> &'static [Exception] {
    static ALL: OnceLock<Vec<Exception>> = OnceLock::new();
    ALL.get_or_init(|| {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/exceptions.txt");
        let text = std::fs::read_to_string(file).unwrap().leak();
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(exception)
            .collect()
    })
}

fn exception(line: &'static str) -> Exception {
    let (field, why) = line.split_once(": ").unwrap();
    let (kind, path) = field.split_once(' ').unwrap();
    let why = match why.split_once(", ").unwrap() {
        ("read by", who) => Why::ReadBy(who),
        ("meaningless", reason) => Why::Meaningless(reason),
        _ => panic!("neither read nor meaningless: {line}"),
    };
    Exception { kind, path, why }
}

impl Exception {
    fn is_for(&self, field: &Field) -> bool {
        let below = self.path.ends_with('.') && field.path.starts_with(self.path);
        (self.kind == "*" || self.kind == field.kind.to_string()) && (below || self.path == field.path)
    }
}

/// Why this field may change nothing in silence, if it may.
pub(crate) fn of(field: &Field) -> Option<Why> {
    let found = all().iter().find(|exception| exception.is_for(field));
    found.map(|exception| exception.why)
}

/// The exceptions that none of the silent fields needs.
pub(crate) fn needless(silent: &[Field]) -> Vec<String> {
    let idle = all()
        .iter()
        .filter(|exception| !silent.iter().any(|field| exception.is_for(field)));
    idle.map(|exception| format!("{} {}", exception.kind, exception.path))
        .collect()
}
