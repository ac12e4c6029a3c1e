//! Resolution over real sockets.
#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "the support module serves several tests")]

mod support;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use wattle_dns::{
    MAX_TTL, MAX_WATCHED, MIN_TTL, Outward, ResolveError, Resolver, Transport, Watch, WatchError,
};

use support::{Stub, address, alias, name, refusal, reply, within};

/// Records of every name, of the type asked for and aliases.
fn zone(records: &[Record]) -> impl Fn(&Query) -> Vec<Record> + Send + Sync + 'static {
    let records = records.to_vec();
    move |query| {
        records
            .iter()
            .filter(|record| [query.query_type(), RecordType::CNAME].contains(&record.record_type()))
            .cloned()
            .collect()
    }
}

fn resolver(stub: &Stub) -> Resolver {
    Resolver::over(&[stub.address], Outward::default())
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_name_has_the_addresses_of_both_families_for_the_shortest_time() {
    let stub = Stub::with_records(zone(&[
        address("db.example.com.", 300, "192.0.2.2"),
        address("db.example.com.", 120, "192.0.2.1"),
        address("db.example.com.", 60, "2001:db8::1"),
        address("other.example.com.", 1, "192.0.2.66"),
    ]))
    .await;
    let resolved = within(resolver(&stub).resolve("DB.example.com.")).await.unwrap();
    assert_eq!(
        resolved.addresses,
        addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"])
    );
    assert_eq!(resolved.ttl, Duration::from_secs(60));
}

#[tokio::test]
async fn times_are_kept_within_bounds() {
    for (ttl, expected) in [(0, MIN_TTL), (604_800, MAX_TTL)] {
        let stub = Stub::with_records(zone(&[address("db.example.com.", ttl, "192.0.2.1")])).await;
        let resolved = within(resolver(&stub).resolve("db.example.com")).await.unwrap();
        assert_eq!(resolved.ttl, expected);
    }
}

#[tokio::test]
async fn an_address_in_letters_needs_no_resolver() {
    let resolver = Resolver::over(&[], Outward::default());
    let resolved = resolver.resolve("2001:db8::1").await.unwrap();
    assert_eq!(resolved.addresses, addresses(&["2001:db8::1"]));
}

#[tokio::test]
async fn aliases_are_followed_within_an_answer_and_over_several() {
    let whole = zone(&[
        alias("a.example.com.", 600, "b.example.com."),
        alias("b.example.com.", 30, "c.example.net."),
        address("c.example.net.", 600, "192.0.2.1"),
    ]);
    let stepwise = move |query: &Query| {
        let of_name = |record: &Record| record.name == *query.name();
        whole(query).into_iter().filter(of_name).collect::<Vec<_>>()
    };
    let whole = zone(&[
        alias("b.example.com.", 30, "c.example.net."),
        alias("a.example.com.", 600, "b.example.com."),
        address("c.example.net.", 600, "192.0.2.1"),
    ]);
    for stub in [
        Stub::with_records(whole).await,
        Stub::with_records(stepwise).await,
    ] {
        let resolved = within(resolver(&stub).resolve("a.example.com")).await.unwrap();
        assert_eq!(resolved.addresses, addresses(&["192.0.2.1"]));
        assert_eq!(resolved.ttl, Duration::from_secs(30));
    }
}

#[tokio::test]
async fn aliases_in_a_circle_end() {
    let stub = Stub::with_records(zone(&[
        alias("a.example.com.", 60, "b.example.com."),
        alias("b.example.com.", 60, "a.example.com."),
    ]))
    .await;
    let error = within(resolver(&stub).resolve("a.example.com"))
        .await
        .unwrap_err();
    let ends = matches!(
        error,
        ResolveError::Aliases { .. } | ResolveError::NoAddress { .. }
    );
    assert!(ends, "{error}");
}

#[tokio::test]
async fn a_cut_answer_is_asked_for_again_over_tcp() {
    let records = |query: &Query| zone(&[address("db.example.com.", 60, "192.0.2.1")])(query);
    let stub = Stub::start(move |query, transport| {
        let mut answer = reply(query, records, ResponseCode::NoError);
        if transport == Transport::Udp {
            answer = refusal(query, ResponseCode::NoError);
            answer[2] |= 0x02;
        }
        vec![answer]
    })
    .await;
    let resolved = within(resolver(&stub).resolve("db.example.com")).await.unwrap();
    assert_eq!(resolved.addresses, addresses(&["192.0.2.1"]));
}

#[tokio::test]
async fn one_family_that_fails_does_not_spoil_the_other() {
    let records = zone(&[address("db.example.com.", 60, "192.0.2.1")]);
    let stub = Stub::start(move |query, _| {
        let found = reply(query, &records, ResponseCode::NoError);
        let is_v6 = query.windows(4).any(|bytes| bytes == [0, 28, 0, 1]);
        vec![if is_v6 {
            refusal(query, ResponseCode::ServFail)
        } else {
            found
        }]
    })
    .await;
    let resolved = within(resolver(&stub).resolve("db.example.com")).await.unwrap();
    assert_eq!(resolved.addresses, addresses(&["192.0.2.1"]));
}

#[tokio::test]
async fn a_failure_says_what_is_wrong() {
    let rows = [
        (ResponseCode::NXDomain, "resolve db.example.com: no such name"),
        (ResponseCode::NoError, "resolve db.example.com: it has no address"),
        (
            ResponseCode::Refused,
            "resolve db.example.com: the resolver answers with response code 5",
        ),
    ];
    for (code, words) in rows {
        let stub = Stub::start(move |query, _| vec![refusal(query, code)]).await;
        let error = within(resolver(&stub).resolve("db.example.com"))
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with(words), "{error}");
    }
    let nobody = Resolver::over(&[], Outward::default());
    let error = nobody.resolve("db.example.com").await.unwrap_err();
    assert!(matches!(error, ResolveError::Upstream { .. }));
    let error = nobody.resolve("not a name").await.unwrap_err();
    assert!(matches!(error, ResolveError::Name(_)));
}

