//! One JSON object as a flat table: owned, in a handful of allocations whatever it holds, without a name twice in any
//! object of it.

mod builder;

use std::ops::Range;

use crate::number::Number;

/// How deep objects and lists may lie within each other; the outermost object is the first level.
pub const MAX_DEPTH: usize = 32;

/// A JSON object and all below it.
///
/// Strings stand as ranges of the text they were read from; those that were written with escapes are spelled out in
/// `unescaped`, and their ranges begin after the end of the text.
pub(crate) struct Document {
    json: String,
    unescaped: String,
    members: Vec<Member>,
    root: Span,
}

/// An entry of an object, or, with an empty name, of a list. The members of one object are sorted by name.
#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub(crate) name: Span,
    pub(crate) value: Node,
}

#[derive(Clone, Copy)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(Span),
    List(Span),
    Object(Span),
}

/// Part of a text, or of the members.
#[derive(Clone, Copy, Default)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

/// Why bytes are not a [`Document`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not UTF-8, not JSON, or more than JSON.
    Syntax,
    /// JSON, but not an object.
    NotAnObject,
    /// A name twice in one object.
    Duplicate,
    /// Deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl Document {
    /// Reads `json`; its length is for the caller to bound.
    pub(crate) fn parse(json: Vec<u8>) -> Result<Self, Fault> {
        builder::parse(String::from_utf8(json).map_err(|_| Fault::Syntax)?)
    }

    /// The text as it was read.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    pub(crate) fn root(&self) -> Span {
        self.root
    }

    /// The member `name` of an object.
    pub(crate) fn member(&self, object: Span, name: &str) -> Option<Node> {
        let members = self.members(object);
        let at = members.binary_search_by(|member| self.text(member.name).cmp(name));
        at.ok().map(|at| members[at].value)
    }

    /// The entries of an object or a list.
    pub(crate) fn members(&self, of: Span) -> &[Member] {
        self.members.get(of.range()).unwrap_or_default()
    }

    /// The string at `span`.
    pub(crate) fn text(&self, span: Span) -> &str {
        text(&self.json, &self.unescaped, span)
    }
}

impl Span {
    /// `None` when the text is longer than any that is read here.
    fn new(start: usize, length: usize) -> Option<Self> {
        Some(Self {
            start: u32::try_from(start).ok()?,
            length: u32::try_from(length).ok()?,
        })
    }

    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }

    pub(crate) fn len(self) -> usize {
        self.length as usize
    }
}

fn text<'d>(json: &'d str, unescaped: &'d str, span: Span) -> &'d str {
    let Range { start, end } = span.range();
    let found = match start.checked_sub(json.len()) {
        None => json.get(start..end),
        Some(start) => unescaped.get(start..start + span.len()),
    };
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests;
