//! Objects of a test, and what is said of them.

#![allow(clippy::unwrap_used)]

/// An object named `a` in namespace `n` with these fields.
pub(crate) fn object(version: &str, kind: &str, fields: &str) -> String {
    format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a, namespace: n}}\n{fields}\n")
}

/// What is said of an object that is refused, without its place and key.
pub(crate) fn said(text: &str) -> String {
    let parsed = wattle_api::parse(text, "f.yaml");
    assert!(parsed.objects.is_empty(), "taken: {text}");
    let [diagnostic] = parsed.diagnostics.as_slice() else {
        panic!("{text}\n{:#?}", parsed.diagnostics)
    };
    let said = diagnostic.to_string();
    // File, line and column, then the object's key, then what matters.
    said.splitn(3, ": ").nth(2).unwrap().to_owned()
}

/// Checks what is said of each text inside the field at `path`.
pub(crate) fn check(make: impl Fn(&str) -> String, path: &str, rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(said(&make(text)), format!("{path}{expected}"), "{text}");
    }
}
