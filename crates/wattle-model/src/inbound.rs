//! What a workload's own proxy enforces.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{
    Authorization, ConnectionFacts, Limits, Locality, ObjectRef, PathNormalization, Protocol, RateLimit,
    Reason, Step, TokenRule, Trace, Verdict,
};

/// A running workload: its name, labels of its telemetry, and its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Workload {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name of the workload (the Process or Deployment, not the replica).
    pub name: Arc<str>,
    /// Name of this instance.
    pub instance: Arc<str>,
    /// Service account; empty for a workload without identity.
    pub service_account: Arc<str>,
    /// Trust domain of its identity; empty for a workload without identity.
    pub trust_domain: Arc<str>,
    /// Label `app`, or the canonical name.
    pub app: Arc<str>,
    /// Label `version`.
    pub version: Arc<str>,
    /// Istio's canonical service name.
    pub canonical_service: Arc<str>,
    /// Istio's canonical revision, default `latest`.
    pub canonical_revision: Arc<str>,
    /// Cluster it runs in.
    pub cluster: Arc<str>,
}

/// Mutual TLS at the receiving side (Istio `PeerAuthentication`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MtlsMode {
    /// Plaintext only.
    Disable,
    /// Mutual TLS or plaintext; the mesh-wide default.
    #[default]
    Permissive,
    /// Mutual TLS only.
    Strict,
}

/// The inbound side of one workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inbound {
    /// `namespace/instance` it was asked by.
    pub name: Arc<str>,
    /// Who it is.
    pub workload: Workload,
    /// Declared ports.
    pub ports: Vec<InboundPort>,
    /// Mode on ports that are not declared.
    pub mtls: MtlsMode,
    /// The PeerAuthentication that set [`Self::mtls`].
    pub mtls_origin: Option<ObjectRef>,
    /// Whose tokens are taken; a token of nobody here is refused, none at all is not.
    pub tokens: Vec<TokenRule>,
    /// In which form paths are judged and reach the application.
    pub paths: PathNormalization,
    /// Who may do what.
    pub authorization: Authorization,
    /// How much is taken; a request must pass all that apply to it.
    pub rate_limits: Vec<RateLimit>,
    /// Labels of the workload that outbound decisions may compare.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// Where the workload runs.
    pub locality: Locality,
    /// Bounds on what may be under way towards the application.
    pub limits: Limits,
}

/// A port of the workload.
#[derive(Clone, Debug, PartialEq)]
pub struct InboundPort {
    /// Port the application listens on.
    pub port: u16,
    /// Declared protocol.
    pub protocol: Protocol,
    /// Mode on this port.
    pub mtls: MtlsMode,
    /// The PeerAuthentication that set it.
    pub mtls_origin: Option<ObjectRef>,
    /// Service that exposes this port, for metrics: host and name; `None` when no Service selects it.
    pub service: Option<crate::ServicePort>,
    /// Where the application listens instead (Istio Sidecar `ingress.defaultEndpoint`); `None` is the address and port
    /// that were dialled.
    pub target: Option<SocketAddr>,
}

/// What holds on one port, declared or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectivePort<'a> {
    /// Mutual TLS mode.
    pub mtls: MtlsMode,
    /// The PeerAuthentication that set it.
    pub mtls_origin: Option<&'a ObjectRef>,
    /// Declared protocol; [`Protocol::Detect`] when the port is not declared.
    pub protocol: Protocol,
    /// Service that exposes the port.
    pub service: Option<&'a crate::ServicePort>,
    /// Where the application listens instead of the dialled address.
    pub target: Option<SocketAddr>,
}

/// A connection that is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// Why.
    pub reason: Reason,
    /// The PeerAuthentication that asks for it.
    pub policy: Option<&'a ObjectRef>,
}

