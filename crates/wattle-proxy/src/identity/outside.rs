//! TLS towards the outside world: what the policy's files hold, and the settings made of it.

use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use wattle_model::traffic::SubjectName;
use wattle_net::Clock;
use webpki::{
    EndEntityCert, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptionsBuilder,
};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// The bytes of a policy's files.
#[derive(Debug, Default)]
pub(crate) struct Pem {
    /// Roots.
    pub(crate) roots: Vec<u8>,
    /// Own chain and its key.
    pub(crate) own: Option<(Vec<u8>, Vec<u8>)>,
    /// Lists of revoked certificates.
    pub(crate) revoked: Option<Vec<u8>>,
}

/// What is trusted towards the outside world, and what is shown there.
pub(crate) struct Outside {
    roots: Arc<RootCertStore>,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    revoked: Vec<OwnedCertRevocationList>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside")
            .field("roots", &self.roots.len())
            .field("shows_certificate", &self.own.is_some())
            .field("revocation_lists", &self.revoked.len())
            .finish()
    }
}

impl Outside {
    /// Reads PEM; fails when there is no root, or an own certificate without a key, or a list that is none.
    pub(crate) fn read(pem: &Pem) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // A system's store may hold certificates that are too old to be read: the others count.
        let (added, _) =
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem.roots).flatten());
        if added == 0 {
            return Err("the roots hold no certificate that can be read".to_owned());
        }
        let own = pem.own.as_ref().map(|(chain, key)| own(chain, key)).transpose()?;
        let lists = pem
            .revoked
            .iter()
            .flat_map(|pem| CertificateRevocationListDer::pem_slice_iter(pem));
        let revoked = lists
            .map(|list| {
                let list = list.map_err(|error| format!("the file of revoked certificates: {error}"))?;
                OwnedCertRevocationList::from_der(&list)
                    .map_err(|error| format!("the file of revoked certificates: {error}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if pem.revoked.is_some() && revoked.is_empty() {
            return Err("the file of revoked certificates has no list".to_owned());
        }
        Ok(Self {
            roots: Arc::new(roots),
            own,
            revoked,
        })
    }

    /// Settings for dialling a server that must have one of `names`, or the dialled name where there are none.
    pub(crate) fn client(
        self: &Arc<Self>,
        names: &[SubjectName],
        unverified: bool,
        alpn: &[&[u8]],
        clock: &Clock,
    ) -> Result<Arc<ClientConfig>, Error> {
        let verifier = Verifier {
            outside: self.clone(),
            names: names.to_vec(),
            unverified,
        };
        let builder = ClientConfig::builder_with_details(PROVIDER.clone(), Arc::new(clock.clone()))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.own {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|token| token.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

fn own(chain: &[u8], key: &[u8]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the file of the own certificate: {error}"))?;
    if chain.is_empty() {
        return Err("the file of the own certificate has none".to_owned());
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the file of the own key: {error}"))?;
    Ok((chain, key))
}

/// Checks a server's chain, that it is not revoked, and its name.
#[derive(Debug)]
struct Verifier {
    outside: Arc<Outside>,
    names: Vec<SubjectName>,
    unverified: bool,
}

impl Verifier {
    fn chain(
        &self,
        leaf: &EndEntityCert<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let lists: Vec<_> = self.outside.revoked.iter().cloned().map(Into::into).collect();
        let lists: Vec<&webpki::CertRevocationList<'_>> = lists.iter().collect();
        // What no list speaks of counts as revoked, as with Envoy.
        let revocation = RevocationOptionsBuilder::new(&lists)
            .ok()
            .map(|options| options.with_depth(RevocationCheckDepth::EndEntity).build());
        leaf.verify_for_usage(
            PROVIDER.signature_verification_algorithms.all,
            &self.outside.roots.roots,
            intermediates,
            now,
            KeyUsage::server_auth(),
            revocation,
            None,
        )
        .map(|_| ())
    }

    fn is_named(&self, leaf: &EndEntityCert<'_>, dialled: &ServerName<'_>) -> bool {
        let has = |name: &ServerName<'_>| leaf.verify_is_valid_for_subject_name(name).is_ok();
        if self.names.is_empty() {
            return has(dialled);
        }
        self.names.iter().any(|name| match name {
            SubjectName::Dns(name) => {
                ServerName::try_from(&**name).is_ok_and(|name| has(&name))
                    || leaf.valid_dns_names().any(|known| known == &**name)
            }
            SubjectName::Uri(name) => leaf.valid_uri_names().any(|known| known == &**name),
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        dialled: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.unverified {
            return Ok(ServerCertVerified::assertion());
        }
        let leaf = EndEntityCert::try_from(leaf).map_err(explain)?;
        self.chain(&leaf, intermediates, now).map_err(explain)?;
        match self.is_named(&leaf, dialled) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            leaf,
            signed,
            &PROVIDER.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

fn explain(error: webpki::Error) -> Error {
    Error::InvalidCertificate(match error {
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::CertRevoked => CertificateError::Revoked,
        webpki::Error::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
        webpki::Error::BadDer => CertificateError::BadEncoding,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}

#[cfg(test)]
mod tests;
