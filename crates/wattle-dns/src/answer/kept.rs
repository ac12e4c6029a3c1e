//! What is not forwarded, for a workload that is kept to some names outside.
//!
//! | asked for | answer |
//! |---|---|
//! | a name of the table, whatever the record | forwarded |
//! | a name that may be asked for outside | forwarded |
//! | a name of the table behind a search domain | no record |
//! | any other name below a search domain | no such name, so that a resolver goes on to the next form of what it was given |
//! | anything else: other names, reverse names, other classes and operations | refused |

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::rdata::opt::EdnsOption;

use super::{Transport, encode, error, key, reply};
use crate::names::Names;
use crate::outside::Outside;
use crate::question::Head;

/// The option of an extended error, and that it is prohibited (RFC 8914, 2 and 4.19).
const EXTENDED_ERROR: u16 = 15;
const PROHIBITED: u16 = 18;

/// The answer to a message that would be forwarded and must not be; `None` if it may.
pub(super) fn refusal(query: &[u8], head: &Head, transport: Transport, names: &Names) -> Option<Vec<u8>> {
    let outside = names.outside()?;
    let code = outcome(head, names, outside)?;
    let explained = explained(query, head, code, outside)
        .and_then(|(message, limit)| encode(message, transport, limit).ok());
    Some(explained.unwrap_or_else(|| error(query, code)))
}

fn outcome(head: &Head, names: &Names, outside: &Outside) -> Option<ResponseCode> {
    let plain = head.question.as_ref().filter(|question| {
        head.opcode == 0 && matches!(question.query_class(), DNSClass::IN | DNSClass::ANY)
    });
    let Some(question) = plain else {
        return Some(ResponseCode::Refused);
    };
    let name = key(question.name());
    match names.find(&name) {
        Some(found) if found.alias_of.is_none() => None,
        Some(_) => Some(ResponseCode::NoError),
        None if outside.has(&name) => None,
        None if names.is_expanded(&name) => Some(ResponseCode::NXDomain),
        None => Some(ResponseCode::Refused),
    }
}

/// The same with the reason, for a client that can read it.
fn explained(query: &[u8], head: &Head, code: ResponseCode, outside: &Outside) -> Option<(Message, u16)> {
    let (mut message, limit) = reply(query, head, head.question.as_ref()?, Vec::new()).ok()?;
    let edns = message.edns.as_mut()?;
    let mut option = PROHIBITED.to_be_bytes().to_vec();
    option.extend_from_slice(outside.reason().as_bytes());
    edns.options_mut()
        .insert(EdnsOption::Unknown(EXTENDED_ERROR, option));
    message.metadata.authoritative = false;
    if message.metadata.response_code == ResponseCode::NoError {
        message.metadata.response_code = code;
    }
    Some((message, limit))
}
