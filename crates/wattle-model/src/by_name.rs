//! Backends whose endpoint is whatever DNS gives for the host that is asked for (Istio `resolution: DYNAMIC_DNS`).

use crate::HostMatch;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
