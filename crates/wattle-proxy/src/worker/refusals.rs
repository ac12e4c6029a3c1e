//! What a worker refused last, for whoever asks why.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use wattle_model::Inbound;
use wattle_telemetry::Refusal;

use crate::phases::refuse::Compared;

/// Refusals that are kept; the oldest goes first. Each holds at most 8 KiB of text.
const KEPT: usize = 256;

/// The last refusals of one worker.
#[derive(Default)]
pub(crate) struct Refusals {
    last: RefCell<VecDeque<Refusal>>,
    /// What the policies of the last refusal compare.
    compared: RefCell<(Weak<Inbound>, Rc<Compared>)>,
}

impl Refusals {
    pub(crate) fn keep(&self, refusal: Refusal) {
        let mut last = self.last.borrow_mut();
        if last.len() >= KEPT {
            last.pop_front();
        }
        last.push_back(refusal);
    }

    /// What these policies compare of a request; found anew only when they are others than at the last refusal.
    pub(crate) fn compared(&self, inbound: Option<&Rc<Inbound>>) -> Rc<Compared> {
        let Some(inbound) = inbound else {
            return Rc::default();
        };
        let mut known = self.compared.borrow_mut();
        if !std::ptr::eq(known.0.as_ptr(), Rc::as_ptr(inbound)) {
            *known = (Rc::downgrade(inbound), Rc::new(Compared::by(inbound)));
        }
        Rc::clone(&known.1)
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
