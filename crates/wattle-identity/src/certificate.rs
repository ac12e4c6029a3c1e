//! What a certificate says, read once and strictly.

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
};

use crate::{
    instant::{Lifetime, from_timestamp},
    rejection::Rejection,
    spiffe::SpiffeId,
};

/// A certificate that is well-formed; nothing is said about who signed it.
pub(crate) struct Certificate<'a>(X509Certificate<'a>);

impl<'a> Certificate<'a> {
    pub(crate) fn read(der: &'a CertificateDer<'_>) -> Result<Self, Rejection> {
        match X509Certificate::from_der(der.as_ref()) {
            Ok(([], certificate)) => Ok(Self(certificate)),
            _ => Err(Rejection::malformed("it is not one DER certificate")),
        }
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        let validity = self.0.validity();
        Lifetime {
            not_before_secs: from_timestamp(validity.not_before.timestamp()),
            not_after_secs: from_timestamp(validity.not_after.timestamp()),
        }
    }

    pub(crate) fn is_ca(&self) -> bool {
        self.0.is_ca()
    }

    /// Issuer and subject have the same name: a root, or one that poses as it.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.0.issuer().as_raw() == self.0.subject().as_raw()
    }

    pub(crate) fn is_signed_by(&self, issuer: &Certificate<'_>) -> bool {
        self.0.issuer().as_raw() == issuer.0.subject().as_raw()
            && self.0.verify_signature(Some(issuer.0.public_key())).is_ok()
    }

    /// How many authorities may stand between this one and a workload; `None` is any number (RFC 5280 section 4.2.1.9).
    pub(crate) fn path_len(&self) -> Option<u32> {
        let constraints = self.0.basic_constraints().ok().flatten()?;
        constraints.value.path_len_constraint
    }

    /// Whether its key usage, where it has one, lets it sign certificates.
    pub(crate) fn may_sign(&self) -> bool {
        match self.0.key_usage() {
            Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
            Err(_) => false,
        }
    }

    /// Its number among those of its issuer, in hexadecimal without leading noughts.
    pub(crate) fn serial(&self) -> String {
        let raw = self.0.raw_serial();
        hex(raw.strip_prefix(&[0]).unwrap_or(raw))
    }

    /// SubjectPublicKeyInfo as DER.
    pub(crate) fn spki(&self) -> &[u8] {
        self.0.public_key().raw
    }

    /// The workload's name, under the rules of X509-SVID sections 2 and 4 for a leaf: exactly one URI, and it may not sign.
    pub(crate) fn workload(&self) -> Result<SpiffeId, Rejection> {
        self.check_leaf_usage()?;
        let names = self
            .0
            .subject_alternative_name()
            .map_err(|_| Rejection::malformed("its subject names are damaged"))?;
        let names = names
            .map(|extension| extension.value.general_names.as_slice())
            .unwrap_or_default();
        if names.iter().any(|name| matches!(name, GeneralName::Invalid(..))) {
            return Err(Rejection::malformed("one of its subject names is damaged"));
        }
        let mut uris = names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        match (uris.next(), uris.count()) {
            (None, _) => Err(Rejection::NotSpiffe { got: "no URI".into() }),
            (Some(uri), 0) => uri.parse().map_err(|_| Rejection::not_spiffe(uri)),
            (Some(_), more) => Err(Rejection::NotSpiffe {
                got: format!("{} URIs", more + 1),
            }),
        }
    }

    fn check_leaf_usage(&self) -> Result<(), Rejection> {
        if self.is_ca() {
            return Err(Rejection::malformed("it is an authority's, not a workload's"));
        }
        let usage = self
            .0
            .key_usage()
            .map_err(|_| Rejection::malformed("its key usage is damaged"))?;
        match usage {
            Some(usage) if usage.value.key_cert_sign() || usage.value.crl_sign() => {
                Err(Rejection::malformed("its key may sign certificates"))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes of a SHA-256 that tell certificates apart.
const FINGERPRINT: usize = 16;

/// What tells a certificate from every other: the first half of its SHA-256, in hexadecimal.
pub(crate) fn fingerprint(der: &CertificateDer<'_>) -> String {
    let digest = digest(&SHA256, der.as_ref());
    hex(digest.as_ref().get(..FINGERPRINT).unwrap_or_default())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every subject name in a request's extensions; none when it asks for no name.
pub(crate) fn requested_names<'r>(
    extensions: impl Iterator<Item = &'r ParsedExtension<'r>>,
) -> Vec<&'r GeneralName<'r>> {
    extensions
        .filter_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten()
        .collect()
}
