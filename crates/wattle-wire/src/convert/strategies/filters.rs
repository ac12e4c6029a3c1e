//! Random filters and answers.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

use super::matches::texts;
use super::parts::{any_time, boxed, chance, header, header_name};

fn path_rewrite() -> impl Strategy<Value = PathRewrite> {
    let substitution = (
        proptest::sample::select(vec!["^/(.*)$", "a|b"]),
        "[a-z$\\\\0-9]{0,6}",
    )
        .prop_map(|(pattern, replacement)| Substitution::new(pattern, &replacement).expect("a pattern"));
    prop_oneof![
        boxed().prop_map(PathRewrite::Full),
        boxed().prop_map(PathRewrite::Prefix),
        boxed().prop_map(PathRewrite::Matched),
        substitution.prop_map(PathRewrite::Regex),
    ]
}

fn modifier() -> impl Strategy<Value = HeaderModifier> {
    (vec(header(), 0..2), vec(header(), 0..2), vec(header_name(), 0..2))
        .prop_map(|(set, add, remove)| HeaderModifier { set, add, remove })
}

fn cors() -> impl Strategy<Value = Cors> {
    let list = || prop_oneof![Just(CorsList::Any), boxed().prop_map(CorsList::These)];
    let flags = (any::<bool>(), any::<bool>());
    (texts(), [list(), list(), list()], option::of(any_time()), flags).prop_map(
        |(origins, [methods, headers, expose], max_age, (credentials, forwards_unmatched))| Cors {
            origins,
            methods,
            headers,
            expose,
            max_age,
            credentials,
            forwards_unmatched,
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    let abort = prop_oneof![
        (200_u16..=599).prop_map(Abort::Http),
        (0_u8..=16).prop_map(Abort::Grpc)
    ];
    (option::of((chance(), any_time())), option::of((chance(), abort)))
        .prop_map(|(delay, abort)| Fault { delay, abort })
}

/// Filters of one backend of a rule.
pub(super) fn backend_filters(backends: u32) -> impl Strategy<Value = Filters> {
    let rewrite =
        (option::of(boxed()), option::of(path_rewrite())).prop_map(|(host, path)| UrlRewrite { host, path });
    let mirror = (option::of(0..backends), boxed(), chance()).prop_map(|(backend, written, chance)| Mirror {
        backend,
        written,
        chance,
    });
    (modifier(), modifier(), rewrite, vec(mirror, 0..3)).prop_map(
        |(request_headers, response_headers, rewrite, mirrors)| Filters {
            request_headers,
            response_headers,
            rewrite,
            mirrors,
            cors: None,
            fault: None,
        },
    )
}

/// Filters of a rule.
pub(super) fn filters(backends: u32) -> impl Strategy<Value = Filters> {
    let of_rules = (option::of(cors().prop_map(Box::new)), option::of(fault()));
    (backend_filters(backends), of_rules).prop_map(|(filters, (cors, fault))| Filters {
        cors,
        fault,
        ..filters
    })
}

pub(super) fn redirect() -> impl Strategy<Value = Redirect> {
    let port = prop_oneof![
        Just(RedirectPort::Listener),
        (1_u16..).prop_map(RedirectPort::Fixed),
        Just(RedirectPort::AsSent),
        Just(RedirectPort::OfScheme),
        Just(RedirectPort::Dialled),
    ];
    let status = proptest::sample::select(vec![301_u16, 302, 303, 307, 308]);
    let texts = (option::of(boxed()), option::of(boxed()));
    (texts, port, option::of(path_rewrite()), status).prop_map(|((scheme, host), port, path, status)| {
        Redirect {
            scheme,
            host,
            port,
            path,
            status,
        }
    })
}

pub(super) fn direct_response() -> impl Strategy<Value = DirectResponse> {
    (200_u16..=599, vec(any::<u8>(), 0..9)).prop_map(|(status, body)| DirectResponse {
        status,
        body: body.into(),
    })
}
