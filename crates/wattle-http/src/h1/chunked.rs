//! The chunked coding (RFC 9112 §7.1), decoded as it comes, however it is split.

use super::fields::parse_trailers;
use crate::ParseError;
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

/// Extensions of all chunks of a body may have this many bytes together; nobody uses them in earnest.
const MAX_EXTENSION_BYTES: usize = 16 * 1024;
/// 15 hexadecimal digits cannot overflow 64 bits.
const MAX_SIZE_DIGITS: u8 = 15;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    NeedMore,
    Data(Bytes),
    End(Option<HeaderMap>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { digits: u8 },
    Extension,
    SizeEnd,
    Data,
    DataEnd { cr_seen: bool },
    Trailers,
    Ended,
}

/// The decoder: a few words of state, and a buffer only where there are trailers.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Of this chunk, still to come.
    left: u64,
    extension_bytes: usize,
    trailers: BytesMut,
    max_trailer_bytes: usize,
}

impl Chunked {
    pub(crate) fn new(max_trailer_bytes: usize) -> Self {
        Self {
            state: State::Size { digits: 0 },
            left: 0,
            extension_bytes: 0,
            trailers: BytesMut::new(),
            max_trailer_bytes,
        }
    }

    /// Takes what it can off the front of `input`.
    pub(crate) fn decode(&mut self, input: &mut Bytes) -> Result<Chunk, ParseError> {
        loop {
            if self.state == State::Ended {
                return Ok(Chunk::End(None));
            }
            if input.is_empty() {
                return Ok(Chunk::NeedMore);
            }
            match self.state {
                State::Data => return Ok(Chunk::Data(self.take_data(input))),
                State::Trailers => {
                    if let Some(end) = self.take_trailers(input)? {
                        return Ok(end);
                    }
                }
                _ => {
                    let byte = input.get_u8();
                    self.step(byte)?;
                }
            }
        }
    }

    fn take_data(&mut self, input: &mut Bytes) -> Bytes {
        let taken = self.left.min(input.len() as u64) as usize;
        self.left -= taken as u64;
        if self.left == 0 {
            self.state = State::DataEnd { cr_seen: false };
        }
        input.split_to(taken)
    }

    /// One byte outside data and trailers.
    fn step(&mut self, byte: u8) -> Result<(), ParseError> {
        self.state = match self.state {
            State::Size { digits } => return self.size(byte, digits),
            State::Extension => self.extension(byte)?,
            State::SizeEnd if byte == b'\n' && self.left == 0 => State::Trailers,
            State::SizeEnd if byte == b'\n' => State::Data,
            State::SizeEnd => return Err(ParseError::ChunkSize),
            State::DataEnd { cr_seen: false } if byte == b'\r' => State::DataEnd { cr_seen: true },
            State::DataEnd { cr_seen: true } if byte == b'\n' => State::Size { digits: 0 },
            State::DataEnd { .. } => return Err(ParseError::ChunkEnd),
            state => state,
        };
        Ok(())
    }

    fn size(&mut self, byte: u8, digits: u8) -> Result<(), ParseError> {
        let digit = char::from(byte).to_digit(16);
        self.state = match (byte, digit) {
            (_, Some(digit)) if digits < MAX_SIZE_DIGITS => {
                self.left = self.left << 4 | u64::from(digit);
                State::Size { digits: digits + 1 }
            }
            (b';', _) if digits > 0 => State::Extension,
            (b'\r', _) if digits > 0 => State::SizeEnd,
            _ => return Err(ParseError::ChunkSize),
        };
        Ok(())
    }

    fn extension(&mut self, byte: u8) -> Result<State, ParseError> {
        self.extension_bytes += 1;
        match byte {
            b'\r' => Ok(State::SizeEnd),
            _ if self.extension_bytes > MAX_EXTENSION_BYTES => Err(ParseError::ChunkExtensions),
            b'\t' | 0x20..=0x7e | 0x80.. => Ok(State::Extension),
            _ => Err(ParseError::ChunkSize),
        }
    }

    /// Gathers lines until the empty one; mostly that is the first.
    fn take_trailers(&mut self, input: &mut Bytes) -> Result<Option<Chunk>, ParseError> {
        if self.trailers.is_empty() && input.starts_with(b"\r\n") {
            input.advance(2);
            self.state = State::Ended;
            return Ok(Some(Chunk::End(None)));
        }
        // Byte by byte: a trailer section is short, and this way its end is found wherever the input was cut.
        while !input.is_empty() {
            let byte = input.get_u8();
            if byte == b'\n' && !self.trailers.ends_with(b"\r") {
                return Err(ParseError::BareLineFeed);
            }
            self.trailers.extend_from_slice(&[byte]);
            if self.trailers.len() > self.max_trailer_bytes {
                return Err(ParseError::HeadTooLarge);
            }
            if self.trailers.as_ref() == b"\r\n" || self.trailers.ends_with(b"\r\n\r\n") {
                self.state = State::Ended;
                return self.finish().map(Some);
            }
        }
        Ok(None)
    }

    fn finish(&mut self) -> Result<Chunk, ParseError> {
        let section = std::mem::take(&mut self.trailers).freeze();
        if section.as_ref() == b"\r\n" {
            return Ok(Chunk::End(None));
        }
        let trailers = parse_trailers(&section)?;
        Ok(Chunk::End((!trailers.is_empty()).then_some(trailers)))
    }
}
