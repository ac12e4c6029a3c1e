//! Waiting for one child while passing signals on, as the outer process, the warden and init all do.

use std::io;

use libc::{c_int, pid_t, sigset_t};

/// What is held back and passed on; the child's end arrives as SIGCHLD.
const WATCHED: [c_int; 5] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGCHLD,
];

/// Longest wait before the child is looked at again, in nanoseconds: another thread may have swallowed its SIGCHLD.
const GLANCE_NANOSECONDS: i64 = 250_000_000;

/// The calling thread's signal mask as it was before [`block`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask(sigset_t);

impl Mask {
    /// Puts the mask back, as a program that is about to be executed expects it.
    pub(crate) fn restore(&self) -> io::Result<()> {
        // SAFETY: the set was filled by the kernel; a null old set is allowed.
        let code = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
        if code == 0 {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(code))
        }
    }
}

/// Holds the watched signals back in the calling thread, and in threads it starts later.
pub(crate) fn block() -> io::Result<Mask> {
    let set = watched();
    let mut previous = watched();
    // SAFETY: both sets are initialised and outlive the call.
    let code = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, &mut previous) };
    if code == 0 {
        Ok(Mask(previous))
    } else {
        Err(io::Error::from_raw_os_error(code))
    }
}

/// Makes children wait to be reaped even if the caller had inherited "ignore SIGCHLD".
pub(crate) fn keep_zombies() {
    // SAFETY: SIG_DFL is a valid disposition for SIGCHLD and runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

fn watched() -> sigset_t {
    // SAFETY: all zero is a valid sigset_t, sigemptyset and sigaddset only write into it.
    unsafe {
        let mut set: sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in WATCHED {
            libc::sigaddset(&mut set, signal);
        }
        set
    }
}

/// Whose ends [`watch`] collects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reap {
    /// Only the child's; the process may have others of its own.
    Child,
    /// Everybody's, as init must.
    Everyone,
}

/// Passes signals to `child` until it ends; gives its wait status.
///
/// Signals must be blocked. With `patience`, the signal after that many kills the child instead.
/// Allocates nothing, so it may run between fork and exec.
pub(crate) fn watch(child: pid_t, reap: Reap, patience: Option<u32>) -> c_int {
    let mut asked = 0;
    loop {
        if let Some(status) = collect(child, reap) {
            return status;
        }
        let Some((signal, from_kernel)) = next_signal() else {
            continue;
        };
        if signal == libc::SIGCHLD {
            continue;
        }
        asked += 1;
        let tired = patience.is_some_and(|limit| asked > limit);
        // A terminal signals the whole foreground group itself: passing that on would say it twice.
        if tired || !from_kernel {
            let signal = if tired { libc::SIGKILL } else { signal };
            // SAFETY: the child has not been reaped, so the number is still its own.
            unsafe { libc::kill(child, signal) };
        }
    }
}

/// The next watched signal and whether the kernel sent it; nothing after a quarter of a second.
fn next_signal() -> Option<(c_int, bool)> {
    let set = watched();
    let patience = libc::timespec {
        tv_sec: 0,
        tv_nsec: GLANCE_NANOSECONDS,
    };
    // SAFETY: all zero is a valid siginfo_t; every pointer outlives the call.
    let (signal, code) = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        (libc::sigtimedwait(&set, &mut info, &patience), info.si_code)
    };
    (signal > 0).then_some((signal, code == libc::SI_KERNEL))
}

fn collect(child: pid_t, reap: Reap) -> Option<c_int> {
    let target = if reap == Reap::Everyone { -1 } else { child };
    loop {
        let mut status = 0;
        // SAFETY: status outlives the call.
        let pid = unsafe { libc::waitpid(target, &mut status, libc::WNOHANG) };
        match pid {
            0 => return None,
            _ if pid == child => return Some(status),
            // No such child any more: somebody else reaped it, its status is lost.
            -1 => return Some(libc::SIGKILL),
            _ => {}
        }
    }
}

/// The exit code a shell would give for a wait status: its own, or 128 and the signal that ended it.
pub(crate) fn exit_code(status: c_int) -> c_int {
    if libc::WIFSIGNALED(status) {
        128 + libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    use super::*;

    // `watch` is what waits here.
    #[allow(clippy::zombie_processes)]
    fn watched_shell(script: &str) -> c_int {
        let mask = block().unwrap();
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let status = watch(child.id() as pid_t, Reap::Child, None);
        mask.restore().unwrap();
        status
    }

    #[test]
    fn a_childs_exit_code_is_given() {
        let status = watched_shell("exit 7");
        assert_eq!(ExitStatus::from_raw(status).code(), Some(7));
        assert_eq!(exit_code(status), 7);
    }

    #[test]
    fn a_killed_child_gives_128_and_its_signal() {
        assert_eq!(exit_code(watched_shell("kill -9 $$")), 137);
    }
}
