//! Random inbound sides.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

use super::strategies::{boxed, object_ref, protocol, service, text, texts, workload};

fn mtls() -> impl Strategy<Value = (MtlsMode, Option<ObjectRef>)> {
    let mode = proptest::sample::select(vec![MtlsMode::Disable, MtlsMode::Permissive, MtlsMode::Strict]);
    (mode, option::of(object_ref()))
}

fn blocks() -> impl Strategy<Value = Vec<IpBlock>> {
    vec(any::<(IpAddr, u8)>(), 0..2).prop_map(|blocks| {
        let block = |(address, bits): (IpAddr, u8)| IpBlock {
            address,
            prefix_len: bits % 33,
        };
        blocks.into_iter().map(block).collect()
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let source = (
        [texts(), texts(), texts(), texts(), texts(), texts()],
        blocks(),
        blocks(),
    )
        .prop_map(
            |(
                [
                    principals,
                    not_principals,
                    namespaces,
                    not_namespaces,
                    accounts,
                    not_accounts,
                ],
                ip_blocks,
                not,
            )| Source {
                principals,
                not_principals,
                namespaces,
                not_namespaces,
                service_accounts: accounts,
                not_service_accounts: not_accounts,
                ip_blocks,
                not_ip_blocks: not,
            },
        );
    let operation = (
        [texts(), texts(), texts(), texts(), texts(), texts()],
        vec(any::<u16>(), 0..2),
        vec(any::<u16>(), 0..2),
    )
        .prop_map(
            |([hosts, not_hosts, methods, not_methods, paths, not_paths], ports, not_ports)| Operation {
                hosts,
                not_hosts,
                ports,
                not_ports,
                methods,
                not_methods,
                paths,
                not_paths,
            },
        );
    let condition = (boxed(), texts(), texts()).prop_map(|(key, values, not_values)| Condition {
        key,
        values,
        not_values,
    });
    let rule = (
        vec(source, 0..2),
        vec(operation, 0..2),
        vec(condition, 0..2),
        option::of(boxed()),
    )
        .prop_map(|(from, to, when, unsupported)| PolicyRule {
            from,
            to,
            when,
            unsupported,
        });
    (object_ref(), vec(rule, 0..2)).prop_map(|(origin, rules)| Policy { origin, rules })
}

pub(super) fn inbound() -> impl Strategy<Value = Inbound> {
    let port = (any::<u16>(), protocol(), mtls(), service()).prop_map(
        |(port, protocol, (mtls, mtls_origin), service)| InboundPort {
            port,
            protocol,
            mtls,
            mtls_origin,
            service,
        },
    );
    let authorization =
        (vec(policy(), 0..2), vec(policy(), 0..2)).prop_map(|(deny, allow)| Authorization { deny, allow });
    (text(), workload(), vec(port, 0..3), mtls(), authorization).prop_map(
        |(name, workload, ports, (mtls, mtls_origin), authorization)| Inbound {
            name,
            workload,
            ports,
            mtls,
            mtls_origin,
            authorization,
        },
    )
}
