//! The end of a mesh: asked for, waited for, proven; and what is printed when a test fails.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::{Mesh, PATIENCE};
use crate::{HostProcess, eventually};

/// Most bytes printed of one log.
const MAX_SHOWN: usize = 16 * 1024;

/// The process that listens on a Unix socket.
pub(super) fn peer_of(socket: &Path) -> Option<u32> {
    let stream = UnixStream::connect(socket).ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
}

impl Mesh {
    #[track_caller]
    pub(super) fn end(&mut self) {
        self.stopped = true;
        let inside = self.host_processes();
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a child has a pid");
        kill_process(pid, Signal::TERM).expect("the child was not waited for yet");
        let status = eventually("the mesh has ended", PATIENCE, || self.child.try_wait().unwrap());
        assert!(status.success(), "`wattle up` ended with {status}");
        assert_gone(&inside);
        // Beside runs there is only the lock by which meshes of one user take turns.
        assert!(
            self.runs().is_empty(),
            "state directories are left: {:?}",
            self.runs()
        );
        assert!(!self.state().is_symlink(), "the name of the mesh is left");
    }

    #[track_caller]
    pub(super) fn crash(&mut self) {
        let inside = self.host_processes();
        assert!(inside.len() > 2, "a mesh of more than a supervisor: {inside:?}");
        self.child.kill().expect("the child was not waited for yet");
        self.child.wait().expect("a child can be waited for");
        assert_gone(&inside);
    }

    fn show(&self) {
        show(&self.runtime.path().join("up.log"));
        let logs = fs::read_dir(self.state().join("logs"))
            .into_iter()
            .flatten()
            .flatten();
        let mut paths: Vec<_> = logs.map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| show(path));
    }
}

/// The pid namespace ends with its first process, and network namespaces with the last process in them.
#[track_caller]
fn assert_gone(processes: &[HostProcess]) {
    for process in processes {
        eventually(&format!("{process:?} is gone"), PATIENCE, || {
            (!process.is_alive()).then_some(())
        });
    }
    assert!(
        !Path::new("/sys/class/net/wattle0").exists(),
        "the bridge is left, in this very namespace"
    );
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
        if !self.stopped {
            // The kernel ends what is inside with it.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn show(path: &Path) {
    let text = fs::read(path).unwrap_or_default();
    let shown = &text[text.len().saturating_sub(MAX_SHOWN)..];
    eprintln!("--- {} ---\n{}", path.display(), String::from_utf8_lossy(shown));
}
