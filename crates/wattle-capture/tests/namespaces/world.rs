//! A bridge with a few workloads on it, and listeners that say who they are.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use wattle_capture::bridge::Plan;
use wattle_capture::{Bridge, Netns, Redirect};

use crate::dial;

pub(crate) const SERVICE: &str = "10.96.0.7:80";
pub(crate) const MARK: u32 = 0x539;

/// Longest wait for anything on one machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) bridge: Bridge,
}

pub(crate) struct Pod {
    pub(crate) netns: Netns,
    pub(crate) address: IpAddr,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            bridge: Bridge::create(Plan::default()).unwrap(),
        }
    }

    pub(crate) fn on_ipv6() -> Self {
        let plan = Plan {
            subnet: "fd00::/64".parse().unwrap(),
            ..Plan::default()
        };
        Self {
            bridge: Bridge::create(plan).unwrap(),
        }
    }

    pub(crate) fn pod(&self, last: u8) -> Pod {
        let netns = Netns::create().unwrap();
        let address = match self.bridge.address() {
            IpAddr::V4(_) => IpAddr::from([10, 244, 0, last]),
            IpAddr::V6(_) => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last.into()]),
        };
        self.bridge.connect(&netns, address).unwrap();
        Pod { netns, address }
    }

    pub(crate) fn redirected_pod(&self, last: u8) -> Pod {
        let pod = self.pod(last);
        Redirect::default().apply(&pod.netns).unwrap();
        pod
    }
}

impl Pod {
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    /// Answers every connection with `word`, the destination it was meant for and the address it came from.
    pub(crate) fn listen(&self, address: &str, word: &'static str) {
        let listener = self.netns.enter(|| TcpListener::bind(address)).unwrap().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), word);
            }
        });
    }

    /// What the listener behind `target` says to a connection from here; nothing if it was refused.
    pub(crate) fn dial(
        &self,
        target: impl ToString,
        mark: Option<u32>,
        source: Option<&str>,
    ) -> Option<String> {
        let target = target.to_string();
        self.netns
            .enter(|| dial::dial(&target, mark, source))
            .unwrap()
            .ok()
    }

    pub(crate) fn call(&self, target: impl ToString) -> Option<String> {
        self.dial(target, None, None)
    }
}

fn answer(mut stream: TcpStream, word: &str) {
    let meant = dial::original_destination(&stream);
    let peer = stream.peer_addr().unwrap().ip();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(format!("{word} for {meant} from {peer}").as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0; 1]);
}
