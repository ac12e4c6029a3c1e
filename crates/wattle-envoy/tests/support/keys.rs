//! Certificates of the mesh, put in place of those that would come by discovery.

use std::time::{Duration, SystemTime};

use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use prost::{Message, Name};
use tls::common_tls_context::ValidationContextType;
use wattle_identity::{Authority, SpiffeId, SvidRequest, TrustDomain};

/// Gives the Envoy of this bootstrap the certificate of `shop/account`.
pub fn certify(bootstrap: &mut Bootstrap, account: &str) {
    let (domain, now) = (TrustDomain::new("mesh.test").unwrap(), SystemTime::now());
    let authority = Authority::create(&domain, now).unwrap();
    let id = SpiffeId::new(&domain, "shop", account).unwrap();
    let request = SvidRequest::new(&id).unwrap();
    let issued = authority
        .sign(request.csr_pem(), &id, now, Duration::from_secs(3600))
        .unwrap();
    let svid = request.into_svid(&issued.chain_pem()).unwrap();
    let certificate = tls::TlsCertificate {
        certificate_chain: inline(&svid.chain_pem()),
        private_key: inline(&svid.to_pem()),
        ..Default::default()
    };
    let bundle = tls::CertificateValidationContext {
        trusted_ca: inline(&authority.bundle().unwrap().to_pem()),
        ..Default::default()
    };
    let resources = bootstrap.static_resources.as_mut().unwrap();
    resources.secrets = vec![
        secret("default", tls::secret::Type::TlsCertificate(certificate)),
        secret("ROOTCA", tls::secret::Type::ValidationContext(bundle)),
    ];
    for cluster in &mut resources.clusters {
        let matched = cluster.transport_socket_matches.iter_mut();
        let sockets = matched.filter_map(|matched| matched.transport_socket.as_mut());
        sockets.chain(cluster.transport_socket.as_mut()).for_each(local);
    }
    for listener in &mut resources.listeners {
        let chains = listener.filter_chains.iter_mut();
        chains
            .filter_map(|chain| chain.transport_socket.as_mut())
            .for_each(local);
    }
}

fn inline(text: &str) -> Option<core::DataSource> {
    Some(core::DataSource {
        specifier: Some(core::data_source::Specifier::InlineString(text.to_owned())),
        ..Default::default()
    })
}

fn secret(name: &str, secret: tls::secret::Type) -> tls::Secret {
    tls::Secret {
        name: name.to_owned(),
        r#type: Some(secret),
    }
}

/// Secrets by name alone are those of the bootstrap.
fn local(socket: &mut core::TransportSocket) {
    let Some(core::transport_socket::ConfigType::TypedConfig(config)) = &mut socket.config_type else {
        return;
    };
    if config.type_url == tls::UpstreamTlsContext::type_url() {
        let mut context = tls::UpstreamTlsContext::decode(&*config.value).unwrap();
        own(context.common_tls_context.as_mut());
        config.value = context.encode_to_vec();
    } else if config.type_url == tls::DownstreamTlsContext::type_url() {
        let mut context = tls::DownstreamTlsContext::decode(&*config.value).unwrap();
        own(context.common_tls_context.as_mut());
        config.value = context.encode_to_vec();
    }
}

fn own(context: Option<&mut tls::CommonTlsContext>) {
    let Some(context) = context else { return };
    for certificate in &mut context.tls_certificate_sds_secret_configs {
        certificate.sds_config = None;
    }
    if let Some(ValidationContextType::CombinedValidationContext(combined)) =
        &mut context.validation_context_type
        && let Some(bundle) = &mut combined.validation_context_sds_secret_config
    {
        bundle.sds_config = None;
    }
}
