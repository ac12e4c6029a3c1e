//! The way down into the namespaces, walked between fork and exec.
//!
//! Everything here runs in a copy of a process that may have had threads: it allocates nothing and takes no lock.

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use libc::pid_t;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::process::{PidfdFlags, Signal};
use rustix::thread::UnshareFlags;

use crate::signals::{self, Mask, Reap};

/// What was tried when isolation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Tying this process's life to its parent's.
    Tie = 1,
    /// Making the namespaces.
    Unshare,
    /// Writing the user namespace's id maps.
    MapIds,
    /// Forking.
    Fork,
    /// Making mounts private and mounting /proc.
    Mount,
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Tie => "tying its life to the caller's failed",
            Self::Unshare => "the kernel refused new namespaces",
            Self::MapIds => "the id maps of the user namespace were refused",
            Self::Fork => "forking failed",
            Self::Mount => "mounts could not be made private",
        })
    }
}

/// Bits of an error number below the step; the largest number the kernel uses is 4095.
const STEP_SHIFT: i32 = 16;

/// The standard library carries one number from the forked child to the caller, so the step rides in its upper half.
fn pack(step: Step) -> impl Fn(io::Error) -> io::Error {
    move |error| {
        let number = error.raw_os_error().unwrap_or(libc::EINVAL);
        io::Error::from_raw_os_error((step as i32) << STEP_SHIFT | number)
    }
}

/// Takes step and cause apart again; nothing when the error has no step.
pub(super) fn unpack(error: &io::Error) -> Option<(Step, io::Error)> {
    let packed = error.raw_os_error()?;
    let steps = [Step::Tie, Step::Unshare, Step::MapIds, Step::Fork, Step::Mount];
    let step = steps
        .into_iter()
        .find(|step| *step as i32 == packed >> STEP_SHIFT)?;
    Some((
        step,
        io::Error::from_raw_os_error(packed & ((1 << STEP_SHIFT) - 1)),
    ))
}

/// All that the way down needs, made before the fork.
pub(super) struct Descent {
    maps: Option<Maps>,
    caller: OwnedFd,
    mask: Mask,
}

struct Maps {
    uid: Vec<u8>,
    gid: Vec<u8>,
}

impl Descent {
    pub(super) fn new(in_user_namespace: bool, mask: Mask) -> io::Result<Self> {
        let maps = in_user_namespace.then(|| Maps {
            uid: format!("0 {} 1", rustix::process::geteuid().as_raw()).into_bytes(),
            gid: format!("0 {} 1", rustix::process::getegid().as_raw()).into_bytes(),
        });
        Ok(Self {
            maps,
            caller: own_pidfd()?,
            mask,
        })
    }

    /// Returns in the process that is to execute the program; the warden and init stay in here until they exit.
    pub(super) fn run(&self) -> io::Result<()> {
        signals::block()?;
        signals::keep_zombies();
        tie_to(&self.caller).map_err(pack(Step::Tie))?;
        self.unshare().map_err(pack(Step::Unshare))?;
        self.map_ids().map_err(pack(Step::MapIds))?;
        let warden = own_pidfd().map_err(pack(Step::Tie))?;
        fork_and_watch().map_err(pack(Step::Fork))?;
        tie_to(&warden).map_err(pack(Step::Tie))?;
        mount_proc().map_err(pack(Step::Mount))?;
        fork_and_watch().map_err(pack(Step::Fork))?;
        self.mask.restore()
    }

    fn unshare(&self) -> io::Result<()> {
        let user = if self.maps.is_some() {
            UnshareFlags::NEWUSER
        } else {
            UnshareFlags::empty()
        };
        let flags = user | UnshareFlags::NEWNET | UnshareFlags::NEWNS | UnshareFlags::NEWPID;
        // SAFETY: no file descriptor table is shared or unshared.
        Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
    }

    fn map_ids(&self) -> io::Result<()> {
        let Some(maps) = &self.maps else { return Ok(()) };
        // The kernel wants group switching given up before an unprivileged user may map a group.
        write(c"/proc/self/setgroups", b"deny")?;
        write(c"/proc/self/uid_map", &maps.uid)?;
        write(c"/proc/self/gid_map", &maps.gid)
    }
}

fn own_pidfd() -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(
        rustix::process::getpid(),
        PidfdFlags::empty(),
    )?)
}

/// Asks the kernel to kill this process when its parent dies, and fails if that has happened already.
fn tie_to(parent: &OwnedFd) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut poll = libc::pollfd {
        fd: parent.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid pollfd; a timeout of zero does not block.
    match unsafe { libc::poll(&mut poll, 1, 0) } {
        0 => Ok(()),
        1 => Err(Errno::SRCH.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn write(path: &CStr, content: &[u8]) -> io::Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, content)?;
    Ok(())
}

/// Shows the new pid namespace under /proc, for this mount namespace only.
fn mount_proc() -> io::Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", private)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match rustix::mount::mount(c"proc", c"/proc", c"proc", flags, None) {
        // Inside a container that masks parts of /proc the kernel refuses a fresh one. The old one still
        // answers /proc/self, which is all that is needed; other pids in it are the outer namespace's.
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Goes on as the child; the parent stays here, watches and exits as the child did.
fn fork_and_watch() -> io::Result<()> {
    // SAFETY: this process has one thread, being itself fresh from a fork; the parent's half never returns.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(()),
        child => watch_and_exit(child),
    }
}

fn watch_and_exit(child: pid_t) -> ! {
    close_files();
    let status = signals::watch(child, Reap::Everyone, None);
    // SAFETY: ends the process at once, without running the caller's exit handlers a second time.
    unsafe { libc::_exit(signals::exit_code(status)) }
}

/// Lets go of every file but the standard ones' numbers, or pipes the caller reads would never end.
fn close_files() {
    // SAFETY: this process touches no file from here on.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) != 0 {
            for number in 0..1024 {
                libc::close(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_step_survives_the_trip_as_a_number() {
        let packed = pack(Step::MapIds)(io::Error::from_raw_os_error(libc::EPERM));
        let (step, cause) = unpack(&packed).unwrap();
        assert_eq!(step, Step::MapIds);
        assert_eq!(cause.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn an_ordinary_error_has_no_step() {
        assert!(unpack(&io::Error::from_raw_os_error(libc::ENOENT)).is_none());
    }
}
