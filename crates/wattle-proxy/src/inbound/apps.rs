//! The application's ports as upstreams: connections this worker keeps to them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use wattle_balance::{Shared, SharedLimits};
use wattle_http::h2;
use wattle_model::{BackendPolicy, Limits};

use crate::worker::{Bounds, HttpPool, Worker};

/// Most ports remembered; a workload has few, and a scan of all of them must not fill memory.
const MAX_PORTS: usize = 1024;

/// One port of the application.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    pub(crate) http1: Rc<HttpPool>,
    pub(crate) http2: Shared<h2::Client>,
    pub(crate) bounds: Rc<Bounds>,
}

/// Ports of the application by address.
#[derive(Default)]
pub(crate) struct Apps {
    known: RefCell<HashMap<SocketAddr, Rc<App>>>,
    /// What bounds each of them.
    policy: RefCell<Arc<BackendPolicy>>,
}

impl Apps {
    /// The application's port at `address`.
    pub(crate) fn at(&self, worker: &Worker, address: SocketAddr) -> Rc<App> {
        let mut apps = self.known.borrow_mut();
        if apps.len() >= MAX_PORTS {
            apps.retain(|_, app| Rc::strong_count(app) > 1);
        }
        let make = || {
            let bounds = Bounds::new(self.policy.borrow().clone());
            let http1 = HttpPool::new(worker, bounds.clone());
            Rc::new(App {
                address,
                http1,
                http2: Shared::new(SharedLimits {
                    max_connections: bounds.shared_connections(),
                    ..SharedLimits::default()
                }),
                bounds,
            })
        };
        apps.entry(address).or_insert_with(make).clone()
    }

    /// Bounds each port by these from now on; what is under way stays and counts.
    pub(crate) fn bound(&self, limits: &Limits) {
        if self.policy.borrow().limits == *limits {
            return;
        }
        let policy = Arc::new(BackendPolicy {
            limits: limits.clone(),
            ..BackendPolicy::default()
        });
        *self.policy.borrow_mut() = policy.clone();
        for app in self.known.borrow().values() {
            app.bounds.set(policy.clone());
            app.http1.set_idle(app.bounds.http_idle());
            app.http2.set_max_connections(app.bounds.shared_connections());
        }
    }

    /// Closes connections that were idle too long.
    pub(crate) fn sweep(&self, now: u64) {
        self.known
            .borrow()
            .values()
            .for_each(|app| app.http1.sweep(now, false));
    }
}
