//! Which workers want which names.

use std::collections::HashMap;
use std::hash::Hash;

/// Sets of workers by name; at most 64 workers.
#[derive(Debug)]
pub(crate) struct Interest<K> {
    masks: HashMap<K, u64>,
}

impl<K> Default for Interest<K> {
    fn default() -> Self {
        Self {
            masks: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash + Clone> Interest<K> {
    /// Adds a worker; true when it is the first.
    pub(crate) fn add(&mut self, name: &K, worker: usize) -> bool {
        let mask = self.masks.entry(name.clone()).or_default();
        let first = *mask == 0;
        *mask |= 1 << (worker % 64);
        first
    }

    /// Removes a worker; true when it was the last.
    pub(crate) fn remove(&mut self, name: &K, worker: usize) -> bool {
        let Some(mask) = self.masks.get_mut(name) else {
            return false;
        };
        *mask &= !(1 << (worker % 64));
        let last = *mask == 0;
        if last {
            self.masks.remove(name);
        }
        last
    }

    /// The workers that want it.
    pub(crate) fn workers(&self, name: &K) -> impl Iterator<Item = usize> + use<K> {
        let mask = self.masks.get(name).copied().unwrap_or_default();
        (0..64).filter(move |worker| mask & (1 << worker) != 0)
    }

    /// How many names are wanted.
    pub(crate) fn len(&self) -> usize {
        self.masks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Interest;

    #[test]
    fn the_first_and_the_last_worker_are_told_apart() {
        let mut interest = Interest::default();
        assert!(interest.add(&"a", 0));
        assert!(!interest.add(&"a", 3));
        assert_eq!(interest.workers(&"a").collect::<Vec<_>>(), [0, 3]);
        assert!(!interest.remove(&"a", 0));
        assert!(interest.remove(&"a", 3));
        assert!(!interest.remove(&"a", 3));
        assert_eq!(interest.len(), 0);
    }
}
