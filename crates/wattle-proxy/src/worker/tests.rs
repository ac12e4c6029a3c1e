//! Clusters under policies, with a worker but without listeners; connections go over loopback.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::LocalSet;
use wattle_model::traffic::{
    Balance, HealthCheck, HealthProbe, Limits, LocalityPolicy, ProxyProtocol, RetryBudget, Tunnel,
};
use wattle_model::{BackendPolicy, Endpoint, Endpoints, Hop, Inbound, Locality, NamedEndpoint, Reason};

use super::{Cluster, Worker};
use crate::config::News;
use crate::phases::connect;
use crate::phases::pick::{self, Wish};
use crate::tests::{self, worker};

fn endpoint(address: SocketAddr, region: &str) -> Endpoint {
    Endpoint {
        locality: Locality {
            region: region.into(),
            ..Locality::default()
        },
        ..tests::endpoint(address)
    }
}

fn at(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 80))
}

/// A cluster of these under a policy.
fn cluster(worker: &Worker, endpoints: Vec<Endpoint>, policy: BackendPolicy) -> Rc<Cluster> {
    let cluster = Rc::new(Cluster::new("n/b:80", worker));
    let endpoints = Endpoints {
        id: "n/b:80".into(),
        endpoints,
        names: Vec::new(),
    };
    cluster.update(&Arc::new(endpoints), worker);
    cluster.govern(&Arc::new(policy), worker);
    cluster
}

fn limits(limits: Limits) -> BackendPolicy {
    BackendPolicy {
        limits,
        ..BackendPolicy::default()
    }
}

#[test]
fn a_request_beyond_the_bound_overflows_and_one_that_ends_makes_room() {
    let worker = worker();
    let one = limits(Limits {
        requests: Some(1),
        ..Limits::default()
    });
    let cluster = cluster(&worker, vec![endpoint(at(1), "")], one);
    let first = pick::pick(&worker, &cluster, Wish::default(), &[]).unwrap();
    let second = pick::pick(&worker, &cluster, Wish::default(), &[]).err();
    assert_eq!(second, Some(Reason::UpstreamOverflow));
    drop(first);
    assert!(pick::pick(&worker, &cluster, Wish::default(), &[]).is_ok());
    assert_eq!(cluster.bounds.overflows().requests, 1);
}

#[test]
fn a_policy_that_is_taken_back_leaves_no_bound_and_endpoints_keep_their_load() {
    let worker = worker();
    let one = limits(Limits {
        requests: Some(1),
        ..Limits::default()
    });
    let cluster = cluster(&worker, vec![endpoint(at(1), "")], one);
    let first = pick::pick(&worker, &cluster, Wish::default(), &[]).unwrap();
    cluster.govern(&BackendPolicy::none(), &worker);
    let second = pick::pick(&worker, &cluster, Wish::default(), &[]).unwrap();
    assert_eq!(second.member().in_flight(), 2);
    drop(first);
}

#[test]
fn a_repetition_needs_the_breakers_and_the_budgets_leave() {
    let worker = worker();
    let policy = BackendPolicy {
        retry_budget: Some(RetryBudget::Concurrent {
            percent: 0.0,
            minimum: 1,
        }),
        ..BackendPolicy::default()
    };
    let cluster = cluster(&worker, vec![endpoint(at(1), "")], policy);
    let held = cluster.bounds.retry(0);
    assert!(held.is_ok());
    assert_eq!(cluster.bounds.retry(0).err(), Some(Reason::UpstreamOverflow));
    drop(held);
    assert!(cluster.bounds.retry(0).is_ok());
}

#[test]
fn near_endpoints_are_asked_first_from_wherever_the_workload_runs() {
    let worker = worker();
    let policy = BackendPolicy {
        locality: LocalityPolicy {
            failover: true,
            ..LocalityPolicy::default()
        },
        ..BackendPolicy::default()
    };
    let cluster = cluster(
        &worker,
        vec![endpoint(at(1), "east"), endpoint(at(2), "west")],
        policy,
    );
    for (region, near) in [("west", at(2)), ("east", at(1))] {
        let inbound = Inbound {
            locality: Locality {
                region: region.into(),
                ..Locality::default()
            },
            ..Inbound::default()
        };
        worker.hear(News::Inbound(Arc::new(inbound)));
        cluster.place(&worker);
        for _ in 0..20 {
            let picked = pick::pick(&worker, &cluster, Wish::default(), &[]).unwrap();
            assert_eq!(picked.member().address(), near, "{region}");
        }
    }
}

