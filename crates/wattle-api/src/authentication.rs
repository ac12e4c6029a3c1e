//! Istio RequestAuthentication: whose tokens a workload takes, and what becomes of them.

use std::time::Duration;

use serde::Serialize;

use crate::authorization::{TargetRef, target_ref};
use crate::decode::{Cursor, Decoded, Fields};
use crate::istio::{time, write_time};
use crate::peer::{Selector, selector};
use crate::scalar;

/// Most target references (Istio).
const MAX_TARGETS: usize = 16;
/// Most issuers of a policy.
const MAX_RULES: usize = 64;
/// Most entries of a list of a rule.
const MAX_ITEMS: usize = 64;
/// Headers that no claim may fill.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-client-cert",
];
/// Longest key set that is written in a policy, bytes.
const MAX_KEYS: usize = 256 * 1024;

/// `spec` of a RequestAuthentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestAuthentication {
    /// The workloads it is for; none means all of the namespace, or of the mesh in the root namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Objects it is for instead of workloads; never together with `selector`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<TargetRef>,
    /// Issuers, any of which a token may be of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jwt_rules: Vec<JwtRule>,
}

/// Tokens of one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtRule {
    /// Claim `iss`; none only together with `jwksUri` or `jwks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Claim `aud` must have one of them; none means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Where the keys are; without it and `jwks` the issuer says so (OpenID Connect Discovery).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The keys themselves (RFC 7517).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// Headers that hold the token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_headers: Vec<TokenHeader>,
    /// Parameters of the query that hold the token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_params: Vec<String>,
    /// Cookies that hold the token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_cookies: Vec<String>,
    /// Header that the application gets the payload in, in base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_payload_to_header: Option<String>,
    /// Whether the application gets the token too; default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forward_original_token: bool,
    /// Headers that the application gets claims in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// Longest time for fetching the keys; default 5 s.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_time")]
    pub timeout: Option<Duration>,
    /// Claims whose text is a list with spaces in between, besides `scope` and `permission`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub space_delimited_claims: Vec<String>,
}

/// A header that holds a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenHeader {
    /// Name in lower case.
    pub name: String,
    /// What comes before the token; empty for nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// A claim that the application gets in a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClaimToHeader {
    /// Name in lower case.
    pub header: String,
    /// Name of the claim; names of nested ones with a dot in between.
    pub claim: String,
}

fn optional_time<S: serde::Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => write_time(time, serializer),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn request_authentication(cursor: &Cursor<'_>) -> Decoded<RequestAuthentication> {
    let fields = cursor.fields(&["selector", "targetRef", "targetRefs", "jwtRules"])?;
    let selector = fields.optional("selector", selector);
    let single = fields.optional("targetRef", target_ref);
    let several = fields.list("targetRefs", MAX_TARGETS, target_ref);
    let jwt_rules = fields.list("jwtRules", MAX_RULES, jwt_rule);
    let mut target_refs = several?;
    target_refs.extend(single?);
    let policy = RequestAuthentication {
        selector: selector?.flatten(),
        target_refs,
        jwt_rules: jwt_rules?,
    };
    if fields.at("selector").is_some() && !policy.target_refs.is_empty() {
        return Err(fields.refuse(
            "incompatible-fields",
            "selector and targetRefs exclude each other",
        ));
    }
    Ok(policy)
}

const RULE_FIELDS: &[&str] = &[
    "issuer",
    "audiences",
    "jwksUri",
    "jwks_uri",
    "jwks",
    "fromHeaders",
    "fromParams",
    "fromCookies",
    "outputPayloadToHeader",
    "forwardOriginalToken",
    "outputClaimToHeaders",
    "timeout",
    "spaceDelimitedClaims",
];

