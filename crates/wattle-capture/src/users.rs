//! What the current user namespace knows: which ids it maps, and nesting another one in it.

use std::fs;
use std::io;

use rustix::thread::UnshareFlags;

/// Says whether `id` exists in the current user namespace, by the text of `uid_map` or `gid_map`.
fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(inside)), Some(Ok(_)), Some(Ok(count))) => {
                (inside..inside.saturating_add(count)).contains(&u64::from(id))
            }
            _ => false,
        }
    })
}

/// Says whether this process could become `uid` and `gid` without another user namespace.
pub(crate) fn can_become(uid: u32, gid: u32) -> io::Result<bool> {
    Ok(is_mapped(&fs::read_to_string("/proc/self/uid_map")?, uid)
        && is_mapped(&fs::read_to_string("/proc/self/gid_map")?, gid))
}

/// Enters a new user namespace in which the current user is called `uid` and its group `gid`.
///
/// Works only in a process with one thread.
pub(crate) fn nest(uid: u32, gid: u32) -> io::Result<()> {
    let outside_uid = rustix::process::geteuid().as_raw();
    let outside_gid = rustix::process::getegid().as_raw();
    // SAFETY: NEWUSER shares no file descriptor table.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) }?;
    // The kernel wants group switching given up before an unprivileged user may map a group.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {outside_uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {outside_gid} 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "         0          0 4294967295\n";
    const ROOTLESS: &str = "         0       1000          1\n";

    #[test]
    fn the_hosts_namespace_knows_every_id() {
        assert!(is_mapped(HOST, 0));
        assert!(is_mapped(HOST, 1337));
    }

    #[test]
    fn a_rootless_namespace_knows_one_id() {
        assert!(is_mapped(ROOTLESS, 0));
        assert!(!is_mapped(ROOTLESS, 1));
    }

    #[test]
    fn an_unreadable_map_knows_nobody() {
        assert!(!is_mapped("0 zero many", 0));
        assert!(!is_mapped("", 0));
    }
}
