//! When what was told counts as in force where others than this process have to follow it.

use std::time::Duration;

use tokio::sync::watch;
use wattle_identity::TrustBundle;
use wattle_model::{Trust, TrustedDomain};

/// The roots that programs are shown, and how long they take to look.
pub(crate) struct InForce {
    pub(crate) shown: watch::Receiver<Option<TrustBundle>>,
    pub(crate) after: Duration,
}

impl InForce {
    /// Waits until programs see every root of the own trust domain that was told, however long that takes: others are to
    /// rely on it.
    pub(super) async fn reached(&mut self, trust: &Trust) {
        let told: &[Vec<u8>] = match trust.domains.first() {
            Some(TrustedDomain { roots, .. }) => roots,
            None => &[],
        };
        let sees_all = |shown: &Option<TrustBundle>| {
            let is_shown = |root: &Vec<u8>| {
                shown
                    .as_ref()
                    .is_some_and(|shown| shown.roots().iter().any(|one| **one == **root))
            };
            told.iter().all(is_shown)
        };
        // Who shows them lives as long as this process.
        let _ = self.shown.wait_for(sees_all).await;
        tokio::time::sleep(self.after).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::SystemTime;

    use wattle_identity::{Authority, TrustDomain};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn new_roots_are_in_force_when_programs_see_all_of_them_and_had_time_to_look() {
        let domain = TrustDomain::new("td").unwrap();
        let create = || {
            Authority::create(&domain, SystemTime::now())
                .unwrap()
                .bundle()
                .unwrap()
        };
        let (old, new) = (create(), create());
        let both = old.joined(&new).unwrap();
        let told = Trust {
            issuer: "i".into(),
            domains: vec![TrustedDomain {
                name: "td".into(),
                roots: both.roots().iter().map(|root| root.to_vec()).collect(),
            }],
            aliases: Vec::new(),
            revocation_lists: Vec::new(),
        };
        let (show, shown) = watch::channel(None);
        let after = Duration::from_secs(1);
        let mut in_force = InForce { shown, after };
        let mut reached = pin!(in_force.reached(&told));
        let mut is_reached = || {
            let mut cx = Context::from_waker(Waker::noop());
            reached.as_mut().poll(&mut cx).is_ready()
        };
        assert!(!is_reached(), "nothing is shown");
        show.send_replace(Some(old));
        assert!(!is_reached());
        tokio::time::advance(after * 100).await;
        assert!(!is_reached(), "the new root is not shown");
        show.send_replace(Some(both));
        assert!(!is_reached(), "nobody has looked yet");
        tokio::time::advance(after).await;
        assert!(is_reached());
    }
}
