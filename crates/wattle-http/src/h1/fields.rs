//! Header fields of a head: from slices of the read buffer to a map, with the facts the codec needs.

use super::framing::Facts;
use crate::spelling::{Exact, Kind, Shape, Spelling};
use crate::{Limits, ParseError};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use httparse::Header;
use std::mem::MaybeUninit;

/// Room for the fields of one head while it is parsed: on the stack, not initialised.
pub(crate) type FieldRoom<'a> = [MaybeUninit<Header<'a>>; crate::limits::MAX_HEADERS_CEILING];

pub(crate) fn field_room<'a>() -> FieldRoom<'a> {
    [const { MaybeUninit::uninit() }; crate::limits::MAX_HEADERS_CEILING]
}

/// The fields of one head, sorted out.
pub(crate) struct Fields {
    pub(crate) headers: HeaderMap,
    pub(crate) spelling: Spelling,
    pub(crate) host: Option<Bytes>,
    pub(crate) facts: Facts,
}

/// Sorts the fields of `head`, whose slices they are.
pub(crate) fn collect(head: &Bytes, parsed: &[Header<'_>], limits: &Limits) -> Result<Fields, ParseError> {
    if parsed.len() > limits.max_headers {
        return Err(ParseError::TooManyHeaders);
    }
    lines_end_in_cr_lf(head, parsed)?;
    let mut fields = Fields {
        headers: HeaderMap::with_capacity(parsed.len() + 4),
        spelling: Spelling::Lower,
        host: None,
        facts: Facts::default(),
    };
    match Shape::of(parsed) {
        Some(shape) => {
            for (entry, field) in shape.entries().iter().zip(parsed) {
                fields.add(entry.name.clone(), entry.kind, head.slice_ref(field.value))?;
            }
            fields.spelling = Spelling::Exact(Exact(shape));
        }
        None => {
            for field in parsed {
                let name =
                    HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| ParseError::HeaderName)?;
                fields.add(name.clone(), Kind::of(&name), head.slice_ref(field.value))?;
            }
            let title = parsed
                .first()
                .is_some_and(|field| field.name.starts_with(|c: char| c.is_ascii_uppercase()));
            fields.spelling = if title { Spelling::Title } else { Spelling::Lower };
        }
    }
    Ok(fields)
}

impl Fields {
    fn add(&mut self, name: HeaderName, kind: Kind, value: Bytes) -> Result<(), ParseError> {
        match kind {
            Kind::Host if self.host.is_some() => return Err(ParseError::HostConflict),
            Kind::Host => {
                self.host = Some(value);
                return Ok(());
            }
            Kind::TransferEncoding => return self.facts.transfer_encoding(&value),
            Kind::ContentLength => {
                if !self.facts.content_length(&value)? {
                    return Ok(());
                }
            }
            Kind::Connection => self.facts.connection(&value),
            Kind::Plain if name == header::UPGRADE => self.facts.upgrade(&value),
            Kind::Plain if name == header::EXPECT => {
                self.facts.expect_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
            Kind::Plain => {}
        }
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| ParseError::HeaderValue)?;
        self.headers.append(name, value);
        Ok(())
    }
}

/// `httparse` takes a bare LF for a line end. Some peers do not, and a difference of opinion is how requests get smuggled.
fn lines_end_in_cr_lf(head: &[u8], parsed: &[Header<'_>]) -> Result<(), ParseError> {
    let base = head.as_ptr() as usize;
    let strict = parsed.iter().all(|field| {
        let start = (field.name.as_ptr() as usize).wrapping_sub(base);
        start >= 2 && head.get(start - 2..start) == Some(b"\r\n")
    });
    if strict && head.ends_with(b"\r\n\r\n") {
        Ok(())
    } else {
        Err(ParseError::BareLineFeed)
    }
}

/// Parses a trailer section, which ends in an empty line.
pub(crate) fn parse_trailers(section: &Bytes) -> Result<HeaderMap, ParseError> {
    let mut room = [httparse::EMPTY_HEADER; 64];
    let parsed = match httparse::parse_headers(section, &mut room) {
        Ok(httparse::Status::Complete((_, parsed))) => parsed,
        Err(httparse::Error::TooManyHeaders) => return Err(ParseError::TooManyHeaders),
        _ => return Err(ParseError::Trailers),
    };
    let mut trailers = HeaderMap::with_capacity(parsed.len());
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| ParseError::Trailers)?;
        let value = HeaderValue::from_maybe_shared(section.slice_ref(field.value))
            .map_err(|_| ParseError::Trailers)?;
        trailers.append(name, value);
    }
    crate::headers::strip_from_trailers(&mut trailers);
    Ok(trailers)
}
