//! TLS, tunnels and the PROXY protocol of a DestinationRule.

use wattle_api::istio::{
    ClientTls, ClientTlsMode, ProxyProtocol as Version, Tunnel as Written, TunnelProtocol,
};
use wattle_model::traffic::{ProxyProtocol, Roots, SubjectName, TlsFiles, Tunnel, UpstreamTls};

pub(super) fn tls(written: &ClientTls) -> UpstreamTls {
    match written.mode {
        ClientTlsMode::Disable => UpstreamTls::Disabled,
        ClientTlsMode::IstioMutual => UpstreamTls::MeshMutual,
        ClientTlsMode::Simple | ClientTlsMode::Mutual => UpstreamTls::Origination {
            sni: written.sni.as_deref().map(Into::into),
            names: written
                .subject_alt_names
                .iter()
                .map(|name| subject(name))
                .collect(),
            files: files(written),
            unverified: written.insecure_skip_verify.unwrap_or(false),
        },
    }
}

/// Names that a certificate must have one of, where TLS is originated and names none itself.
pub(super) fn expect(tls: &mut UpstreamTls, expected: &[String]) {
    if let UpstreamTls::Origination { names, .. } = tls
        && names.is_empty()
    {
        names.extend(expected.iter().map(|name| subject(name)));
    }
}

fn subject(name: &str) -> SubjectName {
    if name.contains("://") {
        SubjectName::Uri(name.into())
    } else {
        SubjectName::Dns(name.into())
    }
}

fn files(written: &ClientTls) -> TlsFiles {
    let file = |path: &Option<String>| path.as_deref().map(Into::into);
    let mutual = written.mode == ClientTlsMode::Mutual;
    // A Secret cannot be read here: a file of this name is not there either, so that no connection comes about.
    let secret = written
        .credential_name
        .as_ref()
        .map(|name| format!("/credential/{name}"));
    let roots = written.ca_certificates.as_deref().or(secret.as_deref());
    TlsFiles {
        roots: roots.map_or(Roots::System, |path| Roots::File(path.into())),
        certificate: file(&written.client_certificate).filter(|_| mutual),
        key: file(&written.private_key).filter(|_| mutual),
        revoked: file(&written.ca_crl),
    }
}

pub(super) fn proxy_protocol(written: Version) -> ProxyProtocol {
    match written {
        Version::V1 => ProxyProtocol::V1,
        Version::V2 => ProxyProtocol::V2,
    }
}

pub(super) fn tunnel(written: &Written) -> Tunnel {
    Tunnel {
        post: written.protocol == TunnelProtocol::Post,
        host: written.target_host.to_string().into(),
        port: written.target_port.number(),
    }
}
