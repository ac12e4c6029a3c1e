//! What every role beside a workload is told: who the workload is, and how it gets its certificate.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use wattle_identity::SpiffeId;
use wattle_proxy::{CertificateService, CertificateSource, Settings};

/// Arguments of `wattle proxy` and `wattle agent`.
#[derive(Debug, Args)]
pub(crate) struct Member {
    /// Identity of the workload, spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT
    #[arg(long, env = "WATTLE_PROXY_ID", value_name = "SPIFFE-ID")]
    id: SpiffeId,
    /// Name of the instance within its namespace
    #[arg(long, env = "WATTLE_PROXY_INSTANCE", value_name = "NAME")]
    instance: String,
    /// Control plane: discovery and certificates
    #[arg(long, env = "WATTLE_PROXY_CONTROL", value_name = "ADDRESS")]
    control: SocketAddr,
    /// Whom the control plane must be [default: service account wattle-control of wattle-system]
    #[arg(long, env = "WATTLE_PROXY_CONTROL_ID", value_name = "SPIFFE-ID")]
    control_id: Option<SpiffeId>,
    /// PEM file with the roots to trust
    #[arg(long, env = "WATTLE_PROXY_ROOTS", value_name = "FILE")]
    roots: PathBuf,
    /// File with the join token; needed until a certificate was saved
    #[arg(long, env = "WATTLE_PROXY_TOKEN", value_name = "FILE")]
    token: Option<PathBuf>,
    /// Socket of the SPIFFE Workload API (SPIRE's agent) that gives the certificate [default: none, the control plane gives it]
    #[arg(long, env = "WATTLE_PROXY_WORKLOAD_API", value_name = "unix:///FILE", value_parser = socket)]
    workload_api: Option<PathBuf>,
    /// Service with Istio's certificate API (istio-csr) that gives the certificate [default: none, the control plane gives it]
    #[arg(long, env = "WATTLE_PROXY_CA_ADDRESS", value_name = "HOST:PORT", value_parser = host_and_port,
          conflicts_with = "workload_api", requires_all = ["ca_roots", "ca_token"])]
    ca_address: Option<(String, u16)>,
    /// PEM file with the roots of that service's own certificate
    #[arg(
        long,
        env = "WATTLE_PROXY_CA_ROOTS",
        value_name = "FILE",
        requires = "ca_address"
    )]
    ca_roots: Option<PathBuf>,
    /// File with the bearer token for that service, read at each request
    #[arg(
        long,
        env = "WATTLE_PROXY_CA_TOKEN",
        value_name = "FILE",
        requires = "ca_address"
    )]
    ca_token: Option<PathBuf>,
    /// Directory for the saved certificate and configuration; only its owner may read it
    #[arg(long, env = "WATTLE_PROXY_STATE", value_name = "DIRECTORY")]
    state: PathBuf,
    /// Admin endpoint, loopback only [default: 127.0.0.1:15000]
    #[arg(long, env = "WATTLE_PROXY_ADMIN", value_name = "ADDRESS", value_parser = loopback)]
    admin: Option<SocketAddr>,
    /// Readiness and metrics [default: 0.0.0.0:15020]
    #[arg(long, env = "WATTLE_PROXY_STATUS", value_name = "ADDRESS")]
    status: Option<SocketAddr>,
}

impl Member {
    pub(super) fn settings(self) -> Settings {
        let mut settings = Settings::new(self.id, self.instance, self.control, self.roots, self.state);
        if let Some(control_id) = self.control_id {
            settings.control_id = control_id;
        }
        settings.token = self.token;
        settings.certificates = match (self.workload_api, self.ca_address, self.ca_roots, self.ca_token) {
            (Some(socket), ..) => CertificateSource::WorkloadApi(socket),
            (None, Some((host, port)), Some(roots), Some(token)) => {
                CertificateSource::Service(CertificateService {
                    host,
                    port,
                    roots,
                    token,
                })
            }
            _ => CertificateSource::ControlPlane,
        };
        settings.admin = self.admin.unwrap_or(settings.admin);
        settings.status = self.status.unwrap_or(settings.status);
        settings
    }
}

/// Whoever reaches it can change the log level, drain a proxy, or ask in the workload's name.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("expected ADDRESS:PORT, found `{text}`"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("expected a loopback address, found {address}"))
    }
}

/// The form of the SPIFFE Workload Endpoint specification, section 4; its `tcp:` would let other workloads in.
fn socket(text: &str) -> Result<PathBuf, String> {
    let path = text
        .strip_prefix("unix://")
        .or_else(|| text.strip_prefix("unix:"));
    match path {
        Some(path) if path.starts_with('/') => Ok(path.into()),
        _ => Err(format!("expected unix:///ABSOLUTE-PATH, found `{text}`")),
    }
}

/// An IPv6 address stands in brackets.
fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong =
        || format!("expected HOST:PORT, such as cert-manager-istio-csr.cert-manager.svc:443, found `{text}`");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address,
        None if host.contains(':') => return Err(wrong()),
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    match host.is_empty() {
        true => Err(wrong()),
        false => Ok((host.to_owned(), port)),
    }
}
