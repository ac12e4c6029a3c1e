//! What a condition of a policy compares: Istio's keys under `when`.

use std::fmt;

use http::HeaderName;

/// An attribute of a request or connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// `source.ip`: address of the peer.
    SourceIp,
    /// `remote.ip`: address of the original client.
    RemoteIp,
    /// `source.namespace`.
    SourceNamespace,
    /// `source.principal`.
    SourcePrincipal,
    /// `source.serviceAccount`, as `NAMESPACE/ACCOUNT`.
    SourceServiceAccount,
    /// `source.trustDomain`.
    SourceTrustDomain,
    /// `destination.ip`: address of the workload that was dialled.
    DestinationIp,
    /// `destination.port`.
    DestinationPort,
    /// `connection.sni`.
    ConnectionSni,
    /// `request.headers[NAME]`.
    RequestHeader(HeaderName),
    /// `request.auth.principal`: `ISSUER/SUBJECT` of the token.
    RequestPrincipal,
    /// `request.auth.audiences`.
    RequestAudiences,
    /// `request.auth.presenter`: claim `azp`.
    RequestPresenter,
    /// `request.auth.claims[A][B]`: names from outside to inside, at least one.
    RequestClaim(Vec<Box<str>>),
    /// A key that this version cannot evaluate, as written; it fails closed.
    Unknown(Box<str>),
}

impl Attribute {
    const PLAIN: [(&str, Self); 12] = [
        ("source.ip", Self::SourceIp),
        ("remote.ip", Self::RemoteIp),
        ("source.namespace", Self::SourceNamespace),
        ("source.principal", Self::SourcePrincipal),
        ("source.serviceAccount", Self::SourceServiceAccount),
        ("source.trustDomain", Self::SourceTrustDomain),
        ("destination.ip", Self::DestinationIp),
        ("destination.port", Self::DestinationPort),
        ("connection.sni", Self::ConnectionSni),
        ("request.auth.principal", Self::RequestPrincipal),
        ("request.auth.audiences", Self::RequestAudiences),
        ("request.auth.presenter", Self::RequestPresenter),
    ];

    /// Reads a key; one that is not known here becomes [`Attribute::Unknown`].
    pub fn parse(key: &str) -> Self {
        if let Some((_, plain)) = Self::PLAIN.iter().find(|(name, _)| *name == key) {
            return plain.clone();
        }
        header(key)
            .or_else(|| claim(key))
            .unwrap_or_else(|| Self::Unknown(key.into()))
    }

    /// True when this version can evaluate it.
    pub fn is_supported(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    /// True for an address, which is compared with ranges.
    pub fn is_address(&self) -> bool {
        matches!(self, Self::SourceIp | Self::RemoteIp | Self::DestinationIp)
    }

    /// True for what only a request has.
    pub fn is_http(&self) -> bool {
        matches!(
            self,
            Self::RequestHeader(_)
                | Self::RequestPrincipal
                | Self::RequestAudiences
                | Self::RequestPresenter
                | Self::RequestClaim(_)
        )
    }
}

fn header(key: &str) -> Option<Attribute> {
    let name = key.strip_prefix("request.headers[")?.strip_suffix(']')?;
    HeaderName::from_bytes(name.as_bytes())
        .ok()
        .map(Attribute::RequestHeader)
}

fn claim(key: &str) -> Option<Attribute> {
    let inner = key.strip_prefix("request.auth.claims[")?.strip_suffix(']')?;
    let names: Vec<Box<str>> = inner.split("][").map(Into::into).collect();
    let whole = |name: &str| !name.is_empty() && !name.contains(['[', ']']);
    names
        .iter()
        .all(|name| whole(name))
        .then_some(Attribute::RequestClaim(names))
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestHeader(name) => write!(f, "request.headers[{name}]"),
            Self::RequestClaim(names) => write!(f, "request.auth.claims[{}]", names.join("][")),
            Self::Unknown(key) => f.write_str(key),
            plain => {
                let found = Self::PLAIN.iter().find(|(_, known)| known == plain);
                f.write_str(found.map_or("", |(name, _)| name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_and_written_alike() {
        let keys = Attribute::PLAIN.iter().map(|(name, _)| *name);
        let named = [
            "request.headers[x-role]",
            "request.auth.claims[a]",
            "request.auth.claims[a][b c]",
        ];
        for key in keys.chain(named) {
            let attribute = Attribute::parse(key);
            assert!(attribute.is_supported(), "{key}");
            assert_eq!(attribute.to_string(), key);
        }
    }

    #[test]
    fn what_is_no_key_is_kept_as_written_and_not_supported() {
        for key in [
            "source.planet",
            "request.headers[]",
            "request.headers[a b]",
            "request.auth.claims[]",
            "request.auth.claims[a][",
            "request.auth.claims[a]]",
            "experimental.envoy.filters.x",
        ] {
            assert_eq!(Attribute::parse(key), Attribute::Unknown(key.into()));
        }
    }
}
