//! A control plane on loopback, and proxies of our own making that join it.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub)]

mod proxy;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tempfile::TempDir;
use wattle_control::view::{Status, TokenAnswer};
use wattle_control::{Control, ControlConfig};
use wattle_identity::{BundleSet, SpiffeId, TrustBundle, TrustDomain};

#[allow(unused_imports)]
pub use proxy::{Proxy, dial, enrol, tls};

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of manifests, a state directory, and the control plane between them.
pub struct World {
    pub config: TempDir,
    pub state: TempDir,
    pub control: Option<Control>,
}

pub const MANIFESTS: &str = r"
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080, appProtocol: http}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-0, labels: {app: reviews, wattle.io/proxy: enabled}}
spec: {address: 10.244.0.2, serviceAccount: reviews}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: client-0, labels: {app: client, wattle.io/proxy: enabled}}
spec: {address: 10.244.0.3, serviceAccount: client}
";

impl World {
    pub async fn start(manifests: &str) -> Self {
        let (config, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut world = Self {
            config,
            state,
            control: None,
        };
        world.write("mesh.yaml", manifests);
        world.resume(|_| {}).await;
        world
    }

    pub async fn resume(&mut self, adjust: impl FnOnce(&mut ControlConfig)) {
        let mut config = ControlConfig::new(self.state.path(), vec![self.config.path().to_owned().into()]);
        config.discovery = SocketAddr::from(([127, 0, 0, 1], 0));
        config.metrics = SocketAddr::from(([127, 0, 0, 1], 0));
        config.drain = Duration::from_millis(500);
        adjust(&mut config);
        self.control = Some(Control::start(config).await.unwrap());
        eventually("the control plane is ready", async || self.status().await.ready).await;
    }

    pub async fn stop(&mut self) {
        self.control.take().unwrap().shutdown().await;
    }

    pub fn control(&self) -> &Control {
        self.control.as_ref().unwrap()
    }

    /// Replaces a file as editors do.
    pub fn write(&self, name: &str, text: &str) {
        let next = self.config.path().join(format!(".{name}.new"));
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.config.path().join(name)).unwrap();
    }

    pub async fn ask(&self, method: &str, target: &str, body: &str) -> (u16, String) {
        let (socket, method, target, body) = (
            self.control().admin().to_owned(),
            method.to_owned(),
            target.to_owned(),
            body.to_owned(),
        );
        tokio::task::spawn_blocking(move || exchange(&socket, &method, &target, &body))
            .await
            .unwrap()
    }

    pub async fn get<T: DeserializeOwned>(&self, target: &str) -> T {
        let (status, body) = self.ask("GET", target, "").await;
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{target}: {error}: {body}"))
    }

    pub async fn status(&self) -> Status {
        self.get("/status").await
    }

    pub async fn token(&self, namespace: &str, account: &str) -> String {
        let body = format!(r#"{{"namespace":"{namespace}","serviceAccount":"{account}"}}"#);
        let (status, body) = self.ask("POST", "/tokens", &body).await;
        assert_eq!(status, 201, "{body}");
        serde_json::from_str::<TokenAnswer>(&body).unwrap().token
    }

    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let address = self.control().metrics();
        let text = tokio::task::spawn_blocking(move || {
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            speak(&mut socket, "GET", "/metrics", "").1
        });
        let text = text.await.unwrap();
        let line = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((
                name.strip_prefix("wattle_control_")?.to_owned(),
                value.parse().ok()?,
            ))
        };
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(line)
            .collect()
    }

    pub fn trust_domain() -> TrustDomain {
        TrustDomain::new("cluster.local").unwrap()
    }

    pub fn bundles(&self) -> BundleSet {
        let text = std::fs::read(self.control().roots()).unwrap();
        BundleSet::only(TrustBundle::from_pem(Self::trust_domain(), &text).unwrap())
    }

    /// A proxy of this account that has joined.
    pub async fn join(&self, account: &str, instance: &str) -> Proxy {
        let id = SpiffeId::new(&Self::trust_domain(), "default", account).unwrap();
        let token = self.token("default", account).await;
        let svid = enrol(self, None, Some(&token), &id).await.unwrap();
        Proxy::new(svid, &format!("default/{instance}"))
    }
}

/// One HTTP/1.1 exchange on a socket.
fn exchange(socket: &Path, method: &str, target: &str, body: &str) -> (u16, String) {
    speak(&mut UnixStream::connect(socket).unwrap(), method, target, body)
}

fn speak(socket: &mut (impl Read + Write), method: &str, target: &str, body: &str) -> (u16, String) {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Waits until it is so.
pub async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let started = std::time::Instant::now();
    while !so().await {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
