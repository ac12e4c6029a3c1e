#![allow(clippy::unwrap_used)]

use super::*;
use crate::traffic::UpstreamTls;
use crate::{Chance, ConnectionMatch, ConnectionRoute, ObjectRef, RequestMatch, RuleRef, Timeouts};

const WEB: &[(&str, &str)] = &[("app", "web")];
const JOB: &[(&str, &str)] = &[("app", "job")];

fn labels(pairs: &[(&str, &str)]) -> Vec<CallerLabel> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

fn policy(tls: UpstreamTls) -> Arc<BackendPolicy> {
    Arc::new(BackendPolicy {
        tls,
        ..BackendPolicy::default()
    })
}

fn origin() -> RuleRef {
    let object = ObjectRef {
        kind: "VirtualService".into(),
        namespace: "n".into(),
        name: "v".into(),
        file: "".into(),
        line: 0,
    };
    RuleRef {
        object,
        rule: 0,
        matched: 0,
        name: "".into(),
    }
}

fn share(backend: u32, mirrors: Vec<Mirror>) -> WeightedBackend {
    WeightedBackend {
        backend: Some(backend),
        written: "b".into(),
        weight: 1,
        filters: Some(Arc::new(Filters {
            mirrors,
            ..Filters::default()
        })),
    }
}

fn mirror(backend: u32) -> Mirror {
    Mirror {
        backend: Some(backend),
        written: "m".into(),
        chance: Chance::ALWAYS,
    }
}

/// The first backend is nothing to `web`, the second is encrypted for `job`; both are referred to from everywhere.
fn destination() -> Arc<Destination> {
    let caller = |pairs, seen| CallerBackend {
        labels: labels(pairs),
        seen,
    };
    let backends = vec![
        Backend {
            id: "a".into(),
            callers: vec![caller(WEB, None)],
            ..Backend::default()
        },
        Backend {
            id: "b".into(),
            callers: vec![caller(
                JOB,
                Some(SeenBackend {
                    id: "b|v=2".into(),
                    policy: policy(UpstreamTls::Disabled),
                }),
            )],
            ..Backend::default()
        },
    ];
    let rule = RouteRule {
        origin: origin(),
        matches: RequestMatch::default(),
        filters: Arc::new(Filters {
            mirrors: vec![mirror(0), mirror(1)],
            ..Filters::default()
        }),
        action: Arc::new(Action::Forward(vec![share(0, vec![mirror(1)]), share(1, vec![])])),
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
    };
    let route = ConnectionRoute {
        origin: origin(),
        matches: ConnectionMatch::default(),
        backends: vec![share(0, vec![]), share(1, vec![])],
    };
    Arc::new(Destination {
        routes: RouteTable::new(vec![rule]),
        connections: vec![route],
        backends,
        default_backend: Some(0),
        ..Destination::default()
    })
}

fn seen(pairs: &[(&str, &str)]) -> Arc<Destination> {
    let labels = labels(pairs);
    destination().seen_by(&CallerFacts {
        labels: &labels,
        ..CallerFacts::default()
    })
}

#[test]
fn who_is_selected_sees_other_endpoints_under_another_policy_and_nobody_else_does() {
    let job = seen(JOB);
    let ids: Vec<_> = job.backends.iter().map(|backend| &*backend.id).collect();
    assert_eq!(ids, ["a", "b|v=2"]);
    assert_eq!(job.backends[1].policy.tls, UpstreamTls::Disabled);
    assert!(!job.differs_by_caller());
    assert_eq!(job.routes, destination().routes);
    let other = seen(&[("app", "other")]);
    assert_eq!(&*other.backends[1].id, "b");
    assert!(other.backends[1].policy.is_default());
}

#[test]
fn what_refers_to_a_backend_that_is_nothing_to_the_caller_is_refused() {
    let web = seen(WEB);
    assert_eq!(web.backends.len(), 1);
    assert_eq!(web.default_backend, None);
    let shares = |shares: &[WeightedBackend]| shares.iter().map(|share| share.backend).collect::<Vec<_>>();
    assert_eq!(shares(&web.connections[0].backends), [None, Some(0)]);
    let [rule] = web.routes.rules() else { panic!() };
    let Action::Forward(forward) = &*rule.action else {
        panic!()
    };
    assert_eq!(shares(forward), [None, Some(0)]);
    let mirrors = |filters: &Filters| {
        filters
            .mirrors
            .iter()
            .map(|mirror| mirror.backend)
            .collect::<Vec<_>>()
    };
    assert_eq!(mirrors(&rule.filters), [None, Some(0)]);
    assert_eq!(mirrors(forward[0].filters.as_ref().unwrap()), [Some(0)]);
}

#[test]
fn endpoints_are_those_that_any_caller_needs() {
    let ids = destination();
    let ids: Vec<_> = ids.backend_ids().map(|id| &**id).collect();
    assert_eq!(ids, ["a", "b", "b|v=2"]);
}

#[test]
fn a_destination_that_is_the_same_to_all_is_not_copied() {
    let same = Arc::new(Destination::default());
    assert!(Arc::ptr_eq(&same, &same.seen_by(&CallerFacts::default())));
}
