//! Envoy's response flags: why a request ended as it did, in letters that dashboards know.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of response flags; empty for a request that went well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResponseFlags(u32);

/// Declares each flag as a constant and lists all with their letters, in Envoy's order.
macro_rules! flags {
    ($($bit:literal $name:ident $letters:literal $meaning:literal;)*) => {
        impl ResponseFlags {
            $(#[doc = concat!("`", $letters, "`: ", $meaning, ".")] pub const $name: Self = Self(1 << $bit);)*
        }

        /// Every flag with its letters.
        const ALL: &[(ResponseFlags, &str)] = &[$((ResponseFlags::$name, $letters),)*];
    };
}

flags! {
    0 FAILED_LOCAL_HEALTH_CHECK "LH" "the local service failed its health check";
    1 NO_HEALTHY_UPSTREAM "UH" "no endpoint was fit to be asked";
    2 UPSTREAM_REQUEST_TIMEOUT "UT" "the upstream took too long";
    3 LOCAL_RESET "LR" "the connection was reset on this side";
    4 UPSTREAM_REMOTE_RESET "UR" "the upstream reset the request";
    5 UPSTREAM_CONNECTION_FAILURE "UF" "no connection to the upstream came about";
    6 UPSTREAM_CONNECTION_TERMINATION "UC" "the upstream closed the connection";
    7 UPSTREAM_OVERFLOW "UO" "a circuit breaker refused";
    8 NO_ROUTE_FOUND "NR" "no route matched";
    9 DELAY_INJECTED "DI" "a fault rule delayed it";
    10 FAULT_INJECTED "FI" "a fault rule aborted it";
    11 RATE_LIMITED "RL" "a local rate limit refused it";
    12 UNAUTHORIZED_EXTERNAL_SERVICE "UAEX" "the external authorization service refused it";
    13 RATE_LIMIT_SERVICE_ERROR "RLSE" "the rate limit service failed";
    14 DOWNSTREAM_CONNECTION_TERMINATION "DC" "the downstream closed the connection";
    15 UPSTREAM_RETRY_LIMIT_EXCEEDED "URX" "retries or connect attempts ran out";
    16 STREAM_IDLE_TIMEOUT "SI" "nothing moved for too long";
    17 INVALID_ENVOY_REQUEST_HEADERS "IH" "a header meant for the proxy was invalid";
    18 DOWNSTREAM_PROTOCOL_ERROR "DPE" "the downstream broke its protocol";
    19 UPSTREAM_MAX_STREAM_DURATION_REACHED "UMSDR" "it lasted longer than allowed";
    20 RESPONSE_FROM_CACHE "RFCF" "a cache answered";
    21 NO_FILTER_CONFIG_FOUND "NFCF" "config of a filter never arrived";
    22 DURATION_TIMEOUT "DT" "it lasted longer than the connection may";
    23 UPSTREAM_PROTOCOL_ERROR "UPE" "the upstream broke its protocol";
    24 NO_CLUSTER_FOUND "NC" "the route's backend does not exist";
    25 OVERLOAD_MANAGER "OM" "the proxy was overloaded";
    26 DNS_FAILURE "DF" "a name could not be resolved";
    27 DROP_OVERLOAD "DO" "load was shed as configured";
    28 DOWNSTREAM_REMOTE_RESET "DR" "the downstream reset the request";
    29 UNCONDITIONAL_DROP_OVERLOAD "UDO" "all load was shed as configured";
}

impl ResponseFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every flag of `other` is here.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags as bits, for use as a key; the bits have no meaning elsewhere.
    #[inline]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// The letters of each flag.
    pub fn letters(self) -> impl Iterator<Item = &'static str> {
        ALL.iter()
            .filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, letters)| *letters)
    }

    /// The flag that these letters stand for.
    #[must_use]
    pub fn from_letters(letters: &str) -> Option<Self> {
        let found = ALL.iter().find(|(_, known)| *known == letters);
        found.map(|(flag, _)| *flag)
    }
}

impl BitOr for ResponseFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for ResponseFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Display for ResponseFlags {
    /// Letters separated by commas, or `-` when there are none, as in Envoy's logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        for (index, letters) in self.letters().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(letters)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_read_as_in_envoys_logs() {
        assert_eq!(ResponseFlags::NONE.to_string(), "-");
        let both = ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED | ResponseFlags::UPSTREAM_CONNECTION_FAILURE;
        assert_eq!(both.to_string(), "UF,URX");
    }

    #[test]
    fn every_flag_is_a_bit_of_its_own_and_found_by_its_letters() {
        let mut all = ResponseFlags::NONE;
        for (flag, letters) in ALL {
            assert!(!all.contains(*flag), "{letters} shares a bit");
            assert_eq!(ResponseFlags::from_letters(letters), Some(*flag));
            all |= *flag;
        }
        assert_eq!(ResponseFlags::from_letters("XX"), None);
    }
}
