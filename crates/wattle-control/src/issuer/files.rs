//! What comes from files: an issuer, roots of foreign trust domains, revocation lists. Read again and again; what became bad
//! leaves the last good in force.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wattle_identity::{Layout, Plugged, PluggedFiles, RevocationLists, TrustBundle, TrustDomain};
use zeroize::Zeroizing;

use super::IssuerError;
use crate::config::TrustSettings;

/// Largest file that is read, bytes.
const MAX_FILE: u64 = 256 * 1024;

/// The files, and what they held last.
pub(super) struct Files {
    trust_domain: TrustDomain,
    issuer: Option<Watched>,
    accepted: Option<Watched>,
    federated: Vec<(TrustDomain, Watched)>,
    revoked: Option<Watched>,
}

/// A place that is read again and again.
struct Watched {
    path: PathBuf,
    seen: Zeroizing<Vec<u8>>,
    problem: Option<String>,
}

/// What is new.
#[derive(Default)]
pub(super) struct News {
    pub(super) issuer: Option<Plugged>,
    pub(super) accepted: Option<TrustBundle>,
    pub(super) federated: Vec<TrustBundle>,
    pub(super) revoked: Option<RevocationLists>,
}

impl Files {
    /// The files of these settings, none of them read.
    pub(super) fn new(trust_domain: &TrustDomain, settings: &TrustSettings) -> Result<Self, IssuerError> {
        let mut names: Vec<&str> = vec![trust_domain.as_str()];
        let aliases = settings.aliases.iter().map(|alias| &**alias);
        for name in aliases.chain(settings.federated.iter().map(|(name, _)| &**name)) {
            if names.contains(&name) {
                return Err(IssuerError::Twice(name.to_owned()));
            }
            names.push(name);
        }
        let federated = settings
            .federated
            .iter()
            .map(|(name, path)| Ok((TrustDomain::new(name)?, Watched::new(path))));
        Ok(Self {
            trust_domain: trust_domain.clone(),
            issuer: settings.issuer.as_deref().map(Watched::new),
            accepted: settings.accepted.as_deref().map(Watched::new),
            federated: federated.collect::<Result<_, IssuerError>>()?,
            revoked: settings.revoked.as_deref().map(Watched::new),
        })
    }

    /// Whether the issuer comes from files.
    pub(super) fn has_issuer(&self) -> bool {
        self.issuer.is_some()
    }

    /// What changed since the last call; what cannot be used is a problem, told once.
    pub(super) fn news(&mut self, now: SystemTime) -> News {
        let mut news = News::default();
        let own = &self.trust_domain;
        if let Some(watched) = &mut self.issuer {
            news.issuer = watched.news(contents_of_issuer, |path, bytes| plugged(own, path, bytes, now));
        }
        if let Some(watched) = &mut self.accepted {
            news.accepted = watched.news(contents, |path, bytes| {
                TrustBundle::from_pem(own.clone(), bytes)
                    .map_err(|error| IssuerError::Federated(path.to_owned(), own.to_string(), error))
            });
        }
        for (name, watched) in &mut self.federated {
            let read = |path: &Path, bytes: &[u8]| {
                TrustBundle::from_pem(name.clone(), bytes)
                    .map_err(|error| IssuerError::Federated(path.to_owned(), name.to_string(), error))
            };
            news.federated.extend(watched.news(contents, read));
        }
        if let Some(watched) = &mut self.revoked {
            news.revoked = watched.news(contents, |path, bytes| {
                RevocationLists::from_pem(bytes).map_err(|error| IssuerError::Revoked(path.to_owned(), error))
            });
        }
        news
    }

    /// Everything that is wrong now.
    pub(super) fn problems(&self) -> Vec<String> {
        let federated = self.federated.iter().map(|(_, watched)| watched);
        let all = self
            .issuer
            .iter()
            .chain(&self.accepted)
            .chain(federated)
            .chain(&self.revoked);
        all.filter_map(|watched| watched.problem.clone()).collect()
    }
}

impl Watched {
    fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            seen: Zeroizing::new(Vec::new()),
            problem: None,
        }
    }

    /// What the place holds, if that is new and good.
    fn news<T>(
        &mut self,
        contents: fn(&Path) -> Result<Zeroizing<Vec<u8>>, IssuerError>,
        read: impl FnOnce(&Path, &[u8]) -> Result<T, IssuerError>,
    ) -> Option<T> {
        let found = contents(&self.path).and_then(|bytes| {
            if bytes == self.seen && self.problem.is_none() {
                return Ok(None);
            }
            let value = read(&self.path, &bytes)?;
            self.seen = bytes;
            Ok(Some(value))
        });
        match found {
            Ok(value) => {
                self.problem = None;
                value
            }
            Err(error) => {
                let problem = described(&error);
                if self.problem.as_ref() != Some(&problem) {
                    tracing::error!(problem, "the last good ones stay in force");
                }
                self.problem = Some(problem);
                None
            }
        }
    }
}

fn described(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", described(cause)),
        None => error.to_string(),
    }
}

fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>, IssuerError> {
    let failed = |error| IssuerError::Read(path.to_owned(), error);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(failed(io::Error::other(format!(
            "{size} bytes, at most {MAX_FILE} expected"
        ))));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(failed)
}

/// Certificate, key, chain and roots one after the other, each after its length.
fn contents_of_issuer(directory: &Path) -> Result<Zeroizing<Vec<u8>>, IssuerError> {
    let layout = layout(directory)?;
    let mut all = Zeroizing::new(Vec::new());
    for name in [
        Some(layout.certificate()),
        Some(layout.key()),
        layout.chain(),
        Some(layout.roots()),
    ] {
        let bytes = match name.map(|name| directory.join(name)) {
            // A chain of one needs no file.
            Some(path) if name == layout.chain() && !path.exists() => Zeroizing::default(),
            Some(path) => contents(&path)?,
            None => Zeroizing::default(),
        };
        all.reserve(bytes.len() + size_of::<u32>());
        all.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

fn layout(directory: &Path) -> Result<Layout, IssuerError> {
    let is_there = |layout: &Layout| directory.join(layout.certificate()).exists();
    Layout::ALL
        .into_iter()
        .find(is_there)
        .ok_or_else(|| IssuerError::NoLayout(directory.to_owned()))
}

fn plugged(own: &TrustDomain, path: &Path, bytes: &[u8], now: SystemTime) -> Result<Plugged, IssuerError> {
    let mut rest = bytes;
    let mut part = || {
        let (length, tail) = rest.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let (part, tail) = tail.split_at(tail.len().min(u32::from_be_bytes(*length) as usize));
        rest = tail;
        part
    };
    let files = PluggedFiles {
        certificate: part(),
        key: part(),
        chain: part(),
        roots: part(),
    };
    Plugged::read(own, files, now).map_err(|error| IssuerError::Plugged(path.to_owned(), error))
}
