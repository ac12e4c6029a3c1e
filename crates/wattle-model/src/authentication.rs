//! Whose tokens a workload takes (Istio `RequestAuthentication`), and what a verified token says.

use std::sync::Arc;

use std::fmt;

use http::HeaderName;

use crate::{ObjectRef, TextMatch};

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
    /// Who it is for; `None` when it lacks an issuer or a subject, or one is empty.
    pub principal: Option<TokenPrincipal>,
    /// Claim `aud`.
    pub audiences: Vec<Box<str>>,
    /// Claim `azp`.
    pub presenter: Option<Box<str>>,
    /// All claims that are texts, lists of texts, or objects of such.
    pub claims: Vec<(Box<str>, Claim)>,
}

/// Whom a token names: `ISSUER/SUBJECT`.
///
/// Both may have slashes, so they are kept apart: `a` that vouches for `b/c` is not `a/b` that vouches for `c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPrincipal {
    /// Claim `iss`, not empty.
    pub issuer: Box<str>,
    /// Claim `sub`, not empty.
    pub subject: Box<str>,
}

/// What a text asks of one half of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalPart<'a> {
    /// That it is this.
    Exact(&'a str),
    /// That it begins so.
    Prefix(&'a str),
    /// That it ends so.
    Suffix(&'a str),
}

impl TokenPrincipal {
    /// Compares issuer and subject around the last slash of the text (Istio); an expression is compared with both.
    pub fn is(&self, text: &TextMatch) -> bool {
        match Self::parts(text) {
            Some((issuer, subject)) => issuer.holds(&self.issuer) && subject.holds(&self.subject),
            None => text.matches(&self.to_string()),
        }
    }

    /// What a text asks of issuer and subject; `None` for an expression, which cannot be cut.
    pub fn parts(text: &TextMatch) -> Option<(PrincipalPart<'_>, PrincipalPart<'_>)> {
        use PrincipalPart::{Exact, Prefix, Suffix};
        let any = Prefix("");
        Some(match text {
            TextMatch::Present => (any, any),
            // No issuer and no subject is empty, so that a text without slash is nobody's.
            TextMatch::Exact(text) => match text.rsplit_once('/') {
                Some((issuer, subject)) => (Exact(issuer), Exact(subject)),
                None => (Exact(text), Exact("")),
            },
            TextMatch::Prefix(text) => match text.rsplit_once('/') {
                // `https://*` is about issuers.
                Some((issuer, "")) if issuer.ends_with('/') => (Prefix(text), any),
                Some((issuer, subject)) => (Exact(issuer), Prefix(subject)),
                None => (Prefix(text), any),
            },
            TextMatch::Suffix(text) => match text.rsplit_once('/') {
                Some((issuer, subject)) => (Suffix(issuer), Exact(subject)),
                None => (any, Suffix(text)),
            },
            TextMatch::Regex(_) => return None,
        })
    }
}

impl fmt::Display for TokenPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.issuer, self.subject)
    }
}

impl PrincipalPart<'_> {
    /// Does this half of a principal fulfil it?
    fn holds(self, half: &str) -> bool {
        match self {
            Self::Exact(text) => half == text,
            Self::Prefix(text) => half.starts_with(text),
            Self::Suffix(text) => half.ends_with(text),
        }
    }
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
    fn issuer_and_subject_are_told_apart_whatever_slashes_they_have() {
        let principal = |issuer: &str, subject: &str| TokenPrincipal {
            issuer: issuer.into(),
            subject: subject.into(),
        };
        let own = principal("https://a/b", "c");
        let other = principal("https://a", "b/c");
        let text = |written: &str| match (written.strip_prefix('*'), written.strip_suffix('*')) {
            (Some(""), _) => TextMatch::Present,
            (Some(end), _) => TextMatch::Suffix(end.into()),
            (_, Some(start)) => TextMatch::Prefix(start.into()),
            _ => TextMatch::Exact(written.into()),
        };
        let table = [
            ("https://a/b/c", true, false),
            ("https://a/b/*", true, false),
            ("https://a/*", false, true),
            ("https://*", true, true),
            ("https*", true, true),
            ("*/c", true, false),
            ("*b/c", true, false),
            ("*c", true, true),
            ("*", true, true),
            ("https:", false, false),
            ("", false, false),
        ];
        for (written, is_own, is_other) in table {
            let found = (own.is(&text(written)), other.is(&text(written)));
            assert_eq!(found, (is_own, is_other), "{written}");
        }
    }

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
