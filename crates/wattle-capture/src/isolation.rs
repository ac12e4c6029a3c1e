//! Running a program in a world of its own that vanishes with it.
//!
//! [`Isolation::spawn`] starts three processes, each the child of the one before:
//!
//! - the *warden*, in the caller's pid namespace: waits for init and mirrors its end;
//! - *init*, pid 1 of a new pid namespace: reaps orphans;
//! - the program itself, the *supervisor* of a local mesh.
//!
//! When the caller dies the kernel kills the warden, then init; when init dies, by whatever cause, the kernel
//! kills everything in its pid namespace before it reports the death. Network namespaces, links
//! and mounts go with the last process in them, so nothing can be left behind.

mod descent;

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};

use descent::Descent;
pub use descent::Step;

use crate::privileges;
use crate::signals::{self, Mask, Reap};

/// Interrupts that [`Isolated::wait`] passes on before it kills.
const PATIENCE: u32 = 1;

/// Why a program could not be isolated.
#[derive(Debug, thiserror::Error)]
pub enum IsolationError {
    /// The caller's own state could not be read or prepared.
    #[error("cannot prepare to make namespaces")]
    Prepare(#[source] io::Error),
    /// The kernel refused a step between fork and exec.
    #[error("cannot isolate {program}: {step}")]
    Step {
        /// The program that was to run.
        program: String,
        /// What was tried.
        step: Step,
        /// What the kernel said.
        source: io::Error,
    },
    /// The namespaces are there, the program could not be executed.
    #[error("cannot execute {program}")]
    Execute {
        /// The program that was to run.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

/// How the namespaces are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// With the caller's own privileges; every user id is usable inside.
    Root,
    /// Inside a new user namespace, in which the caller is uid 0 and nobody else exists.
    UserNamespace,
}

impl Isolation {
    /// Root's way where the caller holds CAP_SYS_ADMIN and CAP_NET_ADMIN, else the user namespace.
    pub fn detect() -> Result<Self, IsolationError> {
        let privileged = privileges::can_make_namespaces().map_err(IsolationError::Prepare)?;
        Ok(if privileged {
            Self::Root
        } else {
            Self::UserNamespace
        })
    }

    /// Starts `command` in new network, mount and pid namespaces (and user, if need be).
    ///
    /// From here on the calling thread and those it starts hold back SIGINT, SIGTERM, SIGHUP and SIGQUIT until
    /// the [`Isolated`] is gone, so call it before other threads run, or those may take the signals.
    /// The program dies with the calling *thread*.
    pub fn spawn(self, command: Command) -> Result<Isolated, IsolationError> {
        let mask = signals::block().map_err(IsolationError::Prepare)?;
        match self.start(command, mask) {
            Ok(child) => Ok(Isolated {
                child,
                mask,
                running: true,
            }),
            Err(error) => {
                mask.restore().map_err(IsolationError::Prepare)?;
                Err(error)
            }
        }
    }

    /// Runs `command` isolated to its end: [`spawn`](Self::spawn), then [`Isolated::wait`].
    pub fn run(self, command: Command) -> Result<ExitStatus, IsolationError> {
        Ok(self.spawn(command)?.wait())
    }

    fn start(self, mut command: Command, mask: Mask) -> Result<Child, IsolationError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let descent = Descent::new(self == Self::UserNamespace, mask).map_err(IsolationError::Prepare)?;
        // SAFETY: the closure runs between fork and exec; it allocates nothing and takes no lock.
        unsafe { command.pre_exec(move || descent.run()) };
        command.spawn().map_err(|error| match descent::unpack(&error) {
            Some((step, source)) => IsolationError::Step {
                program,
                step,
                source,
            },
            None => IsolationError::Execute {
                program,
                source: error,
            },
        })
    }
}

/// A program that runs isolated; dropped, it is killed with everything around it.
#[derive(Debug)]
pub struct Isolated {
    child: Child,
    mask: Mask,
    /// False once reaped: its number may be somebody else's by then.
    running: bool,
}

impl Isolated {
    /// The program's standard input, output and error, where the command asked for pipes; each can be taken once.
    pub fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (
            self.child.stdin.take(),
            self.child.stdout.take(),
            self.child.stderr.take(),
        )
    }

    /// The warden's process id, in the caller's pid namespace.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end and passes SIGINT, SIGTERM, SIGHUP and SIGQUIT on; the second one kills.
    ///
    /// A program ended by signal N gives exit code 128 + N.
    pub fn wait(mut self) -> ExitStatus {
        use std::os::unix::process::ExitStatusExt as _;
        drop(self.child.stdin.take());
        let pid = self.child.id().cast_signed();
        let status = signals::watch(pid, Reap::Child, Some(PATIENCE));
        self.running = false;
        ExitStatus::from_raw(status)
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        if self.running {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = self.mask.restore();
    }
}