#[tokio::test]
async fn a_watched_name_is_told_when_it_fails_and_when_it_comes() {
    let exists = Arc::new(AtomicBool::new(false));
    let seen = exists.clone();
    let records = zone(&[address("db.example.com.", 60, "192.0.2.1")]);
    let stub = Stub::start(move |query, _| {
        if seen.load(Ordering::Relaxed) {
            return vec![reply(query, &records, ResponseCode::NoError)];
        }
        vec![refusal(query, ResponseCode::NXDomain)]
    })
    .await;
    let (watch, mut changes) = Watch::start(resolver(&stub));
    watch.set(BTreeSet::from(["db.example.com".to_owned()])).unwrap();
    let change = within(changes.recv()).await.unwrap();
    assert_eq!(
        (change.host.as_str(), change.addresses),
        ("db.example.com", Vec::new())
    );
    assert!(matches!(
        change.failure.as_deref(),
        Some(ResolveError::NoSuchName { .. })
    ));
    exists.store(true, Ordering::Relaxed);
    let change = within(changes.recv()).await.unwrap();
    assert_eq!(change.addresses, addresses(&["192.0.2.1"]));
    assert!(change.failure.is_none());
    drop(watch);
    assert!(within(changes.recv()).await.is_none());
}

#[tokio::test]
async fn many_names_are_watched_and_no_more_than_the_limit() {
    let stub = Stub::start(|query, _| {
        let records = |asked: &Query| match asked.query_type() {
            RecordType::A => vec![Record::from_rdata(
                asked.name().clone(),
                60,
                address("x.", 60, "192.0.2.1").data,
            )],
            _ => Vec::new(),
        };
        vec![reply(query, records, ResponseCode::NoError)]
    })
    .await;
    assert!(name("x.").is_fqdn());
    let (watch, mut changes) = Watch::start(resolver(&stub));
    let names = |count| {
        (0..count)
            .map(|n| format!("n{n}.example.com"))
            .collect::<BTreeSet<_>>()
    };
    watch.set(names(200)).unwrap();
    let mut told = BTreeSet::new();
    while told.len() < 200 {
        told.insert(within(changes.recv()).await.unwrap().host);
    }
    assert_eq!(told, names(200));
    assert_eq!(
        watch.set(names(MAX_WATCHED + 1)),
        Err(WatchError::TooMany { count: 1025 })
    );
}