impl Inbound {
    /// What holds on `port`.
    pub fn port(&self, port: u16) -> EffectivePort<'_> {
        match self.ports.iter().find(|declared| declared.port == port) {
            Some(declared) => EffectivePort {
                mtls: declared.mtls,
                mtls_origin: declared.mtls_origin.as_ref(),
                protocol: declared.protocol,
                service: declared.service.as_ref(),
                target: declared.target,
            },
            None => EffectivePort {
                mtls: self.mtls,
                mtls_origin: self.mtls_origin.as_ref(),
                protocol: Protocol::Detect,
                service: None,
                target: None,
            },
        }
    }

    /// Is the connection secured as the port asks? STRICT refuses plaintext.
    ///
    /// DISABLE means that clients are told to send plaintext; a client that has not heard of it yet and proved its
    /// identity is let in all the same, so that changing the mode loses nothing.
    pub fn admit(&self, connection: &ConnectionFacts<'_>, trace: &mut impl Trace) -> Result<(), Refusal<'_>> {
        let port = self.port(connection.port);
        let refused = port.mtls == MtlsMode::Strict && connection.peer.is_none();
        trace.note(|| {
            let subject = port
                .mtls_origin
                .map_or_else(|| "mesh default".to_owned(), ToString::to_string);
            let found = connection.peer.map_or("plaintext", |_| "mutual TLS");
            let detail = format!(
                "port {} is {}, the connection is {found}",
                connection.port,
                port.mtls.as_str()
            );
            Step::new(
                subject,
                if refused {
                    Verdict::Refused
                } else {
                    Verdict::Matched
                },
                detail,
            )
        });
        if refused {
            Err(Refusal {
                reason: Reason::MtlsRequired,
                policy: port.mtls_origin,
            })
        } else {
            Ok(())
        }
    }
}

impl MtlsMode {
    /// The mode as written in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Permissive => "PERMISSIVE",
            Self::Strict => "STRICT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::{NoTrace, PeerFacts};

    fn inbound(on_80: MtlsMode, elsewhere: MtlsMode) -> Inbound {
        let declared = InboundPort {
            port: 80,
            protocol: Protocol::Http1,
            mtls: on_80,
            mtls_origin: None,
            service: None,
            target: None,
        };
        Inbound {
            name: "default/a-0".into(),
            workload: Workload::default(),
            ports: vec![declared],
            mtls: elsewhere,
            mtls_origin: None,
            ..Inbound::default()
        }
    }

    fn connection(port: u16, peer: bool) -> ConnectionFacts<'static> {
        let peer = peer.then_some(PeerFacts {
            principal: "td/ns/n/sa/s",
            namespace: "n",
            service_account: "s",
        });
        ConnectionFacts {
            peer,
            peer_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            local_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
            sni: None,
        }
    }

    #[test]
    fn plaintext_is_refused_where_mutual_tls_is_required() {
        use MtlsMode::{Disable, Permissive, Strict};
        let table = [
            (Strict, false, false),
            (Strict, true, true),
            (Permissive, false, true),
            (Permissive, true, true),
            (Disable, false, true),
            (Disable, true, true),
        ];
        for (mode, peer, admitted) in table {
            let declared = inbound(mode, Permissive)
                .admit(&connection(80, peer), &mut NoTrace)
                .is_ok();
            let undeclared = inbound(Permissive, mode)
                .admit(&connection(81, peer), &mut NoTrace)
                .is_ok();
            assert_eq!((declared, undeclared), (admitted, admitted), "{mode:?} {peer}");
        }
    }

    #[test]
    fn an_undeclared_port_is_detected_under_the_workloads_mode() {
        let inbound = inbound(MtlsMode::Strict, MtlsMode::Disable);
        assert_eq!(
            (inbound.port(80).mtls, inbound.port(80).protocol),
            (MtlsMode::Strict, Protocol::Http1)
        );
        assert_eq!(
            (inbound.port(81).mtls, inbound.port(81).protocol),
            (MtlsMode::Disable, Protocol::Detect)
        );
    }
}
