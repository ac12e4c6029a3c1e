//! Keys are in memory, and no other process of the same user reads it there.
#![allow(clippy::unwrap_used)]

mod support;

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{Manifests, workload};
use wattle_testkit::{Mesh, Need, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(30);
/// Whom a mesh that root starts runs its proxies as.
const USER: u32 = 1337;

/// A program of that user, without a capability.
fn of_user(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.uid(USER).gid(USER).stdin(Stdio::null());
    command
}

/// What another program of the same user reads of this process: the files of `/proc` that ask whether it may trace it.
fn readable(pid: u32) -> Vec<&'static str> {
    let all = ["environ", "maps", "mem", "auxv", "io"];
    all.into_iter()
        .filter(|file| {
            // Memory has nothing at address 0: to have it open is enough.
            let mut reader = of_user("dd");
            reader.arg(format!("if=/proc/{pid}/{file}")).arg("count=0");
            reader.stderr(Stdio::null()).status().unwrap().success()
        })
        .collect()
}

/// Ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The build may lie where that user may not look: it gets a copy in a directory of its own.
fn control_plane(program: &Path, config: &Path, state: &Path) -> Running {
    let copy = program.join("wattle");
    std::fs::copy(WATTLE, &copy).unwrap();
    for directory in [program, config, state] {
        chown(directory, Some(USER), Some(USER)).unwrap();
    }
    let mut command = of_user(copy);
    command
        .arg("control")
        .arg("--config")
        .arg(config)
        .arg("--state")
        .arg(state);
    command.args(["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    let running = Running(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    eventually("it has keys", PATIENCE, || {
        state.join("roots.pem").exists().then_some(())
    });
    running
}

#[test]
fn no_process_of_the_same_user_reads_the_memory_of_a_proxy_or_a_control_plane() {
    if lacks(&[Need::Root]) {
        return;
    }
    let ordinary = Running(of_user("sleep").arg("86400").spawn().unwrap());
    eventually("the reader reads what it may", PATIENCE, || {
        let found = readable(ordinary.0.id());
        (found.contains(&"environ") && found.contains(&"maps")).then_some(())
    });

    let manifests = Manifests::new(&[("mesh.yaml", &workload("server", "{}"))]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    mesh.wait_ready("server");
    let proxy = mesh.proxy("server");
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid)).unwrap();
    assert!(status.contains(&format!("Uid:\t{USER}\t{USER}")), "{status}");
    assert_eq!(readable(proxy.pid), [""; 0]);

    let [program, config, state] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let control = control_plane(program.path(), config.path(), state.path());
    assert_eq!(readable(control.0.id()), [""; 0]);
    mesh.stop();
}
