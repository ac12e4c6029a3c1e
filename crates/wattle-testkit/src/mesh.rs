//! A mesh started by the real binary, as a user starts it.

mod ends;
mod status;

use std::fs::{self, File, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Conversation, HostProcess, Request, Spot, eventually, processes_beside};
pub use status::Process;

/// Name of every mesh of a test; each has a runtime directory of its own.
const NAME: &str = "test";
/// Longest wait for a mesh to answer, and for it to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running mesh. When it is dropped it is ended; when the test fails, what it said is printed.
#[derive(Debug)]
pub struct Mesh {
    binary: PathBuf,
    directory: PathBuf,
    child: Child,
    runtime: TempDir,
    supervisor: u32,
    stopped: bool,
}

impl Mesh {
    /// Starts `wattle up DIRECTORY` and waits until it answers; programs may still be starting.
    #[track_caller]
    #[must_use]
    pub fn up(binary: &str, directory: &Path) -> Self {
        Self::up_with(binary, directory, &[])
    }

    /// The same with further arguments.
    #[track_caller]
    #[must_use]
    pub fn up_with(binary: &str, directory: &Path, arguments: &[&str]) -> Self {
        Self::launch(binary, directory, arguments, &[])
    }

    /// The same as [`Self::up`] with further variables in the environment.
    #[track_caller]
    #[must_use]
    pub fn up_in(binary: &str, directory: &Path, variables: &[(&str, &str)]) -> Self {
        Self::launch(binary, directory, &[], variables)
    }

    #[track_caller]
    fn launch(binary: &str, directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let runtime = tempfile::Builder::new().prefix("wt").tempdir_in("/tmp").unwrap();
        // Proxies run as another user, who must be able to pass.
        fs::set_permissions(runtime.path(), Permissions::from_mode(0o711)).unwrap();
        let mut mesh = Self {
            binary: binary.into(),
            directory: directory.to_owned(),
            child: start(binary.as_ref(), runtime.path(), directory, (arguments, variables)),
            runtime,
            supervisor: 0,
            stopped: false,
        };
        mesh.wait_until_it_answers();
        mesh
    }

    #[track_caller]
    fn wait_until_it_answers(&mut self) {
        self.supervisor = eventually("the supervisor answers", PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "`wattle up` ended at once");
            ends::peer_of(&self.state().join("supervisor.sock"))
        });
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.runtime.path().join("run").join(NAME)
    }

    /// Runs another command of the binary against this mesh.
    #[track_caller]
    pub fn wattle(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env("WATTLE_RUN_DIR", self.runtime.path().join("run"));
        command.env("WATTLE_MESH", NAME).output().unwrap()
    }

    /// The same for its JSON; panics with what it said when it fails.
    #[track_caller]
    pub fn wattle_json(&self, arguments: &[&str]) -> Value {
        let output = self.wattle(&[arguments, &["-o", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stdout);
        let error = || format!("{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("no JSON of {}", error()))
    }

    /// GETs JSON from the supervisor.
    pub fn supervisor(&self, path: &str) -> Option<Value> {
        get(&self.state().join("supervisor.sock"), path)
    }

    /// GETs JSON from the control plane; nothing while it is away.
    pub fn control(&self, path: &str) -> Option<Value> {
        get(&self.state().join("control/admin.sock"), path)
    }

    /// POSTs to the supervisor.
    #[track_caller]
    pub fn tell_supervisor(&self, path: &str) {
        let request = Request {
            method: "POST".to_owned(),
            ..Request::get("wattle", path)
        };
        let answer = Conversation::unix(&self.state().join("supervisor.sock"))
            .unwrap()
            .send(&request)
            .unwrap();
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
    }

    /// The virtual address of a service.
    #[track_caller]
    #[must_use]
    pub fn service(&self, name: &str) -> IpAddr {
        eventually(&format!("service {name} has an address"), PATIENCE, || {
            let services = self.control("/services")?;
            let found = services
                .as_array()?
                .iter()
                .find(|service| service["name"] == name)?
                .clone();
            found["address"].as_str()?.parse().ok()
        })
    }

    /// Every process of the mesh.
    #[must_use]
    pub fn host_processes(&self) -> Vec<HostProcess> {
        processes_beside(self.supervisor)
    }

    /// The running process of a role (`control`, `proxy`), if there is one.
    #[must_use]
    pub fn role(&self, role: &str) -> Option<HostProcess> {
        self.host_processes().into_iter().find(|process| process.is(role))
    }

    /// The namespace of the bridge.
    #[must_use]
    pub fn bridge(&self) -> Spot {
        Spot::of(self.supervisor)
    }

    /// The place of an instance.
    #[track_caller]
    #[must_use]
    pub fn spot(&self, instance: &str) -> Spot {
        let process = self.process(instance);
        let inner = process
            .pid
            .unwrap_or_else(|| panic!("{instance} does not run: {process:?}"));
        Spot::of(self.host_process(inner).pid)
    }

    /// The proxy of an instance, as a process of this machine.
    #[track_caller]
    #[must_use]
    pub fn proxy(&self, instance: &str) -> HostProcess {
        let inner = eventually(&format!("{instance} has a proxy"), PATIENCE, || {
            self.process(instance).proxy_pid
        });
        self.host_process(inner)
    }

    #[track_caller]
    fn host_process(&self, inner: u32) -> HostProcess {
        let all = self.host_processes();
        let found = all.iter().find(|process| process.inner_pid == inner).cloned();
        found.unwrap_or_else(|| panic!("no process {inner} beside {}: {all:#?}", self.supervisor))
    }

    /// The text of a log file of the state directory.
    #[must_use]
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.state().join("logs").join(name)).unwrap_or_default()
    }

    /// Kills the mesh as a crash would, proves that nothing of it runs on, and starts it again in the same place.
    #[track_caller]
    pub fn crash_and_start_again(&mut self) {
        self.crash();
        self.child = start(&self.binary, self.runtime.path(), &self.directory, (&[], &[]));
        self.wait_until_it_answers();
    }

    /// Directories of runs that are there, whether they live or not.
    #[must_use]
    pub fn runs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.runtime.path().join("run"))
            .into_iter()
            .flatten()
            .flatten();
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        directories
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    /// Ends the mesh as a user does, and proves that nothing is left of it.
    #[track_caller]
    pub fn stop(mut self) {
        self.end();
    }
}

/// Arguments and variables beside those of every mesh.
type Extras<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

fn start(binary: &Path, runtime: &Path, directory: &Path, (arguments, variables): Extras<'_>) -> Child {
    let output = File::options()
        .create(true)
        .append(true)
        .open(runtime.join("up.log"))
        .unwrap();
    let level = std::env::var("WATTLE_LOG").unwrap_or_else(|_| "info".to_owned());
    let mut command = Command::new(binary);
    command
        .args(["up", "--name", NAME])
        .args(arguments)
        .arg(directory);
    command
        .env("WATTLE_RUN_DIR", runtime.join("run"))
        .env("WATTLE_LOG", level)
        .envs(variables.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output);
    command.spawn().unwrap()
}

fn get(socket: &Path, path: &str) -> Option<Value> {
    let answer = Conversation::unix(socket)
        .ok()?
        .send(&Request::get("wattle", path))
        .ok()?;
    (answer.status == 200).then(|| serde_json::from_slice(&answer.body).ok())?
}
