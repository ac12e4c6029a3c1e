//! What a program started in a namespace may do to it.

use std::io;

use rustix::thread::{self, CapabilitySet};
use serde::{Deserialize, Serialize};

/// User id of the proxy where ids can be changed (Istio's value); the redirection exempts it.
pub const PROXY_UID: u32 = 1337;

/// Mark on the sockets of a proxy that has no user id of its own (1337); the redirection exempts it.
pub const PROXY_MARK: u32 = 0x539;

/// How a proxy's own connections are kept out of the redirection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exemption {
    /// It runs as [`PROXY_UID`], without a single capability.
    User,
    /// It must set [`PROXY_MARK`] on every socket, for which it keeps CAP_NET_ADMIN in its namespace.
    Mark,
}

impl Exemption {
    /// What is possible here: the user where this namespace knows it, else the mark.
    pub fn detect() -> io::Result<Self> {
        let user = crate::users::can_become(PROXY_UID, PROXY_UID)?;
        Ok(if user { Self::User } else { Self::Mark })
    }
}

/// Capabilities a started program can hold at most, whatever it executes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privileges {
    /// What servers that start as root expect (change user, own files, low ports), but nothing that could
    /// undo the redirection: neither CAP_NET_ADMIN nor CAP_NET_RAW nor CAP_SYS_ADMIN. The default.
    ///
    /// One that starts as root may still become [`PROXY_UID`], as under Istio, and then leave without its proxy; what
    /// it is allowed to reach is decided at the other end.
    #[default]
    Workload,
    /// CAP_NET_ADMIN alone, for a proxy exempt by mark; only for user id 0 of the namespace.
    NetAdmin,
    /// None, for a proxy exempt by user.
    None,
}

impl Privileges {
    fn most(self) -> CapabilitySet {
        match self {
            Self::Workload => {
                CapabilitySet::CHOWN
                    | CapabilitySet::DAC_OVERRIDE
                    | CapabilitySet::FOWNER
                    | CapabilitySet::FSETID
                    | CapabilitySet::KILL
                    | CapabilitySet::SETGID
                    | CapabilitySet::SETUID
                    | CapabilitySet::NET_BIND_SERVICE
                    | CapabilitySet::SYS_CHROOT
            }
            Self::NetAdmin => CapabilitySet::NET_ADMIN,
            Self::None => CapabilitySet::empty(),
        }
    }

    /// Limits what the program executed next, and all it executes, can gain.
    pub(crate) fn limit(self) -> io::Result<()> {
        thread::clear_ambient_capability_set()?;
        let most = self.most();
        for bit in 0..u64::BITS {
            let capability = CapabilitySet::from_bits_retain(1 << bit);
            if most.contains(capability) {
                continue;
            }
            match thread::capability_is_in_bounding_set(capability) {
                Ok(true) => thread::remove_capability_from_bounding_set(capability)?,
                Ok(false) => {}
                // The first number this kernel does not know ends the list.
                Err(rustix::io::Errno::INVAL) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.forget_inheritable()
    }

    fn forget_inheritable(self) -> io::Result<()> {
        let mut sets = thread::capabilities(None)?;
        sets.inheritable = CapabilitySet::empty();
        thread::set_capabilities(None, sets)?;
        Ok(())
    }

    /// Says whether set-user-id programs stop working: a proxy never needs one.
    pub(crate) fn forbids_gaining(self) -> bool {
        self != Self::Workload
    }
}

/// Says whether this process may make network namespaces without a user namespace of its own.
pub(crate) fn can_make_namespaces() -> io::Result<bool> {
    let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN;
    Ok(rustix::process::geteuid().is_root() && thread::capabilities(None)?.effective.contains(needed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_workload_may_change_the_network_or_mark_a_socket() {
        let dangerous = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW | CapabilitySet::SYS_ADMIN;
        assert!(!Privileges::Workload.most().intersects(dangerous));
    }
}
