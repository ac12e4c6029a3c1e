//! Where a fetch may lead: an address that somebody wrote must not make the control plane ask its own machine, or a
//! cloud's metadata, on their behalf; and what is said in plaintext must not come from just anybody on the way.

use std::net::IpAddr;

use wattle_model::{IpBlock, leads_home};

/// May it be asked? Private addresses may, since issuers often have one.
pub(super) fn may_be_asked(address: IpAddr, allowed: &[IpBlock]) -> bool {
    allowed.iter().any(|block| block.contains(address)) || !leads_home(address)
}

/// May its answer be believed though it comes in plaintext? Nobody is on the way to the own machine.
pub(super) fn may_answer_in_plaintext(address: IpAddr, allowed: &[IpBlock]) -> bool {
    address.to_canonical().is_loopback() || allowed.iter().any(|block| block.contains(address))
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
    fn plaintext_is_believed_of_the_own_machine_and_of_what_is_allowed() {
        let believed = |address: &str, allowed: &[&str]| {
            let allowed: Vec<_> = allowed.iter().map(|text| IpBlock::parse(text).unwrap()).collect();
            may_answer_in_plaintext(address.parse().unwrap(), &allowed)
        };
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(believed(own, &[]), "{own}");
        }
        for other in [
            "10.0.0.1",
            "203.0.113.1",
            "2001:db8::1",
            "169.254.169.254",
            "0.0.0.0",
        ] {
            assert!(!believed(other, &["192.0.2.0/24", "2001:db8:1::/48"]), "{other}");
        }
        assert!(believed("10.0.0.1", &["10.0.0.0/24"]));
        assert!(believed("::ffff:10.0.0.1", &["10.0.0.0/24"]));
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
