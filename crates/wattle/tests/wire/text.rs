//! Bytes as text that fits on a line.

/// What a text stands for: `\r \n \t \0 \\ \xHH`, and `{N*TEXT}` for N times TEXT.
pub fn bytes_of(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '\\' => rest = escape(rest, &mut out),
            '{' => {
                let (times, repeated) = rest.split_once('*').expect("{N*TEXT}");
                let (repeated, after) = repeated.split_once('}').expect("{N*TEXT}");
                out.extend(bytes_of(repeated).repeat(times.parse().expect("a number")));
                rest = after;
            }
            plain => out.extend(plain.to_string().as_bytes()),
        }
    }
    out
}

fn escape<'a>(rest: &'a str, out: &mut Vec<u8>) -> &'a str {
    let (letter, after) = rest.split_at(1);
    out.push(match letter {
        "r" => b'\r',
        "n" => b'\n',
        "t" => b'\t',
        "0" => 0,
        "\\" => b'\\',
        "x" => {
            let (digits, after) = after.split_at(2);
            out.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
            return after;
        }
        other => panic!("no escape \\{other}"),
    });
    after
}

/// The text for bytes, cut where it gets long.
pub fn text_of(bytes: &[u8]) -> String {
    const MOST: usize = 60;
    let shown: String = bytes
        .iter()
        .take(MOST)
        .map(|byte| match byte {
            b' '..=b'~' => char::from(*byte).to_string(),
            other => format!("\\x{other:02x}"),
        })
        .collect();
    match bytes.len() {
        0..=MOST => shown,
        length => format!("{shown}… ({length} bytes)"),
    }
}

#[test]
fn text_and_bytes_stand_for_each_other() {
    assert_eq!(bytes_of(r"a\r\n\0\x7f{3*bc}\\"), b"a\r\n\0\x7fbcbcbc\\");
    assert_eq!(text_of(b"a\r\x7f"), r"a\x0d\x7f");
}
