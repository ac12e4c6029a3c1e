//! Processes of this machine as `/proc` tells them, from outside a mesh's namespaces.

use std::fs;
use std::path::PathBuf;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProcess {
    /// Its id here.
    pub pid: u32,
    /// Its id in its own pid namespace.
    pub inner_pid: u32,
    /// Its command line.
    pub words: Vec<String>,
}

impl HostProcess {
    /// Is its first argument this word? So are the roles of the binary told apart, whatever its path.
    #[must_use]
    pub fn is(&self, role: &str) -> bool {
        self.words.get(1).is_some_and(|word| word == role)
    }

    /// Does it still run? Another process that came to have its number is not it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        look(self.pid).is_some_and(|now| now.inner_pid == self.inner_pid && now.words == self.words)
    }

    /// Ends it at once.
    pub fn kill(&self) {
        let Some(pid) = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        else {
            return;
        };
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// All processes in the pid namespace of `pid`, itself included.
#[must_use]
pub fn processes_beside(pid: u32) -> Vec<HostProcess> {
    let Some(namespace) = pid_namespace(pid) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| pid_namespace(*pid).as_ref() == Some(&namespace))
        .filter_map(look)
        .collect()
}

fn pid_namespace(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

fn look(pid: u32) -> Option<HostProcess> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let inner_pid = ids.split_whitespace().last()?.parse().ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned());
    Some(HostProcess {
        pid,
        inner_pid,
        words: words.collect(),
    })
}
