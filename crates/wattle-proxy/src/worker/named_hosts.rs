//! Addresses that DNS gives for hosts outside the mesh, for backends that are reached nowhere else.

use std::cell::{OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use hashbrown::HashMap;
use tokio::sync::OnceCell as Once;
use wattle_dns::{Outward, Resolver};
use wattle_model::{Reason, leads_home};

use super::Worker;

/// Hosts that are remembered; beyond it all are asked for anew.
const MOST: usize = 1024;
/// Addresses of a host that are looked at for one that may be called.
const MOST_TRIED: usize = 8;
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
        let host = normal(host);
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

    /// Where a connection may go that is made by name alone: the first of the host's addresses that is neither the
    /// caller's, nor home to this machine, nor of the mesh; that of `wanted` before others, and its family before the other.
    pub(crate) async fn outside(
        &self,
        worker: &Worker,
        host: &str,
        wanted: SocketAddr,
        caller: IpAddr,
    ) -> Result<SocketAddr, Reason> {
        let host = normal(host);
        let mut addresses = self.addresses(worker, &host).await.to_vec();
        if addresses.is_empty() {
            return Err(Reason::UpstreamNameFailure);
        }
        addresses.sort_by_key(|ip| (*ip != wanted.ip(), ip.is_ipv4() != wanted.is_ipv4()));
        for ip in addresses.into_iter().take(MOST_TRIED) {
            let address = SocketAddr::new(ip, wanted.port());
            if may_lead(worker, address, caller).await? {
                return Ok(address);
            }
        }
        tracing::warn!(
            host,
            "a host outside leads to the caller, to this machine or into the mesh: refused"
        );
        Err(Reason::UpstreamAddressRefused)
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

/// A host as DNS is asked for it.
fn normal(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches([']', '.'])
        .to_ascii_lowercase()
}

/// May a name of the outside lead there? What is the mesh's own, the control plane knows.
async fn may_lead(worker: &Worker, address: SocketAddr, caller: IpAddr) -> Result<bool, Reason> {
    let ip = address.ip().to_canonical();
    if leads_home(ip) || ip == caller.to_canonical() {
        return Ok(false);
    }
    let there = worker.destinations.find(worker, address).await?;
    Ok(there.destination.outside)
}
