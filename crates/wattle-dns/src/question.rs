//! The head of a DNS message: enough to tell whose it is, without judging the rest.

use hickory_proto::op::Query;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

/// Bytes of a message's header (RFC 1035, 4.1.1).
pub(crate) const HEADER: usize = 12;

/// Header and question of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Head {
    /// The number that an answer has in common with its query.
    pub(crate) id: u16,
    /// Whether it is an answer.
    pub(crate) is_response: bool,
    /// Whether the sender left something out for lack of room.
    pub(crate) is_truncated: bool,
    /// What is done; 0 is a query.
    pub(crate) opcode: u8,
    /// The answer's outcome, low four bits.
    pub(crate) rcode: u8,
    /// Numbers of questions, answers, authority records and additional records, as the message states them.
    pub(crate) counts: [u16; 4],
    /// The first question; `None` if there is none or it cannot be read.
    pub(crate) question: Option<Query>,
}

impl Head {
    /// Reads the head; `None` if there are fewer bytes than a header has.
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let (header, _) = message.split_first_chunk::<HEADER>()?;
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let counts = [number(4), number(6), number(8), number(10)];
        Some(Self {
            id: number(0),
            is_response: header[2] & 0x80 != 0,
            is_truncated: header[2] & 0x02 != 0,
            opcode: (header[2] >> 3) & 0x0f,
            rcode: header[3] & 0x0f,
            counts,
            question: (counts[0] > 0).then(|| question(message)).flatten(),
        })
    }

    /// Whether this is the answer to `query`: same number and same question (RFC 5452, 9.1). An answer without a
    /// question is taken only where it says that the query could not be read.
    pub(crate) fn answers(&self, query: &Self) -> bool {
        let same = match (&self.question, &query.question) {
            (None, _) => self.counts[0] == 0 && (query.question.is_none() || self.rcode != 0),
            (Some(own), Some(asked)) => own == asked,
            (Some(_), None) => false,
        };
        self.is_response && self.id == query.id && self.opcode == query.opcode && same
    }
}

fn question(message: &[u8]) -> Option<Query> {
    let mut decoder = BinDecoder::new(message);
    decoder.read_slice(HEADER).ok()?;
    Query::read(&mut decoder).ok()
}

/// Writes the number of a message over its old one; shorter input stays as it is.
pub(crate) fn set_id(message: &mut [u8], id: u16) {
    if let Some(bytes) = message.first_chunk_mut::<2>() {
        *bytes = id.to_be_bytes();
    }
}
