//! What workers are told, and when.

#![allow(clippy::unwrap_used)]

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use wattle_model::{Backend, Protocol};

use super::*;

const ADDRESS: &str = "10.96.0.1:80";

fn held() -> (Held, UnboundedReceiver<News>) {
    let (sender, news) = unbounded_channel();
    (Held::new(Feed::new(vec![sender]), "shop/web"), news)
}

fn destination(backends: &[&str]) -> Resource {
    let backend = |id: &&str| Backend {
        id: (*id).into(),
        protocol: Protocol::Http1,
        ..Backend::default()
    };
    Resource::Destination(Destination {
        name: ADDRESS.into(),
        protocol: Protocol::Http1,
        backends: backends.iter().map(backend).collect(),
        default_backend: Some(0),
        ..Destination::default()
    })
}

fn endpoints(id: &str) -> Resource {
    Resource::Endpoints(Endpoints {
        id: id.into(),
        ..Endpoints::default()
    })
}

fn changed(resource: Resource) -> Update {
    Update::Changed(resource.name(), Box::new(resource.clone()), resource.encode())
}

fn told_destination(news: &mut UnboundedReceiver<News>) -> Vec<bool> {
    let mut told = Vec::new();
    while let Ok(heard) = news.try_recv() {
        if let News::Destination(_, destination) = heard {
            told.push(destination.is_some());
        }
    }
    told
}

fn ask(held: &mut Held) {
    held.asked(0, Ask::Destination(ADDRESS.parse().unwrap()));
}

#[test]
fn a_destination_is_told_only_when_all_its_endpoints_are_known() {
    let (mut held, mut news) = held();
    ask(&mut held);
    held.apply(changed(destination(&["a/b:1", "a/c:1"])));
    held.apply(changed(endpoints("a/b:1")));
    assert!(told_destination(&mut news).is_empty());
    held.apply(changed(endpoints("a/c:1")));
    assert_eq!(told_destination(&mut news), [true]);
}

#[test]
fn an_update_that_needs_new_endpoints_leaves_the_old_one_in_force_until_they_are_there() {
    let (mut held, mut news) = held();
    ask(&mut held);
    held.apply(changed(destination(&["a/b:1"])));
    held.apply(changed(endpoints("a/b:1")));
    assert_eq!(told_destination(&mut news), [true]);
    held.apply(changed(destination(&["a/b:1", "a/new:1"])));
    assert!(told_destination(&mut news).is_empty());
    held.apply(changed(endpoints("a/new:1")));
    assert_eq!(told_destination(&mut news), [true]);
}

#[test]
fn what_does_not_exist_is_told_at_once() {
    let (mut held, mut news) = held();
    ask(&mut held);
    held.apply(Update::Removed(ResourceName::new(Kind::Destination, ADDRESS)));
    assert_eq!(told_destination(&mut news), [false]);
}

#[test]
fn a_forgotten_destination_takes_its_endpoints_along() {
    let (mut held, _news) = held();
    ask(&mut held);
    held.apply(changed(destination(&["a/b:1"])));
    held.apply(changed(endpoints("a/b:1")));
    assert_eq!(held.encoded().len(), 2);
    held.asked(0, Ask::Forget(ADDRESS.parse().unwrap()));
    assert!(held.encoded().is_empty());
}

#[test]
fn a_removed_inbound_stays_in_force() {
    let (mut held, _news) = held();
    let inbound = Resource::Inbound(Inbound {
        name: "shop/web".into(),
        mtls: wattle_model::MtlsMode::Strict,
        ..Inbound::default()
    });
    held.apply(changed(inbound));
    held.apply(Update::Removed(ResourceName::new(Kind::Inbound, "shop/web")));
    assert!(held.is_complete());
}

#[test]
fn a_saved_state_serves_without_a_control_plane() {
    let (mut first, _news) = held();
    ask(&mut first);
    first.apply(changed(destination(&["a/b:1"])));
    first.apply(changed(endpoints("a/b:1")));
    let saved = first.encoded().iter().map(|(name, encoded)| {
        (
            name.clone(),
            Resource::decode(name.kind, &encoded.bytes).unwrap(),
            encoded.clone(),
        )
    });
    let (mut second, mut news) = held();
    second.restore(saved.collect());
    ask(&mut second);
    assert_eq!(told_destination(&mut news), [true]);
    let versions: usize = second
        .subscriber
        .connected()
        .iter()
        .map(|r| r.initial_resource_versions.len())
        .sum();
    assert_eq!(versions, 2);
}

