//! Our own Process: how to start a workload on this machine.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::core::Protocol;
use crate::object::Resource;
use crate::scalar::Port;

mod certificate;
mod read;

pub use certificate::Certificate;
pub(crate) use read::process;

/// `spec` of a Process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// Variables added to a minimal environment; names unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Variable>,
    /// Working directory; relative to the manifest's directory, which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Ports it listens on; names and numbers unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ProcessPort>,
    /// The service account of its identity; default `default`.
    pub service_account_name: String,
    /// User it runs as; default the user who started the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<u32>,
    /// How to tell that it is ready; none means ready as soon as it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// Copies, 0 to 32; default 1.
    pub replicas: u32,
    /// When it is started again; default Always.
    pub restart_policy: RestartPolicy,
    /// Its proxy.
    pub proxy: Proxy,
    /// Seconds between SIGTERM and SIGKILL, 0 to 3600; default 30.
    pub termination_grace_period_seconds: u32,
    /// Names of processes of the same namespace that must be ready before it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

/// A variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Name, without `=`.
    pub name: String,
    /// Value; default empty.
    pub value: String,
}

/// A port a process listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessPort {
    /// Name a Service's targetPort may refer to, at most 15 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number.
    pub port: Port,
    /// Default TCP.
    pub protocol: Protocol,
    /// The application protocol as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}

/// How to tell that a process is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// What is tried.
    #[serde(flatten)]
    pub probe: Probe,
    /// How often, 1 to 3600 s; default 1 s.
    #[serde(rename = "periodSeconds", serialize_with = "write_seconds")]
    pub period: Duration,
    /// How long one try may take, 1 to 3600 s; default 1 s.
    #[serde(rename = "timeoutSeconds", serialize_with = "write_seconds")]
    pub timeout: Duration,
    /// After how many failures in a row a ready process counts as not ready, 1 to 1000; default 3.
    pub failure_threshold: u32,
}

/// One way to try a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe {
    /// A connection is accepted.
    TcpSocket {
        /// On this port.
        port: Port,
    },
    /// A GET is answered with 200 to 399.
    HttpGet {
        /// Path, default `/`.
        path: String,
        /// On this port.
        port: Port,
    },
    /// A command ends with 0.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// When a process is started again after it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum RestartPolicy {
    /// Whatever it ended with.
    #[default]
    Always,
    /// When it ended with a failure.
    OnFailure,
    /// Never.
    Never,
}

/// The proxy of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// Whether it has one; default true. The label `wattle.io/inject: disabled` switches it off too.
    pub enabled: bool,
    /// Which program it is; default wattle.
    pub kind: ProxyKind,
    /// Who gives it its certificate; none means the control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// The program of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyKind {
    /// The mesh's own.
    #[default]
    Wattle,
    /// Envoy, configured by the mesh.
    Envoy,
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            enabled: true,
            kind: ProxyKind::Wattle,
            certificate: None,
        }
    }
}

impl Resource<Process> {
    /// Whether the process gets a proxy: `proxy.enabled`, unless the label `wattle.io/inject: disabled` says no.
    #[must_use]
    pub fn has_proxy(&self) -> bool {
        let label = self.meta.labels.get("wattle.io/inject").map(String::as_str);
        self.spec.proxy.enabled && label != Some("disabled")
    }
}

fn write_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}
