//! What a proxy is told when it starts; everything else comes from the control plane.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use wattle_identity::{SpiffeId, TrustDomain};
use wattle_model::port;
use wattle_net::Clock;

/// Start-up settings of one proxy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The workload's identity.
    pub id: SpiffeId,
    /// Name of the instance; with the namespace it names the Inbound resource.
    pub instance: String,
    /// Control plane: discovery and certificates, default port 15012.
    pub control: SocketAddr,
    /// Whom the control plane must be.
    pub control_id: SpiffeId,
    /// PEM file with the roots to trust first.
    pub roots: PathBuf,
    /// File with the join token; needed until a certificate was saved.
    pub token: Option<PathBuf>,
    /// Who gives the certificate, default the control plane.
    pub certificates: CertificateSource,
    /// Directory for the saved certificate and config; only its owner may read it.
    pub state: PathBuf,
    /// Where redirected outbound connections arrive, default 127.0.0.1:15001.
    pub outbound: SocketAddr,
    /// Where redirected inbound connections arrive, default 0.0.0.0:15006.
    pub inbound: SocketAddr,
    /// Port on both loopbacks where redirected DNS queries arrive, over UDP and TCP; default `None`, names are left alone.
    pub dns_port: Option<u16>,
    /// Admin endpoint, loopback only, default 127.0.0.1:15000.
    pub admin: SocketAddr,
    /// `/metrics` and `/ready` for scrapers and probes, default 0.0.0.0:15020.
    pub status: SocketAddr,
    /// Worker threads, at least 1; default the CPU quota, at most 2.
    pub workers: usize,
    /// Mark on the proxy's own sockets, exempt from redirection; needs CAP_NET_ADMIN.
    pub mark: Option<u32>,
    /// Source address towards the application, default 127.0.0.6 (Istio's); `None` lets the kernel choose.
    pub inbound_source: Option<IpAddr>,
    /// Longest time for open work when draining, default 30 s.
    pub drain_grace: Duration,
    /// Longest wait for config of a destination dialled for the first time, default 5 s.
    pub config_timeout: Duration,
    /// Longest wait for a connection to an endpoint, TLS included, default 5 s.
    pub connect_timeout: Duration,
    /// Where access log lines go; `None` writes none.
    pub access_log: Option<AccessLogTarget>,
    /// Carry HTTP/1.1 as HTTP/1.1 between proxies instead of multiplexing it on HTTP/2; default false.
    pub http1_hop: bool,
    /// By which certificates begin and end, default the system's; tests move it.
    pub clock: Clock,
}

/// Who gives a workload its certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CertificateSource {
    /// The control plane, to whom the proxy shows its join token.
    #[default]
    ControlPlane,
    /// The SPIFFE Workload API on this socket, such as that of SPIRE's agent.
    WorkloadApi(PathBuf),
    /// Another service with Istio's certificate API, such as istio-csr.
    Service(CertificateService),
}

/// A service with Istio's certificate API beside the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateService {
    /// Name or address, by which its own certificate must be valid too.
    pub host: String,
    /// Port.
    pub port: u16,
    /// PEM file with the roots of its own certificate, read at each request.
    pub roots: PathBuf,
    /// File with the bearer token that says who the workload is, read at each request.
    pub token: PathBuf,
}

impl std::fmt::Display for CertificateSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ControlPlane => f.write_str("control plane"),
            Self::WorkloadApi(socket) => write!(f, "Workload API at {}", socket.display()),
            Self::Service(service) => write!(f, "certificate service at {}:{}", service.host, service.port),
        }
    }
}

/// Where access log lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

impl Settings {
    /// Namespace of the control plane's own identity.
    pub const CONTROL_NAMESPACE: &'static str = "wattle-system";
    /// Service account of the control plane.
    pub const CONTROL_ACCOUNT: &'static str = "wattle-control";
    /// Directory below [`Self::state`] that programs of the workload may see.
    pub const PROGRAMS: &'static str = "programs";
    /// Socket below [`Self::state`] where the pages for the workload's own network namespace are served as well, to those who
    /// may enter that directory.
    pub const ADMIN_SOCKET: &'static str = "admin.sock";
    /// File in [`Self::PROGRAMS`] for programs that speak gRPC with xDS, which `GRPC_XDS_BOOTSTRAP` is to name.
    pub const GRPC_BOOTSTRAP: &'static str = "grpc.json";
    /// Time for open work when draining.
    pub const DEFAULT_DRAIN_GRACE: Duration = Duration::from_secs(30);

    /// Defaults of DESIGN §8 for a workload.
    pub fn new(id: SpiffeId, instance: String, control: SocketAddr, roots: PathBuf, state: PathBuf) -> Self {
        let control_id = control_identity(&id);
        Self {
            id,
            instance,
            control,
            control_id,
            roots,
            token: None,
            certificates: CertificateSource::default(),
            state,
            outbound: SocketAddr::from((Ipv4Addr::LOCALHOST, port::OUTBOUND)),
            inbound: SocketAddr::from((Ipv4Addr::UNSPECIFIED, port::INBOUND)),
            dns_port: None,
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, port::ADMIN)),
            status: SocketAddr::from((Ipv4Addr::UNSPECIFIED, port::STATUS)),
            workers: default_workers(),
            mark: None,
            inbound_source: Some(IpAddr::from([127, 0, 0, 6])),
            drain_grace: Self::DEFAULT_DRAIN_GRACE,
            config_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            access_log: None,
            http1_hop: false,
            clock: Clock::default(),
        }
    }

    /// Name of the workload's Inbound resource.
    pub fn inbound_name(&self) -> String {
        format!("{}/{}", self.id.namespace(), self.instance)
    }

    /// The trust domain of the workload.
    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain::new(self.id.trust_domain()).expect("the trust domain of a valid SPIFFE name is valid")
    }
}

fn control_identity(id: &SpiffeId) -> SpiffeId {
    let trust_domain =
        TrustDomain::new(id.trust_domain()).expect("the trust domain of a valid SPIFFE name is valid");
    SpiffeId::new(
        &trust_domain,
        Settings::CONTROL_NAMESPACE,
        Settings::CONTROL_ACCOUNT,
    )
    .expect("the control plane's name is a constant of valid parts")
}

/// The CPUs this process may use, at most two: a sidecar shares its quota with the application.
fn default_workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(2)
}
