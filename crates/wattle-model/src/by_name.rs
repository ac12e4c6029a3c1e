//! Backends whose endpoint is whatever DNS gives for the host that is asked for (Istio `resolution: DYNAMIC_DNS`).

use crate::{Destination, HostMatch};

/// The hosts that may be asked for, and where they listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByName {
    /// Any of them; a request for another host, or for none, is refused with
    /// [`Reason::UnknownDestination`](crate::Reason::UnknownDestination).
    pub hosts: Vec<HostMatch>,
    /// Port at the address that DNS gives.
    pub port: u16,
}

impl ByName {
    /// May this host be asked for? It has no port behind it.
    pub fn takes(&self, host: &str) -> bool {
        // The dot at the end of a fully qualified name.
        let host = host.strip_suffix('.').unwrap_or(host);
        self.hosts.iter().any(|wanted| wanted.matches(host))
    }
}

impl Destination {
    /// Does nothing of the mesh have this address, so that traffic goes where it was dialled? A virtual address, a
    /// cluster's and a workload's are the mesh's own.
    pub fn is_outside(&self) -> bool {
        let first = self.backends.first();
        first.is_some_and(|backend| backend.id.is_empty() && backend.by_name.is_none())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Backend;

    #[test]
    fn a_host_is_taken_that_a_pattern_covers_and_no_other() {
        let by_name = ByName {
            hosts: vec![HostMatch::parse("*.a.example")],
            port: 80,
        };
        for taken in ["x.a.example", "x.y.A.example", "x.a.example."] {
            assert!(by_name.takes(taken), "{taken}");
        }
        for other in ["a.example", ".a.example", "x.b.example", "x.a.example.evil", ""] {
            assert!(!by_name.takes(other), "{other}");
        }
    }

    #[test]
    fn only_what_goes_where_it_was_dialled_is_outside() {
        let of = |backends| Destination {
            backends,
            ..Destination::default()
        };
        let by_name = ByName {
            hosts: Vec::new(),
            port: 80,
        };
        let endpoint = Backend {
            id: "n/a:80".into(),
            ..Backend::default()
        };
        let named = Backend {
            by_name: Some(Arc::new(by_name)),
            ..Backend::default()
        };
        assert!(of(vec![Backend::default()]).is_outside());
        for inside in [vec![endpoint], vec![named], vec![]] {
            assert!(!of(inside).is_outside());
        }
    }
}
