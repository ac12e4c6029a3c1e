//! Whoever calls, and what must come of it.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use tempfile::TempDir;
use wattle_identity::Svid;

use crate::forge::Forger;
use crate::protocol::Protocol;

pub(crate) enum Client {
    /// A workload with a proxy.
    Meshed,
    /// Nobody's, without TLS.
    Plaintext,
    /// With a certificate of its own.
    Certificate(Shown),
    /// With TLS 1.2 at most, and the certificate in this directory. It is openssl for every protocol: no setting of
    /// Python's gRPC library bounds the version of TLS.
    OldTls(TempDir),
}

/// A certificate, and what a server that knows the mesh makes of it.
pub(crate) struct Shown {
    what: &'static str,
    pub(crate) svid: Svid,
    files: TempDir,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Welcome,
    /// Refused in the handshake for this reason.
    TurnedAway(&'static str),
    /// Known, and refused by policy.
    Denied,
}

impl Shown {
    fn new(forger: &Forger, what: &'static str, svid: Svid, verdict: Verdict) -> Self {
        let files = tempfile::tempdir().unwrap();
        forger.write(files.path(), &svid);
        Self {
            what,
            svid,
            files,
            verdict,
        }
    }

    /// Chain, key and the mesh's roots.
    pub(crate) fn directory(&self) -> &Path {
        self.files.path()
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Meshed => "meshed",
            Self::Plaintext => "in the clear",
            Self::Certificate(shown) => shown.what,
            Self::OldTls(_) => "TLS 1.2",
        })
    }
}

impl Client {
    pub(crate) fn all(forger: &Forger) -> Vec<Self> {
        let now = SystemTime::now();
        let shown = |what, svid, verdict| Self::Certificate(Shown::new(forger, what, svid, verdict));
        let old = tempfile::tempdir().unwrap();
        forger.write(old.path(), &forger.svid("client", now));
        vec![
            Self::Meshed,
            Self::Plaintext,
            shown("genuine", forger.svid("client", now), Verdict::Welcome),
            shown(
                "foreign trust domain",
                forger.foreign("elsewhere.example", "client"),
                Verdict::TurnedAway("unknown_trust_domain"),
            ),
            shown(
                "expired",
                forger.expired("client"),
                Verdict::TurnedAway("expired"),
            ),
            shown("denied name", forger.svid("denied", now), Verdict::Denied),
            Self::OldTls(old),
        ]
    }

    /// Whether it must be served under this mode.
    pub(crate) fn is_welcome(&self, mode: &str, protocol: Protocol) -> bool {
        match self {
            Self::Meshed => true,
            Self::Plaintext => mode != "STRICT",
            Self::Certificate(shown) => {
                let is_heard = mode != "DISABLE" || protocol != Protocol::Grpc;
                is_heard && shown.verdict == Verdict::Welcome
            }
            Self::OldTls(_) => false,
        }
    }

    /// What a call by gRPC comes to where it is not answered.
    pub(crate) fn refusal(&self, mode: &str) -> &'static str {
        match self {
            Self::Meshed | Self::Plaintext => "PERMISSION_DENIED mtls_required",
            Self::Certificate(shown) if mode != "DISABLE" && shown.verdict == Verdict::Denied => {
                "PERMISSION_DENIED policy_denied"
            }
            Self::Certificate(_) | Self::OldTls(_) => "UNAVAILABLE",
        }
    }

    /// Why the server's proxy ends the handshake, if it does.
    pub(crate) fn turned_away(&self, mode: &str) -> Option<&'static str> {
        match self {
            Self::Certificate(Shown {
                verdict: Verdict::TurnedAway(reason),
                ..
            }) if mode != "DISABLE" => Some(reason),
            _ => None,
        }
    }
}
