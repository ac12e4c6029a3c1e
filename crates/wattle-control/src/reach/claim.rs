//! The reading of a claim.

use std::fmt;
use std::str::FromStr;

/// That nothing of some callers reaches some workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Namespace of the callers; `None` is any.
    pub namespace: Option<String>,
    /// Their service account; `None` is any.
    pub account: Option<String>,
    /// Namespace of the workloads.
    pub target_namespace: String,
    /// The workload; `None` is all of the namespace.
    pub target: Option<String>,
    /// Port of the workload; `None` is any.
    pub port: Option<u16>,
    /// Method; `None` is any, and connections that are no requests.
    pub method: Option<String>,
    /// Path; `None` is any.
    pub path: Option<String>,
}

/// Why a claim cannot be proved or refuted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The claim cannot be read.
    #[error("expected {expected}, found {}", at(.found))]
    Word {
        /// What would have been right.
        expected: &'static str,
        /// The word that was there; empty at the end.
        found: String,
    },
    /// No workload is meant.
    #[error("no workload is {0}")]
    Target(String),
}

fn at(word: &str) -> String {
    match word {
        "" => "the end of the claim".to_owned(),
        word => format!("`{word}`"),
    }
}

fn wrong(expected: &'static str, found: &str) -> ClaimError {
    ClaimError::Word {
        expected,
        found: found.to_owned(),
    }
}

impl FromStr for Claim {
    type Err = ClaimError;

    fn from_str(text: &str) -> Result<Self, ClaimError> {
        let mut words = text.split_whitespace();
        let mut next = || words.next().unwrap_or_default();
        let mut claim = Self::default();
        match next() {
            "nothing" => {}
            other => return Err(wrong("`nothing`", other)),
        }
        let mut word = next();
        match word {
            "in" => {
                claim.namespace = Some(name(next(), "a namespace")?);
                word = next();
            }
            "from" => {
                let caller = next();
                let parts = caller.split_once('/');
                let (namespace, account) = parts.ok_or_else(|| wrong("NAMESPACE/ACCOUNT", caller))?;
                claim.namespace = Some(name(namespace, "NAMESPACE/ACCOUNT")?);
                claim.account = Some(name(account, "NAMESPACE/ACCOUNT")?);
                word = next();
            }
            _ => {}
        }
        match word {
            "reaches" => {}
            other if claim.namespace.is_none() => {
                return Err(wrong(
                    "`in NAMESPACE`, `from NAMESPACE/ACCOUNT` or `reaches`",
                    other,
                ));
            }
            other => return Err(wrong("`reaches`", other)),
        }
        let target = next();
        let (namespace, workload) = target.split_once('/').unwrap_or(("default", target));
        claim.target_namespace = name(namespace, "NAMESPACE/WORKLOAD")?;
        claim.target = match workload {
            "*" => None,
            workload => Some(name(workload, "NAMESPACE/WORKLOAD")?),
        };
        let mut word = next();
        if word == "on" {
            let port = next();
            let number = port.parse().ok().filter(|port| *port != 0);
            claim.port = Some(number.ok_or_else(|| wrong("a port from 1 to 65535", port))?);
            word = next();
        }
        if word == "with" {
            claim.method = Some(name(next(), "a method")?);
            word = next();
            if word.starts_with('/') {
                claim.path = Some(word.to_owned());
                word = next();
            } else if !word.is_empty() {
                return Err(wrong("a path that begins with `/`, or the end", word));
            }
        }
        match word {
            "" => Ok(claim),
            other if claim.method.is_some() => Err(wrong("the end", other)),
            other if claim.port.is_some() => Err(wrong("`with METHOD` or the end", other)),
            other => Err(wrong("`on PORT`, `with METHOD` or the end", other)),
        }
    }
}

fn name(word: &str, expected: &'static str) -> Result<String, ClaimError> {
    match word {
        "" => Err(wrong(expected, word)),
        word if word.contains('/') => Err(wrong(expected, word)),
        word => Ok(word.to_owned()),
    }
}

impl Claim {
    /// What is not to be reached.
    pub(super) fn target(&self) -> String {
        format!(
            "{}/{}",
            self.target_namespace,
            self.target.as_deref().unwrap_or("*")
        )
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")?;
        match (&self.namespace, &self.account) {
            (Some(namespace), Some(account)) => write!(f, " from {namespace}/{account}")?,
            (Some(namespace), None) => write!(f, " in {namespace}")?,
            (None, _) => {}
        }
        write!(f, " reaches {}", self.target())?;
        if let Some(port) = self.port {
            write!(f, " on {port}")?;
        }
        if let Some(method) = &self.method {
            write!(f, " with {method}")?;
        }
        match &self.path {
            Some(path) => write!(f, " {path}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_reads_as_it_is_written() {
        for text in [
            "nothing reaches shop/web",
            "nothing in guests reaches shop/* on 80",
            "nothing from shop/page reaches bank/ledger on 8080 with POST /pay",
            "nothing in a reaches b/c with GET",
        ] {
            let claim: Result<Claim, _> = text.parse();
            assert_eq!(claim.map(|claim| claim.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_was_expected() {
        for (text, said) in [
            ("", "expected `nothing`, found the end of the claim"),
            ("nobody reaches a", "expected `nothing`, found `nobody`"),
            (
                "nothing at a",
                "expected `in NAMESPACE`, `from NAMESPACE/ACCOUNT` or `reaches`, found `at`",
            ),
            ("nothing in a goes b", "expected `reaches`, found `goes`"),
            (
                "nothing from a reaches b",
                "expected NAMESPACE/ACCOUNT, found `a`",
            ),
            (
                "nothing reaches",
                "expected NAMESPACE/WORKLOAD, found the end of the claim",
            ),
            (
                "nothing reaches a on http",
                "expected a port from 1 to 65535, found `http`",
            ),
            (
                "nothing reaches a on 80 by GET",
                "expected `with METHOD` or the end, found `by`",
            ),
            (
                "nothing reaches a with GET x",
                "expected a path that begins with `/`, or the end, found `x`",
            ),
        ] {
            let read: Result<Claim, _> = text.parse();
            assert_eq!(read.map_err(|error| error.to_string()), Err(said.to_owned()));
        }
    }
}
