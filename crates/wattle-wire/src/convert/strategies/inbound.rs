//! Random inbound sides.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

use super::matches::{blocks, request_match, texts};
use super::parts::{
    boxed, header_name, labels, locality, object_ref, protocol, service, text, time, workload,
};
use super::traffic::limits;

fn mtls() -> impl Strategy<Value = (MtlsMode, Option<ObjectRef>)> {
    let mode = proptest::sample::select(vec![MtlsMode::Disable, MtlsMode::Permissive, MtlsMode::Strict]);
    (mode, option::of(object_ref()))
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

fn allowance() -> impl Strategy<Value = Allowance> {
    let local = (1_u32.., time(), 1_u32.., any::<bool>()).prop_map(|(requests, per, burst, by_identity)| {
        Allowance::Local {
            requests,
            per,
            burst,
            by_identity,
        }
    });
    let value = prop_oneof![
        text().prop_map(DescriptorValue::Fixed),
        header_name().prop_map(DescriptorValue::Header),
        Just(DescriptorValue::Principal),
        Just(DescriptorValue::Path),
        Just(DescriptorValue::Method),
    ];
    let service = "[a-z.]{1,6}:[1-9][0-9]{0,3}".prop_map(|service| service.into());
    let timeout = (1_u64..=10_000_000_000).prop_map(Duration::from_nanos);
    let global = (
        service,
        text(),
        vec((text(), value), 0..3),
        timeout,
        any::<bool>(),
    )
        .prop_map(|(service, domain, entries, timeout, allow_on_failure)| {
            Allowance::Global(Box::new(GlobalLimit {
                service,
                domain,
                entries,
                timeout,
                allow_on_failure,
            }))
        });
    prop_oneof![local, global]
}

fn rate_limit() -> impl Strategy<Value = RateLimit> {
    let ports = vec(any::<u16>(), 0..2);
    (
        object_ref(),
        ports,
        vec(request_match(), 0..2),
        [texts(), texts()],
        allowance(),
    )
        .prop_map(
            |(origin, ports, matches, [clients, except], allowance)| RateLimit {
                origin,
                ports,
                matches,
                clients,
                except,
                allowance,
            },
        )
}

fn port() -> impl Strategy<Value = InboundPort> {
    let target = option::of(any::<(IpAddr, u16)>().prop_map(SocketAddr::from));
    (any::<u16>(), protocol(), mtls(), service(), target).prop_map(
        |(port, protocol, (mtls, mtls_origin), service, target)| InboundPort {
            port,
            protocol,
            mtls,
            mtls_origin,
            service,
            target,
        },
    )
}

pub(super) fn inbound() -> impl Strategy<Value = Inbound> {
    let authorization =
        (vec(policy(), 0..2), vec(policy(), 0..2)).prop_map(|(deny, allow)| Authorization { deny, allow });
    let place = (labels(), locality());
    let bounds = (vec(rate_limit(), 0..2), limits());
    (
        (text(), workload(), vec(port(), 0..3)),
        mtls(),
        authorization,
        bounds,
        place,
    )
        .prop_map(
            |(
                (name, workload, ports),
                (mtls, mtls_origin),
                authorization,
                (rate_limits, limits),
                (labels, locality),
            )| {
                Inbound {
                    name,
                    workload,
                    ports,
                    mtls,
                    mtls_origin,
                    authorization,
                    rate_limits,
                    labels,
                    locality,
                    limits,
                }
            },
        )
}
