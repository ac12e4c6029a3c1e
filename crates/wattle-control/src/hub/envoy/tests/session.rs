//! What one stream sends when, without a hub: clusters and the endpoints that they wait for.

use std::collections::BTreeMap;

use super::super::batch::Batch;
use super::super::session::{Protocol, Session};
use super::*;

/// A cluster whose endpoints have a name of their own (`envoy.config.cluster.v3.Cluster`, reduced).
#[derive(Clone, PartialEq, Message)]
struct Cluster {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "3")]
    eds: Option<Source>,
    #[prost(string, tag = "100")]
    text: String,
}

/// `Cluster.EdsClusterConfig`, reduced.
#[derive(Clone, PartialEq, Message)]
struct Source {
    #[prost(string, tag = "2")]
    service_name: String,
}

/// Resources of one kind by name, each a text that is its version as well.
fn all(clusters: &[(&str, &str, &str)], endpoints: &[(&str, &str)]) -> Resources {
    let clusters = clusters.iter().map(|(name, backend, text)| {
        let cluster = Cluster {
            name: (*name).to_owned(),
            eds: Some(Source {
                service_name: (*backend).to_owned(),
            }),
            text: (*text).to_owned(),
        };
        (Arc::from(*name), resource(cluster.encode_to_vec(), text))
    });
    let endpoints = endpoints
        .iter()
        .map(|(name, text)| (Arc::from(*name), resource(text.as_bytes().to_vec(), text)));
    let listener = BTreeMap::from([(Arc::from("listener"), resource(Vec::new(), "there"))]);
    Resources {
        resources: BTreeMap::from([
            (Kind::Cluster, clusters.collect()),
            (Kind::Endpoints, endpoints.collect()),
            (Kind::Listener, listener),
        ]),
        gaps: Vec::new(),
    }
}

fn resource(body: Vec<u8>, version: &str) -> Resource {
    Resource {
        body: body.into(),
        version: version.into(),
    }
}

/// A stream of a client that takes all clusters and listeners.
fn session(protocol: Protocol) -> Session {
    let mut session = Session::new(protocol);
    for kind in [Kind::Cluster, Kind::Listener] {
        session.of(kind).wildcard = true;
    }
    session
}

/// Kind and names of what is sent next.
fn next(session: &mut Session, newest: &Resources) -> Option<(Kind, Vec<String>, String)> {
    let Batch { kind, nonce, set, .. } = session.next(newest, Instant::now())?;
    Some((
        kind,
        set.iter().map(|(name, _)| name.to_string()).collect(),
        nonce,
    ))
}

/// The same where it must be this kind and these names; gives the nonce.
#[track_caller]
fn sent(session: &mut Session, newest: &Resources, kind: Kind, names: &[&str]) -> String {
    let (sent, sent_names, nonce) = next(session, newest).unwrap();
    let sent_names: Vec<_> = sent_names.iter().map(String::as_str).collect();
    assert_eq!((sent, &sent_names[..]), (kind, names));
    nonce
}

/// A client that holds the cluster `web|http/1`, its endpoints and the listener, all acknowledged.
fn settled(protocol: Protocol) -> (Session, Resources) {
    let mut session = session(protocol);
    let newest = all(&[("web|http/1", "web", "1")], &[("web", "1")]);
    let clusters = sent(&mut session, &newest, Kind::Cluster, &["web|http/1"]);
    session.of(Kind::Endpoints).subscribe("web").unwrap();
    let endpoints = sent(&mut session, &newest, Kind::Endpoints, &["web"]);
    session
        .of(Kind::Endpoints)
        .answered(Kind::Endpoints, &endpoints)
        .unwrap();
    session
        .of(Kind::Cluster)
        .answered(Kind::Cluster, &clusters)
        .unwrap();
    let listeners = sent(&mut session, &newest, Kind::Listener, &["listener"]);
    session
        .of(Kind::Listener)
        .answered(Kind::Listener, &listeners)
        .unwrap();
    assert_eq!(next(&mut session, &newest), None);
    (session, newest)
}

#[test]
fn endpoints_go_out_while_their_cluster_is_not_acknowledged_and_listeners_wait_for_both() {
    for protocol in [Protocol::Delta, Protocol::World] {
        let mut session = session(protocol);
        let newest = all(&[("web|http/1", "web", "1")], &[("web", "1")]);
        let clusters = sent(&mut session, &newest, Kind::Cluster, &["web|http/1"]);
        assert_eq!(next(&mut session, &newest), None, "listeners wait");
        session.of(Kind::Endpoints).subscribe("web").unwrap();
        let endpoints = sent(&mut session, &newest, Kind::Endpoints, &["web"]);
        assert_eq!(next(&mut session, &newest), None, "listeners wait");
        session
            .of(Kind::Cluster)
            .answered(Kind::Cluster, &clusters)
            .unwrap();
        assert_eq!(
            next(&mut session, &newest),
            None,
            "listeners wait for endpoints too"
        );
        session
            .of(Kind::Endpoints)
            .answered(Kind::Endpoints, &endpoints)
            .unwrap();
        sent(&mut session, &newest, Kind::Listener, &["listener"]);
    }
}

