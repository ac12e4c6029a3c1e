//! Where a fetch may lead: an address that somebody wrote must not make the control plane ask its own machine, or a
//! cloud's metadata, on their behalf.

use std::net::IpAddr;

use wattle_model::{IpBlock, leads_home};

/// May it be asked? Private addresses may, since issuers often have one.
pub(super) fn may_be_asked(address: IpAddr, allowed: &[IpBlock]) -> bool {
    allowed.iter().any(|block| block.contains(address)) || !leads_home(address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(address: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<_> = allowed.iter().map(|text| IpBlock::parse(text).unwrap()).collect();
        may_be_asked(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn the_own_machine_is_asked_where_that_is_allowed_by_name_alone() {
        assert!(!asked("127.0.0.1", &[]));
        assert!(!asked("127.0.0.1", &["10.0.0.0/8"]));
        assert!(asked("127.0.0.1", &["127.0.0.1"]));
        assert!(asked("::ffff:127.0.0.1", &["127.0.0.0/8"]));
        assert!(asked("10.0.0.1", &[]));
    }
}
