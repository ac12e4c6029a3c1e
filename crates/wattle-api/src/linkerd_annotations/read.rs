//! Reading of the annotations.

use std::time::Duration;

use super::{FailureAccrual, GrpcCode, LinkerdAnnotations, LinkerdRetry, PortRanges};
use crate::diagnostic::Finding;
use crate::linkerd::AccessPolicy;
use crate::meta::{Meta, Origin};
use crate::nearest::nearest;
use crate::tree::quote;

/// Annotations that are read and stand under a prefix of which nothing else is.
const KNOWN: &[&str] = &[
    "retry.linkerd.io/http",
    "retry.linkerd.io/grpc",
    "retry.linkerd.io/limit",
    "retry.linkerd.io/timeout",
    "timeout.linkerd.io/request",
    "timeout.linkerd.io/response",
    "timeout.linkerd.io/idle",
    ACCRUAL,
    "balancer.linkerd.io/failure-accrual-consecutive-max-failures",
    "balancer.linkerd.io/failure-accrual-consecutive-min-penalty",
    "balancer.linkerd.io/failure-accrual-consecutive-max-penalty",
    "balancer.linkerd.io/failure-accrual-consecutive-jitter-ratio",
];
const DEFAULT_POLICY: &str = "config.linkerd.io/default-inbound-policy";
const ACCRUAL: &str = "balancer.linkerd.io/failure-accrual";
/// Prefixes whose every annotation concerns traffic, so that an unknown one is told of.
const PREFIXES: &[&str] = &[
    "retry.linkerd.io/",
    "timeout.linkerd.io/",
    "balancer.linkerd.io/",
    "balancer.alpha.linkerd.io/",
];
/// Longest time that an annotation can say; more than anybody waits.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

pub(super) fn read(meta: &Meta, origin: &Origin) -> (LinkerdAnnotations, Vec<Finding>) {
    let mut reader = Reader {
        meta,
        origin,
        findings: Vec::new(),
    };
    reader.unknown();
    let retry = reader.retry();
    let annotations = LinkerdAnnotations {
        retry,
        request_timeout: reader.timeout("timeout.linkerd.io/request"),
        response_timeout: reader.timeout("timeout.linkerd.io/response"),
        idle_timeout: reader.timeout("timeout.linkerd.io/idle"),
        failure_accrual: reader.accrual(),
        opaque_ports: reader.ports("config.linkerd.io/opaque-ports"),
        skip_inbound_ports: reader.ports("config.linkerd.io/skip-inbound-ports"),
        skip_outbound_ports: reader.ports("config.linkerd.io/skip-outbound-ports"),
        default_inbound_policy: reader.default_policy(),
    };
    (annotations, reader.findings)
}

