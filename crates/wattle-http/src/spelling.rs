//! How header names were written: case and order, kept so that a message leaves as it came.

mod shape;

pub(crate) use shape::{Kind, Shape};

use http::HeaderValue;
use std::rc::Rc;

/// How a message's header names were written on the wire.
///
/// As a header value: `:l`, `:t`, or the names themselves in order, joined by commas. Equal sets of headers give equal
/// values, so HPACK sends the value once per connection and an index from then on.
#[derive(Clone, Debug, Default)]
pub enum Spelling {
    /// All lower-case, in the order of the header map; what HTTP/2 writes.
    #[default]
    Lower,
    /// `Title-Case`, in the order of the header map.
    Title,
    /// These names, in this order.
    Exact(Exact),
}

/// Names as they were written, shared by all messages of the same form on this thread.
#[derive(Clone, Debug)]
pub struct Exact(pub(crate) Rc<Shape>);

impl Spelling {
    /// The value that carries this spelling across a hop.
    pub fn to_header_value(&self) -> HeaderValue {
        match self {
            Spelling::Lower => HeaderValue::from_static(":l"),
            Spelling::Title => HeaderValue::from_static(":t"),
            Spelling::Exact(exact) => exact.0.value().clone(),
        }
    }

    /// Reads a value that came across a hop; `None` unless it is `:l`, `:t` or at most 64 tokens in 2 KiB.
    ///
    /// What comes out holds tokens only, so it cannot bring a line break or a colon into a head.
    pub fn from_header_value(value: &HeaderValue) -> Option<Self> {
        match value.as_bytes() {
            b":l" => Some(Spelling::Lower),
            b":t" => Some(Spelling::Title),
            _ => Shape::from_value(value).map(|shape| Spelling::Exact(Exact(shape))),
        }
    }

    /// Whether names that are not in the record are to be written `Title-Case`.
    pub(crate) fn is_title(&self) -> bool {
        match self {
            Spelling::Lower => false,
            Spelling::Title => true,
            Spelling::Exact(exact) => exact.0.is_title(),
        }
    }

    pub(crate) fn shape(&self) -> Option<&Shape> {
        match self {
            Spelling::Exact(exact) => Some(&exact.0),
            _ => None,
        }
    }
}

impl PartialEq for Spelling {
    fn eq(&self, other: &Self) -> bool {
        self.to_header_value() == other.to_header_value()
    }
}

/// Writes a name `Title-Case`.
pub(crate) fn write_title(out: &mut Vec<u8>, name: &str) {
    let mut first = true;
    out.extend(name.bytes().map(|byte| {
        let written = if first { byte.to_ascii_uppercase() } else { byte };
        first = byte == b'-';
        written
    }));
}
