//! How an isolated world ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio, exit};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;
use wattle_capture::SpawnSpec;

use crate::outer::{Outcome, Who};
use crate::world::{PATIENCE, World};

/// Roles of the supervisor in these stories.
pub(crate) fn role(name: &str) -> Option<fn()> {
    Some(match name {
        "exit-7" => || exit(7),
        "linger" => linger,
        "stubborn" => stubborn,
        "orphans" => orphans,
        _ => return None,
    })
}

/// A whole small mesh that would run for an hour.
fn linger() {
    let world = World::new();
    let pod = world.redirected_pod(2);
    let spec = SpawnSpec::new("sleep", ["3600".to_owned()]);
    let mut workload = pod.netns.spawn(&mut spec.command().unwrap()).unwrap();
    println!("ready");
    workload.wait().unwrap();
}

fn stubborn() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    linger();
}

/// Leaves an orphan that ends, and waits until init has collected it.
fn orphans() {
    let script = "sh -c 'echo $$; exec true' & exit 0";
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    let orphan = String::from_utf8(output.stdout).unwrap();
    let path = format!("/proc/{}", orphan.trim());
    wait_until("the orphan is reaped", || !fs::exists(&path).unwrap());
}

struct Running {
    outer: Child,
    _directory: TempDir,
}

impl Running {
    /// Nothing if this kernel refuses namespaces.
    fn start(who: Who, role: &str) -> Option<Self> {
        let (mut command, directory) = who.command(role);
        let mut outer = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(outer.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line == "ready\n" {
            return Some(Self {
                outer,
                _directory: directory,
            });
        }
        let mut complaint = String::new();
        outer
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut complaint)
            .unwrap();
        let code = outer.wait().unwrap().code();
        assert_eq!(code, Some(77), "{complaint}");
        None
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.outer), signal).unwrap();
    }

    /// The exit code, waited for with patience.
    fn end(&mut self) -> Option<i32> {
        wait_for_end(&open_life(self.outer.id()));
        self.outer.wait().unwrap().code()
    }

    /// Warden, init, supervisor, workload: each the child of the one before.
    fn line(&self) -> Vec<u32> {
        let parents = parents();
        let mut line = vec![self.outer.id()];
        while let Some((child, _)) = parents.iter().find(|(_, parent)| line.last() == Some(parent)) {
            line.push(*child);
        }
        assert_eq!(
            line.len(),
            5,
            "outer, warden, init, supervisor and workload: {line:?}"
        );
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}

fn parents() -> BTreeMap<u32, u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The program's name stands in brackets and may hold anything.
            let after = &stat[stat.rfind(')')? + 1..];
            Some((pid, after.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}

fn namespaces_in_use() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path().join("ns/net")).ok());
    links.map(|link| link.to_string_lossy().into_owned()).collect()
}

pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// A handle on a process that stays its own after the number is somebody else's.
fn open_life(pid: u32) -> OwnedFd {
    pidfd_open(Pid::from_raw(pid.cast_signed()).unwrap(), PidfdFlags::empty()).unwrap()
}

fn wait_for_end(life: &OwnedFd) {
    let patience = Timespec::try_from(PATIENCE).unwrap();
    let ended = poll(&mut [PollFd::new(life, PollFlags::IN)], Some(&patience)).unwrap();
    assert_eq!(ended, 1, "a process outlived its world");
}

/// Kills one of the line and expects nothing of it to be left.
fn nothing_survives(who: Who, place: usize) -> Outcome {
    let Some(mut running) = Running::start(who, "linger") else {
        return Outcome::Skipped("namespaces, which this kernel refuses");
    };
    let line = running.line();
    let spaces: Vec<String> = line[3..]
        .iter()
        .map(|pid| {
            fs::read_link(format!("/proc/{pid}/ns/net"))
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_ne!(spaces[0], spaces[1]);
    assert!(namespaces_in_use().contains(&spaces[0]));
    let lives: Vec<OwnedFd> = line.iter().map(|pid| open_life(*pid)).collect();
    let victim = Pid::from_raw(line[place].cast_signed()).unwrap();
    kill_process(victim, Signal::KILL).unwrap();
    running.end();
    lives.iter().for_each(wait_for_end);
    let left = namespaces_in_use();
    assert!(spaces.iter().all(|space| !left.contains(space)));
    Outcome::Shown
}

pub(crate) fn nothing_survives_the_supervisor(who: Who) -> Outcome {
    nothing_survives(who, 3)
}

pub(crate) fn nothing_survives_init(who: Who) -> Outcome {
    nothing_survives(who, 2)
}

pub(crate) fn nothing_survives_the_outer_process(who: Who) -> Outcome {
    nothing_survives(who, 0)
}

fn ends_with(who: Who, role: &str, expected: i32) -> Outcome {
    let (mut command, _directory) = who.command(role);
    match command.stderr(Stdio::null()).status().unwrap().code() {
        Some(77) => Outcome::Skipped("namespaces, which this kernel refuses"),
        code => {
            assert_eq!(code, Some(expected));
            Outcome::Shown
        }
    }
}

pub(crate) fn exit_code_comes_out(who: Who) -> Outcome {
    ends_with(who, "exit-7", 7)
}

pub(crate) fn orphans_are_reaped(who: Who) -> Outcome {
    ends_with(who, "orphans", 0)
}

pub(crate) fn missing_program_is_named(who: Who) -> Outcome {
    let (mut command, _directory) = who.command("missing");
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(77) {
        return Outcome::Skipped("namespaces, which this kernel refuses");
    }
    assert!(
        complaint.contains("cannot execute /nonexistent/program"),
        "{complaint}"
    );
    Outcome::Shown
}

pub(crate) fn termination_is_passed_on(who: Who) -> Outcome {
    let Some(mut running) = Running::start(who, "linger") else {
        return Outcome::Skipped("namespaces, which this kernel refuses");
    };
    running.signal(Signal::TERM);
    assert_eq!(running.end(), Some(128 + libc::SIGTERM));
    Outcome::Shown
}

pub(crate) fn second_interrupt_kills(who: Who) -> Outcome {
    let Some(mut running) = Running::start(who, "stubborn") else {
        return Outcome::Skipped("namespaces, which this kernel refuses");
    };
    let outer = running.outer.id();
    running.signal(Signal::TERM);
    // Two signals of one kind that wait together count as one.
    wait_until("the first signal is taken", || !is_pending(outer, libc::SIGTERM));
    assert!(running.outer.try_wait().unwrap().is_none());
    running.signal(Signal::TERM);
    assert_eq!(running.end(), Some(1));
    Outcome::Shown
}

fn is_pending(pid: u32, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("ShdPnd:"))
        .unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (signal - 1)) != 0
}
