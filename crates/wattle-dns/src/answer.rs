//! What is answered from the table, as bytes in and bytes out.
//!
//! | asked for, of a name in the table | answer |
//! |---|---|
//! | A, AAAA | its addresses of that family, perhaps none |
//! | ANY | its addresses of both families (RFC 8482 allows a part) |
//! | PTR of one of its addresses | its full name |
//! | anything, of a name that stands for another | that it does, and the other's records |
//! | HTTPS, SVCB | no record: their address hints and keys would lead past the address given here (RFC 9460, 3) |
//! | anything else | forwarded untouched: mail, text and service records are the real owner's |
//!
//! Names that are not in the table are forwarded, and so is every message that is no plain query of class IN, unless the
//! workload is kept to some names outside (`kept.rs`). A name
//! in the table is never answered with "no such name", and questions for its addresses never leave the machine.

mod chase;
mod kept;

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, Metadata, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::names::{Found, Names, TTL};
use chase::Rest;

use crate::question::{HEADER, Head};

/// Most bytes of an answer over UDP to a client that does not say what it takes (RFC 1035, 4.2.1).
const PLAIN_UDP: u16 = 512;

/// Most bytes of an answer over UDP whatever the client says; what it takes itself in queries.
const MOST_UDP: u16 = 4096;

/// Most additional records of a query that is looked into: EDNS, a signature, and room.
const MOST_ADDITIONAL: u16 = 8;

pub use chase::Chase;

/// Most names that one stands for after the other, before the answer ends.
const MAX_STEPS: usize = 8;

/// What carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram; an answer that is too long is cut and marked.
    Udp,
    /// A stream; everything fits.
    Tcp,
}

/// What becomes of a message from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered with these bytes.
    Reply(Vec<u8>),
    /// It is answered with these bytes, since nobody outside may be asked.
    Refuse(Vec<u8>),
    /// It goes to the resolvers as it came.
    Forward,
    /// It begins in the table, and the resolvers are asked for the rest.
    Chase(Box<Chase>),
    /// It is no query, so that answering could start a ping-pong: nothing is sent.
    Drop,
}

/// Decides about one message. `random` chooses which of several addresses comes first.
#[must_use]
pub fn answer(query: &[u8], transport: Transport, names: &Names, random: u64) -> Verdict {
    let Some(head) = Head::read(query).filter(|head| !head.is_response) else {
        return Verdict::Drop;
    };
    match own(query, &head, transport, names, random) {
        Verdict::Forward => {
            kept::refusal(query, &head, transport, names).map_or(Verdict::Forward, Verdict::Refuse)
        }
        own => own,
    }
}

/// The same where every name may be asked for outside.
fn own(query: &[u8], head: &Head, transport: Transport, names: &Names, random: u64) -> Verdict {
    if head.opcode != 0 || head.counts[0] == 0 {
        return Verdict::Forward;
    }
    let (1, Some(question)) = (head.counts[0], &head.question) else {
        return Verdict::Reply(error(query, ResponseCode::FormErr));
    };
    let Some((records, rest)) = records(question, names, random) else {
        return Verdict::Forward;
    };
    let answered = reply(query, head, question, records).and_then(|(message, limit)| match rest {
        Some(rest) if message.metadata.response_code == ResponseCode::NoError => {
            let rest = Rest {
                name: rest,
                transport,
                limit,
            };
            Chase::new(query, message, rest).map(|chase| Verdict::Chase(Box::new(chase)))
        }
        _ => encode(message, transport, limit).map(Verdict::Reply),
    });
    answered.unwrap_or_else(|code| Verdict::Reply(error(query, code)))
}

/// The answer to a query that no resolver can be asked about because there is none: the table is all there is. A name
/// in it has no such record, any other name does not exist.
pub(crate) fn unknown(query: &[u8], names: &Names) -> Vec<u8> {
    let known = Head::read(query)
        .and_then(|head| head.question)
        .is_some_and(|question| names.find(&key(question.name())).is_some());
    let code = if known {
        ResponseCode::NoError
    } else {
        ResponseCode::NXDomain
    };
    error(query, code)
}

/// An answer that holds nothing but its outcome and the question.
pub(crate) fn error(query: &[u8], code: ResponseCode) -> Vec<u8> {
    let Some(head) = Head::read(query) else {
        return Vec::new();
    };
    // Copied by hand, since this is also what unreadable queries get: RD and CD are the client's, RA is ours.
    let mut bytes = vec![0; HEADER];
    bytes[..2].copy_from_slice(&head.id.to_be_bytes());
    bytes[2] = 0x80 | (query[2] & 0x79);
    bytes[3] = 0x80 | (query[3] & 0x10) | (code.low() & 0x0f);
    let mut question = Vec::new();
    if let Some(asked) = head.question.filter(|_| head.counts[0] == 1) {
        use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder};
        if asked.emit(&mut BinEncoder::new(&mut question)).is_ok() {
            bytes[5] = 1;
            bytes.extend(question);
        }
    }
    bytes
}

/// The records that answer a question, and the name outside whose records complete them; `None` if it is for others to
/// answer.
type Records = (Vec<Record>, Option<Name>);

fn records(question: &Query, names: &Names, random: u64) -> Option<Records> {
    if !matches!(question.query_class(), DNSClass::IN | DNSClass::ANY) {
        return None;
    }
    if question.query_type() == RecordType::PTR
        && let Some(records) = reverse(question, names)
    {
        return Some((records, None));
    }
    let key = key(question.name());
    let found = names.find(&key)?;
    if found.stands_for.is_none() && !is_ours(question.query_type()) {
        return None;
    }
    forward(question, found, names, random)
}

