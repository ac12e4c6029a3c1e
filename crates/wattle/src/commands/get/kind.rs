//! What can be listed, under the names that people use.

use wattle_api::Kind;

use crate::failure::Failure;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// Objects of a kind, or all.
    Objects(Option<&'static str>),
    /// Instances the supervisor runs.
    Processes,
    /// Proxies that are connected.
    Proxies,
    /// Services with their names and addresses.
    Services,
    /// Endpoints of Services.
    Endpoints,
}

/// Short names as kubectl knows them.
const SHORT: [(&str, Kind); 7] = [
    ("svc", Kind::Service),
    ("ns", Kind::Namespace),
    ("sa", Kind::ServiceAccount),
    ("pa", Kind::PeerAuthentication),
    ("ra", Kind::RequestAuthentication),
    ("ap", Kind::AuthorizationPolicy),
    ("we", Kind::WorkloadEntry),
];

/// What a word means: any case, singular or plural.
pub(super) fn listing(word: Option<&str>) -> anyhow::Result<Listing> {
    let Some(word) = word else {
        return Ok(Listing::Objects(None));
    };
    let lower = word.to_ascii_lowercase();
    match lower.as_str() {
        "all" | "objects" => return Ok(Listing::Objects(None)),
        "processes" => return Ok(Listing::Processes),
        "proxy" | "proxies" => return Ok(Listing::Proxies),
        "services" => return Ok(Listing::Services),
        "endpoint" | "endpoints" | "ep" => return Ok(Listing::Endpoints),
        _ => {}
    }
    let short = SHORT
        .iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, kind)| *kind);
    let is_named = |kind: &Kind| {
        let name = kind.unique_name().to_ascii_lowercase();
        lower == name || lower == format!("{name}s") || lower == plural(&name)
    };
    match short.or_else(|| Kind::ALL.into_iter().find(is_named)) {
        Some(kind) => Ok(Listing::Objects(Some(kind.unique_name()))),
        None => Err(unknown(word)),
    }
}

/// `policy` has `policies`.
fn plural(name: &str) -> String {
    name.strip_suffix('y')
        .map_or_else(String::new, |stem| format!("{stem}ies"))
}

fn unknown(word: &str) -> anyhow::Error {
    let kinds = Kind::ALL.map(Kind::unique_name).join(", ");
    let hint = format!("choose processes, proxies, services, endpoints or a kind: {kinds}");
    Failure::error(format!("there is no kind `{word}`"), hint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn kinds_are_found_under_the_names_that_people_use() {
        for (word, kind) in [
            ("HTTPRoute", "HTTPRoute"),
            ("httproutes", "HTTPRoute"),
            ("AuthorizationPolicies", "AuthorizationPolicy"),
            ("ap", "AuthorizationPolicy"),
            ("svc", "Service"),
            ("service", "Service"),
            ("process", "Process"),
            ("httproute.policy.linkerd.io", "HTTPRoute.policy.linkerd.io"),
        ] {
            assert_eq!(
                listing(Some(word)).unwrap(),
                Listing::Objects(Some(kind)),
                "{word}"
            );
        }
        assert_eq!(listing(None).unwrap(), Listing::Objects(None));
        assert_eq!(listing(Some("Processes")).unwrap(), Listing::Processes);
        assert_eq!(listing(Some("ep")).unwrap(), Listing::Endpoints);
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert_eq!(
            listing(Some("pod")).unwrap_err().to_string(),
            "there is no kind `pod`"
        );
    }
}