#[test]
fn a_hash_stays_with_its_endpoint() {
    let worker = worker();
    let policy = BackendPolicy {
        balance: Balance::Hash {
            key: wattle_model::traffic::HashKey::SourceAddress,
            table: wattle_model::traffic::HashTable::Maglev(65_537),
        },
        ..BackendPolicy::default()
    };
    let all = (1..=5).map(|last| endpoint(at(last), "")).collect();
    let cluster = cluster(&worker, all, policy);
    let picked = |caller: [u8; 4]| {
        let picked = pick::connection(&worker, &cluster, caller.into(), &[]).unwrap();
        picked.member().address()
    };
    let first = picked([10, 1, 0, 1]);
    assert!((0..20).all(|_| picked([10, 1, 0, 1]) == first));
    assert!((2..40).any(|last| picked([10, 1, 0, last]) != first));
}

#[test]
fn the_dialled_address_is_picked_as_the_endpoint_it_is_or_as_an_address_outside() {
    let worker = worker();
    let mut inside = endpoint(at(2), "");
    inside.hop = Hop::MutualTls;
    let base = cluster(
        &worker,
        vec![endpoint(at(1), ""), inside],
        BackendPolicy::default(),
    );
    for (dialled, hop) in [(at(2), Hop::MutualTls), (at(9), Hop::Plaintext)] {
        let original = Cluster::original(dialled, base.clone(), &worker);
        let picked = pick::pick(&worker, &original, Wish::default(), &[]).unwrap();
        assert_eq!(
            (picked.member().address(), picked.member().payload().hop),
            (dialled, hop)
        );
    }
}

#[test]
fn a_backend_whose_name_does_not_resolve_says_so() {
    let worker = worker();
    let cluster = Rc::new(Cluster::new("n/b:80", &worker));
    assert_eq!(
        pick::pick(&worker, &cluster, Wish::default(), &[]).err(),
        Some(Reason::NoEndpoints)
    );
    let named = NamedEndpoint {
        host: "db.example".into(),
        port: 80,
        template: endpoint(at(1), ""),
        single: false,
    };
    let endpoints = Endpoints {
        names: vec![named],
        ..Endpoints::default()
    };
    cluster.update(&Arc::new(endpoints), &worker);
    assert_eq!(
        pick::pick(&worker, &cluster, Wish::default(), &[]).err(),
        Some(Reason::UpstreamNameFailure)
    );
}

#[tokio::test]
async fn a_connection_begins_with_whose_it_is_and_goes_through_the_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let worker = worker();
    let policy = BackendPolicy {
        proxy_protocol: Some(ProxyProtocol::V1),
        tunnel: Some(Tunnel {
            post: false,
            host: "db.example".into(),
            port: 5432,
        }),
        ..BackendPolicy::default()
    };
    let cluster = cluster(&worker, vec![endpoint(address, "")], policy);
    let picked = pick::connection(&worker, &cluster, [10, 1, 0, 1].into(), &[]).unwrap();
    let dialling = connect::opaque(&worker, picked.member().payload(), (at(1), at(2)));
    let proxy = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let wanted = "PROXY TCP4 10.0.0.1 10.0.0.2 80 80\r\n\
                      CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n";
        let mut sent = vec![0; wanted.len()];
        socket.read_exact(&mut sent).await.unwrap();
        assert_eq!(String::from_utf8(sent).unwrap(), wanted);
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
    };
    let (stream, ()) = tokio::join!(dialling, proxy);
    let mut word = String::new();
    stream.ok().unwrap().0.read_to_string(&mut word).await.unwrap();
    assert_eq!(word, "hello");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_refuses_connections_is_found_unfit_and_asked_for_again_when_the_check_is_taken_back()
 {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let local = LocalSet::new();
    let checked = async {
        let worker = worker();
        let policy = BackendPolicy {
            health_check: Some(HealthCheck {
                probe: HealthProbe::Tcp,
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(1),
                healthy_after: 1,
                unhealthy_after: 3,
            }),
            ..BackendPolicy::default()
        };
        let cluster = cluster(&worker, vec![endpoint(address, "")], policy);
        let member = cluster.members().remove(0);
        assert!(member.is_fit());
        for _ in 0..100 {
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
        assert!(!member.is_fit());
        cluster.govern(&BackendPolicy::none(), &worker);
        assert!(member.is_fit());
    };
    local.run_until(checked).await;
}