/// Whether the table says all there is to say about records of this type.
fn is_ours(kind: RecordType) -> bool {
    use RecordType::{A, AAAA, ANY, HTTPS, SVCB};
    matches!(kind, A | AAAA | ANY | HTTPS | SVCB)
}

fn forward(question: &Query, found: Found<'_>, names: &Names, random: u64) -> Option<Records> {
    let kind = question.query_type();
    let mut owner = question.name().clone();
    let mut records = Vec::with_capacity(found.addresses.len() + 1);
    let mut next = Some(found);
    for _ in 0..MAX_STEPS {
        let Some(found) = next else {
            return Some((records, Some(owner)));
        };
        if let Some(real) = found.alias_of {
            owner = step(&mut records, owner, real)?;
        }
        let Some(other) = found.stands_for else {
            let addresses = addresses(found, kind, random);
            records.extend(addresses.map(|data| record(owner.clone(), data)));
            break;
        };
        owner = step(&mut records, owner, other)?;
        if kind == RecordType::CNAME {
            break;
        }
        next = names
            .find(other)
            .filter(|found| found.stands_for.is_some() || is_ours(kind));
    }
    Some((records, None))
}

/// Says that one name stands for another, and goes on with the other.
fn step(records: &mut Vec<Record>, owner: Name, other: &str) -> Option<Name> {
    let other = Name::from_ascii(format!("{other}.")).ok()?;
    records.push(record(owner, RData::CNAME(CNAME(other.clone()))));
    Some(other)
}

fn addresses(found: Found<'_>, kind: RecordType, random: u64) -> impl Iterator<Item = RData> {
    let fits = |address: &&IpAddr| match kind {
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        RecordType::ANY => true,
        _ => false,
    };
    let mut wanted: Vec<IpAddr> = found.addresses.iter().filter(fits).copied().collect();
    let start = first(wanted.len(), random);
    wanted.rotate_left(start);
    wanted.into_iter().map(|address| match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    })
}

/// Where the list of addresses starts.
fn first(count: usize, random: u64) -> usize {
    let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
    usize::try_from(random % count).unwrap_or(0)
}

fn reverse(question: &Query, names: &Names) -> Option<Vec<Record>> {
    let net = question.name().parse_arpa_name().ok()?;
    if net.prefix_len() != net.max_prefix_len() {
        return None;
    }
    let name = names.name_of(net.addr())?;
    let target = Name::from_ascii(format!("{name}.")).ok()?;
    Some(vec![record(question.name().clone(), RData::PTR(PTR(target)))])
}

fn record(owner: Name, data: RData) -> Record {
    Record::from_rdata(owner, TTL, data)
}

/// A name as the table holds it. A dot within a label is written with a backslash, so it is never a separator.
fn key(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// The answer, and how many bytes of it the client takes over UDP.
fn reply(
    query: &[u8],
    head: &Head,
    question: &Query,
    records: Vec<Record>,
) -> Result<(Message, u16), ResponseCode> {
    let is_plain = head.counts[1] == 0 && head.counts[2] == 0 && head.counts[3] <= MOST_ADDITIONAL;
    if !is_plain {
        return Err(ResponseCode::FormErr);
    }
    let asked = Message::from_vec(query).map_err(|_| ResponseCode::FormErr)?;
    let mut message = Message::response(head.id, asked.metadata.op_code);
    message.metadata = Metadata::response_from_request(&asked.metadata);
    message.metadata.authoritative = true;
    message.metadata.recursion_available = true;
    message.add_query(question.clone());
    let Some(client) = asked.edns else {
        message.insert_answers(records);
        return Ok((message, PLAIN_UDP));
    };
    let mut own = Edns::new();
    own.set_max_payload(MOST_UDP);
    own.set_dnssec_ok(client.flags().dnssec_ok);
    message.set_edns(own);
    if client.version() == 0 {
        message.insert_answers(records);
    } else {
        message.metadata.response_code = ResponseCode::BADVERS;
    }
    Ok((message, client.max_payload().clamp(PLAIN_UDP, MOST_UDP)))
}

fn encode(mut message: Message, transport: Transport, limit: u16) -> Result<Vec<u8>, ResponseCode> {
    let written = |message: &Message| message.to_vec().map_err(|_| ResponseCode::ServFail);
    let whole = written(&message)?;
    let limit = usize::from(limit);
    if transport == Transport::Tcp || whole.len() <= limit {
        return Ok(whole);
    }
    message.authorities.clear();
    message.additionals.clear();
    // The addresses that fit are of use to clients that never ask again over TCP. How much a record takes depends on
    // the names before it, so the number is searched for.
    let answers = std::mem::take(&mut message.answers);
    message.metadata.truncation = true;
    let mut longest = written(&message)?;
    let (mut fits, mut too_many) = (0, answers.len());
    while fits + 1 < too_many {
        let count = usize::midpoint(fits, too_many);
        message.answers.clear();
        message.answers.extend_from_slice(&answers[..count]);
        let bytes = written(&message)?;
        if bytes.len() <= limit {
            (fits, longest) = (count, bytes);
        } else {
            too_many = count;
        }
    }
    Ok(longest)
}

#[cfg(test)]
mod tests;
