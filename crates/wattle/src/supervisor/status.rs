//! How an instance is doing: what `GET /processes` answers, and what the planner looks at.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Namespace and name of a process or of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Name {
    /// Namespace.
    pub(crate) namespace: String,
    /// Name.
    pub(crate) name: String,
}

impl Name {
    /// The name of these parts.
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// For names of files: neither part can hold a slash, and a namespace holds no dot.
    pub(crate) fn stem(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Waits for the processes it depends on.
    Waiting,
    /// Waits for its network and its proxy.
    Preparing,
    /// Runs, not ready yet.
    Starting,
    /// Runs and is ready.
    Ready,
    /// Ended, and is started again in a moment.
    BackingOff,
    /// Ended, and stays so.
    Finished,
    /// Is being stopped.
    Stopping,
    /// Was stopped by somebody, and stays so until that somebody starts it.
    Stopped,
    /// Could not be prepared.
    Failed,
}

impl Phase {
    /// The word for people, as in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::BackingOff => "backing-off",
            Self::Finished => "finished",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// Its exit code, or 128 and the signal that ended it.
    pub(crate) code: i32,
}

impl Exit {
    /// Whether it ended with success.
    pub(crate) fn is_success(self) -> bool {
        self.code == 0
    }
}

impl From<std::process::ExitStatus> for Exit {
    fn from(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let signal = || status.signal().map(|signal| 128 + signal);
        Self {
            code: status.code().or_else(signal).unwrap_or(1),
        }
    }
}

/// A proxy beside an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProxyStatus {
    /// Process id inside the mesh's namespaces.
    pub(crate) pid: Option<u32>,
    /// How often it was started again.
    pub(crate) restarts: u32,
    /// Whether it says it is ready.
    pub(crate) ready: bool,
}

/// How an instance is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Namespace.
    pub(crate) namespace: String,
    /// The Process object it is a copy of.
    pub(crate) process: String,
    /// Its own name.
    pub(crate) instance: String,
    /// Where it is in its life.
    pub(crate) phase: Phase,
    /// The application's process id inside the mesh's namespaces.
    pub(crate) pid: Option<u32>,
    /// How often the application was started again.
    pub(crate) restarts: u32,
    /// How the application ended last.
    pub(crate) exit: Option<Exit>,
    /// Its address on the mesh's bridge.
    pub(crate) address: Option<IpAddr>,
    /// Its proxy; none if it has none.
    pub(crate) proxy: Option<ProxyStatus>,
    /// What the application prints.
    pub(crate) log: PathBuf,
    /// What the proxy prints.
    pub(crate) proxy_log: Option<PathBuf>,
    /// What it waits for or what went wrong.
    pub(crate) note: Option<String>,
}

impl Status {
    /// Namespace and name of the instance.
    pub(crate) fn name(&self) -> Name {
        Name::new(&self.namespace, &self.instance)
    }

    /// Namespace and name of the Process.
    pub(crate) fn process_name(&self) -> Name {
        Name::new(&self.namespace, &self.process)
    }

    /// Whether what depends on it may start: it is ready, or its work is done well.
    pub(crate) fn is_fulfilled(&self) -> bool {
        match self.phase {
            Phase::Ready => true,
            Phase::Finished => self.exit.is_some_and(Exit::is_success),
            _ => false,
        }
    }
}

/// The statuses of all instances; whoever watches hears of every change.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    statuses: Rc<RefCell<BTreeMap<Name, Status>>>,
    changes: Rc<watch::Sender<u64>>,
}

impl Board {
    /// An empty board.
    pub(crate) fn new() -> Self {
        Self {
            statuses: Rc::default(),
            changes: Rc::new(watch::Sender::new(0)),
        }
    }

    /// Puts a new instance on the board.
    pub(crate) fn add(&self, status: Status) {
        self.statuses.borrow_mut().insert(status.name(), status);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Takes an instance off.
    pub(crate) fn remove(&self, name: &Name) {
        self.statuses.borrow_mut().remove(name);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Changes one status; tells the watchers only if that made a difference.
    pub(crate) fn change(&self, name: &Name, change: impl FnOnce(&mut Status)) {
        let mut statuses = self.statuses.borrow_mut();
        let Some(status) = statuses.get_mut(name) else {
            return;
        };
        let before = status.clone();
        change(status);
        if *status != before {
            drop(statuses);
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// One status.
    pub(crate) fn status(&self, name: &Name) -> Option<Status> {
        self.statuses.borrow().get(name).cloned()
    }

    /// All of them, by namespace and instance.
    pub(crate) fn all(&self) -> Ref<'_, BTreeMap<Name, Status>> {
        self.statuses.borrow()
    }

    /// Hears of changes from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether at least one instance of a process is there, and all there are fulfilled.
    pub(crate) fn is_fulfilled(&self, process: &Name) -> bool {
        let statuses = self.statuses.borrow();
        let mut of_process = statuses
            .values()
            .filter(|status| status.process_name() == *process)
            .peekable();
        of_process.peek().is_some() && of_process.all(Status::is_fulfilled)
    }
}
