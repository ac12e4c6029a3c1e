//! DestinationRule.

use super::*;

const KIND: &str = "DestinationRule";

fn policy(text: &str) -> String {
    format!("{{host: a, trafficPolicy: {{{text}}}}}")
}

/// Each traffic policy is refused at the field and for the reason beside it.
fn refused_policies(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let expected = match expected.strip_prefix('.') {
            Some(field) => format!("spec.trafficPolicy.{field}"),
            None => format!("spec.trafficPolicy{expected}"),
        };
        refused(KIND, &[(&policy(text), &expected)]);
    }
}

#[test]
fn every_field_comes_back() {
    let specs = [
        "{host: '*.a.example'}".to_owned(),
        "{host: a, workloadSelector: {matchLabels: {app: b}}, exportTo: ['.']}".to_owned(),
        "{host: a, subsets: [{name: v1, labels: {v: '1'}, trafficPolicy: {tls: {mode: DISABLE}}}, {name: all}]}".to_owned(),
        policy("loadBalancer: {simple: PASSTHROUGH}"),
        policy("loadBalancer: {simple: UNSPECIFIED, warmup: {duration: 30s, minimumPercent: 12.5, aggression: 1.5}}"),
        policy("loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 2048}}}"),
        policy("loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}"),
        policy("loadBalancer: {consistentHash: {httpQueryParameterName: q, maglev: {}}}"),
        policy(
            "loadBalancer: {consistentHash: {httpCookie: {name: c, path: /, ttl: 0s, attributes: [{name: SameSite, \
             value: Strict}, {name: Secure}]}}}",
        ),
        policy("loadBalancer: {localityLbSetting: {enabled: true, distribute: [{from: 'eu/a/*', to: {'eu/a/*': 80, 'eu/b/*': 20}}]}}"),
        policy("loadBalancer: {localityLbSetting: {failover: [{from: eu, to: us}]}}"),
        policy("loadBalancer: {localityLbSetting: {failoverPriority: [topology.istio.io/network, version=v1]}}"),
        policy(
            "connectionPool: {tcp: {maxConnections: 10, connectTimeout: 30ms, tcpKeepalive: {probes: 9, time: 7200s, \
             interval: 75s}, maxConnectionDuration: 1h, idleTimeout: 10m}, http: {http1MaxPendingRequests: 1, \
             http2MaxRequests: 2, maxRequestsPerConnection: 3, maxRetries: 4, idleTimeout: 5s, h2UpgradePolicy: UPGRADE, \
             maxConcurrentStreams: 6, http2KeepAlive: {interval: 30s, timeout: 5s}}}",
        ),
        policy("connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: DO_NOT_UPGRADE}}"),
        policy(
            "outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, splitExternalLocalOriginErrors: true, \
             consecutiveLocalOriginFailures: 4, interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100, \
             minHealthPercent: 50, outlierDetectionHttpErrorCodes: [429]}",
        ),
        policy("tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /a, caCrl: /r, subjectAltNames: [s], sni: t}"),
        policy("tls: {mode: SIMPLE, credentialName: secret}"),
        policy("tls: {mode: SIMPLE, insecureSkipVerify: true}"),
        policy("portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}, {port: {number: 81}, tls: {mode: ISTIO_MUTUAL}}]"),
        policy("tunnel: {targetHost: b.example, targetPort: 443}"),
        policy("tunnel: {protocol: POST, targetHost: 10.0.0.1, targetPort: 443}"),
        policy("proxyProtocol: {version: V2}, retryBudget: {percent: 25.5, minRetryConcurrency: 5, budgetInterval: 10s}"),
    ];
    come_back(KIND, &specs.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn rules_that_istio_would_refuse() {
    refused(
        KIND,
        &[
            ("{}", "spec.host: the field is required"),
            ("{host: 10.0.0.1}", "spec.host: found the address 10.0.0.1"),
            (
                "{host: a, subsets: [{name: V1}]}",
                "spec.subsets[0].name: found \"V1\"",
            ),
            (
                "{host: a, subsets: [{name: v}, {name: v}]}",
                "spec: two subsets are named v",
            ),
            (
                "{host: a, subsets: [{name: v, trafficPolicy: {}}]}",
                "spec.subsets[0].trafficPolicy: found no setting",
            ),
            (
                "{host: a, workloadSelector: {matchLabels: {b: c}}, exportTo: ['*']}",
                "spec: with a workloadSelector",
            ),
            (
                "{host: a, workloadSelector: {matchLabels: {b: '*'}}}",
                "spec.workloadSelector.matchLabels: found the label",
            ),
        ],
    );
    refused_policies(&[
        ("", ": found no setting"),
        (
            "tunnel: {targetHost: b, targetPort: 1}, proxyProtocol: {}",
            ": tunnel and proxyProtocol exclude",
        ),
        (
            "tunnel: {targetHost: '*.b', targetPort: 1}",
            ".tunnel.targetHost: expected one host",
        ),
        (
            "tunnel: {protocol: PUT, targetHost: b, targetPort: 1}",
            ".tunnel.protocol: found \"PUT\"",
        ),
        (
            "proxyProtocol: {version: V3}",
            ".proxyProtocol.version: found \"V3\"",
        ),
        ("retryBudget: {percent: 101}", ".retryBudget.percent: found 101"),
        (
            "portLevelSettings: [{tls: {}}]",
            ".portLevelSettings[0].port: the field is required",
        ),
        (
            "portLevelSettings: [{port: {number: 1}}, {port: {number: 1}}]",
            ".portLevelSettings: port 1 is given twice",
        ),
        (
            "portLevelSettings: [{port: {number: 1}, tunnel: {}}]",
            ".portLevelSettings[0].tunnel: unknown field",
        ),
    ]);
}

#[test]
fn load_balancers_that_istio_would_refuse() {
    refused_policies(&[
        (
            "loadBalancer: {simple: ROUND_ROBBIN}",
            ".loadBalancer.simple: found \"ROUND_ROBBIN\"",
        ),
        (
            "loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}",
            ".loadBalancer: simple and consistentHash",
        ),
        (
            "loadBalancer: {consistentHash: {}}",
            ".loadBalancer.consistentHash: expected exactly one of httpHeaderName",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: false}}",
            ".loadBalancer.consistentHash.useSourceIp: found false",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {}, maglev: {}}}",
            ".loadBalancer.consistentHash: ringHash and maglev",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65536}}}",
            ".loadBalancer.consistentHash.maglev.tableSize: found 65536, expected a prime",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 8388609}}}",
            ".loadBalancer.consistentHash.ringHash.minimumRingSize: found 8388609",
        ),
        (
            "loadBalancer: {consistentHash: {httpCookie: {}}}",
            ".loadBalancer.consistentHash.httpCookie.name: the field",
        ),
        (
            "loadBalancer: {warmup: {}}",
            ".loadBalancer.warmup.duration: the field is required",
        ),
        (
            "loadBalancer: {warmup: {duration: 1s, aggression: 0.5}}",
            ".loadBalancer.warmup.aggression: found 0.5",
        ),
        (
            "loadBalancer: {warmup: {duration: 1s}, warmupDurationSecs: 1s}",
            ".loadBalancer: warmup and warmupDurationSecs",
        ),
        (
            "loadBalancer: {localityLbSetting: {failover: [], distribute: []}}",
            ".loadBalancer.localityLbSetting: distribute and failover",
        ),
        (
            "loadBalancer: {localityLbSetting: {failover: [{from: a, to: a}]}}",
            ".loadBalancer.localityLbSetting.failover[0]: from and to are the same",
        ),
        (
            "loadBalancer: {localityLbSetting: {failover: [{from: a/b, to: c}]}}",
            ".loadBalancer.localityLbSetting.failover[0].from: found \"a/b\"",
        ),
        (
            "loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 99}}]}}",
            ".loadBalancer.localityLbSetting.distribute[0].to: found shares that add up to 99",
        ),
        (
            "loadBalancer: {localityLbSetting: {distribute: [{from: 'a/*/c', to: {b: 100}}]}}",
            ".loadBalancer.localityLbSetting.distribute[0].from: found \"a/*/c\"",
        ),
        (
            "loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 100}}, {from: a, to: {c: 100}}]}}",
            ".loadBalancer.localityLbSetting.distribute: the locality a is given twice",
        ),
        (
            "loadBalancer: {localityLbSetting: {failoverPriority: ['=a']}}",
            ".loadBalancer.localityLbSetting.failoverPriority[0]: found \"=a\"",
        ),
    ]);
}

