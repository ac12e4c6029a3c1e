//! Durations as Istio takes them: Go's notation, in whole milliseconds.

use std::time::Duration;

use serde::Serializer;

use crate::decode::{Cursor, Decoded};
use crate::duration::format_duration;
use crate::scalar;
use crate::tree::quote;

/// Longest duration, 10 years.
const MAX_DURATION: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Writes a duration that is always there.
pub(crate) fn write_time<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*time))
}

/// A duration of at least a millisecond, in Go's notation: `1.5s`, `1h30m`, `500ms`.
pub(crate) fn time(cursor: &Cursor<'_>) -> Decoded<Duration> {
    let time = time_or_zero(cursor)?;
    if time.is_zero() {
        let reason = "found no time at all, expected at least 1ms";
        return Err(cursor.refuse_with("invalid-duration", reason, "remove the field for its default"));
    }
    Ok(time)
}

/// A duration that may be zero.
pub(crate) fn time_or_zero(cursor: &Cursor<'_>) -> Decoded<Duration> {
    let text = scalar::text(cursor)?;
    parse_time(&text).ok_or_else(|| {
        let reason = format!(
            "found {}, expected a duration in whole milliseconds such as 1h30m, 1.5s or 500ms",
            quote(&text)
        );
        cursor.refuse("invalid-duration", reason)
    })
}

fn parse_time(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos: u128 = 0;
    let mut rest = text;
    // As many units as there are; each may be given once or again, as in Go.
    for _ in 0..8 {
        let number = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
            .count();
        let (number, tail) = rest.split_at(number);
        let unit = tail
            .bytes()
            .take_while(|byte| !byte.is_ascii_digit() && *byte != b'.')
            .count();
        let (unit, tail) = tail.split_at(unit);
        nanos += decimal(number, nanos_of(unit)?)?;
        rest = tail;
        if rest.is_empty() {
            let time = Duration::from_nanos(u64::try_from(nanos).ok()?);
            return (nanos.is_multiple_of(1_000_000) && time <= MAX_DURATION).then_some(time);
        }
    }
    None
}

fn nanos_of(unit: &str) -> Option<u128> {
    Some(match unit {
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "µs" => 1_000,
        "ns" => 1,
        _ => return None,
    })
}

/// `number`, which may have a fraction, times `scale`; what is below one is dropped.
fn decimal(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let parse = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u128>().ok()
        }
    };
    let power = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(parse(whole)? * scale + parse(fraction)? * scale / power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go_in_whole_milliseconds() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1h30m10s500ms", 5_410_500),
            ("100000s", 100_000_000),
            ("1000us", 1),
        ] {
            assert_eq!(parse_time(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "1",
            "s",
            ".s",
            "-1s",
            "1us",
            "1.0001s",
            "1d",
            " 1s",
            "1.2.3s",
            "99999999999h",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
