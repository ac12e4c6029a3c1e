//! The mesh of the test: a control plane and two workloads, by a clock that the test moves.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use wattle_capture::{Bridge, bridge::Plan};
use wattle_control::{Control, ControlConfig};
use wattle_identity::Lifetimes;
use wattle_net::{Clock, Hand};
use wattle_testkit::{Answer, Conversation, Echo, Request, ask, eventually};

use crate::member::{Member, Start};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The first day of 2040: who looks at the machine's own clock finds certificates that are not valid yet.
const START: Duration = Duration::from_secs(2_208_988_800);
/// So short that it is replaced within two years; the others are as they are by default.
const ROOT_LIFE: Duration = Duration::from_secs(600 * 24 * 3600);
/// Part of a certificate's life that may be left when nothing is due, in percent.
const LEFT: u64 = 50;

const MESH: &str = "
apiVersion: v1
kind: Service
metadata: {name: kept}
spec:
  clusterIP: 10.96.0.1
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
---
apiVersion: v1
kind: Service
metadata: {name: fresh}
spec:
  clusterIP: 10.96.0.2
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: fresh}
spec:
  host: fresh
  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web-0, labels: {app: web}, annotations: {wattle.io/proxy: enabled}}
spec: {address: 10.244.0.3, serviceAccount: web, labels: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: client-0, labels: {app: client}, annotations: {wattle.io/proxy: enabled}}
spec: {address: 10.244.0.2, serviceAccount: client, labels: {app: client}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
";

pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) hand: Hand,
    pub(crate) client: Member,
    pub(crate) server: Member,
    /// A service whose connections between proxies are kept, and one that has a connection for each request.
    pub(crate) kept: SocketAddr,
    pub(crate) fresh: SocketAddr,
    run: TempDir,
    control: Serving,
    _supervisor: UnixListener,
    _bridge: Bridge,
}

impl World {
    /// In the calling thread's network namespace, which must be the test's own.
    pub(crate) fn start() -> Self {
        let (clock, hand) = Clock::by_hand(SystemTime::UNIX_EPOCH + START);
        let run = TempDir::new().unwrap();
        let home = run.path().join("run-1-0");
        let manifests = home.join("manifests");
        std::fs::create_dir_all(&manifests).unwrap();
        std::fs::write(manifests.join("mesh.yaml"), MESH).unwrap();
        // What commands know a mesh by.
        symlink("run-1-0", run.path().join("years")).unwrap();
        let supervisor = UnixListener::bind(home.join("supervisor.sock")).unwrap();
        let bridge = Bridge::create(Plan::default()).unwrap();
        let mut config = ControlConfig::new(home.join("control"), vec![manifests.into()]);
        config.discovery = SocketAddr::new(bridge.address(), 15012);
        config.metrics = SocketAddr::new(bridge.address(), 15014);
        config.clock = clock.clone();
        config.trust.lifetimes = Lifetimes {
            root: ROOT_LIFE,
            ..Lifetimes::default()
        };
        let control = Serving::start(config);
        let roots = home.join("roots.pem");
        std::fs::copy(&control.roots, &roots).unwrap();
        let member = |account, last| {
            let directory = home.join(account);
            std::fs::create_dir(&directory).unwrap();
            Member::start(Start {
                bridge: &bridge,
                account,
                address: [10, 244, 0, last].into(),
                control: control.discovery,
                roots: roots.clone(),
                directory,
                clock: clock.clone(),
            })
        };
        let (client, server) = (member("client", 2), member("web", 3));
        Echo::start(&server.spot, 8080, "web").unwrap();
        let world = Self {
            client,
            server,
            clock,
            hand,
            kept: "10.96.0.1:80".parse().unwrap(),
            fresh: "10.96.0.2:80".parse().unwrap(),
            run,
            control,
            _supervisor: supervisor,
            _bridge: bridge,
        };
        world.hand_out();
        world
    }

    pub(crate) fn members(&self) -> [&Member; 2] {
        [&self.client, &self.server]
    }

