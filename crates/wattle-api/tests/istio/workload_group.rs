//! WorkloadGroup, and WorkloadEntry as far as both share it.

use std::time::Duration;

use super::*;

const KIND: &str = "WorkloadGroup";

#[test]
fn every_field_comes_back() {
    come_back(
        KIND,
        &[
            "{template: {}}",
            "{metadata: {labels: {app: a}, annotations: {b: two words}}, template: {ports: {http: 80}, network: n, \
             labels: {v: '1'}, locality: eu/a/b, weight: 2, serviceAccount: s}}",
            "{template: {}, probe: {httpGet: {port: 80, path: /ready, host: h, scheme: HTTPS, httpHeaders: [{name: a, value: b}]}, \
             initialDelaySeconds: 1, timeoutSeconds: 2, periodSeconds: 3, successThreshold: 4, failureThreshold: 5}}",
            "{template: {}, probe: {tcpSocket: {port: 80, host: h}}}",
            "{template: {}, probe: {exec: {command: [test, -f, /ready]}}}",
            "{template: {}, probe: {grpc: {port: 80, service: s}}}",
        ],
    );
    come_back(
        "WorkloadEntry",
        &[
            "{address: vm.example, labels: {app: a}, network: n, locality: eu, weight: 1, serviceAccount: s, ports: {http: 1}}",
            "{address: 'unix:///run/app.sock'}",
            "{network: n}",
        ],
    );
}

#[test]
fn groups_that_istio_would_refuse() {
    refused(
        KIND,
        &[
            ("{}", "spec.template: the field is required"),
            ("{template: {ports: {a: 0}}}", "spec.template.ports.a: found 0"),
            (
                "{template: {address: 'unix:///a', ports: {b: 1}}}",
                "spec.template: a Unix socket has no ports",
            ),
            (
                "{metadata: {labels: {a: '!'}}, template: {}}",
                "spec.metadata.labels: found the label",
            ),
            (
                "{template: {}, probe: {}}",
                "spec.probe: expected exactly one of httpGet",
            ),
            (
                "{template: {}, probe: {exec: {command: []}}}",
                "spec.probe.exec.command: found no program",
            ),
            (
                "{template: {}, probe: {tcpSocket: {}}}",
                "spec.probe.tcpSocket.port: the field is required",
            ),
            (
                "{template: {}, probe: {tcpSocket: {port: 1}, exec: {command: [a]}}}",
                "spec.probe: tcpSocket and exec exclude",
            ),
            (
                "{template: {}, probe: {httpGet: {port: 1, path: a}}}",
                "spec.probe.httpGet.path: found \"a\"",
            ),
            (
                "{template: {}, probe: {httpGet: {port: 1, scheme: TCP}}}",
                "spec.probe.httpGet.scheme: found \"TCP\"",
            ),
            (
                "{template: {}, probe: {grpc: {port: 1}, periodSeconds: -1}}",
                "spec.probe.periodSeconds: found -1",
            ),
        ],
    );
}

#[test]
fn a_probe_has_the_defaults_of_kubernetes() {
    let (Object::WorkloadGroup(group), _) = read(
        KIND,
        "{template: {}, probe: {httpGet: {port: 80}, periodSeconds: 0}}",
    ) else {
        panic!()
    };
    let probe = group.spec.probe.unwrap();
    let seconds = |count| Duration::from_secs(count);
    assert_eq!(
        (probe.initial_delay, probe.timeout, probe.period),
        (seconds(0), seconds(1), seconds(10))
    );
    assert_eq!((probe.success_threshold, probe.failure_threshold), (1, 3));
    assert!(matches!(probe.method, ProbeMethod::HttpGet { path, .. } if path == "/"));
}
