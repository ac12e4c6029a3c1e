//! Host names as Istio's objects write them.

use std::sync::Arc;

use wattle_api::istio::Host;

use crate::{Name, Settings};

/// The host that `written` means in an object of `namespace`: without a dot it is a Service there.
pub(crate) fn qualified(written: &str, namespace: &str, settings: &Settings) -> Arc<str> {
    if written.contains('.') || written.contains('*') || written.contains(':') {
        return written.into();
    }
    format!("{written}.{namespace}.svc.{}", settings.cluster_domain).into()
}

/// The same for a host that may be a pattern.
pub(crate) fn pattern(written: &Host, namespace: &str, settings: &Settings) -> Arc<str> {
    match written {
        Host::Name(name) => qualified(name, namespace, settings),
        other => other.to_string().into(),
    }
}

/// The Service that a fully qualified host names.
pub(crate) fn service(host: &str, settings: &Settings) -> Option<Name> {
    let short = host
        .strip_suffix(&*settings.cluster_domain)?
        .strip_suffix(".svc.")?;
    let (name, namespace) = short.split_once('.')?;
    let plain = !name.is_empty() && !namespace.is_empty() && !namespace.contains('.');
    plain.then(|| (namespace.into(), name.into()))
}

/// The patterns that may cover `host`, the narrowest first: itself, `*.parent`, …, `*`.
pub(crate) fn covering(host: &str) -> impl Iterator<Item = Arc<str>> {
    let parents = host
        .match_indices('.')
        .map(|(at, _)| Arc::from(format!("*{}", &host[at..])));
    std::iter::once(Arc::from(host))
        .chain(parents)
        .chain(std::iter::once("*".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_dot_is_a_service_of_the_namespace() {
        let settings = Settings::default();
        assert_eq!(
            &*qualified("reviews", "shop", &settings),
            "reviews.shop.svc.cluster.local"
        );
        assert_eq!(
            &*qualified("www.example.com", "shop", &settings),
            "www.example.com"
        );
        let name = service("reviews.shop.svc.cluster.local", &settings);
        assert_eq!(name, Some(("shop".into(), "reviews".into())));
        for other in [
            "www.example.com",
            "a.b.c.svc.cluster.local",
            ".svc.cluster.local",
            "svc.cluster.local",
        ] {
            assert_eq!(service(other, &settings), None, "{other}");
        }
    }

    #[test]
    fn patterns_go_from_the_host_to_everything() {
        let patterns: Vec<_> = covering("a.b.c").collect();
        assert_eq!(
            patterns,
            [
                "a.b.c".into(),
                "*.b.c".into(),
                "*.c".into(),
                Arc::<str>::from("*")
            ]
        );
    }
}
