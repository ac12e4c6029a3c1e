//! From text to [`Document`]: serde_json finds the values, this puts them into the table.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Document, Fault, MAX_DEPTH, Member, Node, Span, text};
use crate::number::Number;

/// Room for the members of a usual token, so that the table rarely grows.
const USUAL_MEMBERS: usize = 24;

pub(super) fn parse(json: String) -> Result<Document, Fault> {
    let mut builder = Builder {
        json: &json,
        unescaped: String::new(),
        members: Vec::with_capacity(USUAL_MEMBERS),
        open: Vec::with_capacity(USUAL_MEMBERS),
        depth: 0,
        fault: None,
    };
    let mut reader = serde_json::Deserializer::from_str(&json);
    let read = Value(&mut builder).deserialize(&mut reader);
    let root = match read.and_then(|root| reader.end().map(|()| root)) {
        Ok(Node::Object(root)) => root,
        Ok(_) => return Err(Fault::NotAnObject),
        Err(_) => return Err(builder.fault.unwrap_or(Fault::Syntax)),
    };
    let Builder {
        unescaped, members, ..
    } = builder;
    Ok(Document {
        json,
        unescaped,
        members,
        root,
    })
}

struct Builder<'j> {
    json: &'j str,
    unescaped: String,
    /// What is complete.
    members: Vec<Member>,
    /// Entries of the objects and lists that are being read, the innermost last.
    open: Vec<Member>,
    depth: usize,
    fault: Option<Fault>,
}

impl Builder<'_> {
    fn fail<E: Error>(&mut self, fault: Fault) -> E {
        self.fault = Some(fault);
        E::custom("refused")
    }

    /// A string that stands in the text as it is.
    fn borrowed(&mut self, found: &str) -> Option<Span> {
        let start = found.as_ptr().addr().checked_sub(self.json.as_ptr().addr())?;
        (start + found.len() <= self.json.len())
            .then(|| Span::new(start, found.len()))
            .flatten()
    }

    /// A string that was written with escapes.
    fn unescaped(&mut self, found: &str) -> Option<Span> {
        let start = self.json.len() + self.unescaped.len();
        self.unescaped.push_str(found);
        Span::new(start, found.len())
    }

    /// Goes one level down; the answer is where its entries begin.
    fn enter<E: Error>(&mut self) -> Result<usize, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.fail(Fault::TooDeep));
        }
        self.depth += 1;
        Ok(self.open.len())
    }

    /// Comes back up: the entries from `first` on are complete.
    fn leave<E: Error>(&mut self, first: usize) -> Result<Span, E> {
        self.depth -= 1;
        let span = Span::new(self.members.len(), self.open.len() - first);
        self.members.extend(self.open.drain(first..));
        span.ok_or_else(|| E::custom("too long"))
    }

    /// Sorts the entries from `first` on by name, which brings equal names together.
    fn sort<E: Error>(&mut self, first: usize) -> Result<(), E> {
        let (json, unescaped) = (self.json, &self.unescaped);
        let name = |member: &Member| text(json, unescaped, member.name);
        let members = &mut self.open[first..];
        members.sort_unstable_by(|one, other| name(one).cmp(name(other)));
        if members.windows(2).any(|pair| name(&pair[0]) == name(&pair[1])) {
            return Err(self.fail(Fault::Duplicate));
        }
        Ok(())
    }
}

/// The next value.
struct Value<'b, 'j>(&'b mut Builder<'j>);

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(Number::Unsigned(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(Number::Signed(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(Number::Float(value)))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Node, E> {
        Text(self.0).visit_borrowed_str(value).map(Node::Text)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Text(self.0).visit_str(value).map(Node::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let first = self.0.enter()?;
        while let Some(value) = entries.next_element_seed(Value(self.0))? {
            let name = Span::default();
            self.0.open.push(Member { name, value });
        }
        self.0.leave(first).map(Node::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let first = self.0.enter()?;
        while let Some(name) = entries.next_key_seed(Text(self.0))? {
            let value = entries.next_value_seed(Value(self.0))?;
            self.0.open.push(Member { name, value });
        }
        self.0.sort(first)?;
        self.0.leave(first).map(Node::Object)
    }
}

/// The next value, which has to be a string.
struct Text<'b, 'j>(&'b mut Builder<'j>);

impl<'de> DeserializeSeed<'de> for Text<'_, '_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text<'_, '_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Span, E> {
        self.0.borrowed(value).ok_or_else(|| E::custom("not in the text"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Span, E> {
        self.0.unescaped(value).ok_or_else(|| E::custom("too long"))
    }
}
