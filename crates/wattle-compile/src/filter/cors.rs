//! The `CORS` filter (GEP-1767).

use std::time::Duration;

use wattle_model::{Cors, CorsList, Pattern, TextMatch};

/// The policy; `None` when an origin cannot be had.
pub(super) fn cors(written: &wattle_api::Cors) -> Option<Cors> {
    let origins: Option<_> = written.allow_origins.iter().map(|text| origin(text)).collect();
    Some(Cors {
        origins: origins?,
        methods: list(&written.allow_methods),
        headers: list(&written.allow_headers),
        expose: list(&written.expose_headers),
        max_age: Some(Duration::from_secs(u64::from(written.max_age_secs))),
        credentials: written.allow_credentials,
        forwards_unmatched: false,
    })
}

/// An origin: `*`, `SCHEME://HOST[:PORT]`, or such a one whose host is `*` or starts with `*.`, at any depth.
fn origin(text: &str) -> Option<TextMatch> {
    if text == "*" {
        return Some(TextMatch::Present);
    }
    match text.split_once("://*") {
        None => Some(TextMatch::Exact(text.into())),
        Some((scheme, rest)) => {
            // A port is no part of the host, so that the star does not cover one.
            let any_host = r"(?:\[[0-9A-Fa-f:.]+\]|[^/:]+)";
            let pattern = format!("{}://{any_host}{}", regex::escape(scheme), regex::escape(rest));
            Pattern::new(&pattern).ok().map(TextMatch::Regex)
        }
    }
}

fn list<T: AsRef<str>>(written: &[T]) -> CorsList {
    let names: Vec<&str> = written.iter().map(AsRef::as_ref).collect();
    match names.contains(&"*") {
        true => CorsList::Any,
        false => CorsList::These(names.join(", ").into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::origin;

    #[test]
    fn a_star_in_an_origin_stands_for_hosts_and_for_no_port() {
        let table = [
            ("*", "https://a.test", true),
            ("https://a.test", "https://a.test", true),
            ("https://a.test", "https://a.test:8443", false),
            ("https://*.a.test", "https://b.c.a.test", true),
            ("https://*.a.test", "https://a.test", false),
            ("https://*.a.test", "https://b.a.test.evil", false),
            ("https://*", "https://b.test", true),
            ("https://*", "http://b.test", false),
            ("https://*", "https://b.test:8443", false),
            ("https://*:8443", "https://b.test:8443", true),
            ("https://*", "https://[::1]", true),
        ];
        for (written, asked, expected) in table {
            assert_eq!(
                origin(written).unwrap().matches(asked),
                expected,
                "{written} {asked}"
            );
        }
    }
}
