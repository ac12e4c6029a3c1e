//! Sidecar.

use super::*;

const KIND: &str = "Sidecar";

#[test]
fn every_field_comes_back() {
    come_back(
        KIND,
        &[
            "{workloadSelector: {labels: {app: a}}, egress: [{port: {number: 80, protocol: HTTP, name: http}, bind: 127.0.0.1, \
             captureMode: NONE, hosts: ['./*']}, {hosts: ['*/a.example', '~other/*', '~/*', b/*.c.example, '~/d.example']}]}",
            "{ingress: [{port: {number: 80}, bind: '::', captureMode: IPTABLES, defaultEndpoint: '127.0.0.1:8080', \
             connectionPool: {http: {http2MaxRequests: 1}}}, {port: {number: 81, protocol: TCP}, defaultEndpoint: 'unix:///a/b'}, \
             {port: {number: 82}, defaultEndpoint: '[::]:82', tls: {mode: MUTUAL, serverCertificate: /c, privateKey: /k, \
             caCertificates: /a, subjectAltNames: [s], minProtocolVersion: TLSV1_2, maxProtocolVersion: TLSV1_3}}]}",
            "{inboundConnectionPool: {tcp: {maxConnections: 5}}}",
            "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: e.example, port: {number: 80}}}}",
        ],
    );
}

#[test]
fn sidecars_that_istio_would_refuse() {
    refused(
        KIND,
        &[
            (
                "{workloadSelector: {labels: {a: b}}}",
                "spec: expected one of ingress",
            ),
            ("{egress: [{hosts: []}]}", "spec.egress[0].hosts: found no host"),
            (
                "{egress: [{hosts: [a.example]}]}",
                "spec.egress[0].hosts[0]: found \"a.example\", expected NAMESPACE/HOST",
            ),
            ("{egress: [{hosts: ['~*a/*']}]}", "spec.egress[0].hosts[0]: found"),
            (
                "{egress: [{hosts: ['*/*']}, {hosts: ['./*']}]}",
                "spec: an egress listener without a port must be the last",
            ),
            (
                "{egress: [{bind: 127.0.0.1, hosts: ['*/*']}]}",
                "spec.egress[0]: bind needs a port",
            ),
            (
                "{egress: [{port: {number: 1}, bind: 'unix:///a', hosts: ['*/*']}]}",
                "spec.egress[0].bind: listening on a Unix socket",
            ),
            (
                "{egress: [{port: {number: 1}, hosts: ['*/*']}, {port: {number: 1}, hosts: ['*/*']}]}",
                "spec: two egress listeners have port 1",
            ),
            ("{ingress: [{}]}", "spec.ingress[0].port: the field is required"),
            (
                "{ingress: [{port: {number: 1}}, {port: {number: 1}}]}",
                "spec: two ingress listeners have port 1",
            ),
            (
                "{ingress: [{port: {number: 1}, captureMode: TPROXY}]}",
                "spec.ingress[0].captureMode: found \"TPROXY\"",
            ),
            (
                "{ingress: [{port: {number: 1}, defaultEndpoint: '10.0.0.1:80'}]}",
                "spec.ingress[0].defaultEndpoint: found",
            ),
            (
                "{ingress: [{port: {number: 1}, tls: {mode: PASSTHROUGH}}]}",
                "spec.ingress[0].tls.mode: found \"PASSTHROUGH\"",
            ),
            (
                "{ingress: [{port: {number: 1}, tls: {mode: SIMPLE, credentialName: a}}]}",
                "spec.ingress[0].tls.credentialName: the field is not supported yet",
            ),
            (
                "{ingress: [{port: {number: 1}, tls: {mode: MUTUAL, serverCertificate: a, privateKey: b}}]}",
                "spec.ingress[0].tls: mode MUTUAL needs caCertificates",
            ),
            (
                "{ingress: [{port: {number: 1}, tls: {mode: SIMPLE, serverCertificate: a, privateKey: b, \
                 minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_2}}]}",
                "spec.ingress[0].tls: minProtocolVersion is newer",
            ),
            (
                "{outboundTrafficPolicy: {mode: ALLOW}}",
                "spec.outboundTrafficPolicy.mode: found \"ALLOW\"",
            ),
            (
                "{outboundTrafficPolicy: {egressProxy: {host: a}}}",
                "spec.outboundTrafficPolicy.egressProxy: an egress proxy needs a port",
            ),
        ],
    );
}

#[test]
fn a_policy_without_a_mode_lets_only_known_destinations_through() {
    let (Object::Sidecar(sidecar), _) = read(KIND, "{outboundTrafficPolicy: {}}") else {
        panic!()
    };
    assert_eq!(
        sidecar.spec.outbound_traffic_policy.unwrap().mode,
        OutboundMode::RegistryOnly
    );
}

#[test]
fn a_tilde_leaves_out_what_it_stands_before() {
    let spec = "{egress: [{hosts: ['~/*', '~a/b.example', '~/c.example', '~./d']}]}";
    let (Object::Sidecar(sidecar), _) = read(KIND, spec) else {
        panic!()
    };
    let hosts = &sidecar.spec.egress[0].hosts;
    let excluded: Vec<_> = hosts.iter().map(|host| host.excluded).collect();
    assert_eq!(excluded, [false, true, true, true]);
    assert_eq!(hosts[0].namespace, EgressNamespace::Nowhere);
    assert_eq!(hosts[2].namespace, EgressNamespace::Any);
}
