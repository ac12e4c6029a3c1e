//! Who talks to whom: the labels that Istio's standard metrics carry.

use std::fmt::Write as _;

use crate::flags::ResponseFlags;
use crate::labels::Labels;

/// Which side of the hop tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reporter {
    /// The client's proxy.
    #[default]
    Source,
    /// The server's proxy.
    Destination,
    /// A proxy between both.
    Waypoint,
}

/// What is spoken on the edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP of any version.
    #[default]
    Http,
    /// gRPC, which has a status of its own.
    Grpc,
    /// Bytes that are not looked into.
    Tcp,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// Both sides have shown who they are.
    MutualTls,
    /// Nothing protects it.
    None,
    /// This side cannot tell.
    #[default]
    Unknown,
}

impl Reporter {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Waypoint => "waypoint",
        }
    }
}

impl Protocol {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

impl Security {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MutualTls => "mutual_tls",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

/// A workload at one end; an empty field is told as `unknown`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peer {
    /// `*_workload`: the deployment or the like.
    pub workload: Box<str>,
    /// `*_workload_namespace`.
    pub namespace: Box<str>,
    /// `*_principal`: the SPIFFE name.
    pub principal: Box<str>,
    /// `*_app`: the label `app`.
    pub app: Box<str>,
    /// `*_version`: the label `version`.
    pub version: Box<str>,
    /// `*_cluster`: the Kubernetes cluster.
    pub cluster: Box<str>,
    /// `*_canonical_service`.
    pub canonical_service: Box<str>,
    /// `*_canonical_revision`.
    pub canonical_revision: Box<str>,
}

/// One directed edge as one side sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Edge {
    /// `reporter`.
    pub reporter: Reporter,
    /// The client's workload.
    pub source: Peer,
    /// The server's workload.
    pub destination: Peer,
    /// `destination_service`: the service's host name.
    pub service: Box<str>,
    /// `destination_service_name`.
    pub service_name: Box<str>,
    /// `destination_service_namespace`.
    pub service_namespace: Box<str>,
    /// `request_protocol`.
    pub protocol: Protocol,
    /// `connection_security_policy`.
    pub security: Security,
}

impl Edge {
    /// The labels that all series of the edge share.
    pub(crate) fn labels(&self) -> Labels {
        let (source, destination) = (&self.source, &self.destination);
        Labels::new(&[
            ("reporter", self.reporter.as_str()),
            ("source_workload", known(&source.workload)),
            ("source_canonical_service", known(&source.canonical_service)),
            ("source_canonical_revision", known(&source.canonical_revision)),
            ("source_workload_namespace", known(&source.namespace)),
            ("source_principal", known(&source.principal)),
            ("source_app", known(&source.app)),
            ("source_version", known(&source.version)),
            ("source_cluster", known(&source.cluster)),
            ("destination_workload", known(&destination.workload)),
            ("destination_workload_namespace", known(&destination.namespace)),
            ("destination_principal", known(&destination.principal)),
            ("destination_app", known(&destination.app)),
            ("destination_version", known(&destination.version)),
            ("destination_service", known(&self.service)),
            (
                "destination_canonical_service",
                known(&destination.canonical_service),
            ),
            (
                "destination_canonical_revision",
                known(&destination.canonical_revision),
            ),
            ("destination_service_name", known(&self.service_name)),
            ("destination_service_namespace", known(&self.service_namespace)),
            ("destination_cluster", known(&destination.cluster)),
            ("request_protocol", self.protocol.as_str()),
            ("connection_security_policy", self.security.as_str()),
        ])
    }
}

/// Istio's word for what is missing.
fn known(value: &str) -> &str {
    if value.is_empty() { "unknown" } else { value }
}

/// How a request ended, as far as series are told apart by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// The HTTP status that the downstream saw; 0 when it saw none.
    pub code: u16,
    /// Why, if not plainly answered.
    pub flags: ResponseFlags,
    /// The gRPC status; codes above 16 do not exist and count as 2, unknown.
    pub grpc: Option<u32>,
}

/// gRPC statuses that speak against the server: unknown, deadline exceeded, internal, unavailable, data loss.
const GRPC_FAILURES: [u32; 5] = [2, 4, 13, 14, 15];

impl Status {
    /// Whether the request counts as a success: the server answered, below 500, and not with a gRPC status that speaks against it.
    #[must_use]
    pub fn is_success(&self) -> bool {
        let answered = (100..500).contains(&self.code);
        answered
            && self
                .grpc_status()
                .is_none_or(|grpc| !GRPC_FAILURES.contains(&grpc))
    }

    fn grpc_status(&self) -> Option<u32> {
        self.grpc.map(|code| if code > 16 { 2 } else { code })
    }

    /// A number that is equal for equal statuses only.
    #[inline]
    pub(crate) fn key(&self) -> u64 {
        let grpc = self.grpc_status().map_or(0, |code| u64::from(code) + 1);
        u64::from(self.code) | grpc << 16 | u64::from(self.flags.bits()) << 32
    }

    pub(crate) fn labels(&self) -> Labels {
        let mut grpc = String::new();
        if let Some(code) = self.grpc_status() {
            // Writing to a string cannot fail.
            let _ = write!(grpc, "{code}");
        }
        status_labels(&self.code.to_string(), &grpc, &self.flags.to_string())
    }
}

/// The labels of what no series of its own is left for.
pub(crate) fn other_labels() -> Labels {
    status_labels("other", "", "-")
}

fn status_labels(code: &str, grpc: &str, flags: &str) -> Labels {
    Labels::new(&[
        ("response_code", code),
        ("grpc_response_status", grpc),
        ("response_flags", flags),
    ])
}

pub(crate) fn flag_labels(flags: ResponseFlags) -> Labels {
    Labels::new(&[("response_flags", &flags.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, grpc: Option<u32>) -> Status {
        Status {
            code,
            grpc,
            ..Status::default()
        }
    }

    #[test]
    fn a_server_is_blamed_for_its_own_failures_only() {
        assert!(status(200, None).is_success());
        assert!(status(404, None).is_success());
        assert!(!status(503, None).is_success());
        assert!(!status(0, None).is_success());
        assert!(status(200, Some(0)).is_success());
        assert!(status(200, Some(5)).is_success());
        assert!(!status(200, Some(14)).is_success());
        assert!(!status(200, Some(4_000_000_000)).is_success());
    }

    #[test]
    fn statuses_that_differ_in_anything_have_different_keys() {
        let flagged = Status {
            flags: ResponseFlags::UPSTREAM_CONNECTION_FAILURE,
            ..status(503, None)
        };
        let keys = [
            status(503, None).key(),
            flagged.key(),
            status(503, Some(0)).key(),
            status(503, Some(1)).key(),
            status(504, None).key(),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key));
        }
    }
}