#[test]
fn endpoints_that_change_meanwhile_wait_for_the_answer_to_those_before_alone() {
    let (mut session, _) = settled(Protocol::Delta);
    let moved = all(&[("web|http/1", "web", "2")], &[("web", "2")]);
    sent(&mut session, &moved, Kind::Cluster, &["web|http/1"]);
    let first = sent(&mut session, &moved, Kind::Endpoints, &["web"]);
    let again = all(&[("web|http/1", "web", "2")], &[("web", "3")]);
    assert_eq!(
        next(&mut session, &again),
        None,
        "one response of a kind at a time"
    );
    session
        .of(Kind::Endpoints)
        .answered(Kind::Endpoints, &first)
        .unwrap();
    sent(&mut session, &again, Kind::Endpoints, &["web"]);
}

#[test]
fn a_new_cluster_of_a_known_backend_gets_its_endpoints_again_without_having_to_ask() {
    for protocol in [Protocol::Delta, Protocol::World] {
        let (mut session, _) = settled(protocol);
        let newest = all(
            &[("web|http/1", "web", "1"), ("web|http/2", "web", "1")],
            &[("web", "1")],
        );
        // In the state of the world the old cluster is in the response, and does not ask for anything by that.
        let names: &[&str] = match protocol {
            Protocol::Delta => &["web|http/2"],
            Protocol::World => &["web|http/1", "web|http/2"],
        };
        sent(&mut session, &newest, Kind::Cluster, names);
        let endpoints = sent(&mut session, &newest, Kind::Endpoints, &["web"]);
        session
            .of(Kind::Endpoints)
            .answered(Kind::Endpoints, &endpoints)
            .unwrap();
        assert_eq!(next(&mut session, &newest), None, "once is enough");
    }
}

#[test]
fn endpoints_of_a_cluster_that_stays_are_not_sent_again_beside_a_new_one() {
    for protocol in [Protocol::Delta, Protocol::World] {
        let (mut session, _) = settled(protocol);
        let newest = all(
            &[("new|http/1", "new", "1"), ("web|http/1", "web", "1")],
            &[("new", "1"), ("web", "1")],
        );
        let (kind, ..) = next(&mut session, &newest).unwrap();
        assert_eq!(kind, Kind::Cluster);
        assert_eq!(
            next(&mut session, &newest),
            None,
            "nobody waits for endpoints of web"
        );
        session.of(Kind::Endpoints).subscribe("new").unwrap();
        sent(&mut session, &newest, Kind::Endpoints, &["new"]);
    }
}

#[test]
fn a_cluster_without_a_name_for_its_endpoints_waits_for_those_of_its_own_name() {
    let mut session = session(Protocol::Delta);
    let newest = |version| all(&[("web", "", version)], &[("web", "1")]);
    let clusters = sent(&mut session, &newest("1"), Kind::Cluster, &["web"]);
    session.of(Kind::Endpoints).subscribe("web").unwrap();
    let endpoints = sent(&mut session, &newest("1"), Kind::Endpoints, &["web"]);
    session
        .of(Kind::Endpoints)
        .answered(Kind::Endpoints, &endpoints)
        .unwrap();
    session
        .of(Kind::Cluster)
        .answered(Kind::Cluster, &clusters)
        .unwrap();
    sent(&mut session, &newest("2"), Kind::Cluster, &["web"]);
    sent(&mut session, &newest("2"), Kind::Endpoints, &["web"]);
}

#[test]
fn endpoints_that_the_client_gave_up_are_not_sent_to_a_new_cluster_until_it_asks() {
    let (mut session, _) = settled(Protocol::Delta);
    session.of(Kind::Endpoints).unsubscribe("web");
    let newest = all(&[("web|http/1", "web", "2")], &[("web", "1")]);
    sent(&mut session, &newest, Kind::Cluster, &["web|http/1"]);
    assert_eq!(next(&mut session, &newest), None);
    session.of(Kind::Endpoints).subscribe("web").unwrap();
    sent(&mut session, &newest, Kind::Endpoints, &["web"]);
}
