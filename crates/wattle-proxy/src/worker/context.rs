//! Everything a connection of one worker needs, in one place.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use hashbrown::HashMap;
use tokio::sync::Notify;
use wattle_http::{DrainSignal, Limits};
use wattle_model::traffic::TlsFiles;
use wattle_model::{Inbound, Workload};
use wattle_net::{ConnectOptions, Draining, Keepalive};
use wattle_telemetry::Shard;
use wattle_telemetry::access::AccessWriter;

use super::{Bounds, Clock, Destinations, NamedHosts, Proofs, Refusals};
use crate::config::{Ask, Dialled, Materials, News, Post};
use crate::identity::{Credentials, Outside};
use crate::inbound::{App, Apps};
use crate::outbound::Mirrors;
use crate::phases::authenticate::Tokens;
use crate::phases::limit;
use crate::settings::Settings;

/// Most peers remembered; when more come, all are forgotten and asked for anew.
const MAX_PEERS: usize = 10_000;

/// State of one worker.
pub(crate) struct Worker {
    own: Weak<Worker>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    pub(crate) post: Post,
    pub(crate) draining: Draining,
    /// Tells HTTP connections to finish.
    pub(crate) http_drain: DrainSignal,
    /// For peers that are known: the workload itself, other proxies, endpoints.
    pub(crate) limits: Rc<Limits>,
    /// For clients that nobody knows.
    pub(crate) stranger_limits: Rc<Limits>,
    pub(crate) shard: Shard,
    /// Copies of requests that are under way.
    pub(crate) mirrors: Mirrors,
    pub(crate) access: Option<RefCell<AccessWriter>>,
    pub(crate) destinations: Destinations,
    /// What DNS says of hosts outside.
    pub(crate) named_hosts: NamedHosts,
    /// What was refused last.
    pub(crate) refusals: Refusals,
    /// The application's ports, as upstreams of inbound requests.
    pub(crate) apps: Apps,
    /// What open connections of the mesh rest on.
    pub(crate) proofs: Proofs,
    credentials: RefCell<Option<Arc<Credentials>>>,
    generation: Cell<u64>,
    inbound: RefCell<Option<Rc<Inbound>>>,
    /// A policy compares the address of the original client.
    asks_remote_ip: Cell<bool>,
    rate_limits: RefCell<Option<Rc<limit::Limits>>>,
    tokens: RefCell<Option<Rc<Tokens>>>,
    outside: RefCell<Arc<Materials>>,
    changed: Notify,
    peers: RefCell<HashMap<IpAddr, Option<Arc<Workload>>>>,
}

impl Worker {
    pub(crate) fn new(
        settings: Arc<Settings>,
        post: Post,
        draining: Draining,
        shard: Shard,
        access: Option<AccessWriter>,
    ) -> Rc<Self> {
        Rc::new_cyclic(|own| Self {
            own: own.clone(),
            clock: Clock::new(settings.clock.clone()),
            settings,
            post,
            draining,
            http_drain: DrainSignal::new(),
            limits: Rc::new(Limits {
                // They give requests up as their time limits say, for many callers on one connection.
                max_early_resets: u64::MAX,
                ..Limits::default()
            }),
            stranger_limits: Rc::new(Limits::default()),
            mirrors: Mirrors::new(&shard),
            shard,
            access: access.map(RefCell::new),
            destinations: Destinations::default(),
            named_hosts: NamedHosts::default(),
            refusals: Refusals::default(),
            apps: Apps::default(),
            proofs: Proofs::default(),
            credentials: RefCell::new(None),
            generation: Cell::new(0),
            inbound: RefCell::new(None),
            asks_remote_ip: Cell::new(false),
            rate_limits: RefCell::default(),
            tokens: RefCell::default(),
            outside: RefCell::default(),
            changed: Notify::new(),
            peers: RefCell::default(),
        })
    }

    /// A handle that does not keep the worker alive.
    pub(crate) fn weak(&self) -> Weak<Worker> {
        self.own.clone()
    }

    /// Takes in news of the main thread.
    pub(crate) fn hear(&self, news: News) {
        match news {
            News::Credentials(credentials) => {
                let bundles = credentials.bundles().clone();
                let old = self.credentials.replace(Some(credentials));
                self.generation.set(self.generation.get() + 1);
                self.destinations.forget_idle();
                if old.is_some_and(|old| *old.bundles() != bundles) {
                    self.proofs.judge(self);
                }
                self.changed.notify_waiters();
            }
            News::Inbound(inbound) => {
                self.apps.bound(&inbound.limits);
                self.asks_remote_ip.set(inbound.authorization.asks_remote_ip());
                let old = self.inbound.replace(Some(Rc::new(Inbound::clone(&inbound))));
                let seen_from = |inbound: &Inbound| (inbound.locality.clone(), inbound.labels.clone());
                if old.as_deref().map(seen_from) != Some(seen_from(&inbound)) {
                    self.destinations.place_anew(self);
                }
                self.changed.notify_waiters();
            }
            News::RateLimits(limits) => {
                *self.rate_limits.borrow_mut() = limits.map(|limits| Rc::new(limit::Limits::new(limits)));
            }
            News::Tokens(rules) => {
                *self.tokens.borrow_mut() = rules.map(|rules| Rc::new(Tokens::new(rules)));
            }
            News::Destination(Dialled::Address(address), destination) => {
                self.destinations.set(self, address, destination);
            }
            News::Destination(Dialled::Name(name), destination) => {
                self.destinations.set_named(self, &name, destination);
            }
            News::Endpoints(id, endpoints) => self.destinations.set_endpoints(self, &id, &endpoints),
            News::Outside(materials) => {
                *self.outside.borrow_mut() = materials;
                self.destinations.forget_outside();
                self.changed.notify_waiters();
            }
            News::Peer(ip, workload) => {
                self.peers.borrow_mut().insert(ip, workload);
            }
            // Nobody listens any more, if it fails.
            News::Refusals(asked) => _ = asked.send(self.refusals.all()),
            News::Drain(_) => {
                self.http_drain.drain();
                self.proofs.finish();
            }
        }
    }