#[test]
fn limits_and_tls_that_istio_would_refuse() {
    refused_policies(&[
        ("connectionPool: {}", ".connectionPool: expected tcp or http"),
        (
            "connectionPool: {tcp: {maxConnections: -1}}",
            ".connectionPool.tcp.maxConnections: found -1",
        ),
        (
            "connectionPool: {tcp: {connectTimeout: 2h}}",
            ".connectionPool.tcp.connectTimeout: found more than an hour",
        ),
        (
            "connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: UPGRADE}}",
            ".connectionPool.http: useClientProtocol and",
        ),
        (
            "outlierDetection: {maxEjectionPercent: 101}",
            ".outlierDetection.maxEjectionPercent: found 101",
        ),
        (
            "outlierDetection: {minHealthPercent: 101}",
            ".outlierDetection.minHealthPercent: found 101",
        ),
        (
            "outlierDetection: {interval: 0s}",
            ".outlierDetection.interval: found no time",
        ),
        (
            "outlierDetection: {consecutiveLocalOriginFailures: 1}",
            ".outlierDetection: consecutiveLocalOriginFailures needs",
        ),
        (
            "outlierDetection: {outlierDetectionHttpErrorCodes: [600]}",
            ".outlierDetection.outlierDetectionHttpErrorCodes[0]: found 600",
        ),
        ("tls: {mode: MUTAL}", ".tls.mode: found \"MUTAL\""),
        ("tls: {mode: MUTUAL}", ".tls: mode MUTUAL needs clientCertificate"),
        (
            "tls: {mode: SIMPLE, credentialName: a, caCertificates: b}",
            ".tls: credentialName excludes",
        ),
        (
            "tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: b}",
            ".tls: insecureSkipVerify excludes",
        ),
    ]);
}

