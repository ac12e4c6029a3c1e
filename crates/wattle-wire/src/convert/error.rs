//! Why a peer's resource was refused, with the path of the field.

use std::fmt;
use std::sync::Arc;

/// A resource that does not make sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DecodeError {
    /// Path of the field, e.g. `rules[3].matches.path`; empty for the whole message.
    pub path: String,
    /// What was found and what was expected.
    pub problem: String,
}

impl DecodeError {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "{}: {}", self.path, self.problem)
        }
    }
}

/// Keeps the path of the field being read.
#[derive(Default)]
pub(crate) struct Reader {
    path: Vec<Part>,
}

enum Part {
    Field(&'static str),
    Index(usize),
}

impl Reader {
    /// Most entries of any list.
    const MAX_ITEMS: usize = 100_000;
    /// Longest text, bytes.
    const MAX_TEXT: usize = 64 * 1024;

    pub(crate) fn at<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.path.push(Part::Field(field));
        let value = read(self)?;
        self.path.pop();
        Ok(value)
    }

    pub(crate) fn list<M, T>(
        &mut self,
        field: &'static str,
        items: Vec<M>,
        mut read: impl FnMut(&mut Self, M) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.at(field, |reader| {
            if items.len() > Self::MAX_ITEMS {
                return Err(reader.error(format!(
                    "{} entries, at most {} expected",
                    items.len(),
                    Self::MAX_ITEMS
                )));
            }
            let mut out = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                reader.path.push(Part::Index(index));
                out.push(read(reader, item)?);
                reader.path.pop();
            }
            Ok(out)
        })
    }

    pub(crate) fn text(&self, text: String) -> Result<Arc<str>, DecodeError> {
        if text.len() > Self::MAX_TEXT {
            return Err(self.error(format!(
                "text of {} bytes, at most {} expected",
                text.len(),
                Self::MAX_TEXT
            )));
        }
        Ok(text.into())
    }

    pub(crate) fn required<M>(&self, value: Option<M>, what: &str) -> Result<M, DecodeError> {
        value.ok_or_else(|| self.error(format!("{what} is missing")))
    }

    pub(crate) fn port(&self, port: u32) -> Result<u16, DecodeError> {
        u16::try_from(port).map_err(|_| self.error(format!("port {port}, at most 65535 expected")))
    }

    pub(crate) fn error(&self, problem: impl Into<String>) -> DecodeError {
        let mut path = String::new();
        for part in &self.path {
            match part {
                Part::Field(name) if path.is_empty() => path.push_str(name),
                Part::Field(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Part::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        DecodeError::new(path, problem)
    }
}
