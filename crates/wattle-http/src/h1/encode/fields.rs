//! The fields of a head: each at its recorded place, the codec's own among them.

use crate::Spelling;
use crate::spelling::{Kind, Shape, write_title};
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// What the codec itself writes among the fields.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) framing: OwnFraming,
    pub(super) connection: Option<&'static [u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnFraming {
    /// The head's `content-length`, if any, goes out as it is: there is no body to contradict it.
    AsGiven,
    /// Neither field.
    Bare,
    Length(u64),
    Chunked,
}

pub(super) fn fields(out: &mut Vec<u8>, headers: &HeaderMap, spelling: &Spelling, own: Own<'_>) {
    let mut writer = Writer {
        out,
        own,
        title: spelling.is_title(),
    };
    match spelling.shape() {
        Some(shape) => writer.in_shape(headers, shape),
        None => {
            writer.own_host();
            for (name, value) in headers {
                writer.added(name, value);
            }
        }
    }
    writer.own_rest();
    writer.out.extend_from_slice(b"\r\n");
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// What is still to be written of the codec's own fields.
    own: Own<'a>,
    title: bool,
}

impl Writer<'_> {
    fn line(&mut self, name: &[u8], value: &[u8]) {
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A field that is in no record.
    fn added(&mut self, name: &HeaderName, value: &HeaderValue) {
        if self.replaces(name) {
            return;
        }
        self.styled(name.as_str());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn styled(&mut self, name: &str) {
        if self.title {
            write_title(self.out, name);
        } else {
            self.out.extend_from_slice(name.as_bytes());
        }
    }

    /// Whether the codec writes this field itself, now or earlier.
    fn replaces(&self, name: &HeaderName) -> bool {
        match Kind::of(name) {
            Kind::Plain => false,
            // In a response `Host` is an odd but plain field; a request's is written from the authority.
            Kind::Host => self.own.host.is_some(),
            Kind::TransferEncoding => true,
            Kind::ContentLength => self.own.framing != OwnFraming::AsGiven,
            Kind::Connection => self.own.connection.is_some(),
        }
    }

    fn in_shape(&mut self, headers: &HeaderMap, shape: &Shape) {
        let mut done = Done::default();
        if !shape.has(Kind::Host) {
            self.own_host();
            done.host = true;
        }
        let mut rest = headers.iter().peekable();
        let mut entries = shape.entries().iter();
        while let Some(entry) = entries.next() {
            let spelled = shape.spelled(entry);
            if self.own_in_place(entry.kind, spelled, &mut done) {
                continue;
            }
            while rest.next_if(|(name, _)| self.replaces(name)).is_some() {}
            if let Some((_, value)) = rest.next_if(|(name, _)| **name == entry.name) {
                self.line(spelled, value.as_bytes());
            } else if headers.contains_key(&entry.name) {
                let first = (entry.name.clone(), spelled);
                let more = entries.map(|entry| (entry.name.clone(), shape.spelled(entry)));
                let wanted = std::iter::once(first).chain(more).collect::<Vec<_>>();
                self.reordered(&wanted, rest.collect(), &mut done);
                self.mark(done);
                return;
            }
        }
        for (name, value) in rest {
            self.added(name, value);
        }
        self.mark(done);
    }

    /// The map's order is not the record's (a removal moved a field, or a name came twice, apart): look each one up.
    fn reordered(
        &mut self,
        wanted: &[(HeaderName, &[u8])],
        mut rest: Vec<(&HeaderName, &HeaderValue)>,
        done: &mut Done,
    ) {
        // Names × fields is at most 64 × 256 short comparisons.
        let bound = if rest.len() <= 256 { wanted.len() } else { 0 };
        for (name, spelled) in &wanted[..bound] {
            if self.own_in_place(Kind::of(name), spelled, done) {
                continue;
            }
            if let Some(at) = rest.iter().position(|(found, _)| *found == name) {
                let (_, value) = rest.remove(at);
                self.line(spelled, value.as_bytes());
            }
        }
        for (name, value) in rest {
            self.added(name, value);
        }
    }

    /// Writes the codec's own field at the place where the record has it; true when the entry needs no look-up.
    fn own_in_place(&mut self, kind: Kind, spelled: &[u8], done: &mut Done) -> bool {
        match (kind, self.own) {
            (Kind::Plain, _) => false,
            (Kind::Host, Own { host: Some(host), .. }) => {
                if !std::mem::replace(&mut done.host, true) {
                    self.line(spelled, host);
                }
                true
            }
            (
                Kind::Connection,
                Own {
                    connection: Some(connection),
                    ..
                },
            ) => {
                if !std::mem::replace(&mut done.connection, true) {
                    self.line(spelled, connection);
                }
                true
            }
            (
                Kind::TransferEncoding,
                Own {
                    framing: OwnFraming::Chunked,
                    ..
                },
            ) => {
                if !std::mem::replace(&mut done.framing, true) {
                    self.line(spelled, b"chunked");
                }
                true
            }
            (
                Kind::ContentLength,
                Own {
                    framing: OwnFraming::Length(length),
                    ..
                },
            ) => {
                if !std::mem::replace(&mut done.framing, true) {
                    self.out.extend_from_slice(spelled);
                    self.out.extend_from_slice(b": ");
                    self.number(length);
                }
                true
            }
            (kind, own) => {
                kind == Kind::TransferEncoding
                    || (kind == Kind::ContentLength && own.framing != OwnFraming::AsGiven)
            }
        }
    }

    fn own_host(&mut self) {
        if let Some(host) = self.own.host {
            self.styled("host");
            self.out.extend_from_slice(b": ");
            self.out.extend_from_slice(host);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn mark(&mut self, done: Done) {
        if done.framing {
            self.own.framing = OwnFraming::Bare;
        }
        if done.connection {
            self.own.connection = None;
        }
    }

    fn own_rest(&mut self) {
        match self.own.framing {
            OwnFraming::Length(length) => {
                self.styled("content-length");
                self.out.extend_from_slice(b": ");
                self.number(length);
            }
            OwnFraming::Chunked => {
                self.styled("transfer-encoding");
                self.out.extend_from_slice(b": chunked\r\n");
            }
            OwnFraming::AsGiven | OwnFraming::Bare => {}
        }
        if let Some(connection) = self.own.connection {
            self.styled("connection");
            self.out.extend_from_slice(b": ");
            self.out.extend_from_slice(connection);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut left = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Which of the codec's own fields were written at their place.
#[derive(Clone, Copy, Default)]
struct Done {
    host: bool,
    framing: bool,
    connection: bool,
}
