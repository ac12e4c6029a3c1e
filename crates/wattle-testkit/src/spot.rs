//! Acting from a workload's place: its network namespace, and its view of files where a program needs it.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::{Command, Output};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The place of a running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pid: u32,
}

impl Spot {
    /// Where this process of the machine is.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Runs `work` on a thread of its own in the network namespace; sockets made there stay there.
    #[track_caller]
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.pid)).expect("the process runs");
        std::thread::scope(|scope| {
            let visit = scope.spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may enter");
                work()
            });
            visit
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that runs in the network and mount namespaces, so that names resolve as for the workload.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.pid.to_string(),
            "--net",
            "--mount",
            "--",
            program,
        ]);
        command
    }

    /// Runs a shell script there.
    #[track_caller]
    pub fn shell(&self, script: &str) -> Output {
        self.command("sh")
            .args(["-c", script])
            .output()
            .expect("nsenter can be run")
    }
}
