//! Whose tokens a workload takes (Istio `RequestAuthentication`), and what a verified token says.

use std::sync::Arc;

use http::HeaderName;

use crate::ObjectRef;

/// Tokens of one issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRule {
    /// Where it was written.
    pub origin: ObjectRef,
    /// Claim `iss` that a token must have, exactly; `None` is any.
    pub issuer: Option<Arc<str>>,
    /// Claim `aud` must have one of them; empty is any.
    pub audiences: Vec<Arc<str>>,
    /// JSON Web Key Set (RFC 7517); `None` while there is none, so that every token is refused.
    pub keys: Option<Arc<str>>,
    /// Where a token is looked for, in order.
    pub locations: Vec<TokenLocation>,
    /// The application gets the token too.
    pub forward: bool,
    /// Header that the application gets the payload in, in base64url.
    pub payload_header: Option<HeaderName>,
    /// Headers that the application gets claims in.
    pub claim_headers: Vec<ClaimHeader>,
    /// Claims of texts with spaces that are lists, besides `scope` and `permission`.
    pub space_delimited: Vec<Arc<str>>,
}

impl TokenRule {
    /// A rule without keys, which refuses every token in the usual places.
    pub fn bearer(origin: ObjectRef) -> Self {
        Self {
            origin,
            issuer: None,
            audiences: Vec::new(),
            keys: None,
            locations: TokenLocation::usual(),
            forward: false,
            payload_header: None,
            claim_headers: Vec::new(),
            space_delimited: Vec::new(),
        }
    }
}

/// Where a token is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenLocation {
    /// A header, behind this prefix, which may be empty.
    Header(HeaderName, Box<str>),
    /// A parameter of the query.
    Query(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
}

/// A claim that the application gets in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimHeader {
    /// The header; what a client says there itself is removed.
    pub header: HeaderName,
    /// Names of the claim from outside to inside.
    pub claim: Vec<Box<str>>,
}

/// What a verified token says (RFC 7519).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenFacts {
    /// `ISSUER/SUBJECT`; `None` when it lacks one of them.
    pub principal: Option<Box<str>>,
    /// Claim `aud`.
    pub audiences: Vec<Box<str>>,
    /// Claim `azp`.
    pub presenter: Option<Box<str>>,
    /// All claims that are texts, lists of texts, or objects of such.
    pub claims: Vec<(Box<str>, Claim)>,
}

/// A claim that policies can compare.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// One text, or several of which any may match.
    Texts(Vec<Box<str>>),
    /// Claims inside.
    Members(Vec<(Box<str>, Claim)>),
}

impl TokenLocation {
    /// `Authorization: Bearer`, then `access_token` of the query (RFC 6750).
    pub fn usual() -> Vec<Self> {
        vec![
            Self::Header(http::header::AUTHORIZATION, "Bearer ".into()),
            Self::Query("access_token".into()),
        ]
    }
}

impl TokenFacts {
    /// The texts of the claim with these names from outside to inside; none when there is no such claim.
    pub fn claim(&self, path: &[Box<str>]) -> &[Box<str>] {
        let mut members = &self.claims;
        let mut names = path.iter().peekable();
        while let Some(name) = names.next() {
            match members.iter().find(|(known, _)| known == name) {
                Some((_, Claim::Members(inner))) => members = inner,
                Some((_, Claim::Texts(texts))) if names.peek().is_none() => return texts,
                _ => return &[],
            }
        }
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_found_by_its_names_from_outside_to_inside() {
        let texts = |list: &[&str]| Claim::Texts(list.iter().map(|text| (*text).into()).collect());
        let realm = Claim::Members(vec![("roles".into(), texts(&["admin", "user"]))]);
        let token = TokenFacts {
            claims: vec![("group".into(), texts(&["staff"])), ("realm".into(), realm)],
            ..TokenFacts::default()
        };
        let claim = |path: &[&str]| {
            let path: Vec<Box<str>> = path.iter().map(|name| (*name).into()).collect();
            token
                .claim(&path)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(claim(&["group"]), ["staff"]);
        assert_eq!(claim(&["realm", "roles"]), ["admin", "user"]);
        for missing in [
            &["realm"][..],
            &["roles"],
            &["group", "roles"],
            &["realm", "roles", "x"],
            &[],
        ] {
            assert!(claim(missing).is_empty(), "{missing:?}");
        }
    }
}
