//! Files that policies name for TLS towards the outside: read here, never on a worker, and again when they change.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use wattle_model::traffic::{Roots, TlsFiles};

use super::{Feed, News};
use crate::identity::{Outside, Pem};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;
/// Most sets of files; what policies name beyond them is refused.
const MAX_SETS: usize = 1024;
/// Where systems keep the roots they trust: Debian, Fedora, SUSE, Alpine; the first that is there counts.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What became of each set of files: settings, or why there are none.
pub(crate) type Materials = Vec<(TlsFiles, Result<Arc<Outside>, Arc<str>>)>;

/// Names, sizes and times of a set's files: what is not the same as before is read again.
type Seen = Vec<Option<(u64, SystemTime)>>;

/// Reads what `wanted` names and tells all workers, now and whenever a file changes; ends with whoever wants.
pub(crate) async fn keep_read(feed: Feed, mut wanted: watch::Receiver<Vec<TlsFiles>>) {
    let mut known: Vec<(TlsFiles, Seen)> = Vec::new();
    let mut materials = Materials::new();
    loop {
        let sets = wanted.borrow_and_update().clone();
        let before = (known, materials);
        let looked = tokio::task::spawn_blocking(move || look(sets, before)).await;
        let Ok((seen, read, changed)) = looked else { return };
        (known, materials) = (seen, read);
        if changed {
            feed.tell_all(&News::Outside(Arc::new(materials.clone())));
        }
        let pause = match known.is_empty() {
            true => Duration::from_secs(3600),
            false => LOOK,
        };
        if let Ok(Err(_)) = tokio::time::timeout(pause, wanted.changed()).await {
            return;
        }
    }
}

type Known = (Vec<(TlsFiles, Seen)>, Materials);

fn look(sets: Vec<TlsFiles>, (known, materials): Known) -> (Vec<(TlsFiles, Seen)>, Materials, bool) {
    let mut changed = sets.len().min(MAX_SETS) != known.len();
    let (mut seen, mut read) = (Vec::new(), Materials::new());
    for files in sets.into_iter().take(MAX_SETS) {
        let now: Seen = paths(&files).map(|path| path.and_then(stamp)).collect();
        let same = |(name, before): &(TlsFiles, Seen)| *name == files && *before == now;
        let kept = materials.iter().find(|(name, _)| *name == files);
        match (known.iter().any(same), kept) {
            (true, Some(kept)) => read.push(kept.clone()),
            _ => {
                changed = true;
                let outcome = material(&files).map(Arc::new).map_err(Arc::from);
                if let Err(problem) = &outcome {
                    tracing::warn!(
                        ?files,
                        problem = &**problem,
                        "files of a TLS policy cannot be used"
                    );
                }
                read.push((files.clone(), outcome));
            }
        }
        seen.push((files, now));
    }
    (seen, read, changed)
}

fn paths(files: &TlsFiles) -> impl Iterator<Item = Option<&str>> {
    [
        root_file(&files.roots),
        files.certificate.as_deref(),
        files.key.as_deref(),
        files.revoked.as_deref(),
    ]
    .into_iter()
}

fn root_file(roots: &Roots) -> Option<&str> {
    match roots {
        Roots::System => system_roots(),
        Roots::File(path) => Some(path),
        Roots::Given(_) => None,
    }
}

fn system_roots() -> Option<&'static str> {
    SYSTEM_ROOTS.into_iter().find(|path| Path::new(path).is_file())
}

fn stamp(path: &str) -> Option<(u64, SystemTime)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()?))
}

fn material(files: &TlsFiles) -> Result<Outside, String> {
    let roots = match (&files.roots, root_file(&files.roots)) {
        (Roots::Given(pem), _) => pem.as_bytes().to_vec(),
        (_, Some(path)) => bytes(path)?,
        (_, None) => return Err("no roots are named, and the system's are not found".to_owned()),
    };
    let own = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => Some((bytes(certificate)?, bytes(key)?)),
        (None, None) => None,
        _ => return Err("a certificate needs its key, and a key its certificate".to_owned()),
    };
    let revoked = files.revoked.as_deref().map(bytes).transpose()?;
    Outside::read(&Pem { roots, own, revoked })
}

fn bytes(path: &str) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| format!("read {path}: {error}");
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(format!("read {path}: larger than {MAX_BYTES} bytes")),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn root() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    fn of(path: &Path) -> TlsFiles {
        TlsFiles {
            roots: Roots::File(path.to_str().unwrap().into()),
            ..TlsFiles::default()
        }
    }

    #[test]
    fn files_are_read_again_only_when_they_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roots.pem");
        std::fs::write(&path, root()).unwrap();
        let (known, materials, changed) = look(vec![of(&path)], (Vec::new(), Vec::new()));
        assert!(changed && materials[0].1.is_ok());
        let (known, materials, changed) = look(vec![of(&path)], (known, materials));
        assert!(!changed);
        std::fs::write(&path, "no certificate").unwrap();
        let (known, materials, changed) = look(vec![of(&path)], (known, materials));
        assert!(changed && materials[0].1.is_err());
        let (_, materials, changed) = look(Vec::new(), (known, materials));
        assert!(changed && materials.is_empty());
    }

    #[test]
    fn a_file_that_is_missing_or_endless_or_a_key_alone_is_said_so() {
        let missing = material(&of(Path::new("/nonexistent"))).unwrap_err();
        assert!(missing.starts_with("read /nonexistent: "), "{missing}");
        let endless = material(&of(Path::new("/dev/zero"))).unwrap_err();
        assert!(endless.contains("larger than"), "{endless}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roots.pem");
        std::fs::write(&path, root()).unwrap();
        let files = TlsFiles {
            key: Some("k".into()),
            ..of(&path)
        };
        assert!(material(&files).unwrap_err().contains("needs its key"));
    }

    #[test]
    fn roots_that_are_given_need_no_file_and_must_be_roots() {
        let given = |pem: &str| TlsFiles {
            roots: Roots::Given(pem.into()),
            ..TlsFiles::default()
        };
        let (_, materials, _) = look(vec![given(&root()), given("none")], (Vec::new(), Vec::new()));
        assert!(materials[0].1.is_ok());
        let problem = materials[1].1.as_ref().unwrap_err();
        assert!(problem.contains("no certificate"), "{problem}");
    }
}
