//! Our annotation `wattle.io/udp`: whether a workload sends and takes datagrams, which the mesh does not carry.

use crate::diagnostic::Finding;
use crate::meta::{Meta, Origin};
use crate::tree::quote;

/// What becomes of a workload's datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagrams {
    /// They pass by the mesh.
    Allow,
    /// They are refused, on both ways.
    Deny,
}

impl Datagrams {
    /// The annotation, of a Process or of its Namespace.
    pub const ANNOTATION: &str = "wattle.io/udp";

    /// What is said; a word that cannot be read denies, since it was to deny something.
    #[must_use]
    pub fn of(meta: &Meta) -> Option<Self> {
        let text = meta.annotations.get(Self::ANNOTATION)?;
        Some(named(text).unwrap_or(Self::Deny))
    }
}

fn named(text: &str) -> Option<Datagrams> {
    match text.trim() {
        "allow" => Some(Datagrams::Allow),
        "deny" => Some(Datagrams::Deny),
        _ => None,
    }
}

/// What is wrong with the annotation, at its place.
pub(crate) fn finding(meta: &Meta, origin: &Origin) -> Option<Finding> {
    let text = meta.annotations.get(Datagrams::ANNOTATION)?;
    if named(text).is_some() {
        return None;
    }
    let field = format!("metadata.annotations.{}", Datagrams::ANNOTATION);
    let reason = format!(
        "found {}, expected allow or deny; datagrams are refused",
        quote(text)
    );
    Some(Finding::new(
        "invalid-annotation",
        origin.locate(&field),
        field,
        reason,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_word_that_cannot_be_read_denies_and_is_told_at_its_line() {
        let of = |annotations: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  annotations: {{{annotations}}}\n"
            );
            let parsed = crate::parse(&text, "a.yaml");
            let told: Vec<_> = parsed
                .diagnostics
                .iter()
                .map(|one| (one.code, one.at.line))
                .collect();
            (Datagrams::of(parsed.objects[0].meta()), told)
        };
        assert_eq!(of(""), (None, vec![]));
        assert_eq!(of("wattle.io/udp: allow"), (Some(Datagrams::Allow), vec![]));
        assert_eq!(of("wattle.io/udp: deny"), (Some(Datagrams::Deny), vec![]));
        let told = vec![("invalid-annotation", 5)];
        assert_eq!(of("wattle.io/udp: 'off'"), (Some(Datagrams::Deny), told.clone()));
        assert_eq!(of("wattle.io/udp: ''"), (Some(Datagrams::Deny), told));
    }
}
