//! One network namespace for each workload.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::tool::{self, ToolError};

/// Where a thread finds its own network namespace.
const OWN: &str = "/proc/thread-self/ns/net";

/// Lowest port that needs a capability to listen on, inside a namespace.
const LOW_PORTS: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// Why a network namespace could not be made or entered.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// The kernel refused a new one.
    #[error("cannot make a network namespace")]
    Create(#[source] io::Error),
    /// It exists but could not be entered.
    #[error("cannot enter a network namespace")]
    Enter(#[source] io::Error),
    /// A program could not be started in it.
    #[error("cannot start {program} in a network namespace")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its loopback interface could not be set up.
    #[error("cannot bring up loopback in a network namespace")]
    Loopback(#[source] ToolError),
}

/// A network namespace, kept alive by this handle and by the processes in it.
#[derive(Debug)]
pub struct Netns {
    file: OwnedFd,
}

impl Netns {
    /// Makes an empty one with loopback up, in which every port can be listened on without privileges.
    pub fn create() -> Result<Self, NetnsError> {
        on_own_thread(|| {
            // SAFETY: NEWNET shares no file descriptor table, and this thread ends with the closure.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
                .map_err(|error| NetnsError::Create(error.into()))?;
            let file = File::open(OWN).map_err(NetnsError::Create)?;
            tool::ip("link set lo up").map_err(NetnsError::Loopback)?;
            if let Err(error) = fs::write(LOW_PORTS, "0") {
                tracing::warn!(%error, "ports below 1024 need a privilege in this namespace");
            }
            Ok(Self { file: file.into() })
        })
    }

    /// The calling thread's.
    pub fn current() -> Result<Self, NetnsError> {
        let file = File::open(OWN).map_err(NetnsError::Enter)?;
        Ok(Self { file: file.into() })
    }

    /// Runs `work` on a short-lived thread inside; sockets made and programs started there belong to the namespace.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
        on_own_thread(|| {
            rustix::thread::move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|error| NetnsError::Enter(error.into()))?;
            Ok(work())
        })
    }

    /// Starts a program inside.
    pub fn spawn(&self, command: &mut Command) -> Result<Child, NetnsError> {
        self.enter(|| command.spawn())?
            .map_err(|source| NetnsError::Start {
                program: command.get_program().to_string_lossy().into_owned(),
                source,
            })
    }

    /// The namespace as some program's standard input, so that the program can name it.
    pub(crate) fn as_stdin(&self) -> Result<Stdio, NetnsError> {
        Ok(self.file.try_clone().map_err(NetnsError::Enter)?.into())
    }
}

/// A thread's namespace cannot be trusted back to its pool, so each visit has a thread that ends with it.
fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T, NetnsError> + Send) -> Result<T, NetnsError> {
    std::thread::scope(|scope| {
        let visit = std::thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, work)
            .map_err(NetnsError::Enter)?;
        visit
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
