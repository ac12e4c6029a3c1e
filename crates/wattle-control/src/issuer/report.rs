//! What is told of authority, rotation and certificates.

use std::collections::{BTreeMap, BTreeSet};

use wattle_identity::{Authority, Phase};

use super::{Connected, Issuer, unix_secs};
use crate::view::{AuthorityView, CertificateView, PhaseView, RotationView};

/// Most names of workloads that are waited for in one answer.
const MAX_NAMES: usize = 50;

/// In place of an issuer of ours.
const ACCEPTED: &str = "accepted roots";

impl Issuer {
    /// Where the rotation stands, with what discovery streams say.
    pub(crate) fn rotation(&self, connected: &[Connected]) -> RotationView {
        let now = self.clock.now();
        let (from_files, problems) = {
            let files = self.files();
            (files.has_issuer(), files.problems())
        };
        let current = self.read();
        let succession = &current.succession;
        let (seen, unaware) = self.inventory.seen(&current.bundle_id, connected, unix_secs(now));
        let is_spreading = succession.next().is_some();
        let live = self.inventory.live(unix_secs(now));
        let signing = succession.signing().issuer_id();
        let outdated = live.iter().filter(|leaf| leaf.issuer != signing);
        let awaited: Vec<String> = match is_spreading {
            true => unaware.iter().map(ToString::to_string).collect(),
            false => outdated.clone().map(|leaf| leaf.id.to_string()).collect(),
        };
        RotationView {
            stage: succession.stage().as_str().to_owned(),
            signing: authority(succession.signing()),
            expired: succession.signing().not_after() <= now,
            from_files,
            next: succession.next().map(phase),
            retiring: succession.retiring().iter().map(phase).collect(),
            certificates: live.len(),
            unaware: if is_spreading { seen.unaware } else { 0 },
            unaware_connected: if is_spreading { seen.unaware_connected } else { 0 },
            outdated: outdated.count(),
            awaited: awaited.into_iter().take(MAX_NAMES).collect(),
            problems,
        }
    }

    /// Every certificate of ours that is valid now, and those of others that discovery streams were opened with.
    pub(crate) fn certificates(&self, connected: &[Connected]) -> Vec<CertificateView> {
        let current = self.read();
        let live = self.inventory.live(unix_secs(self.clock.now()));
        let signing = current.succession.signing().issuer_id();
        let is_connected = |serial: &str| connected.iter().any(|stream| *stream.serial == *serial);
        let ours: BTreeSet<String> = live.iter().map(|leaf| leaf.id.to_string()).collect();
        // A stream that was opened with one of ours keeps that for longer than the book does.
        let others = connected
            .iter()
            .filter(|stream| !ours.contains(stream.id.as_str()));
        // Programs behind a proxy or an agent have streams of their own under its certificate.
        let others: BTreeMap<&str, &Connected> = others.map(|stream| (&*stream.serial, stream)).collect();
        let others = others.into_values().map(|stream| CertificateView {
            identity: stream.id.to_string(),
            serial: stream.serial.to_string(),
            issuer: ACCEPTED.to_owned(),
            current: false,
            issued_secs: 0,
            not_after_secs: stream.not_after_secs,
            connected: true,
        });
        live.into_iter()
            .map(|leaf| CertificateView {
                identity: leaf.id.to_string(),
                connected: [&leaf.serial, &leaf.previous, &leaf.holder]
                    .iter()
                    .any(|serial| is_connected(serial.as_str())),
                current: leaf.issuer == signing,
                serial: leaf.serial,
                issuer: leaf.issuer,
                issued_secs: leaf.issued_secs,
                not_after_secs: leaf.not_after_secs,
            })
            .chain(others)
            .collect()
    }
}

fn authority(authority: &Authority) -> AuthorityView {
    AuthorityView {
        issuer: authority.issuer_id(),
        not_after_secs: unix_secs(authority.not_after()),
        root: authority.root_id(),
        root_not_after_secs: unix_secs(authority.root_not_after()),
    }
}

fn phase(phase: &Phase) -> PhaseView {
    PhaseView {
        authority: authority(phase.authority()),
        since_secs: unix_secs(phase.since()),
        until_secs: unix_secs(phase.until()),
    }
}
