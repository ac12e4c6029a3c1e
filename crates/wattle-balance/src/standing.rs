//! What the members of one set have in common: how it balances, how many of each group are available, who is ejected.

use std::cell::{Cell, Ref, RefCell};

use crate::config::Config;
use crate::outlier::Ejections;
use crate::priority::Share;

/// Where in its set a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The priority, counted from the most preferred.
    pub(crate) tier: u32,
    /// The group of endpoints that are chosen among, over all priorities.
    pub(crate) pool: u32,
}

/// How many endpoints of each group are available.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    pub(crate) tiers: Vec<Share>,
    pub(crate) pools: Vec<Share>,
    /// For each tier, no probe is due before; too early is possible and found out by looking.
    pub(crate) next_probe: Vec<u64>,
}

impl Shares {
    /// Enters a member.
    pub(crate) fn enter(&mut self, place: Place, available: bool, probe_at: Option<u64>) {
        let (tier, pool) = (place.tier as usize, place.pool as usize);
        if self.tiers.len() <= tier {
            self.tiers.resize(tier + 1, Share::default());
            self.next_probe.resize(tier + 1, u64::MAX);
        }
        if self.pools.len() <= pool {
            self.pools.resize(pool + 1, Share::default());
        }
        for share in [&mut self.tiers[tier], &mut self.pools[pool]] {
            share.total += 1;
            share.available += u32::from(available);
        }
        self.expect_probe(place, probe_at);
    }

    fn expect_probe(&mut self, place: Place, at: Option<u64>) {
        if let Some(next) = self.next_probe.get_mut(place.tier as usize) {
            *next = (*next).min(at.unwrap_or(u64::MAX));
        }
    }
}

/// The part of a set that its members reach, so that the end of a request counts at once.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) config: RefCell<Config>,
    pub(crate) shares: RefCell<Shares>,
    pub(crate) ejections: Cell<Ejections>,
    /// Endpoints in the set.
    pub(crate) total: Cell<u32>,
}

impl Standing {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config: RefCell::new(config),
            shares: RefCell::default(),
            ejections: Cell::default(),
            total: Cell::new(0),
        }
    }

    pub(crate) fn shares(&self) -> Ref<'_, Shares> {
        self.shares.borrow()
    }

    /// A member became available or ceased to be.
    pub(crate) fn available(&self, place: Place, available: bool) {
        let mut shares = self.shares.borrow_mut();
        let Shares { tiers, pools, .. } = &mut *shares;
        let groups = [
            tiers.get_mut(place.tier as usize),
            pools.get_mut(place.pool as usize),
        ];
        for share in groups.into_iter().flatten() {
            share.available = match available {
                true => share.available + 1,
                false => share.available.saturating_sub(1),
            };
        }
    }

    /// A member is to be probed at that time.
    pub(crate) fn expect_probe(&self, place: Place, at: u64) {
        self.shares.borrow_mut().expect_probe(place, Some(at));
    }
}
