//! Durations as the Gateway API writes them, and as Go does, which Linkerd takes over.

use std::time::Duration;

use serde::Serializer;

use crate::decode::{Cursor, Decoded};
use crate::scalar::text;
use crate::tree::quote;

/// A Gateway API duration (GEP-2257): up to four numbers of at most 5 digits with units h, m, s, ms.
pub(crate) fn duration(cursor: &Cursor<'_>) -> Decoded<Duration> {
    let text = text(cursor)?;
    parse_duration(&text).ok_or_else(|| {
        let reason = format!(
            "found {}, expected a duration such as 1h30m, 10s or 500ms",
            quote(&text)
        );
        cursor.refuse("invalid-duration", reason)
    })
}

/// Parses a GEP-2257 duration.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut millis: u64 = 0;
    for _ in 0..4 {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > 5 {
            return None;
        }
        let (number, tail) = rest.split_at(digits);
        let (unit, tail) = tail.split_at(tail.bytes().take_while(u8::is_ascii_lowercase).count());
        let factor = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        millis += number.parse::<u64>().ok()? * factor;
        rest = tail;
        if rest.is_empty() {
            return Some(Duration::from_millis(millis));
        }
    }
    None
}

/// Writes a duration as GEP-2257 does; below a millisecond nothing is kept.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let parts = [
        (millis / 3_600_000, "h"),
        (millis / 60_000 % 60, "m"),
        (millis / 1_000 % 60, "s"),
        (millis % 1_000, "ms"),
    ];
    let text: String = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

pub(crate) fn write_duration<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.serialize_str(&format_duration(*duration)),
        None => serializer.serialize_none(),
    }
}

/// A duration between `least` and `most`.
pub(crate) fn length(cursor: &Cursor<'_>, least: Duration, most: Duration) -> Decoded<Duration> {
    let found = duration(cursor)?;
    if found < least || found > most {
        let reason = format!(
            "found {}, expected {} to {}",
            format_duration(found),
            format_duration(least),
            format_duration(most)
        );
        return Err(cursor.refuse("out-of-range", reason));
    }
    Ok(found)
}

pub(crate) fn write_length<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}

/// A duration as Go reads it: numbers that may have a fraction, each with its unit from ns to h.
///
/// Below a millisecond nothing is kept, since nothing here is that exact.
pub(crate) fn go_duration(cursor: &Cursor<'_>) -> Decoded<Duration> {
    let text = text(cursor)?;
    parse_go(&text).ok_or_else(|| {
        let reason = format!(
            "found {}, expected a duration such as 1.5s or 1m30s",
            quote(&text)
        );
        cursor.refuse("invalid-duration", reason)
    })
}

fn parse_go(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit_at);
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        millis += number.parse::<f64>().ok()? * unit_millis(unit)?;
        rest = tail;
    }
    // What is longer than a GEP-2257 duration can say could not be written down again.
    (!text.is_empty() && millis <= 99_999.0 * 3_600_000.0)
        .then(|| Duration::from_millis(millis.round() as u64))
}

fn unit_millis(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-6,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        _ => return None,
    })
}
