//! A program the supervisor started, awaited without a signal handler: by a descriptor of the process itself.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child as StdChild, ChildStderr, ChildStdout, ExitStatus};
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::status::Exit;

/// A running program.
#[derive(Debug)]
pub(crate) struct Child {
    child: StdChild,
    handle: Rc<Handle>,
    ended: bool,
}

/// A program that nobody waits for any more has no business running.
impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            self.kill_group();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Names a process for as long as anybody holds it, whoever has its number later.
#[derive(Debug)]
pub(crate) struct Handle {
    pid: Pid,
    descriptor: AsyncFd<OwnedFd>,
}

impl Handle {
    /// Sends a signal; a process that has ended hears nothing.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Err(error) = rustix::process::pidfd_send_signal(self.descriptor.get_ref(), signal) {
            tracing::debug!(%error, pid = self.pid.as_raw_nonzero(), "a signal was not delivered");
        }
    }
}

impl Child {
    /// Takes over a child that was just started.
    pub(crate) fn adopt(child: StdChild) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        let descriptor = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd keeps the promise that one asks for"
        )]
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        Ok(Self {
            child,
            handle: Rc::new(Handle { pid, descriptor }),
            ended: false,
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// For signalling it from elsewhere.
    pub(crate) fn handle(&self) -> Rc<Handle> {
        Rc::clone(&self.handle)
    }

    /// Its output pipes, where it has any; each can be taken once.
    pub(crate) fn pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits for its end. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<Exit> {
        // The descriptor becomes readable when the process has ended, and stays so.
        let _ended = self.handle.descriptor.readable().await?;
        // Before it is reaped: until then its number, which is its group's, cannot be somebody else's.
        self.kill_group();
        let status: ExitStatus = self.child.wait()?;
        self.ended = true;
        Ok(status.into())
    }

    /// Asks it to end, and after `grace` makes it.
    pub(crate) async fn stop(&mut self, grace: Duration) -> io::Result<Exit> {
        self.handle.signal(Signal::TERM);
        match tokio::time::timeout(grace, self.wait()).await {
            Ok(exit) => exit,
            Err(_) => self.kill().await,
        }
    }

    /// Makes it end at once.
    pub(crate) async fn kill(&mut self) -> io::Result<Exit> {
        self.handle.signal(Signal::KILL);
        self.wait().await
    }

    /// What it started and left behind is in its group.
    fn kill_group(&self) {
        match rustix::process::kill_process_group(self.handle.pid, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::debug!(%error, "what a program left behind was not ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    fn shell(script: &str) -> Child {
        Child::adopt(
            Command::new("sh")
                .args(["-c", script])
                .process_group(0)
                .spawn()
                .unwrap(),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn the_end_of_a_program_is_noticed_with_its_code() {
        assert_eq!(shell("exit 7").wait().await.unwrap(), Exit { code: 7 });
    }

    #[tokio::test]
    async fn a_program_that_hears_the_request_ends_by_itself() {
        let mut child = shell("exec sleep 60");
        assert_eq!(
            child.stop(Duration::from_secs(20)).await.unwrap(),
            Exit { code: 128 + 15 }
        );
    }

    #[tokio::test]
    async fn a_deaf_program_is_killed_after_the_grace() {
        use std::io::Read as _;
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' TERM; echo deaf; while :; do sleep 60; done"])
            .process_group(0);
        let mut child = Child::adopt(command.stdout(std::process::Stdio::piped()).spawn().unwrap()).unwrap();
        child.pipes().0.unwrap().read_exact(&mut [0; 5]).unwrap();
        assert_eq!(
            child.stop(Duration::from_millis(50)).await.unwrap(),
            Exit { code: 128 + 9 }
        );
    }
}
