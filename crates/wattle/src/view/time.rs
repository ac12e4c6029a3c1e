//! Times of day, as people and programs read them.

use jiff::Timestamp;

/// RFC 3339 in UTC; a time that cannot be is `-`.
pub(crate) fn until(secs: u64) -> String {
    let at = i64::try_from(secs)
        .ok()
        .and_then(|secs| Timestamp::from_second(secs).ok());
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc() {
        assert_eq!(until(1_795_449_600), "2026-11-23T16:00:00Z");
        assert_eq!(until(u64::MAX), "-");
    }
}
