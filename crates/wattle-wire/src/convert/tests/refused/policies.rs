//! What policies of backends and limits cannot say.

use prost::Message;

use super::{destination, policy};
use crate::proto::mesh;
use crate::{Kind, Resource};

/// Decodes a backend's policy after a change; the error without the path of the policy.
fn policy_error(change: impl FnOnce(&mut mesh::BackendPolicy)) -> String {
    let mut policy = policy();
    change(&mut policy);
    let mut destination = destination();
    destination.backends[0].policy = Some(policy);
    let found = Resource::decode(Kind::Destination, &destination.encode_to_vec());
    let error = found.unwrap_err().to_string();
    error
        .strip_prefix("backends[0].policy.")
        .unwrap_or(&error)
        .to_owned()
}

#[test]
fn tables_of_hashes_are_bounded() {
    use mesh::hash_balance::{Key, Table};
    let table = [
        (Some(Table::Ring(0)), "ring: 0, 1 to 8388608 expected"),
        (
            Some(Table::Ring(8_388_609)),
            "ring: 8388609, 1 to 8388608 expected",
        ),
        (Some(Table::Maglev(65_536)), "maglev: 65536 is not a prime"),
        (
            Some(Table::Maglev(5_000_012)),
            "maglev: 5000012, 2 to 5000011 expected",
        ),
    ];
    for (table, expected) in table {
        let hash = mesh::HashBalance {
            key: Some(Key::SourceAddress(true)),
            table,
        };
        let kind = Some(mesh::balance::Kind::Hash(hash));
        let error = policy_error(|policy| policy.balance = Some(mesh::Balance { kind }));
        assert_eq!(error, format!("balance.hash.{expected}"));
    }
}

#[test]
fn numbers_of_a_backends_policy_are_bounded() {
    let warmup = |minimum_percent, aggression| {
        policy_error(|policy| {
            policy.warmup = Some(mesh::Warmup {
                duration_nanos: 1,
                minimum_percent,
                aggression,
            });
        })
    };
    assert_eq!(
        warmup(f64::NAN, 1.0),
        "warmup.minimum_percent: NaN, 0.0 to 100.0 expected"
    );
    assert_eq!(
        warmup(101.0, 1.0),
        "warmup.minimum_percent: 101.0, 0.0 to 100.0 expected"
    );
    assert!(warmup(1.0, f64::INFINITY).starts_with("warmup.aggression: inf, 1.0 to "));
    let budget = |percent, window_nanos| {
        let rate = mesh::RateBudget {
            percent,
            window_nanos,
            ..Default::default()
        };
        let kind = Some(mesh::retry_budget::Kind::Rate(rate));
        policy_error(|policy| policy.retry_budget = Some(mesh::RetryBudget { kind }))
    };
    assert_eq!(
        budget(1000.5, 1),
        "retry_budget.rate.percent: 1000.5, 0.0 to 1000.0 expected"
    );
    assert_eq!(
        budget(20.0, 1),
        "retry_budget.rate.window: 1ns, 1s to 60s expected"
    );
    let limits = policy_error(|policy| {
        policy.limits = Some(mesh::Limits {
            connections: Some(0),
            ..Default::default()
        });
    });
    assert_eq!(limits, "limits.connections: 0, 1 to 4294967295 expected");
    let outliers = |interval_nanos, max_ejection_percent| {
        policy_error(|policy| {
            policy.outliers = Some(mesh::OutlierDetection {
                interval_nanos,
                base_ejection_nanos: 1,
                max_ejection_nanos: 1,
                max_ejection_percent,
                ..Default::default()
            });
        })
    };
    assert_eq!(
        outliers(0, 10),
        "outliers.interval: no time, more than 0 expected"
    );
    assert_eq!(
        outliers(1, 101),
        "outliers.max_ejection_percent: 101, 0 to 100 expected"
    );
}

#[test]
fn what_is_not_known_of_a_backends_connections_is_refused() {
    assert_eq!(
        policy_error(|policy| policy.proxy_protocol = Some(2)),
        "proxy_protocol: version 2 is not known"
    );
    assert_eq!(
        policy_error(|policy| policy.http_version = 9),
        "http_version: version 9 is not known"
    );
    let half = policy_error(|policy| {
        let files = Some(mesh::TlsFiles {
            key: Some("key.pem".to_owned()),
            ..Default::default()
        });
        let origination = mesh::TlsOrigination {
            files,
            ..Default::default()
        };
        let kind = Some(mesh::upstream_tls::Kind::Origination(origination));
        policy.tls = Some(mesh::UpstreamTls { kind });
    });
    assert_eq!(
        half,
        "tls.origination.files: certificate and key come together or not at all"
    );
    let hasty = policy_error(|policy| {
        policy.health_check = Some(mesh::HealthCheck {
            probe: Some(mesh::health_check::Probe::Tcp(true)),
            interval_nanos: 5,
            ..Default::default()
        });
    });
    assert!(hasty.starts_with("health_check.interval: 5ns, 1s to "), "{hasty}");
}

#[test]
fn limits_that_could_not_be_counted_are_refused() {
    use mesh::rate_limit::Allowance;
    let local = |requests, per_nanos, burst| {
        Allowance::Local(mesh::LocalLimit {
            requests,
            per_nanos,
            burst,
            by_identity: false,
        })
    };
    let global = |service: &str, timeout_nanos| {
        Allowance::Global(mesh::GlobalLimit {
            service: service.to_owned(),
            timeout_nanos,
            ..Default::default()
        })
    };
    let table = [
        (local(0, 1, 1), "local.requests: 0, 1 to 4294967295 expected"),
        (local(1, 0, 1), "local.per: no time, more than 0 expected"),
        (local(1, 1, 0), "local.burst: 0, 1 to 4294967295 expected"),
        (
            global("counter", 1),
            "global.service: \"counter\" is not host:port",
        ),
        (
            global("counter:1", 10_000_000_001),
            "global.timeout: 10.000000001s, 0ns to 10s expected",
        ),
    ];
    for (allowance, expected) in table {
        let rate_limit = mesh::RateLimit {
            allowance: Some(allowance),
            ..Default::default()
        };
        let inbound = mesh::Inbound {
            authorization: Some(mesh::Authorization::default()),
            rate_limits: vec![rate_limit],
            ..Default::default()
        };
        let error = Resource::decode(Kind::Inbound, &inbound.encode_to_vec()).unwrap_err();
        assert_eq!(error.to_string(), format!("rate_limits[0].{expected}"));
    }
}
