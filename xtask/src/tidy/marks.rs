//! Left-overs: unfinished code, ignored tests, notes without an issue, bare ports, empty invariants.

use std::sync::LazyLock;

use regex::Regex;

use super::Violation;
use crate::rust_text::{Line, SourceFile};

/// Ports are constants with a name and a sentence; see DESIGN, section 8.
const PORT: &str = r"(^|[^\w.])(15000|15001|15006|15008|15012|15014|15017|15020|15021)\b";

/// An expect carries the invariant: two words at least.
const EMPTY_EXPECT: &str = r#"\.expect\("[^" ]*"\)"#;

const NOTE: &str = concat!(r"\b(TO", r"DO|FIX", r"ME|XX", r"X)\b");

struct Patterns {
    port: Regex,
    expect: Regex,
    note: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let compile = |pattern| Regex::new(pattern).expect("the patterns above are fixed and compile");
    Patterns {
        port: compile(PORT),
        expect: compile(EMPTY_EXPECT),
        note: compile(NOTE),
    }
});

/// Looks at every line; some rules are for production lines only.
pub(super) fn check(file: &SourceFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    for line in &file.lines {
        let reason = any_line(line).or_else(|| if line.is_test { None } else { production_line(line) });
        violations.extend(reason.map(|reason| Violation::at(&file.path, line.number, reason)));
    }
    violations
}

fn any_line(line: &Line) -> Option<&'static str> {
    let code = line.code();
    if code.contains("#[ignore") {
        return Some("an ignored test proves nothing: skip loudly at run time, or delete it");
    }
    if code.contains("todo!(") || code.contains("unimplemented!(") {
        return Some("unfinished code does not land");
    }
    let note = PATTERNS.note.is_match(&line.text) && line.text.contains("//") && !line.text.contains('#');
    note.then_some("a note names its issue (`#12`) or is not there")
}

fn production_line(line: &Line) -> Option<&'static str> {
    let code = line.code();
    if code.contains(".unwrap()") {
        return Some("no unwrap outside tests: return an error, or expect with the invariant");
    }
    if !line.text.trim_start().starts_with("//") && PATTERNS.expect.is_match(&line.text) {
        return Some("an expect carries the invariant that makes it impossible");
    }
    let names_port = code.contains("const ") || code.contains("static ");
    (!names_port && PATTERNS.port.is_match(&code))
        .then_some("a port of the mesh is written once, as a constant")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> bool {
        !check(&SourceFile::new(
            "crates/wattle-net/src/lib.rs".into(),
            text.into(),
        ))
        .is_empty()
    }

    #[test]
    fn left_overs_are_found() {
        let note = concat!("let a = 1; // TO", "DO: later");
        for text in [
            "#[ignore]",
            "    #[ignore = \"slow\"]",
            "todo!()",
            "    unimplemented!(\"x\")",
            "a.unwrap();",
            "a.expect(\"works\");",
            "let port = 15001;",
            note,
        ] {
            assert!(found(text), "{text}");
        }
    }

    #[test]
    fn stated_reasons_pass() {
        let note = concat!("// TO", "DO(#12): fold both paths");
        for text in [
            "pub const OUTBOUND: u16 = 15001;",
            "a.expect(\"the map holds every key of the set\");",
            "a.unwrap_or(1);",
            "let near = 150011;",
            note,
        ] {
            assert!(!found(text), "{text}");
        }
    }

    #[test]
    fn tests_may_unwrap_but_not_be_ignored() {
        assert!(!found("#[cfg(test)]\nmod tests {\n    a.unwrap();\n}\n"));
        assert!(found("#[cfg(test)]\nmod tests {\n    #[ignore]\n}\n"));
    }
}