    /// The certificate in use and its generation.
    pub(crate) fn credentials(&self) -> Option<(Arc<Credentials>, u64)> {
        self.credentials
            .borrow()
            .clone()
            .map(|credentials| (credentials, self.generation.get()))
    }

    /// The workload's inbound side, as last told.
    pub(crate) fn inbound(&self) -> Option<Rc<Inbound>> {
        self.inbound.borrow().clone()
    }

    /// The inbound side that comes after `known`.
    pub(crate) async fn inbound_after(&self, known: Option<&Rc<Inbound>>) -> Rc<Inbound> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = self.inbound();
            if let Some(inbound) = now.filter(|now| !known.is_some_and(|known| Rc::ptr_eq(known, now))) {
                return inbound;
            }
            changed.await;
        }
    }

    /// Limits on what the workload takes, where there are any.
    pub(crate) fn rate_limits(&self) -> Option<Rc<limit::Limits>> {
        self.rate_limits.borrow().clone()
    }

    /// Whose tokens the workload takes, where there are any.
    pub(crate) fn tokens(&self) -> Option<Rc<Tokens>> {
        self.tokens.borrow().clone()
    }

    /// Does a policy compare the address of the original client?
    pub(crate) fn asks_remote_ip(&self) -> bool {
        self.asks_remote_ip.get()
    }

    /// The inbound side and a certificate, waiting for them when the proxy has just started; `None` when they do not come in time.
    pub(crate) async fn inbound_ready(&self) -> Option<Rc<Inbound>> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let (Some(inbound), true) = (self.inbound(), self.credentials.borrow().is_some()) {
                    return inbound;
                }
                changed.await;
            }
        };
        tokio::time::timeout(self.settings.config_timeout, wait)
            .await
            .ok()
    }

    /// Who this proxy's workload is, as labels; the start-up settings until the control plane told more.
    pub(crate) fn own_workload(&self) -> Workload {
        if let Some(inbound) = self.inbound() {
            return inbound.workload.clone();
        }
        let id = &self.settings.id;
        Workload {
            namespace: id.namespace().into(),
            name: self.settings.instance.as_str().into(),
            instance: self.settings.instance.as_str().into(),
            service_account: id.service_account().into(),
            trust_domain: id.trust_domain().into(),
            ..Workload::default()
        }
    }

    /// The workload behind an address, if the control plane said so before; asks for it otherwise, for the next time.
    pub(crate) fn peer(&self, ip: IpAddr) -> Option<Arc<Workload>> {
        let mut peers = self.peers.borrow_mut();
        if let Some(known) = peers.get(&ip) {
            return known.clone();
        }
        if peers.len() >= MAX_PEERS {
            peers.clear();
        }
        if self.post.ask(Ask::Peer(ip)) {
            peers.insert(ip, None);
        }
        None
    }

    /// How sockets towards other proxies and addresses are opened.
    pub(crate) fn outward(&self) -> ConnectOptions {
        ConnectOptions {
            mark: self.settings.mark,
            timeout: self.settings.connect_timeout,
            ..ConnectOptions::default()
        }
    }

    /// The same towards a backend, as its policy says.
    pub(crate) fn outward_to(&self, bounds: &Bounds) -> ConnectOptions {
        let policy = bounds.policy();
        let outward = self.outward();
        let usual = Keepalive::default();
        let keepalive = policy.limits.keepalive.map(|asked| Keepalive {
            time: asked.time.unwrap_or(usual.time),
            interval: asked.interval,
            retries: asked.probes,
        });
        ConnectOptions {
            timeout: policy.limits.connect_timeout.unwrap_or(outward.timeout),
            keepalive: keepalive.or(outward.keepalive),
            ..outward
        }
    }

    /// What these files hold, waiting for the main thread to have read them; else why they cannot be used.
    pub(crate) async fn outside(&self, files: &TlsFiles) -> Result<Arc<Outside>, Arc<str>> {
        let find = || {
            let known = self.outside.borrow();
            let found = known.iter().find(|(name, _)| name == files);
            found.map(|(_, material)| material.clone())
        };
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(material) = find() {
                    return material;
                }
                changed.await;
            }
        };
        tokio::time::timeout(self.settings.config_timeout, wait)
            .await
            .unwrap_or_else(|_| Err("the files of the TLS policy have not been read yet".into()))
    }

    /// How sockets towards the application are opened.
    pub(crate) fn homeward(&self, app: &App) -> ConnectOptions {
        let source = self
            .settings
            .inbound_source
            .filter(|source| source.is_ipv4() == app.address.is_ipv4());
        ConnectOptions {
            source,
            ..self.outward_to(&app.bounds)
        }
    }

    /// Now and then: forgets what is old, writes out the log.
    pub(crate) fn sweep(&self) {
        self.destinations.sweep(self);
        self.apps.sweep(self.clock.now_ns());
        self.proofs.sweep();
        if let Some(access) = &self.access {
            access.borrow_mut().flush();
        }
    }
}
