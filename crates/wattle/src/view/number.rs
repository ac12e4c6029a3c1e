//! Numbers as people read them.

/// A share as per cent; never rounded up to 100 %.
pub(crate) fn percent(share: Option<f64>) -> String {
    let Some(share) = share else { return "-".to_owned() };
    let floored = (share * 10_000.0).floor() / 100.0;
    format!("{floored:.2}%")
}

/// Milliseconds with three digits that count.
pub(crate) fn milliseconds(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 10.0 => format!("{value:.2}ms"),
        Some(value) if value < 100.0 => format!("{value:.1}ms"),
        Some(value) if value < 10_000.0 => format!("{value:.0}ms"),
        Some(value) => format!("{:.1}s", value / 1000.0),
    }
}

/// A rate per second.
pub(crate) fn rate(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) => format!("{value:.1}"),
    }
}

/// Bytes in binary units.
pub(crate) fn bytes(value: u64) -> String {
    let mut scaled = value as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 1024.0 {
            return if unit == "B" {
                format!("{value}B")
            } else {
                format!("{scaled:.1}{unit}")
            };
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1}TiB")
}

/// A length of time with its two largest units.
pub(crate) fn seconds(value: u64) -> String {
    let (days, hours, minutes) = (value / 86_400, value / 3600 % 24, value / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{value}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", value % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_in_a_million_is_not_a_hundred_per_cent() {
        assert_eq!(percent(Some(0.999_999)), "99.99%");
        assert_eq!(percent(Some(1.0)), "100.00%");
        assert_eq!(percent(None), "-");
    }

    #[test]
    fn numbers_keep_the_digits_that_count() {
        assert_eq!(milliseconds(Some(0.314)), "0.31ms");
        assert_eq!(milliseconds(Some(31.41)), "31.4ms");
        assert_eq!(milliseconds(Some(31_415.0)), "31.4s");
        assert_eq!(
            (bytes(1023), bytes(1536)),
            ("1023B".to_owned(), "1.5KiB".to_owned())
        );
        assert_eq!(
            (seconds(59), seconds(61), seconds(90_000)),
            ("59s".into(), "1m1s".into(), "1d1h".into())
        );
    }
}
