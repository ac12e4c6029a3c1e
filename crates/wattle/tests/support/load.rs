//! Requests on kept connections, as many as there is time for, every one of which must succeed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use wattle_testkit::{Answer, Conversation, Request, Spot, eventually};

/// Connections at once.
const CONNECTIONS: usize = 4;
/// Requests on a connection before a new one is opened.
const PER_CONNECTION: usize = 300;
/// Failures after which nothing more is to be learned.
const MAX_FAILURES: usize = 20;
/// Longest wait for some requests to pass.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    sent: AtomicU64,
    answers: Mutex<BTreeMap<String, u64>>,
    failures: Mutex<Vec<String>>,
}

/// A running load; half of its requests are POSTs, which nobody may send twice.
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts it from this place towards this address.
    pub(crate) fn start(spot: Spot, address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let drive = |_| {
            let shared = shared.clone();
            std::thread::spawn(move || spot.enter(|| drive(&shared, address)))
        };
        let threads = (0..CONNECTIONS).map(drive).collect();
        Self { shared, threads }
    }

    /// Requests sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Relaxed)
    }

    /// Waits until this many further requests were answered.
    #[track_caller]
    pub(crate) fn pass(&self, requests: u64) {
        let goal = self.sent() + requests;
        eventually(&format!("{requests} more requests"), PATIENCE, || {
            self.assert_unharmed();
            (self.sent() >= goal).then_some(())
        });
    }

    /// How often each answer was given, by its text.
    pub(crate) fn answers(&self) -> BTreeMap<String, u64> {
        self.shared.answers.lock().unwrap().clone()
    }

    /// Waits until this answer is given.
    #[track_caller]
    pub(crate) fn see(&self, answer: &str) {
        eventually(&format!("the answer `{answer}`"), PATIENCE, || {
            self.assert_unharmed();
            self.answers().contains_key(answer).then_some(())
        });
    }

    /// Asserts that nothing has failed so far.
    #[track_caller]
    pub(crate) fn assert_unharmed(&self) {
        let failures = self.shared.failures.lock().unwrap().clone();
        assert!(
            failures.is_empty(),
            "failed after {} requests: {failures:#?}",
            self.sent()
        );
    }

    /// Ends it; asserts that nothing has failed, and gives the number of requests.
    #[track_caller]
    pub(crate) fn finish(mut self) -> u64 {
        self.shared.stop.store(true, Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        self.assert_unharmed();
        self.sent()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

fn drive(shared: &Shared, address: SocketAddr) {
    while !shared.stop.load(Relaxed) {
        if let Err(failure) = talk(shared, address) {
            let mut failures = shared.failures.lock().unwrap();
            failures.push(failure);
            if failures.len() >= MAX_FAILURES {
                return;
            }
        }
    }
}

/// One connection's life.
fn talk(shared: &Shared, address: SocketAddr) -> Result<(), String> {
    let mut conversation = Conversation::tcp(address).map_err(|error| format!("connect: {error}"))?;
    for number in 0..PER_CONNECTION {
        if shared.stop.load(Relaxed) || conversation.is_over() {
            break;
        }
        let request = match number % 2 {
            0 => Request::get("web", "/some/page?x=1"),
            _ => Request {
                method: "POST".to_owned(),
                body: b"order=1".to_vec(),
                ..Request::get("web", "/order")
            },
        };
        let what = |error| format!("request {number} of a connection ({}): {error}", request.target);
        let answer = conversation.send(&request).map_err(what)?;
        shared.sent.fetch_add(1, Relaxed);
        note(shared, &answer)?;
    }
    Ok(())
}

fn note(shared: &Shared, answer: &Answer) -> Result<(), String> {
    let text = answer.text().trim().to_owned();
    if answer.status != 200 {
        return Err(format!(
            "{} {:?} {text}",
            answer.status,
            answer.header("wattle-reason")
        ));
    }
    *shared.answers.lock().unwrap().entry(text).or_default() += 1;
    Ok(())
}
