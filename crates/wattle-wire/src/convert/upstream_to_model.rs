//! Messages to how connections to a backend are secured, tunnelled and probed. Refuses what makes no sense.

use std::time::Duration;

use wattle_model::traffic::{HealthCheck, HealthProbe, Roots, SubjectName, TlsFiles, Tunnel, UpstreamTls};

use super::{Decoded, Reader};
use crate::proto::mesh;

/// Most bytes of roots that are given: eight ConfigMaps full.
const MAX_ROOTS: usize = 512 * 1024;
/// Shortest time between questions to an endpoint.
const MIN_PROBE_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn tls(reader: &mut Reader, message: mesh::UpstreamTls) -> Decoded<UpstreamTls> {
    use mesh::upstream_tls::Kind;
    match reader.present("kind", message.kind)? {
        Kind::Mesh(_) => Ok(UpstreamTls::Mesh),
        Kind::Disabled(_) => Ok(UpstreamTls::Disabled),
        Kind::MeshMutual(_) => Ok(UpstreamTls::MeshMutual),
        Kind::Origination(message) => reader.at("origination", |reader| origination(reader, message)),
    }
}

fn origination(reader: &mut Reader, message: mesh::TlsOrigination) -> Decoded<UpstreamTls> {
    Ok(UpstreamTls::Origination {
        sni: reader.optional_text("sni", message.sni)?,
        names: reader.list("names", message.names, subject_name)?,
        // Without them every root of the system would be trusted.
        files: reader.required("files", message.files, tls_files)?,
        unverified: message.unverified,
    })
}

fn subject_name(reader: &mut Reader, message: mesh::SubjectName) -> Decoded<SubjectName> {
    use mesh::subject_name::Kind;
    Ok(match reader.present("kind", message.kind)? {
        Kind::Dns(name) => SubjectName::Dns(reader.boxed("dns", name)?),
        Kind::Uri(name) => SubjectName::Uri(reader.boxed("uri", name)?),
    })
}

fn tls_files(reader: &mut Reader, message: mesh::TlsFiles) -> Decoded<TlsFiles> {
    if message.certificate.is_some() != message.key.is_some() {
        return Err(reader.error("certificate and key come together or not at all"));
    }
    Ok(TlsFiles {
        roots: roots(reader, message.roots, message.given_roots)?,
        certificate: reader.optional_text("certificate", message.certificate)?,
        key: reader.optional_text("key", message.key)?,
        revoked: reader.optional_text("revoked", message.revoked)?,
    })
}

fn roots(reader: &mut Reader, file: Option<String>, given: Option<String>) -> Decoded<Roots> {
    match (file, given) {
        (None, None) => Ok(Roots::System),
        (Some(path), None) => Ok(Roots::File(reader.boxed("roots", path)?)),
        (None, Some(pem)) => reader.at("given_roots", |reader| {
            reader.size("bytes of PEM", pem.len(), MAX_ROOTS)?;
            match pem.is_empty() {
                true => Err(reader.error("there are none")),
                false => Ok(Roots::Given(pem.into())),
            }
        }),
        (Some(_), Some(_)) => Err(reader.error("roots and given_roots exclude each other")),
    }
}

pub(super) fn tunnel(reader: &mut Reader, message: mesh::Tunnel) -> Decoded<Tunnel> {
    Ok(Tunnel {
        post: message.post,
        host: reader.boxed("host", message.host)?,
        port: reader.number("port", message.port, 1..=65535)? as u16,
    })
}

pub(super) fn health_check(reader: &mut Reader, message: mesh::HealthCheck) -> Decoded<HealthCheck> {
    let message_probe = reader.present("probe", message.probe)?;
    let interval = Duration::from_nanos(message.interval_nanos);
    Ok(HealthCheck {
        probe: probe(reader, message_probe)?,
        interval: reader.number("interval", interval, MIN_PROBE_INTERVAL..=Duration::MAX)?,
        timeout: reader.duration("timeout", message.timeout_nanos)?,
        healthy_after: reader.number("healthy_after", message.healthy_after, 1..=u32::MAX)?,
        unhealthy_after: reader.number("unhealthy_after", message.unhealthy_after, 1..=u32::MAX)?,
    })
}

fn probe(reader: &mut Reader, message: mesh::health_check::Probe) -> Decoded<HealthProbe> {
    use mesh::health_check::Probe;
    Ok(match message {
        Probe::Tcp(_) => HealthProbe::Tcp,
        Probe::Http(message) => HealthProbe::Http {
            path: reader.boxed("path", message.path)?,
            host: reader.boxed("host", message.host)?,
        },
        Probe::Grpc(message) => HealthProbe::Grpc {
            service: reader.boxed("service", message.service)?,
        },
    })
}
