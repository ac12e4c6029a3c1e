//! Addresses that DNS gives for hosts outside the mesh, for backends that are reached nowhere else.

use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use hashbrown::HashMap;
use tokio::sync::OnceCell as Once;
use wattle_dns::{Outward, Resolver};
use wattle_model::Reason;

use super::Worker;

/// Hosts that are remembered; beyond it all are asked for anew.
const MOST: usize = 1024;
/// How long a failure is remembered.
const FAILED_NS: u64 = 1_000_000_000;

/// What DNS said last, by host.
#[derive(Default)]
pub(crate) struct NamedHosts {
    resolver: OnceCell<Resolver>,
    known: RefCell<HashMap<Box<str>, Rc<Once<Answer>>>>,
}

#[derive(Clone)]
struct Answer {
    /// None when it failed.
    addresses: Rc<[IpAddr]>,
    until_ns: u64,
}

impl NamedHosts {
    /// Where a connection to this host may go: to the address that was dialled if it is one of the host's, else to the
    /// first that is.
    pub(crate) async fn address(
        &self,
        worker: &Worker,
        host: &str,
        dialled: IpAddr,
    ) -> Result<IpAddr, Reason> {
        let host = host
            .trim_start_matches('[')
            .trim_end_matches([']', '.'])
            .to_ascii_lowercase();
        let addresses = self.addresses(worker, &host).await;
        let first = addresses.first().copied().ok_or(Reason::UpstreamNameFailure)?;
        Ok(match addresses.contains(&dialled) {
            true => dialled,
            // Of the family that the workload can reach.
            false => addresses
                .iter()
                .copied()
                .find(|address| address.is_ipv4() == dialled.is_ipv4())
                .unwrap_or(first),
        })
    }

    /// All of the host's addresses; none when DNS gives none. Those who ask at the same time wait for one answer.
    async fn addresses(&self, worker: &Worker, host: &str) -> Rc<[IpAddr]> {
        let asked = self.asked(worker, host);
        let answer = asked.get_or_init(|| self.ask(worker, host)).await;
        answer.addresses.clone()
    }

    /// The question about the host: answered and still true, under way, or new.
    fn asked(&self, worker: &Worker, host: &str) -> Rc<Once<Answer>> {
        let now = worker.clock.now_ns();
        let mut known = self.known.borrow_mut();
        let holds = |asked: &Rc<Once<Answer>>| asked.get().is_none_or(|answer| answer.until_ns > now);
        if let Some(asked) = known.get(host).filter(|asked| holds(asked)) {
            return asked.clone();
        }
        if known.len() >= MOST {
            known.retain(|_, asked| holds(asked));
        }
        if known.len() >= MOST {
            known.clear();
        }
        let asked = Rc::new(Once::new());
        known.insert(host.into(), asked.clone());
        asked
    }

    async fn ask(&self, worker: &Worker, host: &str) -> Answer {
        let resolver = self.resolver.get_or_init(|| {
            let outward = Outward {
                mark: worker.settings.mark,
            };
            Resolver::over(&crate::names::resolvers().resolvers, outward)
        });
        let resolved = resolver.resolve(host).await;
        let now = worker.clock.now_ns();
        match resolved {
            Ok(resolved) => Answer {
                addresses: resolved.addresses.into(),
                until_ns: now.saturating_add(u64::try_from(resolved.ttl.as_nanos()).unwrap_or(u64::MAX)),
            },
            Err(error) => {
                tracing::info!(host, %error, "a host outside cannot be verified");
                Answer {
                    addresses: Rc::new([]),
                    until_ns: now.saturating_add(FAILED_NS),
                }
            }
        }
    }
}
