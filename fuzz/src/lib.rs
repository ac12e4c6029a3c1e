//! What the fuzz targets run: bytes in, nothing out, and no panic whatever the bytes are.
//!
//! Owns: one module per area, each with `run`, and the properties that must hold of whatever was accepted. A target that
//! holds several parsers takes the first byte of the input as selector, `0` for the first. Refuses to know libFuzzer:
//! that is in `targets/`, three lines each.
//!
//! Start reading at [`yaml`], the longest way: text to objects to compiled values to decisions to bytes and back.

pub mod decide;
pub mod detect;
pub mod dns;
mod facts;
pub mod http;
pub mod identity;
pub mod jwt;
pub mod wire;
pub mod yaml;

/// Splits off the selector: which of `count` parsers, and its input; `None` for an empty input.
fn select(input: &[u8], count: usize) -> Option<(usize, &[u8])> {
    let (first, rest) = input.split_first()?;
    Some((usize::from(first.wrapping_sub(b'0')) % count, rest))
}
