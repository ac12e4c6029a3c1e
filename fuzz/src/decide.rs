//! Decisions: `0` any request against the fixed mesh of `decide.yaml`, `1` any path, `2` any pattern on any text.

use std::cell::RefCell;
use std::sync::Arc;

use wattle_compile::{Mesh, Settings};
use wattle_model::{
    AuthorizationDecision, Destination, Inbound, Pattern, has_path_prefix, normal_path, percent_decode,
};

use crate::facts::Facts;
use crate::select;

const MESH: &str = include_str!("decide.yaml");

thread_local! {
    static FIXED: (Arc<Destination>, Arc<Inbound>) = fixed();
    static LAST: RefCell<Option<(String, Pattern)>> = const { RefCell::new(None) };
}

/// The first byte selects; what is not text is nothing.
pub fn run(input: &[u8]) {
    let Some((chosen, rest)) = select(input, 3) else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    match chosen {
        0 => request(text),
        1 => path(text),
        _ => pattern(text),
    }
}

/// Lines: method, authority, path, query, principal, then headers. An empty query or principal is none.
fn request(text: &str) {
    let mut lines = text.splitn(6, '\n');
    let mut next = || lines.next().unwrap_or("");
    let some = |line: &'_ str| -> bool { !line.is_empty() };
    let facts = Facts {
        method: next(),
        authority: next(),
        path: next(),
        query: Some(next()).filter(|line| some(line)),
        principal: Some(next()).filter(|line| some(line)),
        headers: next(),
        port: 9080,
    };
    FIXED.with(|(destination, inbound)| {
        facts.route(destination);
        let verdict = facts.authorize(inbound);
        let refused = matches!(verdict, AuthorizationDecision::Refused { .. });
        assert!(refused || !is_secret(facts.path), "{} is let in", facts.path);
        assert!(refused || facts.principal.is_some(), "plaintext is let in");
    });
}

/// Whether any server could take the path for one below `/secret`, which `decide.yaml` denies to all. Dots are left to
/// the tables of the model: this judges decoding and slashes alone.
fn is_secret(path: &str) -> bool {
    let decoded = percent_decode(path).replace('\\', "/");
    !decoded.contains("/.")
        && decoded.starts_with('/')
        && decoded.trim_start_matches('/').starts_with("secret/")
}

/// The normal form of a path has no dot segments, and a prefix of whole elements is a prefix.
fn path(text: &str) {
    let (path, prefix) = text.split_once('\n').unwrap_or((text, "/"));
    let normal = normal_path(path);
    let dots = normal.split('/').any(|segment| segment == "." || segment == "..");
    assert!(!dots || !normal.starts_with('/'), "{path} became {normal}");
    if has_path_prefix(path, prefix) {
        assert!(path.starts_with(prefix.strip_suffix('/').unwrap_or(prefix)));
    }
}

/// First line the expression, then the text. Compiling costs most, so the last expression is kept.
fn pattern(text: &str) {
    let (source, text) = text.split_once('\n').unwrap_or((text, ""));
    LAST.with_borrow_mut(|last| {
        if last.as_ref().is_none_or(|(kept, _)| kept != source) {
            *last = Pattern::new(source)
                .ok()
                .map(|pattern| (source.to_owned(), pattern));
        }
        if let Some((_, pattern)) = last {
            assert_eq!(pattern.as_str(), source);
            let _ = pattern.is_match(text);
        }
    });
}

fn fixed() -> (Arc<Destination>, Arc<Inbound>) {
    let parsed = wattle_api::parse(MESH, "decide.yaml");
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    let mut mesh = Mesh::new(Settings::default());
    mesh.reset(parsed.objects);
    let destination = mesh.destination("reviews.shop.svc.cluster.local:9080", "shop");
    let inbound = mesh.inbound("shop/reviews-0");
    destination
        .zip(inbound)
        .expect("decide.yaml holds this Service and this workload")
}
