//! Limits that the proxy counts by itself.

use std::time::Duration;

use wattle_model::{Allowance, PathMatch, RequestMatch, TextMatch};

use super::*;

/// Two at once, then one in an hour.
fn limit(name: &str, by_identity: bool) -> RateLimit {
    RateLimit {
        origin: origin(name),
        ports: Vec::new(),
        matches: Vec::new(),
        clients: Vec::new(),
        except: Vec::new(),
        allowance: Allowance::Local {
            requests: 1,
            per: Duration::from_secs(3600),
            burst: 2,
            by_identity,
        },
    }
}

async fn statuses(worker: &Rc<Worker>, app: SocketAddr, callers: &[Option<&str>]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for caller in callers {
        let response = send(worker, app, *caller, get("/")).await;
        statuses.push(response.head.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn one_request_too_many_is_told_so_and_when_to_come_again() {
    let run = async {
        let (worker, app) = (worker(), application(ok).await);
        tell(&worker, open(app.port()), &[limit("l", false)], None);
        assert_eq!(statuses(&worker, app, &[None, Some("x")]).await, [200, 200]);
        let refused = send(&worker, app, None, get("/")).await;
        assert_eq!(refused.head.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.head.headers["wattle-reason"], "rate_limited");
        assert_eq!(refused.head.headers["retry-after"], "3600");
        let mut grpc = get("/");
        let kind = HeaderValue::from_static("application/grpc");
        grpc.head.headers.insert("content-type", kind);
        let refused = send(&worker, app, None, grpc).await;
        assert_eq!(
            (refused.head.status, &refused.head.headers["grpc-status"]),
            (StatusCode::OK, &"8".parse().unwrap())
        );
        assert!(refused.head.headers.contains_key("grpc-retry-pushback-ms"));
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn each_identity_has_its_own_count_and_callers_without_one_share_theirs() {
    let run = async {
        let (worker, app) = (worker(), application(ok).await);
        tell(&worker, open(app.port()), &[limit("l", true)], None);
        let callers = [Some("x"), Some("x"), Some("x"), Some("y"), None, None, None];
        assert_eq!(
            statuses(&worker, app, &callers).await,
            [200, 200, 429, 200, 200, 200, 429]
        );
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_caller_over_its_own_limit_uses_up_nothing_of_what_all_share() {
    let run = async {
        let (worker, app) = (worker(), application(ok).await);
        let mut all = limit("all", false);
        all.allowance = Allowance::Local {
            requests: 1,
            per: Duration::from_secs(3600),
            burst: 3,
            by_identity: false,
        };
        tell(&worker, open(app.port()), &[all, limit("each", true)], None);
        let callers = [Some("x"), Some("x"), Some("x"), Some("x"), Some("y"), Some("z")];
        assert_eq!(
            statuses(&worker, app, &callers).await,
            [200, 200, 429, 429, 200, 429]
        );
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_limit_is_about_its_ports_its_requests_and_its_clients_alone() {
    let run = async {
        let (worker, app) = (worker(), application(ok).await);
        let named = |name: &str| TextMatch::Exact(format!("td/ns/n/sa/{name}").into());
        let none = |limit: RateLimit| RateLimit {
            allowance: Allowance::Local {
                requests: 1,
                per: Duration::from_secs(3600),
                burst: 1,
                by_identity: false,
            },
            ..limit
        };
        let other_port = none(RateLimit {
            ports: vec![1],
            ..limit("port", false)
        });
        let path = RequestMatch {
            path: Some(PathMatch::Exact("/slow".into())),
            ..RequestMatch::default()
        };
        let slow = none(RateLimit {
            matches: vec![path],
            except: vec![named("vip")],
            ..limit("slow", false)
        });
        let client = none(RateLimit {
            clients: vec![named("noisy")],
            ..limit("client", false)
        });
        tell(&worker, open(app.port()), &[other_port, slow, client], None);
        let table = [
            (Some("x"), "/", 200),
            (Some("x"), "/", 200),
            (Some("x"), "/slow", 200),
            (None, "/slow", 429),
            (Some("vip"), "/slow", 200),
            (Some("noisy"), "/", 200),
            (Some("noisy"), "/", 429),
            (Some("y"), "/", 200),
        ];
        for (caller, path, expected) in table {
            let response = send(&worker, app, caller, get(path)).await;
            assert_eq!(response.head.status, expected, "{caller:?} {path}");
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn workers_share_a_count_and_an_edit_elsewhere_in_the_file_keeps_it() {
    let run = async {
        let (one, other, app) = (worker(), worker(), application(ok).await);
        let held = tell(&one, open(app.port()), &[limit("l", false)], None);
        other.hear(News::RateLimits(held.clone()));
        other.hear(News::Inbound(Arc::new(open(app.port()))));
        assert_eq!(statuses(&one, app, &[None]).await, [200]);
        assert_eq!(statuses(&other, app, &[None, None]).await, [200, 429]);
        let mut moved = limit("l", false);
        moved.origin.line = 7;
        let held = tell(
            &one,
            open(app.port()),
            &[limit("new", true), moved],
            held.as_deref(),
        );
        assert_eq!(statuses(&one, app, &[None]).await, [429]);
        // Another allowance begins anew, and none at all lets everything in.
        let mut wider = limit("l", false);
        wider.ports = vec![app.port()];
        let held = tell(&one, open(app.port()), &[wider], held.as_deref());
        assert_eq!(statuses(&one, app, &[None, None, None]).await, [200, 200, 429]);
        tell(&one, open(app.port()), &[], held.as_deref());
        assert_eq!(statuses(&one, app, &[None]).await, [200]);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn who_is_not_allowed_in_counts_against_no_limit() {
    let run = async {
        let (worker, app) = (worker(), application(ok).await);
        let mut strict = open(app.port());
        strict.ports[0].mtls = MtlsMode::Strict;
        tell(&worker, strict, &[limit("l", false)], None);
        assert_eq!(
            statuses(&worker, app, &[None, None, None, Some("x"), Some("x"), Some("x")]).await,
            [403, 403, 403, 200, 200, 429]
        );
    };
    LocalSet::new().run_until(run).await;
}