#[test]
fn what_has_no_effect_or_is_deprecated_is_said() {
    for (text, expected) in [
        (
            "loadBalancer: {simple: LEAST_CONN}",
            "loadBalancer.simple: LEAST_CONN is deprecated",
        ),
        (
            "loadBalancer: {warmupDurationSecs: 10s}",
            "loadBalancer.warmupDurationSecs: the field is deprecated",
        ),
        (
            "loadBalancer: {simple: RANDOM, warmup: {duration: 1s}}",
            "loadBalancer.warmup: warmup needs LEAST_REQUEST or ROUND_ROBIN",
        ),
        (
            "loadBalancer: {zoneAwareLbSetting: {}}",
            "loadBalancer.zoneAwareLbSetting: the field is not supported yet and has no effect",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 9}}",
            "loadBalancer.consistentHash.minimumRingSize: the field is deprecated",
        ),
        (
            "outlierDetection: {consecutiveErrors: 5}",
            "outlierDetection.consecutiveErrors: the field is deprecated and has no effect",
        ),
        (
            "tls: {mode: ISTIO_MUTUAL, caCertificates: a}",
            "tls.caCertificates: the field needs mode SIMPLE or MUTUAL",
        ),
    ] {
        warned(
            KIND,
            &[(&policy(text), &format!("spec.trafficPolicy.{expected}"))],
        );
    }
}

#[test]
fn what_was_not_written_is_told_apart_from_what_was() {
    let text =
        policy("connectionPool: {tcp: {maxConnections: 0}}, outlierDetection: {consecutive5xxErrors: 0}");
    let (Object::DestinationRule(rule), _) = read(KIND, &text) else {
        panic!()
    };
    let settings = rule.spec.traffic_policy.unwrap().settings;
    assert_eq!((settings.load_balancer, settings.tls), (None, None));
    assert_eq!(
        settings.connection_pool.unwrap().tcp.unwrap().max_connections,
        None
    );
    assert_eq!(
        settings.outlier_detection.unwrap().consecutive_5xx_errors,
        Some(0)
    );
}
