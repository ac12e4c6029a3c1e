//! A succession as text and back.

use std::{fmt::Write as _, sync::Arc};

use zeroize::Zeroizing;

use super::{MAX_RETIRING, Phase, Succession};
use crate::{authority::Authority, authority_error::AuthorityError, spiffe::TrustDomain};

const NEXT: &str = "next ";
const RETIRING: &str = "retiring ";

impl Succession {
    /// What is under way, as text with keys, for [`Self::from_parts`]; empty when steady.
    pub fn phases_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        let phases = self.retiring.iter().map(|phase| (RETIRING, phase));
        for (word, phase) in self.next.iter().map(|phase| (NEXT, phase)).chain(phases) {
            let pem = phase.authority.to_pem();
            // Reserved at once: a growing buffer would leave copies of a key behind.
            text.reserve(pem.len() + 64);
            let _ = writeln!(text, "{word}{} {}", phase.since_secs, phase.skips_absent);
            text.push_str(&pem);
        }
        text
    }

    /// Reads back the signing authority's PEM and what [`Self::phases_text`] gave.
    pub fn from_parts(
        trust_domain: &TrustDomain,
        signing: &[u8],
        phases: &str,
    ) -> Result<Self, AuthorityError> {
        let mut found = Self::new(Authority::from_pem(trust_domain, signing)?);
        let is_head = |line: &str| line.starts_with(NEXT) || line.starts_with(RETIRING);
        let heads: Vec<_> = phases
            .lines()
            .enumerate()
            .filter(|(_, line)| is_head(line))
            .collect();
        if heads.len() > MAX_RETIRING + 1 || (heads.is_empty() && !phases.trim().is_empty()) {
            return Err(AuthorityError::Succession(1));
        }
        for (position, (at, head)) in heads.iter().enumerate() {
            let end = heads.get(position + 1).map_or(usize::MAX, |(next, _)| *next);
            let body: Vec<&str> = phases.lines().skip(at + 1).take(end - at - 1).collect();
            let body = Zeroizing::new(body.join("\n"));
            let damaged = || AuthorityError::Succession(at + 1);
            let (since_secs, skips_absent) = read_head(head).ok_or_else(damaged)?;
            let phase = Phase {
                authority: Arc::new(Authority::from_pem(trust_domain, body.as_bytes())?),
                since_secs,
                skips_absent,
            };
            match head.starts_with(NEXT) {
                true => found.next = Some(phase),
                false => found.retiring.push(phase),
            }
        }
        Ok(found)
    }
}

fn read_head(head: &str) -> Option<(u64, bool)> {
    let mut words = head.split(' ').skip(1);
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}
