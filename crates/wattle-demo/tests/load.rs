//! The load and the intruder, against a shop that is well and one that is not.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use http::StatusCode;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use support::*;
use wattle_demo::{Figures, Intrusion, Name};

fn figures(line: &str) -> Figures {
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_shop_that_is_well_fails_no_request() {
    run(async {
        let shop = Shop::open("v2").await;
        let variables = [("WEB_URL", http(shop.web.address)), ("RATE", "200".to_owned())];
        let lines = told(Name::Load, &variables, |line| figures(line).requests >= 200).await;
        let last = figures(lines.last().unwrap());
        assert!(last.last && lines[..lines.len() - 1].iter().all(|line| !figures(line).last));
        assert_eq!((last.failures, last.errors.len()), (0, 0), "{last:?}");
        let with_reviews = last.reviews["v2"] as f64 / last.requests as f64;
        assert!((0.7..0.95).contains(&with_reviews), "{last:?}");
        assert!(0.0 < last.p50_ms && last.p50_ms <= last.p99_ms, "{last:?}");
        shop.web.stop().await;
    });
}

#[test]
fn what_fails_is_counted_with_its_reason() {
    run(async {
        let refusing =
            stand_in(|_| async { refusal(StatusCode::SERVICE_UNAVAILABLE, "no-healthy-endpoint") }).await;
        let shop = Shop::open_with("v1", &[("REVIEWS_URL", http(refusing))]).await;
        let variables = [("WEB_URL", http(shop.web.address)), ("RATE", "200".to_owned())];
        let lines = told(Name::Load, &variables, |line| figures(line).requests >= 100).await;
        let last = figures(lines.last().unwrap());
        assert!(
            last.failures > last.requests / 2 && last.failures < last.requests,
            "{last:?}"
        );
        let expected = "web: answered 502: reviews: answered 503: no-healthy-endpoint: not for you";
        assert_eq!(last.errors, [expected]);
    });
}

#[test]
fn phases_are_counted_apart() {
    run(async {
        let shop = Shop::open("v1").await;
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().to_str().unwrap().to_owned();
        let variables = [
            ("WEB_URL", http(shop.web.address)),
            ("RATE", "100".to_owned()),
            ("WATTLE_DATA", data),
        ];
        let lines = told(Name::Load, &variables, |line| {
            wattle_demo::begin_phase(dir.path(), "steady").unwrap();
            figures(line)
                .phases
                .get(1)
                .is_some_and(|phase| phase.requests > 20)
        })
        .await;
        let phases = figures(lines.last().unwrap()).phases;
        let names: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["start", "steady"]);
        assert!(phases[0].requests > 0 && phases[1].since_s > 0.5, "{phases:?}");
        assert_eq!(phases[1].share("v1"), Some(1.0));
    });
}

#[test]
fn a_stall_is_seen_as_latency_and_as_turns_shed() {
    run(async {
        let silent = stand_in(|_| std::future::pending()).await;
        let variables = [
            ("WEB_URL", http(silent)),
            ("RATE", "5000".to_owned()),
            ("TIMEOUT_MS", "400".to_owned()),
        ];
        let lines = told(Name::Load, &variables, |line| figures(line).requests > 0).await;
        let last = figures(lines.last().unwrap());
        assert_eq!(last.failures, last.requests);
        assert!(last.shed > 0 && last.p50_ms >= 800.0, "{last:?}");
        assert_eq!(last.errors, ["web: no answer within 800 ms"]);
    });
}

#[test]
fn the_intruder_tells_what_it_is_told() {
    run(async {
        let refusing = stand_in(|_| async { refusal(StatusCode::FORBIDDEN, "policy-denied") }).await;
        let shop = Shop::open("v1").await;
        let variables = [
            ("CART_URL", http(refusing)),
            ("CATALOG_URL", http(shop.catalog.address)),
            ("LEDGER_URL", tcp(nowhere().await)),
        ];
        let lines = told(Name::Intruder, &variables, |_| true).await;
        let intrusion: Intrusion = serde_json::from_str(lines.last().unwrap()).unwrap();
        let [cart, catalog, ledger] = ["cart", "catalog", "ledger"].map(|name| intrusion.on(name).unwrap());
        assert_eq!(
            (cart.status, cart.reason.as_deref(), cart.let_in),
            (Some(403), Some("policy-denied"), 0)
        );
        assert_eq!((catalog.status, catalog.let_in, catalog.tries), (Some(200), 1, 1));
        assert_eq!((ledger.status, ledger.let_in), (None, 0));
        assert!(ledger.text.starts_with("ledger: cannot connect"), "{ledger:?}");
    });
}

const CHILD: &str = "WATTLE_DEMO_TEST_CHILD";

#[test]
fn a_process_ends_in_order_on_sigterm() {
    if std::env::var_os(CHILD).is_some() {
        let settings = settings(Name::Load, &[("WEB_URL", "http://127.0.0.1:1".to_owned())]);
        return wattle_demo::sample::run(settings).unwrap();
    }
    let this = ["--exact", "a_process_ends_in_order_on_sigterm", "--nocapture"];
    let mut child = Command::new(std::env::current_exe().unwrap());
    let mut child = child
        .args(this)
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    // The first line of figures also shows that the signal is listened to.
    let first = lines.find(|line| line.contains("\"elapsed_s\"")).unwrap();
    assert!(first.contains("\"last\":false"), "{first}");
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success());
    assert!(rest.iter().any(|line| line.contains("\"last\":true")), "{rest:?}");
}