fn jwt_rule(cursor: &Cursor<'_>) -> Decoded<JwtRule> {
    let fields = cursor.fields(RULE_FIELDS)?;
    let words = |key: &str| fields.list(key, MAX_ITEMS, scalar::filled);
    let issuer = fields.optional("issuer", scalar::filled);
    let old_uri = fields.optional("jwks_uri", uri);
    let jwks_uri = fields.optional("jwksUri", uri);
    let jwks = fields.optional("jwks", keys);
    let (audiences, from_params, from_cookies) =
        (words("audiences"), words("fromParams"), words("fromCookies"));
    let from_headers = fields.list("fromHeaders", MAX_ITEMS, token_header);
    let output_payload_to_header = fields.optional("outputPayloadToHeader", told_header);
    let forward_original_token = fields.optional("forwardOriginalToken", scalar::flag);
    let output_claim_to_headers = fields.list("outputClaimToHeaders", MAX_ITEMS, claim_to_header);
    let timeout = fields.optional("timeout", time);
    let space_delimited_claims = words("spaceDelimitedClaims");
    let rule = JwtRule {
        issuer: issuer?,
        audiences: audiences?,
        jwks_uri: jwks_uri?.or(old_uri?),
        jwks: jwks?,
        from_headers: from_headers?,
        from_params: from_params?,
        from_cookies: from_cookies?,
        output_payload_to_header: output_payload_to_header?,
        forward_original_token: forward_original_token?.unwrap_or_default(),
        output_claim_to_headers: output_claim_to_headers?,
        timeout: timeout?,
        space_delimited_claims: space_delimited_claims?,
    };
    check(&rule, &fields)?;
    Ok(rule)
}

fn check(rule: &JwtRule, fields: &Fields<'_>) -> Decoded<()> {
    if rule.jwks.is_some() && rule.jwks_uri.is_some() {
        let reason = "jwks and jwksUri exclude each other";
        return Err(fields.refuse("incompatible-fields", reason));
    }
    if rule.issuer.is_none() && rule.jwks.is_none() && rule.jwks_uri.is_none() {
        let reason = "a rule needs an issuer, or keys by jwksUri or jwks";
        return Err(fields.refuse("missing-field", reason));
    }
    Ok(())
}

/// `https://…`, or `http://…` with a warning: which addresses may answer in plaintext is the control plane's to say.
fn uri(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    let parsed: Option<http::Uri> = text.parse().ok();
    let scheme = parsed
        .as_ref()
        .and_then(|uri| uri.authority().and(uri.scheme_str()));
    match scheme {
        Some("https") => Ok(text),
        Some("http") => {
            cursor.warn(
                "insecure",
                "whoever is on the way could exchange the keys: they are fetched in plaintext from loopback alone",
                "write https://, or allow the address by `--keys-plaintext` of the control plane",
            );
            Ok(text)
        }
        _ => Err(cursor.refuse("invalid-uri", "expected https:// or http:// with a host")),
    }
}

fn keys(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    if text.len() > MAX_KEYS {
        let reason = format!("found {} bytes, expected at most {MAX_KEYS}", text.len());
        return Err(cursor.refuse("too-long", reason));
    }
    Ok(text)
}

fn token_header(cursor: &Cursor<'_>) -> Decoded<TokenHeader> {
    let fields = cursor.fields(&["name", "prefix"])?;
    let name = fields.required("name", scalar::header_name);
    let prefix = fields.optional("prefix", scalar::text);
    Ok(TokenHeader {
        name: name?,
        prefix: prefix?.unwrap_or_default(),
    })
}

/// A header that a token may fill: not one by which a message is framed or finds its way.
fn told_header(cursor: &Cursor<'_>) -> Decoded<String> {
    let name = scalar::header_name(cursor)?;
    if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        let reason = format!("found {name}, expected a header that does not say how the message is read");
        return Err(cursor.refuse("invalid-header", reason));
    }
    Ok(name)
}

fn claim_to_header(cursor: &Cursor<'_>) -> Decoded<ClaimToHeader> {
    let fields = cursor.fields(&["header", "claim"])?;
    let header = fields.required("header", told_header);
    let claim = fields.required("claim", scalar::filled);
    Ok(ClaimToHeader {
        header: header?,
        claim: claim?,
    })
}
