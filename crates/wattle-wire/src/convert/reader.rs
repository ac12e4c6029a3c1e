//! Reading of messages field by field: keeps the path for errors, and bounds every size.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::DecodeError;

pub(crate) type Decoded<T> = Result<T, DecodeError>;

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
        read: impl FnOnce(&mut Self) -> Decoded<T>,
    ) -> Decoded<T> {
        self.path.push(Part::Field(field));
        let value = read(self)?;
        self.path.pop();
        Ok(value)
    }

    pub(crate) fn list<M, T>(
        &mut self,
        field: &'static str,
        items: Vec<M>,
        mut read: impl FnMut(&mut Self, M) -> Decoded<T>,
    ) -> Decoded<Vec<T>> {
        self.at(field, |reader| {
            reader.size("entries", items.len(), Self::MAX_ITEMS)?;
            let mut out = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                reader.path.push(Part::Index(index));
                out.push(read(reader, item)?);
                reader.path.pop();
            }
            Ok(out)
        })
    }

    /// A message that may be absent.
    pub(crate) fn optional<M, T>(
        &mut self,
        field: &'static str,
        message: Option<M>,
        read: impl FnOnce(&mut Self, M) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        match message {
            None => Ok(None),
            Some(message) => self.at(field, |reader| read(reader, message)).map(Some),
        }
    }

    /// A message whose absence would mean something else than was meant.
    pub(crate) fn required<M, T>(
        &mut self,
        field: &'static str,
        message: Option<M>,
        read: impl FnOnce(&mut Self, M) -> Decoded<T>,
    ) -> Decoded<T> {
        let message = self.present(field, message)?;
        self.at(field, |reader| read(reader, message))
    }

    pub(crate) fn present<M>(&self, what: &str, value: Option<M>) -> Decoded<M> {
        value.ok_or_else(|| self.error(format!("{what} is missing")))
    }

    pub(crate) fn text(&mut self, field: &'static str, text: String) -> Decoded<Arc<str>> {
        self.checked(field, text).map(Into::into)
    }

    pub(crate) fn boxed(&mut self, field: &'static str, text: String) -> Decoded<Box<str>> {
        self.checked(field, text).map(Into::into)
    }

    pub(crate) fn optional_text<T: From<String>>(
        &mut self,
        field: &'static str,
        text: Option<String>,
    ) -> Decoded<Option<T>> {
        text.map(|text| self.checked(field, text).map(Into::into))
            .transpose()
    }

    fn checked(&mut self, field: &'static str, text: String) -> Decoded<String> {
        self.at(field, |reader| {
            reader.size("bytes of text", text.len(), Self::MAX_TEXT)?;
            Ok(text)
        })
    }

    pub(crate) fn size(&self, what: &str, size: usize, most: usize) -> Decoded<()> {
        if size > most {
            return Err(self.error(format!("{size} {what}, at most {most} expected")));
        }
        Ok(())
    }

    pub(crate) fn port(&mut self, field: &'static str, port: u32) -> Decoded<u16> {
        self.at(field, |reader| reader.port_number(port))
    }

    pub(crate) fn ports(&mut self, field: &'static str, ports: Vec<u32>) -> Decoded<Vec<u16>> {
        self.list(field, ports, |reader, port| reader.port_number(port))
    }

    fn port_number(&self, port: u32) -> Decoded<u16> {
        u16::try_from(port).map_err(|_| self.error(format!("port {port}, at most 65535 expected")))
    }

    /// A number within bounds; not a number is in none.
    pub(crate) fn number<N: PartialOrd + fmt::Debug>(
        &mut self,
        field: &'static str,
        number: N,
        bounds: RangeInclusive<N>,
    ) -> Decoded<N> {
        if bounds.contains(&number) {
            return Ok(number);
        }
        let (least, most) = bounds.into_inner();
        self.at(field, |reader| {
            Err(reader.error(format!("{number:?}, {least:?} to {most:?} expected")))
        })
    }

    /// As [`Self::number`], where there is one.
    pub(crate) fn optional_number(
        &mut self,
        field: &'static str,
        number: Option<u32>,
        bounds: RangeInclusive<u32>,
    ) -> Decoded<Option<u32>> {
        number
            .map(|number| self.number(field, number, bounds))
            .transpose()
    }

    /// A length of time that is not zero.
    pub(crate) fn duration(&mut self, field: &'static str, nanos: u64) -> Decoded<Duration> {
        self.at(field, |reader| match nanos {
            0 => Err(reader.error("no time, more than 0 expected")),
            nanos => Ok(Duration::from_nanos(nanos)),
        })
    }

    /// As [`Self::duration`], where there is one.
    pub(crate) fn optional_duration(
        &mut self,
        field: &'static str,
        nanos: Option<u64>,
    ) -> Decoded<Option<Duration>> {
        nanos.map(|nanos| self.duration(field, nanos)).transpose()
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
