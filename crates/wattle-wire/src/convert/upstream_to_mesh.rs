//! How connections to a backend are secured, tunnelled and probed to messages.

use wattle_model::traffic::{HealthCheck, HealthProbe, Roots, SubjectName, TlsFiles, Tunnel, UpstreamTls};

use super::parts_to_mesh::{nanos, text};
use crate::proto::mesh;

pub(super) fn tls(value: &UpstreamTls) -> mesh::UpstreamTls {
    use mesh::upstream_tls::Kind;
    let kind = match value {
        UpstreamTls::Mesh => Kind::Mesh(true),
        UpstreamTls::Disabled => Kind::Disabled(true),
        UpstreamTls::MeshMutual => Kind::MeshMutual(true),
        UpstreamTls::Origination {
            sni,
            names,
            files,
            unverified,
        } => Kind::Origination(mesh::TlsOrigination {
            sni: text(sni.as_deref()),
            names: names.iter().map(subject_name).collect(),
            files: Some(tls_files(files)),
            unverified: *unverified,
        }),
    };
    mesh::UpstreamTls { kind: Some(kind) }
}

fn subject_name(value: &SubjectName) -> mesh::SubjectName {
    use mesh::subject_name::Kind;
    mesh::SubjectName {
        kind: Some(match value {
            SubjectName::Dns(name) => Kind::Dns(name.to_string()),
            SubjectName::Uri(name) => Kind::Uri(name.to_string()),
        }),
    }
}

fn tls_files(value: &TlsFiles) -> mesh::TlsFiles {
    mesh::TlsFiles {
        roots: match &value.roots {
            Roots::File(path) => Some(path.to_string()),
            Roots::System | Roots::Given(_) => None,
        },
        given_roots: match &value.roots {
            Roots::Given(pem) => Some(pem.to_string()),
            Roots::System | Roots::File(_) => None,
        },
        certificate: text(value.certificate.as_deref()),
        key: text(value.key.as_deref()),
        revoked: text(value.revoked.as_deref()),
    }
}

pub(super) fn tunnel(value: &Tunnel) -> mesh::Tunnel {
    mesh::Tunnel {
        post: value.post,
        host: value.host.to_string(),
        port: value.port.into(),
    }
}

pub(super) fn health_check(value: &HealthCheck) -> mesh::HealthCheck {
    mesh::HealthCheck {
        probe: Some(probe(&value.probe)),
        interval_nanos: nanos(value.interval),
        timeout_nanos: nanos(value.timeout),
        healthy_after: value.healthy_after,
        unhealthy_after: value.unhealthy_after,
    }
}

fn probe(value: &HealthProbe) -> mesh::health_check::Probe {
    use mesh::health_check::Probe;
    match value {
        HealthProbe::Tcp => Probe::Tcp(true),
        HealthProbe::Http { path, host } => Probe::Http(mesh::HttpProbe {
            path: path.to_string(),
            host: host.to_string(),
        }),
        HealthProbe::Grpc { service } => Probe::Grpc(mesh::GrpcProbe {
            service: service.to_string(),
        }),
    }
}
