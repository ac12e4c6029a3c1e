//! Linkerd's DNS-like identities as principals: `SA.NS.serviceaccount.identity.CONTROL-PLANE.TRUST-DOMAIN` is
//! `TRUST-DOMAIN/ns/NS/sa/SA`.

use wattle_api::{Identity, TextMatch as Text};
use wattle_model::{Pattern, TextMatch};

use crate::{Settings, authorization};

/// What stands between a namespace and the control plane's namespace.
const INFIX: &str = "serviceaccount.identity.";
/// The namespace of Linkerd's control plane, where nothing else tells it from a part of the trust domain.
const CONTROL_PLANE: &str = "linkerd.";

/// The principals that an identity means; `None` when no workload can have it.
pub(crate) fn principals(identity: &Identity, settings: &Settings) -> Option<TextMatch> {
    match identity {
        Identity::Any => Some(TextMatch::Present),
        Identity::Spiffe(rest) => {
            let text = Text::Exact(rest.clone());
            Some(authorization::principal(&text, settings))
        }
        Identity::Name(name) => {
            let (account, place) = name.split_once(&format!(".{INFIX}"))?;
            let (account, namespace) = account.rsplit_once('.')?;
            let domain = domain_of(place, settings)?;
            Some(exactly(format!("{domain}/ns/{namespace}/sa/{account}")))
        }
        Identity::Below(suffix) => below(suffix, settings),
    }
}

/// A service account's principal.
pub(crate) fn account(namespace: &str, name: &str, settings: &Settings) -> TextMatch {
    exactly(format!("{}/ns/{namespace}/sa/{name}", settings.trust_domain))
}

/// The principals of all service accounts of a namespace.
pub(crate) fn namespace(name: &str, settings: &Settings) -> TextMatch {
    starting(format!("{}/ns/{name}/sa/", settings.trust_domain))
}

/// Identities that end in `.SUFFIX`.
fn below(suffix: &str, settings: &Settings) -> Option<TextMatch> {
    let (before, place) = match suffix.strip_prefix(INFIX) {
        Some(place) => (None, place),
        None => match suffix.split_once(&format!(".{INFIX}")) {
            Some((before, place)) => (Some(before), place),
            None => return within(suffix, settings),
        },
    };
    let domain = domain_of(place, settings)?;
    match before.map(|before| before.rsplit_once('.').ok_or(before)) {
        None => Some(starting(format!("{domain}/ns/"))),
        Some(Err(namespace)) => Some(starting(format!("{domain}/ns/{namespace}/sa/"))),
        // The end of an account whose name has dots.
        Some(Ok((end, namespace))) => {
            let start = regex::escape(&format!("{domain}/ns/{namespace}/sa/"));
            expression(&format!("{start}[^/]*{}", regex::escape(&format!(".{end}"))))
        }
    }
}

/// Identities of whatever account, by the end of what follows it.
fn within(suffix: &str, settings: &Settings) -> Option<TextMatch> {
    if let Some(place) = suffix.strip_prefix("identity.") {
        return Some(starting(format!("{}/ns/", domain_of(place, settings)?)));
    }
    // Taken for a whole trust domain where it may be one, and not for the end of another.
    if let Some(domain) = suffix.strip_prefix(CONTROL_PLANE) {
        let domain = mine(domain, settings).unwrap_or(domain);
        return Some(starting(format!("{domain}/ns/")));
    }
    if let Some(domain) = mine(suffix, settings) {
        return Some(starting(format!("{domain}/ns/")));
    }
    expression(&format!("(?:[^/]*\\.)?{}/ns/.*", regex::escape(suffix)))
}

/// The trust domain of `CONTROL-PLANE.TRUST-DOMAIN`.
fn domain_of<'a>(place: &'a str, settings: &'a Settings) -> Option<&'a str> {
    let (_, domain) = place.split_once('.')?;
    Some(mine(domain, settings).unwrap_or(domain))
}

/// The mesh's trust domain, where it is meant; Linkerd's default stands for it, as Istio's does.
fn mine<'a>(domain: &str, settings: &'a Settings) -> Option<&'a str> {
    let own = &*settings.trust_domain;
    (domain == own || domain == "cluster.local").then_some(own)
}

fn exactly(text: String) -> TextMatch {
    TextMatch::Exact(text.into())
}

fn starting(text: String) -> TextMatch {
    TextMatch::Prefix(text.into())
}

fn expression(text: &str) -> Option<TextMatch> {
    Pattern::new(text).ok().map(TextMatch::Regex)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(domain: &str) -> Settings {
        Settings {
            trust_domain: domain.into(),
            ..Settings::default()
        }
    }

    #[test]
    fn an_identity_is_a_principal() {
        let mesh = settings("mesh.example");
        let dns = |text: &str| Identity::Name(text.to_owned());
        let infix = "serviceaccount.identity.linkerd";
        let table = [
            (
                format!("web.shop.{infix}.mesh.example"),
                "mesh.example/ns/shop/sa/web",
            ),
            (
                format!("web.shop.{infix}.cluster.local"),
                "mesh.example/ns/shop/sa/web",
            ),
            (
                format!("a.b.shop.{infix}.mesh.example"),
                "mesh.example/ns/shop/sa/a.b",
            ),
            (
                format!("web.shop.{infix}.far.example"),
                "far.example/ns/shop/sa/web",
            ),
        ];
        for (written, principal) in table {
            let found = principals(&dns(&written), &mesh).unwrap();
            assert_eq!(found, TextMatch::Exact(principal.into()), "{written}");
        }
        for nobody in [
            "web.shop",
            &format!("web.{infix}.mesh.example"),
            "serviceaccount.identity.x",
        ] {
            assert_eq!(principals(&dns(nobody), &mesh), None, "{nobody}");
        }
        let spiffe = Identity::Spiffe("cluster.local/ns/shop/sa/web".to_owned());
        assert_eq!(principals(&spiffe, &mesh), Some(account("shop", "web", &mesh)));
    }

    #[test]
    fn a_star_stands_for_whole_parts_of_an_identity() {
        let mesh = settings("mesh.example");
        let infix = "serviceaccount.identity.linkerd";
        let web = "mesh.example/ns/shop/sa/web";
        let dotted = "mesh.example/ns/shop/sa/a.b";
        let other = "mesh.example/ns/other/sa/web";
        let far = "far.example/ns/shop/sa/web";
        let table = [
            (format!("shop.{infix}.mesh.example"), vec![web, dotted]),
            (format!("b.shop.{infix}.mesh.example"), vec![dotted]),
            (format!("web.shop.{infix}.mesh.example"), vec![]),
            (format!("hop.{infix}.mesh.example"), vec![]),
            (format!("{infix}.mesh.example"), vec![web, dotted, other]),
            (
                "identity.linkerd.cluster.local".to_owned(),
                vec![web, dotted, other],
            ),
            ("linkerd.mesh.example".to_owned(), vec![web, dotted, other]),
            ("mesh.example".to_owned(), vec![web, dotted, other]),
            ("example".to_owned(), vec![web, dotted, other, far]),
            ("ple".to_owned(), vec![]),
            ("far.example".to_owned(), vec![far]),
            (format!("shop.{infix}.far.example"), vec![far]),
        ];
        for (suffix, expected) in table {
            let found = principals(&Identity::Below(suffix.clone()), &mesh).unwrap();
            let matching: Vec<_> = [web, dotted, other, far]
                .into_iter()
                .filter(|principal| found.matches(principal))
                .collect();
            assert_eq!(matching, expected, "*.{suffix}");
        }
    }
}
