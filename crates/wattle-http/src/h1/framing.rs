//! Where a body ends (RFC 9112 §6): decided from few facts, refused where peers could disagree.

use crate::ParseError;
use http::{Method, StatusCode, Version};

/// What the header fields say about framing and the connection.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    length: Option<u64>,
    /// `content-length` came more than once, each time the same.
    length_repeated: bool,
    encoding: Encoding,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    pub(crate) upgrade: bool,
    /// One of the protocols of the upgrade is HTTP/2 in the clear.
    h2c: bool,
    pub(crate) expect_continue: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    #[default]
    None,
    Chunked,
    Other,
}

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
    Tunnel,
}

impl Facts {
    /// Takes one `transfer-encoding` field.
    pub(crate) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), ParseError> {
        for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if coding.is_empty() || self.encoding == Encoding::Chunked {
                // Nothing may follow chunked, not even chunked.
                return Err(ParseError::EncodingInvalid);
            }
            let chunked = coding.eq_ignore_ascii_case(b"chunked");
            self.encoding = match (self.encoding, chunked) {
                (Encoding::None, true) => Encoding::Chunked,
                _ => Encoding::Other,
            };
        }
        Ok(())
    }

    /// Takes one `content-length` field; false when it repeats what was said and can be dropped.
    pub(crate) fn content_length(&mut self, value: &[u8]) -> Result<bool, ParseError> {
        let digits = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
        if !digits {
            return Err(ParseError::LengthInvalid);
        }
        let length = value
            .iter()
            .fold(0_u64, |length, digit| length * 10 + u64::from(digit - b'0'));
        match self.length.replace(length) {
            None => Ok(true),
            Some(said) if said == length => {
                self.length_repeated = true;
                Ok(false)
            }
            Some(_) => Err(ParseError::LengthConflict),
        }
    }

    /// Takes one `connection` field.
    pub(crate) fn connection(&mut self, value: &[u8]) {
        for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= token.eq_ignore_ascii_case(b"upgrade");
        }
    }

    /// Takes one `upgrade` field. HTTP/2 in the clear is never upgraded to: it would hide requests from every hop that
    /// passes it on, and is gone (RFC 9113 §3.1).
    pub(crate) fn upgrade(&mut self, value: &[u8]) {
        self.upgrade = true;
        self.h2c |= value
            .split(|byte| *byte == b',')
            .any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"));
    }

    /// Whether the sender keeps the connection after this message (RFC 9112 §9.3).
    pub(crate) fn keeps_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::HTTP_11 || self.keep_alive)
    }

    /// How a request's body is delimited.
    pub(crate) fn request_framing(&self, version: Version, method: &Method) -> Result<Framing, ParseError> {
        if self.length_repeated {
            // A recipient may take them for one (RFC 9110 §8.6), and may take the first or the last.
            return Err(ParseError::LengthConflict);
        }
        let upgrade = self.upgrade && self.connection_upgrade && !self.h2c && version == Version::HTTP_11;
        let connect = *method == Method::CONNECT;
        match (self.encoding, self.length) {
            (Encoding::None, None | Some(0)) if connect || upgrade => Ok(Framing::Tunnel),
            // The body of a CONNECT has no meaning (RFC 9110 §9.3.6), so nobody agrees where it ends.
            (Encoding::None, Some(_)) if connect => Err(ParseError::LengthInvalid),
            (Encoding::Chunked | Encoding::Other, _) if connect => Err(ParseError::EncodingInvalid),
            (Encoding::None, None | Some(0)) => Ok(Framing::None),
            (Encoding::None, Some(length)) => Ok(Framing::Length(length)),
            (_, Some(_)) => Err(ParseError::LengthAndEncoding),
            (Encoding::Other, None) => Err(ParseError::EncodingUnsupported),
            (Encoding::Chunked, None) if version == Version::HTTP_10 => Err(ParseError::EncodingInvalid),
            (Encoding::Chunked, None) => Ok(Framing::Chunked),
        }
    }

    /// How a final response's body is delimited, given the request's method.
    pub(crate) fn response_framing(
        &self,
        status: StatusCode,
        method: &Method,
    ) -> Result<Framing, ParseError> {
        if status == StatusCode::SWITCHING_PROTOCOLS || (*method == Method::CONNECT && status.is_success()) {
            return Ok(Framing::Tunnel);
        }
        if *method == Method::HEAD || has_no_body(status) {
            return Ok(Framing::None);
        }
        match (self.encoding, self.length) {
            (Encoding::None, None) => Ok(Framing::UntilClose),
            (Encoding::None, Some(0)) => Ok(Framing::None),
            (Encoding::None, Some(length)) => Ok(Framing::Length(length)),
            (_, Some(_)) => Err(ParseError::LengthAndEncoding),
            (Encoding::Other, None) => Err(ParseError::EncodingUnsupported),
            (Encoding::Chunked, None) => Ok(Framing::Chunked),
        }
    }
}

/// Statuses whose responses never have a body (RFC 9110 §6.4.1).
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}
