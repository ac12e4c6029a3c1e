//! A number in a claim, without what a second representation would lose.

use std::fmt;

/// A JSON number; whole numbers of 64 bits are exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number, zero or more.
    Unsigned(u64),
    /// A whole number below zero.
    Signed(i64),
    /// Anything else; always finite.
    Float(f64),
}

/// The last second that a NumericDate may name: later ones have no exact floating-point number.
const LAST_SECOND: f64 = 9_007_199_254_740_992.0;

impl Number {
    /// The number as seconds since 1970 (NumericDate, RFC 7519 section 2), fractions included; `None` below 0 and above
    /// 2^53.
    pub(crate) fn date(self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)]
        let seconds = match self {
            Self::Unsigned(whole) => whole as f64,
            Self::Signed(_) => return None,
            Self::Float(seconds) => seconds,
        };
        (0.0..=LAST_SECOND).contains(&seconds).then_some(seconds)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}
