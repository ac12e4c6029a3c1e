//! A directory whose author has one namespace: what is of another, or of none, is not there.

use std::sync::Arc;

use wattle_api::{Diagnostic, Finding, ObjectKey, Parsed, Place, Severity};

/// Most objects of a file that are told to be none of its author's; the others do not count either.
const MAX_TOLD: usize = 1_000;

/// Takes out of a file what is not of `namespace`, and says so. Gives the keys that it would have there: an edit may have
/// made it of an object that was good.
///
/// What is said names the object in words alone, so that it is no status of the one that rightly has this key.
pub(super) fn confine(parsed: &mut Parsed, namespace: &str, file: &Arc<str>) -> Vec<ObjectKey> {
    let is_own = |key: &ObjectKey| *key.namespace == *namespace;
    let mut strayed = Vec::new();
    parsed.objects.retain(|object| {
        let key = object.key();
        let own = is_own(&key);
        if !own {
            strayed.push((object.origin().locate(field(&key)), key));
        }
        own
    });
    parsed.refused.retain(|refused| match &refused.key {
        Some(key) if !is_own(key) => {
            strayed.push((refused.at, key.clone()));
            false
        }
        _ => true,
    });
    let about_own = |said: &Diagnostic| said.object.as_ref().is_none_or(is_own);
    parsed.diagnostics.retain(about_own);
    let told = strayed.iter().take(MAX_TOLD);
    parsed
        .diagnostics
        .extend(told.map(|(at, key)| told_of(key, *at, namespace, file)));
    let namespaced = strayed.into_iter().filter(|(_, key)| key.kind.namespaced());
    namespaced
        .map(|(_, key)| ObjectKey::new(key.kind, namespace, key.name))
        .collect()
}

/// What of it is not for this directory.
fn field(key: &ObjectKey) -> &'static str {
    match key.kind.namespaced() {
        true => "metadata.namespace",
        false => "kind",
    }
}

fn told_of(key: &ObjectKey, at: Place, namespace: &str, file: &Arc<str>) -> Diagnostic {
    let reason =
        format!("{key} does not count: this directory is for objects of namespace {namespace} alone");
    let hint = match key.kind.namespaced() {
        true => format!(
            "write namespace {namespace}, or write it in a directory for namespace {}",
            key.namespace
        ),
        false => "write it in a directory for all namespaces".to_owned(),
    };
    Finding::new("foreign-namespace", at, field(key), reason)
        .hint(hint)
        .about(Severity::Error, None, Arc::clone(file))
}