    /// Gives every proxy the roots and a join token, as docs/certificates.md says.
    pub(crate) fn hand_out(&self) {
        replace(
            &self.home().join("roots.pem"),
            &std::fs::read(&self.control.roots).unwrap(),
        );
        for member in self.members() {
            let account = member.account;
            let body = format!(r#"{{"namespace":"default","serviceAccount":"{account}"}}"#);
            let given = self.admin_with("POST", "/tokens", body.as_bytes());
            replace(&member.token, given["token"].as_str().unwrap().as_bytes());
        }
    }

    /// Waits until nobody has anything to do at this time; where the rotation stands then.
    #[track_caller]
    pub(crate) fn settled(&self) -> String {
        let now = self.clock.unix_secs();
        let is_young = |ends: &Value| {
            let left = ends.as_u64().unwrap().saturating_sub(now);
            left * 100 >= Lifetimes::default().workload.as_secs() * LEFT
        };
        eventually("nobody has anything due", PATIENCE, || {
            let proxies = self.members().map(Member::status);
            let own = self.admin("GET", "/status");
            let stage = self.admin("GET", "/rotation")["stage"]
                .as_str()
                .unwrap()
                .to_owned();
            let certificates = proxies
                .iter()
                .map(|status| &status["certificate"]["not_after_secs"]);
            let is_renewed = certificates
                .chain([&own["certificate_not_after_secs"]])
                .all(is_young);
            // Who is not connected hears of new roots with its next certificate.
            let is_waiting = stage == "spreading" && is_connected(&proxies);
            (is_renewed && !is_waiting).then_some(stage)
        })
    }

    /// Waits until both proxies hear at once what the control plane says.
    #[track_caller]
    pub(crate) fn hearing(&self) {
        eventually("both are connected", PATIENCE, || {
            is_connected(&self.members().map(Member::status)).then_some(())
        });
    }

    /// Whether either service answers.
    pub(crate) fn answers(&self) -> bool {
        let found = [self.kept, self.fresh].map(|address| self.call(address));
        found
            .iter()
            .all(|answer| answer.as_ref().is_some_and(|answer| answer.status == 200))
    }

    /// Why a request that needs a new connection between the proxies is refused.
    pub(crate) fn refusal(&self) -> Option<String> {
        let answer = self.call(self.fresh)?;
        assert_eq!(answer.status, 503, "{}", answer.text());
        answer.header("wattle-reason").map(str::to_owned)
    }

    fn call(&self, address: SocketAddr) -> Option<Answer> {
        self.client
            .spot
            .enter(|| ask(address, &Request::get("web", "/")).ok())
    }

    pub(crate) fn admin(&self, method: &str, target: &str) -> Value {
        self.admin_with(method, target, b"")
    }

    fn admin_with(&self, method: &str, target: &str, body: &[u8]) -> Value {
        let request = Request {
            method: method.to_owned(),
            body: body.to_vec(),
            ..Request::get("control", target)
        };
        let mut conversation = Conversation::unix(&self.control.admin).unwrap();
        let answer = conversation.send(&request).unwrap();
        assert!(answer.status < 300, "{target}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Runs the command as people do; what it printed, as an error where it failed.
    pub(crate) fn wattle(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(env!("CARGO_BIN_EXE_wattle"))
            .args(["--mesh", "years"])
            .args(arguments)
            .env("WATTLE_RUN_DIR", self.run.path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        match output.status.success() {
            true => Ok(text.concat()),
            false => Err(text.concat()),
        }
    }

    pub(crate) fn stop(self) {
        self.client.stop();
        self.server.stop();
        self.control.stop();
    }

    fn home(&self) -> PathBuf {
        self.run.path().join("run-1-0")
    }
}

/// The control plane on a thread of its own.
struct Serving {
    discovery: SocketAddr,
    admin: PathBuf,
    roots: PathBuf,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Serving {
    fn start(config: ControlConfig) -> Self {
        let (admin, roots) = (config.admin.clone(), config.roots_path());
        let (stop, stopped) = oneshot::channel();
        let (sender, started) = mpsc::channel();
        let run = async move {
            let control = Control::start(config).await.unwrap();
            sender.send(control.discovery()).unwrap();
            let _ = stopped.await;
            control.shutdown().await;
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || runtime.block_on(run));
        Self {
            discovery: started.recv().unwrap(),
            admin,
            roots,
            stop,
            thread,
        }
    }

    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

fn is_connected(proxies: &[Value]) -> bool {
    proxies
        .iter()
        .all(|status| status["control"]["connected"] == true)
}

/// Replaces a file so that no reader sees half of it.
fn replace(path: &std::path::Path, contents: &[u8]) {
    let next = path.with_added_extension("new");
    std::fs::write(&next, contents).unwrap();
    std::fs::rename(next, path).unwrap();
}
