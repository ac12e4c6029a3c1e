//! Requests that stay with an endpoint: sessions, and hashes of cookies that the proxy sets.

use super::*;
use http::HeaderValue;
use wattle_model::traffic::{Balance, HashKey, HashTable};
use wattle_model::{SessionCarrier, SessionPersistence};

fn session(weights: &[u32], absolute_timeout: Option<Duration>) -> RouteRule {
    RouteRule {
        session: Some(Arc::new(SessionPersistence {
            carrier: SessionCarrier::Cookie {
                name: "s".into(),
                permanent: false,
                path: "/".into(),
            },
            absolute_timeout,
        })),
        ..rule(weights)
    }
}

/// `name=value` of the cookie that a response sets.
fn set(response: &Response) -> Option<HeaderValue> {
    let cookie = response.head.headers.get("set-cookie")?.to_str().unwrap();
    let (pair, _) = cookie.split_once(';').unwrap();
    Some(pair.parse().unwrap())
}

fn with(cookie: &HeaderValue) -> Request {
    let mut request = get();
    request.head.headers.insert("cookie", cookie.clone());
    request
}

async fn applications<const COUNT: usize>() -> [SocketAddr; COUNT] {
    let mut started = [SocketAddr::from(([0; 4], 0)); COUNT];
    for address in &mut started {
        *address = Named::default().start().await;
    }
    started
}

#[tokio::test]
async fn a_session_stays_with_its_endpoint_and_tells_nothing_of_it() {
    let run = async {
        let apps = applications::<4>().await;
        let world = World::new(&[&apps], BackendPolicy::default(), session(&[1], None));
        let first = world.send(get()).await;
        let (cookie, endpoint) = (set(&first).unwrap(), name(&first));
        for part in [endpoint.port().to_string(), "127.0.0.1".to_owned()] {
            assert!(!cookie.to_str().unwrap().contains(&part));
        }
        for _ in 0..20 {
            let again = world.send(with(&cookie)).await;
            assert_eq!((name(&again), set(&again)), (endpoint, None));
        }
        // Without it requests go everywhere.
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < apps.len() {
            seen.insert(name(&world.send(get()).await));
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_session_whose_endpoint_is_gone_or_was_never_there_begins_anew() {
    let run = async {
        let [one, other] = applications::<2>().await;
        let world = World::new(&[&[one, other]], BackendPolicy::default(), session(&[1], None));
        let first = world.send(get()).await;
        let cookie = set(&first).unwrap();
        let left = if name(&first) == one { other } else { one };
        world.place(0, &[left]);
        let second = world.send(with(&cookie)).await;
        assert_eq!(name(&second), left);
        let renewed = set(&second).unwrap();
        assert_ne!(renewed, cookie);
        assert_eq!(set(&world.send(with(&renewed)).await), None);
        for forged in ["s=0000000000000001", "s=127.0.0.1:1", "s="] {
            let response = world.send(with(&HeaderValue::from_static(forged))).await;
            assert_eq!((name(&response), set(&response)), (left, Some(renewed.clone())));
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_gives_up_its_sessions() {
    let run = async {
        let [one, other] = applications::<2>().await;
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = closed.local_addr().unwrap();
        drop(closed);
        let world = World::new(
            &[&[one, other, gone]],
            BackendPolicy::default(),
            session(&[1], None),
        );
        let tag = world
            .cluster()
            .await
            .members()
            .iter()
            .find(|member| member.address() == gone)
            .unwrap()
            .payload()
            .tag;
        let cookie = HeaderValue::try_from(format!("s={tag:016x}")).unwrap();
        let response = world.send(with(&cookie)).await;
        assert_ne!(name(&response), gone);
        assert!(set(&response).is_some());
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_session_keeps_its_backend_while_that_gets_traffic_at_all() {
    let run = async {
        let [one, other] = applications::<2>().await;
        let backends: [&[SocketAddr]; 2] = [&[one], &[other]];
        let world = World::new(
            &backends,
            BackendPolicy::default(),
            session(&[1, 1_000_000], None),
        );
        let tag = world.cluster().await.members()[0].payload().tag;
        let cookie = HeaderValue::try_from(format!("s={tag:016x}")).unwrap();
        for _ in 0..10 {
            let response = world.send(with(&cookie)).await;
            assert_eq!((name(&response), set(&response)), (one, None));
        }
        world.route(session(&[0, 1], None));
        let response = world.send(with(&cookie)).await;
        assert_eq!(name(&response), other);
        assert!(set(&response).is_some());
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_session_that_is_over_begins_anew() {
    let run = async {
        let [app] = applications::<1>().await;
        let hour = Some(Duration::from_secs(3600));
        let world = World::new(&[&[app]], BackendPolicy::default(), session(&[1], hour));
        let cookie = set(&world.send(get()).await).unwrap();
        assert_eq!(set(&world.send(with(&cookie)).await), None);
        let (tag, _) = cookie.to_str().unwrap().split_once('-').unwrap();
        let long_ago = HeaderValue::try_from(format!("{tag}-5f5e100")).unwrap();
        assert!(set(&world.send(with(&long_ago)).await).is_some());
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_client_without_the_cookie_that_is_hashed_gets_one_and_stays() {
    let run = async {
        let apps = applications::<4>().await;
        let by_cookie = BackendPolicy {
            balance: Balance::Hash {
                key: HashKey::Cookie {
                    name: "user".into(),
                    path: "/".into(),
                    ttl: Some(Duration::from_secs(60)),
                },
                table: HashTable::Maglev(65_537),
            },
            ..BackendPolicy::default()
        };
        let world = World::new(&[&apps], by_cookie, rule(&[1]));
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 2 {
            let first = world.send(get()).await;
            let cookie = set(&first).unwrap();
            seen.insert(name(&first));
            for _ in 0..5 {
                let again = world.send(with(&cookie)).await;
                assert_eq!((name(&again), set(&again)), (name(&first), None));
            }
        }
    };
    LocalSet::new().run_until(run).await;
}
