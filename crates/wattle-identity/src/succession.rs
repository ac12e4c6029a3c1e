//! How one authority follows another while workloads work: a state machine that time and observations are given to.
//!
//! ```text
//! steady ── begin(Root) ──▶ spreading: the new root is in the bundle, the old issuer signs
//!   ▲                           │ all holders of live certificates have the bundle
//!   │                           ▼
//!   └── no live certificate ── renewing: the new issuer signs, the old root is still believed ◀── begin(Issuer)
//! ```
//!
//! Each step gives a new value, to be kept before it is used, so that it may be interrupted anywhere. Neither step waits
//! longer than the longest life of a workload's certificate: by then every one that was signed before has ended.

mod at_rest;
mod parts;

use std::{sync::Arc, time::SystemTime};

pub use parts::{Phase, Replaced, RotationError, Seen, Stage};

use crate::{
    authority::Authority,
    bundle::{BundleError, TrustBundle},
    instant::unix_secs,
    lifetimes::Lifetimes,
};

/// Most authorities whose certificates may still be in use.
const MAX_RETIRING: usize = 8;

/// The authority that signs, the one that will, and those whose certificates are still in use.
#[derive(Clone, Debug)]
pub struct Succession {
    signing: Arc<Authority>,
    next: Option<Phase>,
    retiring: Vec<Phase>,
}

impl Succession {
    /// Starts with one authority.
    pub fn new(signing: Authority) -> Self {
        Self {
            signing: Arc::new(signing),
            next: None,
            retiring: Vec::new(),
        }
    }

    /// The authority that signs workloads.
    pub fn signing(&self) -> &Arc<Authority> {
        &self.signing
    }

    /// The one that will, once everybody knows its root.
    pub fn next(&self) -> Option<&Phase> {
        self.next.as_ref()
    }

    /// Those that signed what is still in use, oldest first.
    pub fn retiring(&self) -> &[Phase] {
        &self.retiring
    }

    /// Who should prove who the control plane is: the oldest one, whose root also those know who missed the newest bundle.
    pub fn known_longest(&self, now: SystemTime) -> &Arc<Authority> {
        let valid = self
            .retiring
            .iter()
            .find(|phase| phase.authority.not_after() > now);
        valid.map_or(&self.signing, |phase| &phase.authority)
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        match (&self.next, self.retiring.is_empty()) {
            (Some(_), _) => Stage::Spreading,
            (None, false) => Stage::Renewing,
            (None, true) => Stage::Steady,
        }
    }

    /// Every root that is to be believed now.
    pub fn bundle(&self) -> Result<TrustBundle, BundleError> {
        let mut others = self.next.iter().chain(&self.retiring);
        others.try_fold(self.signing.bundle()?, |bundle, phase| {
            bundle.joined(&phase.authority.bundle()?)
        })
    }

    /// The same with these lives of what is made from now on.
    pub fn with_lifetimes(self, lifetimes: Lifetimes) -> Self {
        let set = |authority: Arc<Authority>| match Arc::try_unwrap(authority) {
            Ok(authority) => Arc::new(authority.with_lifetimes(lifetimes)),
            Err(shared) => shared,
        };
        let set_phase = |phase: Phase| Phase {
            authority: set(phase.authority),
            ..phase
        };
        Self {
            signing: set(self.signing),
            next: self.next.map(set_phase),
            retiring: self.retiring.into_iter().map(set_phase).collect(),
        }
    }

    /// What is to be replaced by its age; nothing while a rotation is under way or when the keys are elsewhere.
    pub fn due(&self, now: SystemTime) -> Option<Replaced> {
        let signing = &self.signing;
        if self.stage() != Stage::Steady || !signing.has_root_key() || signing.root_not_after() <= now {
            None
        } else if signing.needs_new_root(now) {
            Some(Replaced::Root)
        } else {
            signing.needs_new_issuer(now).then_some(Replaced::Issuer)
        }
    }

