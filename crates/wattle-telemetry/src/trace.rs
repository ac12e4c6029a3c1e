//! The id of a trace, as a request says it.

/// The trace id of a `traceparent` (W3C Trace Context §3.2): 32 lower-case hexadecimal digits, not all zero; `None` where the
/// value is not one, which version `ff` never is.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.trim_matches([' ', '\t']).split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let well = is_hex(version, 2) && is_hex(id, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    // Later versions may add fields behind; the first has none.
    let ends = version != "00" || parts.next().is_none();
    let means = |digits: &str| digits.bytes().any(|digit| digit != b'0');
    (well && ends && version != "ff" && means(id) && means(parent)).then_some(id)
}

fn is_hex(text: &str, digits: usize) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == digits && text.bytes().all(hex)
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn the_id_is_the_second_field() {
        for more in [
            "00-{}-00f067aa0ba902b7-01",
            " 00-{}-00f067aa0ba902b7-00 ",
            "cc-{}-00f067aa0ba902b7-01-what-comes-later",
        ] {
            assert_eq!(trace_id(&more.replace("{}", ID)), Some(ID), "{more}");
        }
    }

    #[test]
    fn what_the_specification_calls_invalid_is_none() {
        let zero = "0".repeat(32);
        for wrong in [
            String::new(),
            ID.to_owned(),
            format!("00-{ID}-00f067aa0ba902b7"),
            format!("00-{ID}-00f067aa0ba902b7-01-more"),
            format!("ff-{ID}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", ID.to_uppercase()),
            format!("00-{zero}-00f067aa0ba902b7-01"),
            format!("00-{ID}-0000000000000000-01"),
            format!("00-{ID}x-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(trace_id(&wrong), None, "{wrong}");
        }
    }
}
