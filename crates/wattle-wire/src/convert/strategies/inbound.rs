//! Random inbound sides.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

use super::external::{authorization, token_rule};
use super::matches::{blocks, request_match, texts};
use super::parts::{
    boxed, header_name, labels, locality, object_ref, protocol, service, text, time, workload,
};
use super::traffic::limits;

fn mtls() -> impl Strategy<Value = (MtlsMode, Option<ObjectRef>)> {
    let mode = proptest::sample::select(vec![MtlsMode::Disable, MtlsMode::Permissive, MtlsMode::Strict]);
    (mode, option::of(object_ref()))
}

fn address() -> impl Strategy<Value = Attribute> {
    proptest::sample::select(vec!["source.ip", "remote.ip", "destination.ip"]).prop_map(Attribute::parse)
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let keys = [
        "source.principal",
        "connection.sni",
        "request.headers[a]",
        "request.auth.claims[a][b]",
        "other",
    ];
    proptest::sample::select(keys.to_vec()).prop_map(Attribute::parse)
}

fn source() -> impl Strategy<Value = Source> {
    let pair = || [texts(), texts()];
    let names = [pair(), pair(), pair(), pair(), pair()];
    let ranges = [blocks(), blocks(), blocks(), blocks()];
    (names, ranges).prop_map(|(names, ranges)| {
        let [principals, namespaces, accounts, domains, tokens] = names;
        let [ip_blocks, not_ip_blocks, remote_ip_blocks, not_remote_ip_blocks] = ranges;
        let ([principals, not_principals], [namespaces, not_namespaces]) = (principals, namespaces);
        let ([service_accounts, not_service_accounts], [trust_domains, not_trust_domains]) =
            (accounts, domains);
        let [request_principals, not_request_principals] = tokens;
        Source {
            principals,
            not_principals,
            namespaces,
            not_namespaces,
            service_accounts,
            not_service_accounts,
            trust_domains,
            not_trust_domains,
            request_principals,
            not_request_principals,
            ip_blocks,
            not_ip_blocks,
            remote_ip_blocks,
            not_remote_ip_blocks,
        }
    })
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
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
    let condition = prop_oneof![
        (attribute(), texts(), texts()).prop_map(|(attribute, values, not_values)| Condition {
            attribute,
            values,
            not_values,
            blocks: Vec::new(),
            not_blocks: Vec::new(),
        }),
        (address(), blocks(), blocks()).prop_map(|(attribute, blocks, not_blocks)| Condition {
            attribute,
            values: Vec::new(),
            not_values: Vec::new(),
            blocks,
            not_blocks,
        }),
    ];
    let rule = (
        vec(source(), 0..2),
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
    let dry_run = option::of(authorization(Just(None)));
    let authorization = authorization(dry_run.prop_map(|tried| tried.map(Arc::new)));
    let place = (labels(), locality());
    let paths = proptest::sample::select(vec![
        PathNormalization::AsSent,
        PathNormalization::Base,
        PathNormalization::MergeSlashes,
        PathNormalization::DecodeAndMergeSlashes,
    ]);
    let bounds = (vec(rate_limit(), 0..2), limits(), paths);
    (
        (text(), workload(), vec(port(), 0..3), vec(token_rule(), 0..2)),
        mtls(),
        authorization,
        bounds,
        place,
    )
        .prop_map(
            |(
                (name, workload, ports, tokens),
                (mtls, mtls_origin),
                authorization,
                (rate_limits, limits, paths),
                (labels, locality),
            )| {
                Inbound {
                    name,
                    workload,
                    ports,
                    mtls,
                    mtls_origin,
                    tokens,
                    paths,
                    authorization,
                    rate_limits,
                    labels,
                    locality,
                    limits,
                }
            },
        )
}
