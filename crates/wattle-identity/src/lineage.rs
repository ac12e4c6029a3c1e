//! An authority's certificates in their order, from the one that signs workloads up to the root, each link proven.

use rustls_pki_types::CertificateDer;

use crate::{
    authority_error::AuthorityError,
    certificate::Certificate,
    instant::Lifetime,
    key::{PrivateKey, Signer},
    pem::Sections,
};

/// Most certificates in one lineage, the root included.
const MAX_LINKS: usize = 6;

/// What an authority consists of.
pub(crate) struct Lineage {
    /// The issuer first, without the root; empty when the root itself signs workloads.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) root: CertificateDer<'static>,
    /// Absent when the root is kept elsewhere: then nobody here can replace the issuer.
    pub(crate) root_key: Option<PrivateKey>,
    pub(crate) issuer_key: PrivateKey,
}

impl Lineage {
    /// Sorts out what a PEM text held, in whatever order it came.
    pub(crate) fn sort(sections: Sections) -> Result<Self, AuthorityError> {
        let Sections {
            certificates, keys, ..
        } = sections;
        if certificates.is_empty() || certificates.len() > MAX_LINKS || keys.is_empty() || keys.len() > 2 {
            return Err(AuthorityError::Count {
                certificates: certificates.len(),
                keys: keys.len(),
            });
        }
        let root = sole_root(&certificates)?;
        let (mut root_key, mut issuer) = (None, None);
        for key in keys {
            match owner(&certificates, &key)? {
                position if position == root => root_key = Some(key),
                position => issuer = Some((position, key)),
            }
        }
        match (issuer, root_key) {
            (Some((start, issuer_key)), root_key) => {
                let chain = climb(&certificates, start, root)?;
                let pick =
                    |position: usize| certificates.get(position).cloned().ok_or(AuthorityError::Broken);
                let chain = chain.into_iter().map(pick).collect::<Result<_, _>>()?;
                Ok(Self {
                    chain,
                    root: pick(root)?,
                    root_key,
                    issuer_key,
                })
            }
            (None, Some(issuer_key)) => {
                let root = certificates.get(root).cloned().ok_or(AuthorityError::Broken)?;
                Ok(Self {
                    chain: Vec::new(),
                    root,
                    root_key: None,
                    issuer_key,
                })
            }
            (None, None) => Err(AuthorityError::Broken),
        }
    }

    /// The certificate whose key signs workloads.
    pub(crate) fn issuer(&self) -> &CertificateDer<'static> {
        self.chain.first().unwrap_or(&self.root)
    }

    /// The span in which every certificate of the lineage is valid.
    pub(crate) fn lifetime(&self) -> Result<Lifetime, AuthorityError> {
        let mut span = Lifetime {
            not_before_secs: 0,
            not_after_secs: u64::MAX,
        };
        for certificate in self.chain.iter().chain([&self.root]) {
            let link = read(certificate)?.lifetime();
            span.not_before_secs = span.not_before_secs.max(link.not_before_secs);
            span.not_after_secs = span.not_after_secs.min(link.not_after_secs);
        }
        Ok(span)
    }
}

fn read<'a>(certificate: &'a CertificateDer<'_>) -> Result<Certificate<'a>, AuthorityError> {
    let certificate = Certificate::read(certificate).map_err(AuthorityError::Certificate)?;
    if certificate.is_ca() {
        Ok(certificate)
    } else {
        Err(AuthorityError::NotAnAuthority)
    }
}

fn sole_root(certificates: &[CertificateDer<'static>]) -> Result<usize, AuthorityError> {
    let mut found = None;
    for (position, certificate) in certificates.iter().enumerate() {
        let certificate = read(certificate)?;
        if certificate.is_self_issued() {
            let proven = found.is_none() && certificate.is_signed_by(&certificate);
            found = if proven {
                Some(position)
            } else {
                return Err(AuthorityError::Broken);
            };
        }
    }
    found.ok_or(AuthorityError::Broken)
}

/// The certificate that is for this key.
fn owner(certificates: &[CertificateDer<'static>], key: &PrivateKey) -> Result<usize, AuthorityError> {
    let spki = Signer::new(key)?.spki();
    for (position, certificate) in certificates.iter().enumerate() {
        if read(certificate)?.spki() == spki {
            return Ok(position);
        }
    }
    Err(AuthorityError::OtherKey)
}

/// The way from the issuer to the root, by who signed whom; the root is left out.
fn climb(
    certificates: &[CertificateDer<'static>],
    start: usize,
    root: usize,
) -> Result<Vec<usize>, AuthorityError> {
    let mut way = vec![start];
    let mut current = start;
    while way.len() < certificates.len() {
        let child = read(certificates.get(current).ok_or(AuthorityError::Broken)?)?;
        let mut above = None;
        for (position, candidate) in certificates.iter().enumerate() {
            if !way.contains(&position) && child.is_signed_by(&read(candidate)?) {
                above = Some(position);
            }
        }
        match above {
            Some(position) if position == root => return Ok(way),
            Some(position) => way.push(position),
            None => break,
        }
        current = way.last().copied().unwrap_or(start);
    }
    Err(AuthorityError::Broken)
}
