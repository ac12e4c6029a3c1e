//! A client at the place of a workload: it takes the steps of the comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use wattle_testkit::{Answer, Conversation, Mesh, Request, Spot, call};

use crate::greeter;
use crate::seen::{Outcome, headers_of};
use crate::traffic::{Config, Keep, Step, Way};

const PATIENCE: Duration = Duration::from_secs(30);
/// From here on an answer counts as delayed; every delay of a config is longer.
const DELAYED: Duration = Duration::from_millis(250);

pub(crate) struct Client<'a> {
    name: &'static str,
    mesh: &'a Mesh,
    spot: Spot,
    addresses: BTreeMap<String, IpAddr>,
    conversations: BTreeMap<SocketAddr, Conversation<TcpStream>>,
}

impl<'a> Client<'a> {
    pub(crate) fn of(mesh: &'a Mesh, name: &'static str) -> Self {
        mesh.wait_ready(name);
        Self {
            name,
            mesh,
            spot: mesh.spot(name),
            addresses: BTreeMap::new(),
            conversations: BTreeMap::new(),
        }
    }

    /// Waits until it sees a config.
    pub(crate) fn waits_for(&mut self, config: &Config, number: usize) {
        let begun = Instant::now();
        loop {
            let shown = self.shows(&config.probe);
            if shown.as_ref().is_some_and(|shown| shown.contains(&config.shows)) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} does not see config {number}, but {shown:?}:\n{}",
                self.name,
                config.text
            );
            std::thread::yield_now();
        }
    }

    /// All that is said in answer to a step.
    fn shows(&mut self, step: &Step) -> Option<String> {
        let address = self.address(step);
        let answer = match &step.way {
            Way::Http(request) | Way::Many(request, ..) => self.try_ask(address, request)?,
            Way::Call(request) => self.call(address, request)?,
            Way::Bytes => return self.spot.enter(|| greeter::ask(address, None)),
            Way::Hello(name) => return self.spot.enter(|| greeter::ask(address, Some(name))),
        };
        Some(format!("{:?} {}", answer.headers, answer.text()))
    }

    fn address(&mut self, step: &Step) -> SocketAddr {
        let ip = match step.to.parse() {
            Ok(ip) => ip,
            Err(_) => *self
                .addresses
                .entry(step.to.clone())
                .or_insert_with(|| self.mesh.service(&step.to)),
        };
        SocketAddr::new(ip, step.port)
    }

    fn call(&self, address: SocketAddr, request: &Request) -> Option<Answer> {
        self.spot.enter(|| call(address, request)).ok()
    }

    fn try_ask(&mut self, address: SocketAddr, request: &Request) -> Option<Answer> {
        let mut conversation = match self.conversations.remove(&address) {
            Some(conversation) => conversation,
            None => self.spot.enter(move || Conversation::tcp(address)).ok()?,
        };
        let answer = conversation.send(request).ok()?;
        if !conversation.is_over() {
            self.conversations.insert(address, conversation);
        }
        Some(answer)
    }

    /// Takes a step whose requests count under `key`.
    pub(crate) fn takes(&mut self, step: &Step, key: &str) -> Outcome {
        let address = self.address(step);
        let begun = Instant::now();
        let mut outcome = match &step.way {
            Way::Http(request) => {
                let request = keyed(request, key);
                let answer = self.try_ask(address, &request);
                seen(&request, answer)
            }
            Way::Call(request) => {
                let request = keyed(request, key);
                seen(&request, self.call(address, &request))
            }
            Way::Many(request, count, keep) => self.many(address, (request, *count, *keep)),
            Way::Bytes => said(self.spot.enter(|| greeter::ask(address, None))),
            Way::Hello(name) => said(self.spot.enter(|| greeter::ask(address, Some(name)))),
        };
        // Many together may take as long on a busy machine, and no config delays them.
        outcome.delayed = !matches!(step.way, Way::Many(..)) && begun.elapsed() >= DELAYED;
        outcome
    }

    /// Many requests one after the other: how many servers they reach, not which.
    fn many(&mut self, address: SocketAddr, (request, count, keep): (&Request, usize, Keep)) -> Outcome {
        let mut request = request.clone();
        let (mut servers, mut outcome) = (BTreeSet::new(), Outcome::default());
        for index in 0..count {
            if let Keep::Vary(name) = keep {
                request.headers.retain(|(known, _)| known != name);
                request.headers.push((name.to_owned(), format!("value-{index}")));
            }
            let Some(answer) = self.try_ask(address, &request) else {
                continue;
            };
            servers.extend(answer.header("x-served-by").map(str::to_owned));
            if index == 0 {
                outcome = seen(&request, Some(answer.clone()));
                outcome.headers.retain(|(name, _)| name != "x-served-by");
                // How an endpoint is written is each proxy's own.
                let token = |name: &str| matches!(keep, Keep::Header(known) if known == name);
                let tokens = outcome.headers.iter_mut().filter(|(name, _)| token(name));
                tokens.for_each(|(_, value)| value.clear());
            }
            keep_session(&mut request, &answer, keep);
        }
        outcome.said = Some(match keep {
            Keep::Named => format!("by {servers:?}"),
            _ => format!("{} servers", servers.len()),
        });
        outcome
    }
}

/// Sends from now on what the answer asks to be sent.
fn keep_session(request: &mut Request, answer: &Answer, keep: Keep) {
    let (taken, sent) = match keep {
        Keep::Cookie => ("set-cookie", "cookie"),
        Keep::Header(name) => (name, name),
        Keep::Nothing | Keep::Named | Keep::Vary(_) => return,
    };
    if let Some(value) = answer.header(taken) {
        let value = value.split(';').next().unwrap_or_default().to_owned();
        request.headers.retain(|(name, _)| name != sent);
        request.headers.push((sent.to_owned(), value));
    }
}

fn keyed(request: &Request, key: &str) -> Request {
    let mut request = request.clone();
    let keys = request
        .headers
        .iter_mut()
        .filter(|(name, _)| name == "x-echo-key");
    keys.for_each(|(_, value)| key.clone_into(value));
    request
}

fn seen(request: &Request, answer: Option<Answer>) -> Outcome {
    let answer = answer.unwrap_or_default();
    Outcome {
        status: answer.status,
        said: Some(answer.text()).filter(|text| text == "said directly"),
        headers: headers_of(request, &answer),
        ..Outcome::default()
    }
}

fn said(said: Option<String>) -> Outcome {
    Outcome {
        said,
        ..Outcome::default()
    }
}
