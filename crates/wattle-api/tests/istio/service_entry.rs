//! ServiceEntry.

use super::*;

const KIND: &str = "ServiceEntry";

#[test]
fn every_field_comes_back() {
    come_back(
        KIND,
        &[
            "{hosts: [a.example]}",
            "{hosts: ['*.a.example', b], addresses: [10.0.0.0/8, 1.2.3.4, '2001:db8::1'], location: MESH_INTERNAL, \
             ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: any}], exportTo: ['~']}",
            "{hosts: [a], resolution: STATIC, ports: [{number: 80, name: http, protocol: grpc-web, targetPort: 8080}], \
             endpoints: [{address: 10.0.0.1, ports: {http: 81}, labels: {v: '1'}, locality: eu/a, weight: 3}, \
             {network: other}], subjectAltNames: [spiffe://a/b]}",
            "{hosts: [a], resolution: STATIC, workloadSelector: {labels: {app: b}}}",
            "{hosts: ['*.a'], resolution: DNS, addresses: [10.0.0.1], endpoints: [{address: b.example}]}",
            "{hosts: [a], resolution: DNS_ROUND_ROBIN}",
            "{hosts: ['*.a.example'], resolution: DYNAMIC_DNS}",
        ],
    );
}

#[test]
fn entries_that_istio_would_refuse() {
    refused(
        KIND,
        &[
            ("{}", "spec.hosts: the field is required"),
            ("{hosts: []}", "spec.hosts: found no host"),
            ("{hosts: ['*']}", "spec.hosts[0]: found *, expected"),
            ("{hosts: [10.0.0.1]}", "spec.hosts[0]: found the address 10.0.0.1"),
            ("{hosts: [A.example]}", "spec.hosts[0]: found \"A.example\""),
            ("{hosts: [a], addresses: [a]}", "spec.addresses[0]: found \"a\""),
            (
                "{hosts: [a], resolution: DNS, addresses: [10.0.0.0/8]}",
                "spec: blocks of addresses need",
            ),
            (
                "{hosts: [a], ports: [{number: 0, name: b}]}",
                "spec.ports[0].number: found 0",
            ),
            (
                "{hosts: [a], ports: [{number: 1}]}",
                "spec.ports[0].name: the field is required",
            ),
            (
                "{hosts: [a], ports: [{number: 1, name: b, protocol: HTPP}]}",
                "spec.ports[0].protocol: found \"HTPP\"",
            ),
            (
                "{hosts: [a], ports: [{number: 1, name: b}, {number: 1, name: c}]}",
                "spec: two ports have number 1",
            ),
            (
                "{hosts: [a], ports: [{number: 1, name: b}, {number: 2, name: b}]}",
                "spec: two ports are named b",
            ),
            (
                "{hosts: [a], endpoints: [{address: 10.0.0.1}]}",
                "spec: resolution NONE sends to",
            ),
            (
                "{hosts: [a], resolution: STATIC}",
                "spec: resolution STATIC needs endpoints or",
            ),
            (
                "{hosts: [a], resolution: STATIC, endpoints: [{address: b.example}]}",
                "spec: resolution STATIC needs endpoints that",
            ),
            (
                "{hosts: [a], resolution: STATIC, endpoints: [{address: 'unix:///a'}]}",
                "spec.endpoints[0]: the Unix socket /a",
            ),
            (
                "{hosts: [a], resolution: STATIC, endpoints: [{}]}",
                "spec.endpoints[0]: an entry needs an address",
            ),
            (
                "{hosts: [a], resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {b: 1}}]}",
                "spec: an endpoint has the port b",
            ),
            (
                "{hosts: [a], resolution: STATIC, endpoints: [], workloadSelector: {labels: {}}}",
                "spec: endpoints and workloadSelector exclude",
            ),
            (
                "{hosts: ['*.a'], resolution: DNS}",
                "spec: a host with a wildcard cannot be resolved",
            ),
            (
                "{hosts: [a], resolution: DNS_ROUND_ROBIN, endpoints: [{address: b}, {address: c}]}",
                "spec: resolution DNS_ROUND_ROBIN takes one",
            ),
            (
                "{hosts: [a], resolution: DYNAMIC_DNS}",
                "spec: resolution DYNAMIC_DNS is for hosts with a wildcard",
            ),
            (
                "{hosts: ['*.a'], resolution: DYNAMIC_DNS, endpoints: [{address: b}]}",
                "spec: resolution DYNAMIC_DNS resolves the requested name",
            ),
            (
                "{hosts: [a], exportTo: ['~', b]}",
                "spec.exportTo: ~ excludes every other entry",
            ),
            ("{hosts: [a], exportTo: [B]}", "spec.exportTo[0]: found \"B\""),
        ],
    );
}

#[test]
fn a_target_port_that_nobody_uses_is_said() {
    let spec = "{hosts: [a], ports: [{number: 80, name: b, targetPort: 81}]}";
    warned(
        KIND,
        &[(spec, "spec: targetPort has no effect with resolution NONE")],
    );
}
