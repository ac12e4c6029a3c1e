//! Plain entry points for fuzzing: bytes in, nothing out, never a panic.

use crate::h1::{Chunk, Chunked, parse_request, parse_response};
use crate::{Limits, Spelling};
use bytes::Bytes;
use http::HeaderValue;

/// Parses a request head and, if there is one, checks that its spelling survives the hop.
pub fn request_head(input: &[u8]) {
    let mut input = Bytes::copy_from_slice(input);
    if let Ok(Some(parsed)) = parse_request(&mut input, &Limits::default()) {
        let spelling = parsed.head.spelling;
        assert_eq!(
            Spelling::from_header_value(&spelling.to_header_value()).as_ref(),
            Some(&spelling)
        );
    }
}

/// Parses a response head.
pub fn response_head(input: &[u8]) {
    let mut input = Bytes::copy_from_slice(input);
    let _ = parse_response(&mut input, &Limits::default());
}

/// Decodes a chunked body, once whole and once byte by byte, and checks that both agree.
pub fn chunked(input: &[u8]) {
    assert_eq!(decode(input, input.len().max(1)), decode(input, 1));
}

/// The data and whether the end was reached; `None` when refused.
fn decode(input: &[u8], step: usize) -> Option<(Vec<u8>, bool)> {
    let mut decoder = Chunked::new(1024);
    let mut data = Vec::new();
    for piece in input.chunks(step) {
        let mut piece = Bytes::copy_from_slice(piece);
        loop {
            match decoder.decode(&mut piece).ok()? {
                Chunk::Data(more) => data.extend_from_slice(&more),
                Chunk::End(_) => return Some((data, true)),
                Chunk::NeedMore => break,
            }
        }
    }
    Some((data, false))
}

/// Reads a spelling from a header value and writes it again.
pub fn spelling(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else {
        return;
    };
    if let Some(spelling) = Spelling::from_header_value(&value) {
        assert_eq!(spelling.to_header_value(), value);
    }
}