struct Reader<'a> {
    meta: &'a Meta,
    origin: &'a Origin,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn value(&self, key: &str) -> Option<String> {
        self.meta.annotations.get(key).cloned()
    }

    fn note(&mut self, key: &str, code: &'static str, reason: String, hint: &str) {
        let field = format!("metadata.annotations.{key}");
        let at = self.origin.locate(&field);
        self.findings
            .push(Finding::new(code, at, field, reason).hint(hint));
    }

    /// The value under `key`, or nothing and a word about it.
    fn parsed<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.value(key)?;
        let parsed = parse(text.trim());
        if parsed.is_none() {
            let reason = format!("found {}, expected {expected}; it has no effect", quote(&text));
            self.note(key, "invalid-annotation", reason, "");
        }
        parsed
    }

    fn unknown(&mut self) {
        let keys = self.meta.annotations.keys();
        let unknown: Vec<_> = keys
            .filter(|key| PREFIXES.iter().any(|prefix| key.starts_with(prefix)))
            .filter(|key| !KNOWN.contains(&key.as_str()))
            .cloned()
            .collect();
        for key in unknown {
            let hint = nearest(&key, KNOWN)
                .map(|near| format!("write {near}"))
                .unwrap_or_default();
            let reason = "the annotation is not supported and has no effect".to_owned();
            self.note(&key, "unknown-annotation", reason, &hint);
        }
    }

    fn timeout(&mut self, key: &str) -> Option<Duration> {
        self.length(key).filter(|length| !length.is_zero())
    }

    fn length(&mut self, key: &str) -> Option<Duration> {
        self.parsed(key, "a duration such as 500ms, 10s, 5m or 1h", length)
    }

    /// A slip of the pen must not open what was to be closed.
    fn default_policy(&mut self) -> Option<AccessPolicy> {
        let text = self.value(DEFAULT_POLICY)?;
        let named = AccessPolicy::named(text.trim());
        if named.is_none() {
            let words = AccessPolicy::NAMES.map(|(name, _)| name).join(", ");
            let reason = format!(
                "found {}, expected one of {words}; everything is refused",
                quote(&text)
            );
            self.note(DEFAULT_POLICY, "invalid-annotation", reason, "");
        }
        named.or(Some(AccessPolicy::Deny))
    }

    fn ports(&mut self, key: &str) -> Option<PortRanges> {
        self.parsed(key, "ports and ranges such as 25,1000-2000", PortRanges::new)
    }

    fn retry(&mut self) -> Option<LinkerdRetry> {
        let codes = "codes such as 503, 500-504, 5xx or gateway-error";
        let http = self.parsed("retry.linkerd.io/http", codes, |text| list(text, codes_of));
        let words = "cancelled, deadline-exceeded, internal, resource-exhausted or unavailable";
        let grpc = self.parsed("retry.linkerd.io/grpc", words, |text| list(text, grpc_code));
        let limit = self.parsed("retry.linkerd.io/limit", "0 to 65535", |text| text.parse().ok());
        let timeout = self.timeout("retry.linkerd.io/timeout");
        if http.is_none() && grpc.is_none() {
            return None;
        }
        Some(LinkerdRetry {
            http: http.unwrap_or_default(),
            grpc: grpc.unwrap_or_default(),
            // Linkerd takes zero for absent.
            limit: limit.filter(|limit| *limit > 0).unwrap_or(1),
            timeout,
        })
    }

    fn accrual(&mut self) -> Option<FailureAccrual> {
        let prefix = format!("{ACCRUAL}-consecutive");
        let number = "a number from 0";
        let failures = self.parsed(&format!("{prefix}-max-failures"), number, |text| {
            text.parse().ok()
        });
        let min_penalty = self.length(&format!("{prefix}-min-penalty"));
        let max_penalty = self.length(&format!("{prefix}-max-penalty"));
        let jitter = self.parsed(
            &format!("{prefix}-jitter-ratio"),
            "a number from 0 to 100",
            thousandths,
        );
        self.parsed(ACCRUAL, "consecutive", |text| {
            (text == "consecutive").then_some(())
        })?;
        let accrual = FailureAccrual {
            max_failures: failures.unwrap_or(7),
            min_penalty: min_penalty.unwrap_or(Duration::from_secs(1)),
            max_penalty: max_penalty.unwrap_or(Duration::from_secs(60)),
            jitter_thousandths: jitter.unwrap_or(500),
        };
        if accrual.max_penalty.is_zero() || accrual.min_penalty > accrual.max_penalty {
            let reason = "the least penalty is above the greatest, or the greatest is zero; it has no effect";
            self.note(ACCRUAL, "invalid-annotation", reason.to_owned(), "");
            return None;
        }
        Some(accrual)
    }
}

/// Items with commas between; none when one of them cannot be read.
fn list<T>(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|part| item(part.trim())).collect()
}

fn codes_of(text: &str) -> Option<(u16, u16)> {
    if text.eq_ignore_ascii_case("5xx") {
        return Some((500, 599));
    }
    if text.eq_ignore_ascii_case("gateway-error") {
        return Some((502, 504));
    }
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let (least, most) = (least.parse().ok()?, most.parse().ok()?);
    (100..=most).contains(&least).then_some(())?;
    (most < 600).then_some((least, most))
}

fn grpc_code(text: &str) -> Option<GrpcCode> {
    let codes = [
        ("cancelled", GrpcCode::Cancelled),
        ("deadline-exceeded", GrpcCode::DeadlineExceeded),
        ("internal", GrpcCode::Internal),
        ("resource-exhausted", GrpcCode::ResourceExhausted),
        ("unavailable", GrpcCode::Unavailable),
    ];
    let found = codes.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    found.map(|(_, code)| *code)
}

fn thousandths(text: &str) -> Option<u32> {
    let ratio: f64 = text.parse().ok()?;
    (0.0..=100.0)
        .contains(&ratio)
        .then(|| (ratio * 1e3).round() as u32)
}

/// A whole number with a unit from ms to d; zero needs no unit.
fn length(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let millis = number.parse::<u64>().ok()?.checked_mul(factor)?;
    Some(Duration::from_millis(millis)).filter(|length| *length <= LONGEST)
}
