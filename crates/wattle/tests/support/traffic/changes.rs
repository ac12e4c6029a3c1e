//! What a rule of a VirtualService does beside choosing a destination.

use super::{BACKENDS, VALUES, some};
use crate::dice::Dice;

pub(super) fn direct_response(dice: &mut Dice) -> String {
    format!(
        "directResponse: {{status: {}, body: {{{}}}}}",
        dice.one(&["200", "403", "503", "418"]),
        // Both say the same.
        dice.one(&["string: 'said directly'", "bytes: c2FpZCBkaXJlY3RseQ=="])
    )
}

/// Copies of all requests, or of none.
pub(super) fn mirrors(dice: &mut Dice) -> String {
    let to = dice.one(&[
        "host: other",
        "host: shop-v1, port: {number: 80}",
        "host: shop-any, subset: v2",
    ]);
    let to = if dice.chance(40) {
        format!("host: {}", dice.one(&BACKENDS))
    } else {
        to.to_owned()
    };
    let old = dice.one(&[
        "",
        ", mirrorPercentage: {value: 100}",
        ", mirrorPercentage: {value: 0}",
        ", mirrorPercent: 100",
        ", mirror_percent: 0",
        ", mirror_percent: 100",
    ]);
    match dice.below(3) {
        0 => format!("mirror: {{{to}}}{old}"),
        1 => format!("mirrors: [{{destination: {{{to}}}}}]"),
        _ => format!(
            "mirrors: [{{destination: {{{to}}}, percentage: {{value: {}}}}}]",
            dice.one(&["100", "0"])
        ),
    }
}

pub(super) fn redirect(dice: &mut Dice) -> String {
    let fields = some(
        dice,
        &[
            (60, &|dice| {
                dice.one(&["uri: /moved", "uri: /moved", "prefixRewrite: /moved"])
                    .to_owned()
            }),
            (50, &|_| "authority: elsewhere.example".to_owned()),
            (30, &|_| "scheme: https".to_owned()),
            (30, &|dice| {
                dice.one(&[
                    "port: 8443",
                    "derivePort: FROM_PROTOCOL_DEFAULT",
                    "derivePort: FROM_REQUEST_PORT",
                ])
                .to_owned()
            }),
            (50, &|dice| {
                format!("redirectCode: {}", dice.one(&["302", "303", "307", "308"]))
            }),
        ],
    );
    // A status alone moves nothing: the field is refused.
    let moves = [
        "uri:",
        "prefixRewrite:",
        "authority:",
        "scheme:",
        "port:",
        "derivePort:",
    ];
    match moves.iter().any(|field| fields.contains(field)) {
        true => format!("redirect: {{{fields}}}"),
        false => "redirect: {uri: /moved, redirectCode: 302}".to_owned(),
    }
}

pub(super) fn rewrite(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => "rewrite: {uri: /rewritten}".to_owned(),
        1 => "rewrite: {uri: /}".to_owned(),
        2 => "rewrite: {authority: renamed.example}".to_owned(),
        _ => "rewrite: {uriRegexRewrite: {match: '^/([a-z0-9]+)/(.*)$', rewrite: '/\\2/\\1'}}".to_owned(),
    }
}

pub(super) fn headers(dice: &mut Dice) -> String {
    let change = |dice: &mut Dice| {
        let fields = some(
            dice,
            &[
                (50, &|dice| format!("set: {{x-two: {}}}", dice.one(&VALUES))),
                (40, &|dice| format!("add: {{x-new: {}}}", dice.one(&VALUES))),
                (40, &|dice| {
                    format!("remove: [{}]", dice.one(&["x-one", "x-served-by"]))
                }),
            ],
        );
        format!("{{{fields}}}")
    };
    format!("{{request: {}, response: {}}}", change(dice), change(dice))
}

pub(super) fn retries(dice: &mut Dice) -> String {
    let on = dice.one(&[
        "5xx",
        "gateway-error",
        "503",
        "retriable-status-codes,404",
        "connect-failure",
        "reset,503",
        "5xx,retriable-4xx",
    ]);
    if dice.chance(20) {
        return "retries: {attempts: 0}".to_owned();
    }
    format!(
        "retries: {{attempts: {}, retryOn: '{on}', backoff: 1ms{}}}",
        dice.one(&["1", "2", "3"]),
        dice.one(&[
            "",
            "",
            ", perTryTimeout: 10s",
            ", perTryTimeout: 300ms",
            ", retryIgnorePreviousHosts: false"
        ])
    )
}

pub(super) fn fault(dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => format!(
            "fault: {{delay: {{fixedDelay: 500ms, {}}}}}",
            dice.one(&[
                "percentage: {value: 100}",
                "percentage: {value: 0}",
                "percent: 100",
                "percent: 100"
            ])
        ),
        1 => "fault: {abort: {httpStatus: 418, percentage: {value: 0}}}".to_owned(),
        _ => format!(
            "fault: {{abort: {{httpStatus: {}, percentage: {{value: 100}}}}}}",
            dice.one(&["400", "418", "503"])
        ),
    }
}

pub(super) fn cors(dice: &mut Dice) -> String {
    let origins = dice.one(&[
        "[{exact: 'https://shop.example'}]",
        "[{regex: 'https?://shop.*'}]",
        "[{prefix: 'https://'}]",
    ]);
    let more = some(
        dice,
        &[
            (50, &|_| "allowMethods: [GET, POST]".to_owned()),
            (30, &|_| "allowHeaders: [x-one]".to_owned()),
            (30, &|_| "exposeHeaders: [x-served-by]".to_owned()),
            (30, &|_| "maxAge: 60s".to_owned()),
            (30, &|_| "allowCredentials: true".to_owned()),
            (30, &|dice| {
                format!("unmatchedPreflights: {}", dice.one(&["FORWARD", "IGNORE"]))
            }),
        ],
    );
    let more = if more.is_empty() {
        more
    } else {
        format!(", {more}")
    };
    let origins = match dice.chance(15) {
        true => "allowOrigin: ['https://shop.example']".to_owned(),
        false => format!("allowOrigins: {origins}"),
    };
    format!("corsPolicy: {{{origins}{more}}}")
}