    /// Begins to replace. A new issuer signs at once, since its root is known; a new root is made known first.
    pub fn begin(&self, what: Replaced, skips_absent: bool, now: SystemTime) -> Result<Self, RotationError> {
        if self.stage() != Stage::Steady {
            return Err(RotationError::UnderWay);
        }
        if !self.signing.has_root_key() {
            return Err(RotationError::Plugged);
        }
        let authority = match what {
            Replaced::Issuer => {
                return self.replaced(Arc::new(self.signing.renewed(now)?), skips_absent, now);
            }
            Replaced::Root => {
                Authority::create_for(self.signing.trust_domain(), self.signing.lifetimes(), now)?
            }
        };
        Ok(self.spreading(authority, skips_absent, now))
    }

    /// Takes an authority that comes from elsewhere, whatever is under way; nothing when it is in use already. One that
    /// cannot be waited for, since the one before has ended, signs at once.
    pub fn adopt(&self, authority: Authority, now: SystemTime) -> Result<Option<Self>, RotationError> {
        let newest = self.next.as_ref().map_or(&self.signing, |phase| &phase.authority);
        if newest.issuer_id() == authority.issuer_id() {
            return Ok(None);
        }
        let authority = authority.with_lifetimes(self.signing.lifetimes());
        let is_known = authority.root_id() == self.signing.root_id();
        if is_known || self.signing.not_after() <= now {
            return self.replaced(Arc::new(authority), false, now).map(Some);
        }
        Ok(Some(self.spreading(authority, false, now)))
    }

    /// Goes on as far as what is seen allows; nothing when it has to wait.
    pub fn advance(&self, now: SystemTime, seen: &Seen) -> Result<Option<Self>, RotationError> {
        if let Some(next) = &self.next {
            let unaware = match next.skips_absent {
                true => seen.unaware_connected,
                false => seen.unaware,
            };
            let waits = unaware > 0 || (seen.incomplete && !next.skips_absent);
            if waits && now <= next.until() {
                return Ok(None);
            }
            let (authority, skips_absent) = (next.authority.clone(), next.skips_absent);
            return self.replaced(authority, skips_absent, now).map(Some);
        }
        let in_use = |phase: &&Phase| {
            let issuer = phase.authority.issuer_id();
            let is_seen = match phase.skips_absent {
                true => seen.connected_issuers.contains(&issuer),
                false => seen.incomplete || seen.live_issuers.contains(&issuer),
            };
            is_seen && now <= phase.until() && phase.authority.not_after() >= now
        };
        let retiring: Vec<Phase> = self.retiring.iter().filter(in_use).cloned().collect();
        Ok((retiring.len() < self.retiring.len()).then(|| Self {
            retiring,
            ..self.clone()
        }))
    }

    /// Starts anew after the end of everything: a new root that nobody knows yet.
    pub fn repaired(&self, now: SystemTime) -> Result<Self, RotationError> {
        let (signing, lifetimes) = (&self.signing, self.signing.lifetimes());
        if signing.not_after() > now {
            let until = crate::instant::utc(unix_secs(signing.not_after()));
            return Err(RotationError::Valid(until));
        }
        let authority = match signing.has_root_key() && signing.root_not_after() > now {
            true => signing.renewed(now)?,
            false => Authority::create_for(signing.trust_domain(), lifetimes, now)?,
        };
        Ok(Self::new(authority))
    }

    fn spreading(&self, authority: Authority, skips_absent: bool, now: SystemTime) -> Self {
        let next = Phase {
            authority: Arc::new(authority),
            since_secs: unix_secs(now),
            skips_absent,
        };
        Self {
            next: Some(next),
            ..self.clone()
        }
    }

    /// `authority` signs from now on; the one before is believed as long as what it signed is in use.
    fn replaced(
        &self,
        authority: Arc<Authority>,
        skips_absent: bool,
        now: SystemTime,
    ) -> Result<Self, RotationError> {
        let mut retiring = self.retiring.clone();
        if self.signing.not_after() > now {
            retiring.push(Phase {
                authority: self.signing.clone(),
                since_secs: unix_secs(now),
                skips_absent,
            });
        }
        let too_many = retiring.len().saturating_sub(MAX_RETIRING);
        retiring.drain(..too_many);
        Ok(Self {
            signing: authority,
            next: None,
            retiring,
        })
    }
}
