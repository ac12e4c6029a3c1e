//! Deadline: how long the whole exchange may take, by the route and by the caller of gRPC.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use wattle_http::RequestHead;

/// How long the caller waits (gRPC over HTTP/2, `Request-Headers`).
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Most digits of a value.
const MAX_DIGITS: usize = 8;

/// The limit of an exchange: the shorter of the route's and the caller's. A caller of gRPC that would wait longer than the
/// route allows is told so on the way, so that who answers does not work in vain.
pub(crate) fn limit(head: &mut RequestHead, grpc: bool, route: Option<Duration>) -> Option<Duration> {
    let asked = if grpc { read(head) } else { None };
    let shorter = match (asked, route) {
        (Some(asked), Some(route)) => Some(asked.min(route)),
        (asked, route) => asked.or(route),
    };
    if let Some(limit) = shorter.filter(|limit| grpc && asked.is_none_or(|asked| *limit < asked)) {
        head.headers.insert(GRPC_TIMEOUT, written(limit));
    }
    shorter
}

/// Tells who answers another try of a gRPC request how much of the time is left, if the caller or route set a limit.
pub(crate) fn renew(head: &mut RequestHead, left: Duration) {
    if head.headers.contains_key(&GRPC_TIMEOUT) {
        head.headers.insert(GRPC_TIMEOUT, written(left));
    }
}

fn read(head: &RequestHead) -> Option<Duration> {
    let text = head.headers.get(&GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain =
        !digits.is_empty() && digits.len() <= MAX_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| plain)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The largest unit that loses nothing worth having: milliseconds, seconds beyond 27 hours.
fn written(limit: Duration) -> HeaderValue {
    let text = match limit.as_millis() {
        millis if millis < 100_000_000 => format!("{}m", millis.max(1)),
        _ => format!("{}S", limit.as_secs().min(99_999_999)),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("1m"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::Method;

    use super::*;

    fn head(timeout: Option<&'static str>) -> RequestHead {
        let mut head = RequestHead::new(Method::POST, "a", "/s/m");
        if let Some(timeout) = timeout {
            head.headers
                .insert(GRPC_TIMEOUT, HeaderValue::from_static(timeout));
        }
        head
    }

    #[test]
    fn the_shorter_of_route_and_caller_holds_and_is_passed_on() {
        let second = Some(Duration::from_secs(1));
        let table = [
            (None, None, None, None),
            (None, second, second, Some("1000m")),
            (
                Some("200m"),
                second,
                Some(Duration::from_millis(200)),
                Some("200m"),
            ),
            (Some("5S"), second, second, Some("1000m")),
            (Some("2H"), None, Some(Duration::from_secs(7200)), Some("2H")),
            (Some("500u"), None, Some(Duration::from_micros(500)), Some("500u")),
        ];
        for (sent, route, expected, passed) in table {
            let mut head = head(sent);
            assert_eq!(limit(&mut head, true, route), expected, "{sent:?}");
            let found = head
                .headers
                .get(&GRPC_TIMEOUT)
                .map(|value| value.to_str().unwrap());
            assert_eq!(found, passed, "{sent:?}");
        }
    }

    #[test]
    fn what_is_no_timeout_is_no_limit_and_other_requests_have_none() {
        for sent in ["", "5", "S", "-1S", "123456789S", "1x", "1.5S"] {
            assert_eq!(limit(&mut head(Some(sent)), true, None), None, "{sent}");
        }
        assert_eq!(limit(&mut head(Some("1S")), false, None), None);
    }
}
