//! The last step before a workload: a mount namespace with its name files, its user, its privileges, then exec.
//!
//! The supervisor cannot do this itself, having threads, so it starts the binary again with the hidden
//! subcommand [`SUBCOMMAND`]; that process reads a [`SpawnSpec`] and becomes the workload.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Gid, Uid};
use rustix::mount::MountPropagationFlags;
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use crate::apart;
use crate::privileges::{Exemption, PROXY_UID, Privileges};
use crate::users;

/// Hidden subcommand of the binary: `wattle exec-in JSON`; it must call [`SpawnSpec::exec`] before any thread exists.
pub const SUBCOMMAND: &str = "exec-in";

/// The running binary, right even after the file it came from was replaced.
const OWN_BINARY: &str = "/proc/self/exe";

/// A user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// User id the program sees and is seen as.
    pub uid: u32,
    /// Group id likewise.
    pub gid: u32,
}

/// One file or directory shown at another place, for the program alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// What is shown.
    pub source: PathBuf,
    /// Where; skipped if nothing is there to be covered.
    pub target: PathBuf,
}

/// Whom a program may signal and trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Itself and what it starts, where the kernel can ([`apart`]). The default.
    #[default]
    Own,
    /// Whom its user and privileges let it: for commands that look after a program which is already there.
    Others,
}

/// How a program is started. Its environment, working directory and pipes are those of [`SpawnSpec::command`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpawnSpec {
    /// Looked up in `PATH` unless it holds a slash.
    pub program: String,
    /// Without the program's name.
    pub arguments: Vec<String>,
    /// Default: the supervisor's own user.
    pub run_as: Option<RunAs>,
    /// Default: a workload's.
    pub privileges: Privileges,
    /// Default: its own processes alone.
    pub reach: Reach,
    /// Name files and the like; default none.
    pub binds: Vec<Bind>,
    /// Host name the program sees, at most 64 bytes; default the machine's.
    pub hostname: Option<String>,
    /// Priority, -20 to 19, where below 0 needs root; default the supervisor's.
    pub nice: Option<i8>,
}

