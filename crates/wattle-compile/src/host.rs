//! Names of Services as callers write them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::{Name, Settings};

/// What a destination's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Address(IpAddr, u16),
    Service(Name, u16),
    /// A host that cannot be a Service of this mesh.
    Foreign,
}

/// Reads `ip:port` or `host:port`; `None` when it is neither.
pub(crate) fn target(name: &str, from: &Arc<str>, settings: &Settings) -> Option<Target> {
    if let Ok(address) = name.parse::<SocketAddr>() {
        return Some(Target::Address(address.ip().to_canonical(), address.port()));
    }
    let (host, port) = name.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    if host.is_empty() || host.contains(':') {
        return None;
    }
    Some(service(host, from, settings).map_or(Target::Foreign, |service| Target::Service(service, port)))
}

/// The Service that `host` names when it is said in namespace `from`: `svc`, `svc.ns`, `svc.ns.svc` or all of it.
pub(crate) fn service(host: &str, from: &Arc<str>, settings: &Settings) -> Option<Name> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let domain = format!(".svc.{}", settings.cluster_domain);
    let short = host.strip_suffix(&domain).or_else(|| host.strip_suffix(".svc"));
    match short.unwrap_or(&host).split_once('.') {
        Some((name, namespace)) if !namespace.contains('.') => Some((namespace.into(), name.into())),
        None if short.is_none() => Some((Arc::clone(from), host.as_str().into())),
        _ => None,
    }
}

/// The fully qualified host of a Service.
pub(crate) fn qualified(name: &Name, settings: &Settings) -> Arc<str> {
    format!("{}.{}.svc.{}", name.1, name.0, settings.cluster_domain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_in_four_ways() {
        let settings = Settings::default();
        let from: Arc<str> = "here".into();
        let table = [
            ("a", Some(("here", "a"))),
            ("A.There", Some(("there", "a"))),
            ("a.there.svc", Some(("there", "a"))),
            ("a.there.svc.cluster.local", Some(("there", "a"))),
            ("a.there.svc.cluster.local.", Some(("there", "a"))),
            ("a.svc.cluster.local", None),
            ("www.example.com", None),
        ];
        for (host, expected) in table {
            let expected: Option<Name> = expected.map(|(namespace, name)| (namespace.into(), name.into()));
            assert_eq!(service(host, &from, &settings), expected, "{host}");
        }
    }

    #[test]
    fn a_destination_is_an_address_or_a_host_with_a_port() {
        let settings = Settings::default();
        let from: Arc<str> = "here".into();
        let read = |name: &str| target(name, &from, &settings);
        assert_eq!(
            read("10.0.0.1:80"),
            Some(Target::Address(IpAddr::from([10, 0, 0, 1]), 80))
        );
        assert_eq!(
            read("[::ffff:10.0.0.1]:80"),
            Some(Target::Address(IpAddr::from([10, 0, 0, 1]), 80))
        );
        assert_eq!(
            read("a:80"),
            Some(Target::Service(("here".into(), "a".into()), 80))
        );
        assert_eq!(read("www.example.com:443"), Some(Target::Foreign));
        for nonsense in ["a", "a:0", ":80", "a:x", "1::2:80", "a:99999"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
