//! What the admin API says, as plain data for programs: written as JSON, read back by the command line.
//!
//! | request | answer |
//! |---|---|
//! | `GET /status` | [`Status`] |
//! | `GET /objects[/KIND[/NAMESPACE[/NAME]]]` | list of [`ObjectView`]; with a name one of them |
//! | `GET /diagnostics` | list of [`DiagnosticView`] |
//! | `GET /services` | list of [`ServiceView`] |
//! | `GET /endpoints` | list of [`EndpointView`] |
//! | `POST /tokens` with [`TokenRequest`] | [`TokenAnswer`] |
//! | `GET /explain?from=NS/NAME&method=GET&url=URL&header=NAME:VALUE` | [`Explanation`](crate::explain::Explanation) |
//! | `POST /why` with `wattle_telemetry::Refusal` | [`Why`](crate::why::Why) |
//! | `POST /prove` with [`ProofRequest`](crate::reach::ProofRequest) | [`Reach`](crate::reach::Reach) |
//! | `POST /replay` with list of [`Record`](crate::records::Record) | list of [`Answer`](crate::replay::Answer) |
//! | `POST /propose` with [`ProposalRequest`](crate::propose::ProposalRequest) | [`Proposal`](crate::propose::Proposal) |
//! | `GET /rotation` | [`RotationView`] |
//! | `POST /rotation` with [`RotationRequest`] | [`RotationView`] |
//! | `POST /repair` | [`RotationView`] |
//! | `GET /certificates` | list of [`CertificateView`] |
//! | `POST /drain` | nothing; the control plane stops |
//!
//! Anything else, and every failure, is answered with an [`ErrorView`].

mod trust;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wattle_compile::Settings;

pub use trust::{AuthorityView, CertificateView, PhaseView, RotationRequest, RotationView};

/// The control plane and everyone connected to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Seconds since it started.
    pub uptime_secs: u64,
    /// Trust domain of the mesh.
    pub trust_domain: String,
    /// Other names of the trust domain.
    #[serde(default)]
    pub trust_domain_aliases: Vec<String>,
    /// DNS domain of the mesh.
    #[serde(default)]
    pub cluster_domain: String,
    /// Namespace whose policies are for the whole mesh.
    #[serde(default)]
    pub root_namespace: String,
    /// All sources have said what they hold; until then nothing is served.
    pub ready: bool,
    /// End of the authority's own chain, seconds since 1970.
    pub authority_not_after_secs: u64,
    /// End of the control plane's own certificate, seconds since 1970.
    pub certificate_not_after_secs: u64,
    /// Certificates issued since start.
    pub certificates_issued: u64,
    /// Objects in force.
    pub objects: usize,
    /// Diagnostics of severity error.
    pub errors: usize,
    /// Diagnostics of severity warning.
    pub warnings: usize,
    /// Open streams, by node.
    pub proxies: Vec<ProxyStatus>,
}

impl Status {
    /// The settings by which the mesh's manifests are compiled.
    pub fn settings(&self) -> Settings {
        let aliases = self.trust_domain_aliases.iter();
        Settings {
            trust_domain: self.trust_domain.as_str().into(),
            trust_domain_aliases: aliases.map(|name| name.as_str().into()).collect(),
            cluster_domain: self.cluster_domain.as_str().into(),
            root_namespace: self.root_namespace.as_str().into(),
            ..Settings::default()
        }
    }
}

/// One proxy's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProxyStatus {
    /// `namespace/instance`; empty until its first request.
    pub node: String,
    /// SPIFFE name it proved.
    pub identity: String,
    /// Address it comes from.
    pub address: String,
    /// Program and version it says it is.
    pub agent: String,
    /// Seconds since the stream opened.
    pub connected_secs: u64,
    /// Everything it wants is acknowledged in the newest version.
    pub synced: bool,
    /// Resources it has not acknowledged in the newest version yet, refused ones not counted.
    pub pending: usize,
    /// Resources it refused.
    pub refused: usize,
    /// What was asked for in the mesh and cannot be said to it: an object, the address it concerns, what happens instead.
    #[serde(default)]
    pub gaps: Vec<String>,
    /// What it wants, by kind and name.
    pub resources: Vec<ResourceStatus>,
}

/// How a proxy stands with one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// `Inbound`, `Destination`, `Endpoints`, `Peer` or `Names`; for a client of standard xDS the name of the message.
    pub kind: String,
    /// Name within the kind.
    pub name: String,
    /// Newest version; absent when there is no such thing.
    pub version: Option<String>,
    /// Version in force at the proxy; absent when it holds none.
    pub acked: Option<String>,
    /// The newest version is acknowledged.
    pub synced: bool,
    /// Why the newest version was refused.
    pub refused: Option<String>,
    /// Seconds since the proxy last answered for it; absent when it never did on this stream.
    pub answered_secs: Option<u64>,
}

/// A Service with its names and address, for hosts files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Fully qualified host.
    pub host: String,
    /// Every name it is called by from any namespace, the fully qualified first; the bare name counts only within its own.
    pub names: Vec<String>,
    /// Virtual address; absent for headless and external ones.
    pub address: Option<IpAddr>,
}

/// An endpoint of a Service port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// `namespace/service:port`.
    pub backend: String,
    /// `ip:port`.
    pub address: String,
    /// `namespace/name` of the workload.
    pub workload: String,
    /// `healthy`, `draining` or `unhealthy`.
    pub health: String,
    /// Reached by mutual TLS.
    pub mtls: bool,
    /// Share relative to the others.
    pub weight: u32,
}

/// An object in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectView {
    /// Kind.
    pub kind: String,
    /// Namespace; empty for a Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// File it was written in.
    pub file: String,
    /// Line it starts at.
    pub line: u32,
    /// One word on how it stands: `accepted`, or the reason why not.
    pub status: String,
    /// The whole of it, defaults filled in.
    pub manifest: serde_json::Value,
}

/// Something to tell whoever wrote an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosticView {
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// Stable id of the kind of problem.
    pub code: String,
    /// `Kind namespace/name`, where it could be read.
    pub object: Option<String>,
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Path of the field; empty for the whole object.
    pub field: String,
    /// What was found and what was expected.
    pub reason: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// All of the above as text, with further problems of the same object.
    pub text: String,
}

/// Asks for a join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenRequest {
    /// Namespace of the workload.
    pub namespace: String,
    /// Service account of the workload.
    pub service_account: String,
    /// How long it may be used, seconds, default 600, at most 86,400.
    #[serde(default)]
    pub ttl_secs: Option<u64>,
}

/// A join token: good for one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenAnswer {
    /// The secret.
    pub token: String,
    /// Whom its holder becomes.
    pub identity: String,
    /// Until when, seconds since 1970.
    pub expires_secs: u64,
}

/// Why a request of the admin API was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// One sentence.
    pub error: String,
}

impl From<&wattle_api::Diagnostic> for DiagnosticView {
    fn from(found: &wattle_api::Diagnostic) -> Self {
        let severity = match found.severity {
            wattle_api::Severity::Error => "error",
            wattle_api::Severity::Warning => "warning",
            wattle_api::Severity::Info => "info",
        };
        Self {
            severity: severity.to_owned(),
            code: found.code.to_owned(),
            object: found.object.as_ref().map(ToString::to_string),
            file: found.file.to_string(),
            line: found.at.line,
            column: found.at.column,
            field: found.field.clone(),
            reason: found.reason.clone(),
            hint: found.hint.clone(),
            text: found.to_string(),
        }
    }
}
