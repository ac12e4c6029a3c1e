//! Random predicates.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

use super::parts::{boxed, header_name, labels, pattern};

pub(super) fn text_match() -> impl Strategy<Value = TextMatch> {
    prop_oneof![
        boxed().prop_map(TextMatch::Exact),
        boxed().prop_map(TextMatch::Prefix),
        boxed().prop_map(TextMatch::Suffix),
        Just(TextMatch::Present),
        pattern().prop_map(TextMatch::Regex),
    ]
}

pub(super) fn texts() -> impl Strategy<Value = Vec<TextMatch>> {
    vec(text_match(), 0..3)
}

pub(super) fn hosts() -> impl Strategy<Value = Vec<HostMatch>> {
    let host = prop_oneof![
        "[a-z.é*]{0,8}".prop_map(|host| HostMatch::Exact(host.into())),
        "[.][a-z.]{0,8}".prop_map(|suffix| HostMatch::Suffix(suffix.into())),
        Just(HostMatch::Any),
    ];
    vec(host, 0..3)
}

pub(super) fn blocks() -> impl Strategy<Value = Vec<IpBlock>> {
    let block = |(address, bits): (IpAddr, u8)| IpBlock {
        address,
        prefix_len: bits % if address.is_ipv4() { 33 } else { 129 },
    };
    vec(any::<(IpAddr, u8)>().prop_map(block), 0..2)
}

fn path() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        boxed().prop_map(PathMatch::Exact),
        boxed().prop_map(PathMatch::Prefix),
        boxed().prop_map(PathMatch::StartsWith),
        pattern().prop_map(PathMatch::Regex),
        boxed().prop_map(PathMatch::ExactAnyCase),
        boxed().prop_map(PathMatch::StartsWithAnyCase),
    ]
}

pub(super) fn request_match() -> impl Strategy<Value = RequestMatch> {
    let header = (header_name(), text_match(), any::<bool>());
    let header = header.prop_map(|(name, value, inverted)| HeaderMatch {
        name,
        value,
        inverted,
    });
    let query = (boxed(), text_match()).prop_map(|(name, value)| QueryMatch { name, value });
    let text = || option::of(text_match());
    (
        (hosts(), option::of(path()), text(), text(), text()),
        vec(header, 0..2),
        vec(query, 0..2),
        labels(),
    )
        .prop_map(
            |((hosts, path, method, scheme, authority), headers, query, caller_labels)| RequestMatch {
                hosts,
                path,
                method,
                scheme,
                authority,
                headers,
                query,
                caller_labels,
            },
        )
}

pub(super) fn connection_match() -> impl Strategy<Value = ConnectionMatch> {
    (hosts(), blocks(), labels()).prop_map(|(server_names, destinations, caller_labels)| ConnectionMatch {
        server_names,
        destinations,
        caller_labels,
    })
}
