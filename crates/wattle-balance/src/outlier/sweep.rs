//! The regular sweep of outlier detection over a set.

use super::nanos;
use super::rates::{Volume, Volumes, by_rate};
use crate::endpoints::EndpointSet;

impl<T> EndpointSet<T> {
    /// Ends ejections whose time is over and ejects by rates; to be called at least once an interval, more often does nothing.
    ///
    /// Looks at every endpoint. Without outlier detection it does nothing.
    pub fn sweep(&mut self, now: u64) {
        let Some(config) = self.config.outlier else { return };
        if now < self.swept_at.saturating_add(nanos(config.interval)) {
            return;
        }
        self.swept_at = now;
        let volumes = self.end_interval(now);
        let judge = |volumes: Vec<Volume>| {
            for (index, cause) in by_rate(&volumes, &config) {
                let member = &self.entries[index].member;
                member.eject(cause, now, &config);
                member.recount();
            }
        };
        judge(volumes.iter().map(|it| it.external).collect());
        if config.split_external_local_origin {
            judge(volumes.iter().map(|it| it.local).collect());
        }
    }

    /// What each endpoint did in the interval; nothing where it is ejected.
    fn end_interval(&self, now: u64) -> Vec<Volumes> {
        let mut ejections = self.standing.ejections.get();
        let volumes = self
            .entries
            .iter()
            .map(|entry| {
                let member = &entry.member;
                let (volumes, back) = member.suspect.sweep(now);
                ejections.active -= u32::from(back).min(ejections.active);
                member.recount();
                match member.is_ejected(now) {
                    true => Volumes::default(),
                    false => volumes,
                }
            })
            .collect();
        self.standing.ejections.set(ejections);
        volumes
    }
}
