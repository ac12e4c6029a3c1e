//! Why a token was refused, in words that lead to the cause and hold no part of the token.

/// A refused token: [`id`](Self::id) is stable and meant for programs; `Display` is one sentence that is safe to log and to
/// show, since nothing in it comes from the token but the name of a registered claim or a known algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Longer than [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES).
    #[error("token is longer than {} bytes", crate::MAX_TOKEN_BYTES)]
    TooLarge,
    /// Objects and lists lie within each other deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    #[error("token's {part} is nested deeper than {} levels", crate::MAX_DEPTH)]
    TooDeep {
        /// `header` or `payload`.
        part: &'static str,
    },
    /// Not three parts of base64url of which the first two are JSON objects (RFC 7515 section 7.1).
    #[error("token's {part} is malformed, expected {expected}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What should have been there.
        expected: &'static str,
    },
    /// Five parts: encrypted (JWE), which is not supported.
    #[error("token is encrypted (JWE), expected a signed one (JWS)")]
    Encrypted,
    /// The payload is a token again (`cty: JWT`), which is not supported.
    #[error("token holds another token (cty is JWT), expected claims")]
    Nested,
    /// A header member occurs twice, so two readers may see two headers.
    #[error("token's header has a member twice")]
    DuplicateHeader,
    /// A name occurs twice in an object of the payload, so two readers may see two payloads.
    #[error("token's payload has a claim twice")]
    DuplicateClaim,
    /// `alg` is missing, or names no accepted algorithm.
    #[error("token's algorithm is {got}, expected one of RS, PS, ES with 256, 384 or 512, or EdDSA")]
    Algorithm {
        /// The refused algorithm in words of ours.
        got: &'static str,
    },
    /// The header asks for an extension that must be understood (`crit`, or `b64`), and none is.
    #[error("token's header requires an extension (crit or b64), and none is supported")]
    Critical,
    /// A registered claim has a type that RFC 7519 section 4.1 does not allow.
    #[error("token's claim {name} is not {expected}")]
    ClaimType {
        /// Which claim.
        name: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// `iss` is missing, or is another issuer's.
    #[error("token is not of the expected issuer (iss)")]
    Issuer,
    /// `aud` is missing, or names none of the expected audiences.
    #[error("token is not for any of the expected audiences (aud)")]
    Audience,
    /// `exp` has passed.
    #[error("token has expired (exp)")]
    Expired,
    /// There is no `exp`, and one is required.
    #[error("token never expires (exp is missing), and it has to")]
    NoExpiry,
    /// `nbf` has not come.
    #[error("token is not valid yet (nbf)")]
    NotYetValid,
    /// No key of the issuer has the token's `kid` and suits its algorithm.
    #[error(
        "token is signed by a key that its issuer's key set does not have, or that does not suit its algorithm"
    )]
    UnknownKey,
    /// The signature is not one of the issuer's keys over this header and payload.
    #[error("token's signature is wrong")]
    Signature,
}

impl Rejection {
    /// The stable reason id, for metrics, logs and headers.
    pub fn id(&self) -> &'static str {
        match self {
            Self::TooLarge => "jwt-too-large",
            Self::TooDeep { .. } => "jwt-too-deep",
            Self::Malformed { .. } => "jwt-malformed",
            Self::Encrypted => "jwt-encrypted",
            Self::Nested => "jwt-nested",
            Self::DuplicateHeader => "jwt-duplicate-header",
            Self::DuplicateClaim => "jwt-duplicate-claim",
            Self::Algorithm { .. } => "jwt-algorithm",
            Self::Critical => "jwt-critical",
            Self::ClaimType { .. } => "jwt-claim-type",
            Self::Issuer => "jwt-issuer",
            Self::Audience => "jwt-audience",
            Self::Expired => "jwt-expired",
            Self::NoExpiry => "jwt-no-expiry",
            Self::NotYetValid => "jwt-not-yet-valid",
            Self::UnknownKey => "jwt-unknown-key",
            Self::Signature => "jwt-signature",
        }
    }
}
