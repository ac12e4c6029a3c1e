//! What a worker refused last, for whoever asks why.

use std::cell::RefCell;
use std::collections::VecDeque;

use wattle_telemetry::Refusal;

/// Refusals that are kept; the oldest goes first. Each is some KiB at the most.
const KEPT: usize = 256;

/// The last refusals of one worker.
#[derive(Default)]
pub(crate) struct Refusals {
    last: RefCell<VecDeque<Refusal>>,
}

impl Refusals {
    pub(crate) fn keep(&self, refusal: Refusal) {
        let mut last = self.last.borrow_mut();
        if last.len() >= KEPT {
            last.pop_front();
        }
        last.push_back(refusal);
    }

    /// From the oldest to the newest.
    pub(crate) fn all(&self) -> Vec<Refusal> {
        self.last.borrow().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let refusals = Refusals::default();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        for number in 0..KEPT + 3 {
            refusals.keep(Refusal {
                id: number.to_string(),
                trace_id: None,
                time: String::new(),
                reason: String::new(),
                detail: String::new(),
                policy: String::new(),
                workload: String::new(),
                instance: String::new(),
                peer: None,
                downstream: address,
                local: address,
                sni: None,
                request: None,
            });
        }
        let kept = refusals.all();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept.first().map(|first| first.id.as_str()), Some("3"));
    }
}