/// Why the program was not executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The specification on the command line is not one.
    #[error("cannot read the specification of a program to execute")]
    Spec(#[from] serde_json::Error),
    /// A step before the execution.
    #[error("cannot {step} for {program}")]
    Prepare {
        /// The step.
        step: &'static str,
        /// The program that was to run.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The execution itself.
    #[error("cannot execute {program}")]
    Execute {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

impl SpawnSpec {
    /// A workload's program with defaults for everything else.
    pub fn new(program: impl Into<String>, arguments: impl IntoIterator<Item = String>) -> Self {
        let arguments = arguments.into_iter().collect();
        Self {
            program: program.into(),
            arguments,
            ..Self::default()
        }
    }

    /// The same, as a proxy whose connections the redirection exempts in the given way.
    pub fn as_proxy(mut self, exemption: Exemption) -> Self {
        (self.run_as, self.privileges) = match exemption {
            Exemption::User => (
                Some(RunAs {
                    uid: PROXY_UID,
                    gid: PROXY_UID,
                }),
                Privileges::None,
            ),
            Exemption::Mark => (None, Privileges::NetAdmin),
        };
        self
    }

    /// The command to give to [`Netns::spawn`](crate::Netns::spawn), in a process group of its own so
    /// that a terminal's Ctrl-C reaches the supervisor alone. Add environment, directory and pipes.
    pub fn command(&self) -> Result<Command, ExecError> {
        let mut command = Command::new(OWN_BINARY);
        command
            .arg(SUBCOMMAND)
            .arg(serde_json::to_string(self)?)
            .process_group(0);
        Ok(command)
    }

    /// Reads what [`command`](Self::command) passed on.
    pub fn from_json(text: &str) -> Result<Self, ExecError> {
        Ok(serde_json::from_str(text)?)
    }

    /// Becomes the program; returns only when that failed.
    pub fn exec(self) -> ExecError {
        match self.prepare() {
            Ok(()) => {
                let source = Command::new(&self.program).args(&self.arguments).exec();
                ExecError::Execute {
                    program: self.program,
                    source,
                }
            }
            Err((step, source)) => ExecError::Prepare {
                step,
                program: self.program,
                source,
            },
        }
    }

    fn prepare(&self) -> Result<(), (&'static str, io::Error)> {
        let at = |step| move |error| (step, error);
        self.set_priority().map_err(at("set the priority"))?;
        self.unshare().map_err(at("make a mount namespace"))?;
        self.bind_all().map_err(at("bind name files"))?;
        self.set_hostname().map_err(at("set the host name"))?;
        if self.reach == Reach::Own {
            // Before the user changes: it takes a privilege. After the mounts, which some domains forbid.
            apart::enter().map_err(at("hold it apart"))?;
        }
        self.change_user().map_err(at("change the user"))?;
        if self.privileges.forbids_gaining() {
            rustix::thread::set_no_new_privs(true)
                .map_err(|error| ("forbid new privileges", error.into()))?;
        }
        Ok(())
    }

    fn set_priority(&self) -> io::Result<()> {
        let Some(nice) = self.nice else { return Ok(()) };
        Ok(rustix::process::setpriority_process(None, nice.into())?)
    }

    fn unshare(&self) -> io::Result<()> {
        let hostname = if self.hostname.is_some() {
            UnshareFlags::NEWUTS
        } else {
            UnshareFlags::empty()
        };
        // SAFETY: neither flag shares a file descriptor table.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | hostname) }?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        Ok(rustix::mount::mount_change("/", private)?)
    }

    fn bind_all(&self) -> io::Result<()> {
        for Bind { source, target } in &self.binds {
            if target.exists() {
                rustix::mount::mount_bind(source, target)?;
            }
        }
        Ok(())
    }

    fn set_hostname(&self) -> io::Result<()> {
        let Some(name) = &self.hostname else { return Ok(()) };
        // SAFETY: the pointer and length are those of one string.
        let code = unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) };
        if code == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Where this namespace does not know the user, a nested one gives our only user that number.
    fn change_user(&self) -> io::Result<()> {
        let Some(RunAs { uid, gid }) = self.run_as.filter(|wanted| !wanted.is_current()) else {
            return self.privileges.limit();
        };
        if users::can_become(uid, gid)? {
            self.privileges.limit()?;
            rustix::thread::set_thread_groups(&[])?;
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid)?;
            return Ok(());
        }
        users::nest(uid, gid)?;
        self.privileges.limit()
    }
}

impl RunAs {
    fn is_current(self) -> bool {
        self.uid == rustix::process::geteuid().as_raw() && self.gid == rustix::process::getegid().as_raw()
    }
}

/// A bind of one file over another.
impl<S: AsRef<Path>, T: AsRef<Path>> From<(S, T)> for Bind {
    fn from((source, target): (S, T)) -> Self {
        Self {
            source: source.as_ref().to_owned(),
            target: target.as_ref().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_specification_survives_the_command_line() {
        let mut spec = SpawnSpec::new("redis-server", ["--port".to_owned(), "6379".to_owned()]);
        spec.run_as = Some(RunAs { uid: 26, gid: 27 });
        spec.binds.push(("/run/hosts", "/etc/hosts").into());
        let command = spec.command().unwrap();
        let json = command.get_args().nth(1).unwrap().to_str().unwrap();
        assert_eq!(SpawnSpec::from_json(json).unwrap(), spec);
    }

    #[test]
    fn a_proxy_exempt_by_user_holds_nothing() {
        let spec = SpawnSpec::new("proxy", []).as_proxy(Exemption::User);
        assert_eq!(spec.run_as, Some(RunAs { uid: 1337, gid: 1337 }));
        assert_eq!(spec.privileges, Privileges::None);
    }
}
