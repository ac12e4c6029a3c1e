//! Requests without an end, every one of which must succeed: some on connections that are kept, some with one each.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use wattle_testkit::{Conversation, Request, Spot, eventually};

use crate::world::PATIENCE;

/// Requests on a connection of the client before it opens another.
const PER_CONNECTION: usize = 100;
/// Between two requests of a kind: ports that connections had are not free again for a minute.
const PACE: Duration = Duration::from_millis(4);
/// Failures after which nothing more is to be learned.
const MAX_FAILURES: usize = 20;

#[derive(Default)]
struct Shared {
    passed: [AtomicU64; 2],
    failures: Mutex<Vec<String>>,
}

/// A running load.
pub(crate) struct Load {
    shared: Arc<Shared>,
    /// Dropped, they end it.
    running: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts it from this place towards these two addresses.
    pub(crate) fn start(spot: Spot, kept: SocketAddr, fresh: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let towards = |(kind, address)| {
            let (shared, (running, stopped)) = (shared.clone(), channel());
            let drive = move || spot.enter(move || shared.drive(kind, address, &stopped));
            (running, std::thread::spawn(drive))
        };
        let (running, threads) = [kept, fresh].into_iter().enumerate().map(towards).unzip();
        Self {
            shared,
            running,
            threads,
        }
    }

    /// Waits until so many more of each have been answered; fails with the first that was not.
    #[track_caller]
    pub(crate) fn pass(&self, requests: u64) {
        let goal = self.passed().map(|passed| passed + requests);
        eventually("more requests", PATIENCE, || {
            self.assert_unharmed();
            let passed = self.passed();
            (passed[0] >= goal[0] && passed[1] >= goal[1]).then_some(())
        });
    }

    /// Ends it; how many of each were answered, and none failed.
    #[track_caller]
    pub(crate) fn finish(mut self) -> [u64; 2] {
        self.running.clear();
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        self.assert_unharmed();
        self.passed()
    }

    fn passed(&self) -> [u64; 2] {
        [0, 1].map(|kind| self.shared.passed[kind].load(Relaxed))
    }

    #[track_caller]
    fn assert_unharmed(&self) {
        let failures = self.shared.failures.lock().unwrap();
        assert!(
            failures.is_empty(),
            "failed after {:?} requests: {failures:#?}",
            self.passed()
        );
    }
}

impl Shared {
    fn drive(&self, kind: usize, address: SocketAddr, stopped: &Receiver<()>) {
        loop {
            match self.talk(kind, address, stopped) {
                Ok(true) => {}
                Ok(false) => return,
                Err(failure) => {
                    let mut failures = self.failures.lock().unwrap();
                    failures.push(failure);
                    if failures.len() >= MAX_FAILURES {
                        return;
                    }
                }
            }
        }
    }

    /// One connection's life, and whether there is to be another; half of its requests are such as nobody may send twice.
    fn talk(&self, kind: usize, address: SocketAddr, stopped: &Receiver<()>) -> Result<bool, String> {
        let mut conversation = Conversation::tcp(address).map_err(|error| format!("connect: {error}"))?;
        for number in 0..PER_CONNECTION {
            let mut request = Request::get("web", "/page");
            if number % 2 == 1 {
                request.method = "POST".to_owned();
                request.body = b"order=1".to_vec();
            }
            let answer = conversation.send(&request);
            let answer = answer.map_err(|error| format!("request {number} of a connection: {error}"))?;
            if answer.status != 200 {
                let reason = answer.header("wattle-reason");
                return Err(format!("{} {reason:?} {}", answer.status, answer.text()));
            }
            self.passed[kind].fetch_add(1, Relaxed);
            if stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Disconnected) {
                return Ok(false);
            }
            if conversation.is_over() {
                break;
            }
        }
        Ok(true)
    }
}