#[test]
fn a_service_that_limits_are_asked_of_is_a_destination_by_name_for_as_long_as_one_asks_it() {
    use wattle_model::{Allowance, GlobalLimit, ObjectRef, RateLimit};
    let name = "limits.shop.svc.cluster.local:8081";
    let inbound = |limits: Vec<RateLimit>| {
        changed(Resource::Inbound(Inbound {
            name: "shop/web".into(),
            rate_limits: limits,
            ..Inbound::default()
        }))
    };
    let limit = RateLimit {
        origin: ObjectRef {
            kind: "RateLimit".into(),
            namespace: "shop".into(),
            name: "l".into(),
            file: "".into(),
            line: 0,
        },
        ports: Vec::new(),
        matches: Vec::new(),
        clients: Vec::new(),
        except: Vec::new(),
        allowance: Allowance::Global(Box::new(GlobalLimit {
            service: name.into(),
            domain: "d".into(),
            entries: Vec::new(),
            timeout: std::time::Duration::from_millis(100),
            allow_on_failure: false,
        })),
    };
    let (mut held, mut news) = held();
    held.subscriber.connected();
    let requests = held.apply(inbound(vec![limit.clone()]));
    assert_eq!(requests[0].resource_names_subscribe, [name]);
    // What is in force is told before the inbound side that asks for it.
    assert!(matches!(news.try_recv(), Ok(News::RateLimits(Some(_)))));
    assert!(matches!(news.try_recv(), Ok(News::Inbound(_))));
    held.apply(changed(Resource::Destination(Destination {
        name: name.into(),
        ..Destination::default()
    })));
    assert_eq!(told_destination(&mut news), [true]);
    // The same again asks for nothing.
    assert!(held.apply(inbound(vec![limit])).is_empty());
    let requests = held.apply(inbound(Vec::new()));
    assert_eq!(requests[0].resource_names_unsubscribe, [name]);
    assert!(matches!(news.try_recv(), Ok(News::Inbound(_))));
    assert!(matches!(news.try_recv(), Ok(News::RateLimits(None))));
    assert_eq!(told_destination(&mut news), [false]);
}

#[test]
fn a_service_that_is_asked_who_may_in_is_a_destination_by_name_too() {
    use wattle_model::{CheckProtocol, External, ExternalAuthorizer};
    let name = "opa.infra.svc.cluster.local:9191";
    let asked = |service: &str| External {
        authorizer: Arc::new(ExternalAuthorizer {
            name: "opa".into(),
            service: service.into(),
            protocol: CheckProtocol::Grpc,
            timeout: std::time::Duration::from_secs(5),
            fail_open: false,
            status_on_error: 403,
            body: None,
        }),
        policies: Vec::new(),
    };
    let inbound = |external: Vec<External>| {
        let mut inbound = Inbound {
            name: "shop/web".into(),
            ..Inbound::default()
        };
        inbound.authorization.external = external;
        changed(Resource::Inbound(inbound))
    };
    let (mut held, _news) = held();
    held.subscriber.connected();
    let requests = held.apply(inbound(vec![asked(name), asked(name), asked("10.0.0.1:80")]));
    let asked_for: Vec<_> = requests
        .iter()
        .flat_map(|request| &request.resource_names_subscribe)
        .collect();
    assert_eq!(asked_for, [name]);
    let requests = held.apply(inbound(Vec::new()));
    assert_eq!(requests[0].resource_names_unsubscribe, [name]);
}

