//! A workload of the test's mesh: a network namespace of its own with a real proxy in it, as a thread of this process.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use wattle_capture::privileges::PROXY_MARK;
use wattle_capture::{Bridge, Netns, Redirect};
use wattle_identity::{SpiffeId, TrustDomain};
use wattle_proxy::{Hooks, Settings};
use wattle_testkit::{Conversation, Request, Spot, ask};

/// A workload with its proxy.
pub(crate) struct Member {
    pub(crate) account: &'static str,
    pub(crate) spot: Spot,
    /// File that its join tokens are put into.
    pub(crate) token: PathBuf,
    address: IpAddr,
    admin: SocketAddr,
    thread: JoinHandle<()>,
}

/// What its proxy is to know.
pub(crate) struct Start<'a> {
    pub(crate) bridge: &'a Bridge,
    pub(crate) account: &'static str,
    pub(crate) address: IpAddr,
    pub(crate) control: SocketAddr,
    pub(crate) roots: PathBuf,
    /// Holds the token and the proxy's state.
    pub(crate) directory: PathBuf,
    pub(crate) clock: wattle_net::Clock,
}

impl Member {
    pub(crate) fn start(start: Start<'_>) -> Self {
        let netns = Netns::create().unwrap();
        start.bridge.connect(&netns, start.address).unwrap();
        Redirect::default().apply(&netns).unwrap();
        let domain = TrustDomain::new("cluster.local").unwrap();
        let id = SpiffeId::new(&domain, "default", start.account).unwrap();
        let state = start.directory.join("state");
        let instance = format!("{}-0", start.account);
        let mut settings = Settings::new(id, instance, start.control, start.roots, state);
        let (token, admin) = (start.directory.join("token"), settings.admin);
        settings.token = Some(token.clone());
        settings.mark = Some(PROXY_MARK);
        settings.workers = 1;
        settings.drain_grace = Duration::from_secs(1);
        settings.clock = start.clock;
        let (sender, started) = mpsc::channel();
        // Threads are in the namespace of the one that started them.
        let run = move || {
            sender.send(rustix::thread::gettid()).unwrap();
            wattle_proxy::run(settings, Hooks::default()).unwrap();
        };
        let thread = netns.enter(|| std::thread::spawn(run)).unwrap();
        let thread_id = started.recv().unwrap().as_raw_nonzero().get();
        Self {
            account: start.account,
            spot: Spot::of(thread_id.try_into().unwrap()),
            token,
            address: start.address,
            admin,
            thread,
        }
    }

    /// What its proxy says of itself.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_slice(&self.page("/status")).unwrap()
    }

    /// Handshakes that its proxy has made as a server.
    pub(crate) fn handshakes(&self) -> u64 {
        let page = String::from_utf8(self.page("/metrics")).unwrap();
        let counts = page
            .lines()
            .filter(|line| line.starts_with("wattle_inbound_tls_handshakes_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum()
    }

    fn page(&self, path: &str) -> Vec<u8> {
        let status = SocketAddr::new(self.address, 15020);
        let mut conversation = Conversation::tcp(status).unwrap();
        conversation.send(&Request::get("proxy", path)).unwrap().body
    }

    /// Drains its proxy and waits for its end.
    pub(crate) fn stop(self) {
        let drain = Request {
            method: "POST".to_owned(),
            ..Request::get("proxy", "/drain")
        };
        let drained = self.spot.enter(|| ask(self.admin, &drain)).unwrap();
        assert_eq!(drained.status, 200);
        self.thread.join().unwrap();
    }
}
