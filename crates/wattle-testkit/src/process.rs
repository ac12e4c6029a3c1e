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
    /// When it was started, in the kernel's ticks since boot.
    pub start_ticks: u64,
    /// Its command line.
    pub words: Vec<String>,
}

impl HostProcess {
    /// Is its first argument this word? So are the roles of the binary told apart, whatever its path.
    #[must_use]
    pub fn is(&self, role: &str) -> bool {
        self.words.get(1).is_some_and(|word| word == role)
    }

    /// Does it still run? Another process that came to have its number is not it, nor is one that only waits to be reaped.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        life(self.pid)
            .is_some_and(|(state, start_ticks)| !"ZX".contains(state) && start_ticks == self.start_ticks)
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
    let (_, start_ticks) = life(pid)?;
    Some(HostProcess {
        pid,
        inner_pid,
        start_ticks,
        words: words.collect(),
    })
}

/// State and time of start (proc(5), fields 3 and 22 of `stat`).
fn life(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, even a parenthesis.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = look(child.id()).unwrap();
        assert!(found.is_alive());
        assert!(
            !HostProcess {
                start_ticks: found.start_ticks + 1,
                ..found.clone()
            }
            .is_alive()
        );
        found.kill();
        crate::eventually("it is dead", std::time::Duration::from_secs(10), || {
            (!found.is_alive()).then_some(())
        });
        child.wait().unwrap();
        assert!(!found.is_alive());
    }
}
