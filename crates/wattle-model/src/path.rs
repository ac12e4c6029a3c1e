//! Paths: whole elements, percent-decoding and the normal form that policies compare.

use std::borrow::Cow;

/// True when `path` lies at or below `prefix`, by whole elements; a trailing `/` of the prefix means nothing.
pub fn has_path_prefix(path: &str, prefix: &str) -> bool {
    below(path, prefix).is_some()
}

/// What follows `prefix` in `path`: empty, or starting with `/`; `None` when the path does not lie below it.
pub(crate) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Decodes `%XX`; what is not a valid escape or would not be UTF-8 stays as it is.
pub fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    match String::from_utf8(decode_where(text.as_bytes(), |_| true)) {
        Ok(decoded) => Cow::Owned(decoded),
        Err(_) => Cow::Borrowed(text),
    }
}

/// Whether no server reads it otherwise than it is written: no escape, no `\`, no dot behind a slash, no two slashes.
pub(crate) fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let odd = matches!(byte, b'%' | b'\\') || (before == b'/' && matches!(byte, b'.' | b'/'));
        before = byte;
        !odd
    })
}

/// The normal form of a path, as Istio's default (`BASE`) makes it: `\` is `/`, escapes of unreserved characters are
/// decoded (RFC 3986 §6.2.2.2), dot segments are resolved (§6.2.2.3). Slashes are not merged and `%2F` stays.
pub fn normal_path(path: &str) -> Cow<'_, str> {
    if is_plain(path) || (!path.contains(['%', '\\']) && !path.contains("/.")) {
        return Cow::Borrowed(path);
    }
    let decoded = decode_where(path.as_bytes(), |byte| {
        byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
    });
    let text = String::from_utf8_lossy(&decoded).replace('\\', "/");
    Cow::Owned(without_dot_segments(&text))
}

/// The path as a lenient server may read it: everything decoded, slashes merged, dot segments resolved.
/// DENY policies are compared with this form too, so that spelling a path oddly is no way around them.
pub(crate) fn lenient_path(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path);
    }
    let decoded = decode_where(path.as_bytes(), |_| true);
    let text = String::from_utf8_lossy(&decoded).replace('\\', "/");
    Cow::Owned(without_dot_segments(&merged_slashes(&text)))
}

/// Slashes beside each other as one.
pub(crate) fn merged_slashes(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut merged = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    Cow::Owned(merged)
}

/// Escaped slashes of either kind decoded.
pub(crate) fn unescaped_slashes(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let decoded = decode_where(path.as_bytes(), |byte| b"/\\".contains(&byte));
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn decode_where(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match escaped(&bytes[at..]).filter(|value| wanted(*value)) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

fn escaped(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    match bytes {
        [b'%', high, low, ..] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    }
}

fn without_dot_segments(path: &str) -> String {
    let Some(rest) = path.strip_prefix('/') else {
        return path.to_owned();
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in rest.split('/') {
        directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let slash = if directory && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_is_whole_elements() {
        let table = [
            ("/api", "/api", true),
            ("/api/", "/api", true),
            ("/api/x", "/api", true),
            ("/api", "/api/", true),
            ("/api/x", "/api/", true),
            ("/apix", "/api", false),
            ("/apix", "/api/", false),
            ("/API", "/api", false),
            ("/", "/", true),
            ("/anything", "/", true),
            ("", "/", true),
            ("*", "/", false),
        ];
        for (path, prefix, expected) in table {
            assert_eq!(has_path_prefix(path, prefix), expected, "{path} below {prefix}");
        }
    }

    #[test]
    fn the_normal_form_is_istios_base() {
        let table = [
            ("/a/b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/./b", "/a/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/../../etc", "/etc"),
            ("/a\\b", "/a/b"),
            ("/%61dmin", "/admin"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%zzb%", "/a%zzb%"),
            ("//a", "//a"),
            ("/.well-known/x", "/.well-known/x"),
            ("*", "*"),
        ];
        for (path, expected) in table {
            assert_eq!(normal_path(path), expected, "{path}");
        }
    }

    #[test]
    fn the_lenient_form_sees_through_odd_spelling() {
        for path in [
            "//admin",
            "/%2Fadmin",
            "/x/%2e%2e%2fadmin",
            "/%61dmin",
            "\\admin",
            "/x//..//admin",
        ] {
            let lenient = lenient_path(path);
            assert!(
                lenient == "/admin" || lenient == "/x/admin",
                "{path} gave {lenient}"
            );
        }
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_kept() {
        assert_eq!(percent_decode("a%20b%2Fc"), "a b/c");
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%e2%82%ac"), "€");
        assert_eq!(percent_decode("%ff"), "%ff");
    }

    proptest! {
        #[test]
        fn the_normal_form_has_no_dot_segments_and_is_total(path in "/[a./%2eE\\\\]{0,24}") {
            let normal = normal_path(&path).into_owned();
            prop_assert!(normal.split('/').all(|segment| segment != "." && segment != ".."), "{}", normal);
        }

        #[test]
        fn what_is_plain_has_one_form(path in "/[a./%2e\\\\]{0,12}") {
            if is_plain(&path) {
                prop_assert!(!path.contains(['%', '\\']));
                prop_assert_eq!(without_dot_segments(&merged_slashes(&path)), path);
            }
        }

        #[test]
        fn any_text_is_taken(text in any::<String>()) {
            let _ = (normal_path(&text), lenient_path(&text), percent_decode(&text));
        }
    }
}