/// A backend whose policy reads other files for callers with `app: web`, and has other endpoints.
fn for_some() -> Resource {
    use wattle_model::traffic::{Roots, TlsFiles, UpstreamTls};
    use wattle_model::{BackendPolicy, CallerBackend, SeenBackend};
    let policy = |roots: &str| {
        Arc::new(BackendPolicy {
            tls: UpstreamTls::Origination {
                sni: None,
                names: Vec::new(),
                files: TlsFiles {
                    roots: Roots::File(roots.into()),
                    ..TlsFiles::default()
                },
                unverified: false,
            },
            ..BackendPolicy::default()
        })
    };
    let seen = SeenBackend {
        id: "a/b:1|v=2".into(),
        policy: policy("web.pem"),
    };
    Resource::Destination(Destination {
        name: ADDRESS.into(),
        backends: vec![Backend {
            id: "a/b:1".into(),
            policy: policy("all.pem"),
            callers: vec![CallerBackend {
                labels: vec![("app".into(), "web".into())],
                seen: Some(seen),
            }],
            ..Backend::default()
        }],
        default_backend: Some(0),
        ..Destination::default()
    })
}

fn labelled(app: &str) -> Update {
    changed(Resource::Inbound(Inbound {
        name: "shop/web".into(),
        labels: vec![("app".into(), app.into())],
        ..Inbound::default()
    }))
}

/// The endpoints of the destination last told, and the roots that are read for it.
fn told_as(held: &Held, news: &mut UnboundedReceiver<News>) -> Option<(String, String)> {
    let mut told = None;
    while let Ok(heard) = news.try_recv() {
        if let News::Destination(_, Some(destination)) = heard {
            told = Some(destination.backends[0].id.to_string());
        }
    }
    let [files] = &held.wanted_files()[..] else {
        panic!()
    };
    let wattle_model::traffic::Roots::File(roots) = &files.roots else {
        panic!()
    };
    Some((told?, roots.to_string()))
}

#[test]
fn a_destination_is_told_as_the_workload_sees_it_once_it_is_known_who_that_is() {
    let as_seen = |id: &str, roots: &str| Some((id.to_owned(), roots.to_owned()));
    let (mut held, mut news) = held();
    held.subscriber.connected();
    ask(&mut held);
    let requests = held.apply(changed(for_some()));
    let wanted: Vec<_> = requests
        .iter()
        .flat_map(|request| &request.resource_names_subscribe)
        .collect();
    assert_eq!(wanted, ["a/b:1", "a/b:1|v=2"]);
    held.apply(changed(endpoints("a/b:1")));
    held.apply(changed(endpoints("a/b:1|v=2")));
    assert!(
        told_destination(&mut news).is_empty(),
        "nobody knows yet who calls"
    );
    held.apply(labelled("web"));
    assert_eq!(told_as(&held, &mut news), as_seen("a/b:1|v=2", "web.pem"));
    // The same labels change nothing.
    held.apply(labelled("web"));
    assert_eq!(told_as(&held, &mut news), None);
    held.apply(labelled("job"));
    assert_eq!(told_as(&held, &mut news), as_seen("a/b:1", "all.pem"));
}

#[test]
fn names_that_depend_on_who_asks_are_told_once_it_is_known_who_that_is() {
    use wattle_model::{Asked, NameScope, Names};
    let origin = || wattle_model::ObjectRef {
        kind: "EgressPolicy".into(),
        namespace: "shop".into(),
        name: "p".into(),
        file: "".into(),
        line: 0,
    };
    let names = |labels: &[(&str, &str)]| {
        let label = |&(key, value): &(&str, &str)| (key.into(), value.into());
        changed(Resource::Names(Names {
            namespace: "shop".into(),
            scopes: vec![NameScope {
                labels: labels.iter().map(label).collect(),
                origin: origin(),
                asked: Asked::Registered(Vec::new()),
            }],
            ..Names::default()
        }))
    };
    let (mut held, _news) = held();
    held.want_names("shop");
    held.subscriber.connected();
    held.apply(names(&[("app", "web")]));
    assert!(held.names().is_none(), "nobody knows yet who asks");
    held.apply(names(&[]));
    assert!(held.names().is_some(), "it is the same for all");
    held.apply(names(&[("app", "web")]));
    held.apply(labelled("web"));
    assert!(held.names().unwrap().outside(&held.caller()).is_some());
    held.apply(labelled("job"));
    assert!(held.names().unwrap().outside(&held.caller()).is_none());
}
