//! A JSON object written field by field onto the end of a buffer, without allocation of its own.

use std::io::Write as _;

/// The longest text value in bytes; longer ones are cut, since they come from peers.
pub const MAX_TEXT: usize = 4_096;

/// An object under way.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Ends the object and the line.
    pub(crate) fn close(self) {
        self.out.extend_from_slice(b"}\n");
    }

    /// A text, or `null` when it is empty.
    #[inline]
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        if value.is_empty() {
            self.out.extend_from_slice(b"null");
        } else {
            string(self.out, &value[..value.floor_char_boundary(MAX_TEXT)]);
        }
    }

    #[inline]
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        digits(self.out, value);
    }

    #[inline]
    pub(crate) fn optional(&mut self, name: &str, value: Option<u64>) {
        self.name(name);
        match value {
            Some(value) => digits(self.out, value),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// A text that needs no escaping because of what it is, such as a time or an address; `null` when there is none.
    pub(crate) fn plain(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        self.name(name);
        match value {
            // Writing to a vector cannot fail.
            Some(value) => _ = write!(self.out, "\"{value}\""),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// Names are constants of this crate and need no escaping.
    #[inline]
    fn name(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// Writes a string in quotes, copying runs that need no escape as they are.
fn string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let bytes = value.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' && byte != 0x7f {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        escape(out, byte);
        copied = at + 1;
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(&[
            b'\\',
            b'u',
            b'0',
            b'0',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]),
    }
}

fn digits(out: &mut Vec<u8>, mut value: u64) {
    // The longest number has twenty digits.
    let mut reversed = [0u8; 20];
    let mut length = 0;
    loop {
        reversed[length] = b'0' + (value % 10) as u8;
        length += 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend(reversed[..length].iter().rev());
}
