//! The exact record of a header section's names, and the per-thread stock of records.
//!
//! Clients send the same few header sets over and over. Finding the record again saves building it, and saves
//! parsing the names: a record holds them parsed.

use http::header::{self, HeaderName, HeaderValue};
use std::cell::RefCell;
use std::rc::Rc;

/// More names than this are not recorded.
const MAX_NAMES: usize = 64;
/// Records longer than this in bytes are not made.
const MAX_NAMES_BYTES: usize = 2048;
/// Records kept per thread and kind of look-up; at most 2 × 32 × about 8 KiB.
const STOCK: usize = 32;

/// What a name means to the codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
}

impl Kind {
    pub(crate) fn of(name: &HeaderName) -> Self {
        match *name {
            header::HOST => Kind::Host,
            header::CONTENT_LENGTH => Kind::ContentLength,
            header::TRANSFER_ENCODING => Kind::TransferEncoding,
            header::CONNECTION => Kind::Connection,
            _ => Kind::Plain,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: HeaderName,
    pub(crate) kind: Kind,
    start: u16,
    end: u16,
}

#[derive(Debug)]
pub(crate) struct Shape {
    value: HeaderValue,
    entries: Box<[Entry]>,
    title: bool,
}

thread_local! {
    static BY_NAMES: RefCell<[Option<Rc<Shape>>; STOCK]> = const { RefCell::new([const { None }; STOCK]) };
    static BY_VALUE: RefCell<[Option<Rc<Shape>>; STOCK]> = const { RefCell::new([const { None }; STOCK]) };
}

impl Shape {
    /// The record of these names, from the stock if it is there; `None` when there are too many.
    pub(crate) fn of(fields: &[httparse::Header<'_>]) -> Option<Rc<Self>> {
        if fields.is_empty() || fields.len() > MAX_NAMES {
            return None;
        }
        let slot = slot(fields.iter().map(|field| field.name.as_bytes()));
        BY_NAMES.with(|stock| {
            let mut stock = stock.borrow_mut();
            if let Some(shape) = &stock[slot]
                && shape.matches(fields)
            {
                return Some(shape.clone());
            }
            let mut joined = Vec::with_capacity(fields.iter().map(|field| field.name.len() + 1).sum());
            for field in fields {
                joined.extend_from_slice(field.name.as_bytes());
                joined.push(b',');
            }
            joined.pop();
            let shape = Rc::new(Self::build(
                HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)).ok()?,
            )?);
            stock[slot] = Some(shape.clone());
            Some(shape)
        })
    }

    /// The record a value describes; `None` unless it is valid.
    pub(crate) fn from_value(value: &HeaderValue) -> Option<Rc<Self>> {
        let slot = slot(std::iter::once(value.as_bytes()));
        BY_VALUE.with(|stock| {
            let mut stock = stock.borrow_mut();
            if let Some(shape) = &stock[slot]
                && shape.value == value
            {
                return Some(shape.clone());
            }
            // Copied: the value may be a slice of something much larger, and the stock lives long.
            let shape = Rc::new(Self::build(HeaderValue::from_bytes(value.as_bytes()).ok()?)?);
            stock[slot] = Some(shape.clone());
            Some(shape)
        })
    }

    fn build(value: HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        if bytes.len() > MAX_NAMES_BYTES {
            return None;
        }
        let mut entries = Vec::with_capacity(8);
        let mut start = 0;
        for name in bytes.split(|byte| *byte == b',') {
            if entries.len() == MAX_NAMES {
                return None;
            }
            let end = start + name.len();
            let parsed = HeaderName::from_bytes(name).ok()?;
            entries.push(Entry {
                kind: Kind::of(&parsed),
                name: parsed,
                start: start as u16,
                end: end as u16,
            });
            start = end + 1;
        }
        let title = bytes.first().is_some_and(u8::is_ascii_uppercase);
        Some(Self {
            entries: entries.into_boxed_slice(),
            title,
            value,
        })
    }

    fn matches(&self, fields: &[httparse::Header<'_>]) -> bool {
        self.entries.len() == fields.len()
            && self
                .entries
                .iter()
                .zip(fields)
                .all(|(entry, field)| self.spelled(entry) == field.name.as_bytes())
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The name as it was written.
    pub(crate) fn spelled(&self, entry: &Entry) -> &[u8] {
        self.value
            .as_bytes()
            .get(entry.start as usize..entry.end as usize)
            .unwrap_or_default()
    }

    pub(crate) fn value(&self) -> &HeaderValue {
        &self.value
    }

    pub(crate) fn is_title(&self) -> bool {
        self.title
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.entries.iter().any(|entry| entry.kind == kind)
    }
}

/// A cheap mix: a collision costs a rebuild, never a wrong record, since matches compare in full.
fn slot<'a>(parts: impl Iterator<Item = &'a [u8]>) -> usize {
    let mixed = parts.fold(0x9e37_79b9_7f4a_7c15_u64, |hash, part| {
        let first = part.first().copied().unwrap_or_default();
        let last = part.last().copied().unwrap_or_default();
        let facts = (part.len() as u64) << 16 | u64::from(first) << 8 | u64::from(last);
        (hash ^ facts).wrapping_mul(0x517c_c1b7_2722_0a95).rotate_left(23)
    });
    (mixed >> 32) as usize % STOCK
}
