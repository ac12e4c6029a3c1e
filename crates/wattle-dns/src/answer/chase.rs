//! An answer that begins in the table and ends outside: a name that stands for one which only the resolvers know.

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::Name;

use super::{Transport, encode, error};

/// The part of an answer that the table gives, and what is to be asked for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chase {
    /// As it came from the client.
    asked: Vec<u8>,
    /// What is asked of the resolvers: the same, about the other name.
    query: Vec<u8>,
    begun: Message,
    transport: Transport,
    limit: u16,
}

/// What is left to be found out, and how much the client takes.
pub(super) struct Rest {
    pub(super) name: Name,
    pub(super) transport: Transport,
    pub(super) limit: u16,
}

impl Chase {
    pub(super) fn new(asked: &[u8], begun: Message, rest: Rest) -> Result<Self, ResponseCode> {
        let mut query = Message::from_vec(asked).map_err(|_| ResponseCode::FormErr)?;
        for question in &mut query.queries {
            let (kind, class) = (question.query_type(), question.query_class());
            *question = Query::query(rest.name.clone(), kind);
            question.set_query_class(class);
        }
        Ok(Self {
            asked: asked.to_vec(),
            query: query.to_vec().map_err(|_| ResponseCode::ServFail)?,
            begun,
            transport: rest.transport,
            limit: rest.limit,
        })
    }

    /// What is to be asked of the resolvers.
    #[must_use]
    pub fn query(&self) -> &[u8] {
        &self.query
    }

    /// The whole answer, given what a resolver said. Its outcome is that of the last name (RFC 6604, 3).
    #[must_use]
    pub fn finish(self, answer: &[u8]) -> Vec<u8> {
        let Ok(rest) = Message::from_vec(answer) else {
            return error(&self.asked, ResponseCode::ServFail);
        };
        let mut message = self.begun;
        message.metadata.response_code = rest.metadata.response_code;
        message.metadata.truncation |= rest.metadata.truncation;
        message.answers.extend(rest.answers);
        message.authorities = rest.authorities;
        message.additionals = rest.additionals;
        encode(message, self.transport, self.limit).unwrap_or_else(|code| error(&self.asked, code))
    }

    /// The answer without the rest, where there is nobody to ask.
    #[must_use]
    pub fn alone(self) -> Vec<u8> {
        encode(self.begun, self.transport, self.limit).unwrap_or_else(|code| error(&self.asked, code))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{RData, Record, RecordType};

    use crate::answer::{Verdict, answer};
    use crate::names::{Host, Names};

    use super::*;

    fn names() -> Names {
        let mut builder = Names::builder(&["shop.svc.cluster.local"]).unwrap();
        let host = |name: &str, stands_for: Option<&str>, address: Option<Ipv4Addr>| Host {
            name: name.to_owned(),
            addresses: address.into_iter().map(Into::into).collect(),
            stands_for: stands_for.map(ToOwned::to_owned),
            ..Host::default()
        };
        for host in [
            host("db.example.com", Some("DB.outside.test."), None),
            host("web.example.com", Some("nick.example.com"), None),
            host("nick.example.com", Some("real.example.com"), None),
            host("real.example.com", None, Some([10, 0, 0, 1].into())),
            host("round.example.com", Some("trip.example.com"), None),
            host("trip.example.com", Some("round.example.com"), None),
        ] {
            builder.add(host).unwrap();
        }
        builder.build()
    }

    fn ask(name: &str, kind: RecordType) -> Verdict {
        let mut message = Message::query();
        message.metadata.id = 7;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        answer(&message.to_vec().unwrap(), Transport::Udp, &names(), 0)
    }

    fn chase(name: &str, kind: RecordType) -> Chase {
        match ask(name, kind) {
            Verdict::Chase(chase) => *chase,
            other => panic!("{other:?}"),
        }
    }

    fn lines(bytes: &[u8]) -> Vec<String> {
        let message = Message::from_vec(bytes).unwrap();
        assert_eq!(message.metadata.id, 7);
        let line = |record: &Record| format!("{} {}", record.name, record.data);
        message.answers.iter().map(line).collect()
    }

    #[test]
    fn a_name_that_stands_for_one_outside_is_completed_there_whatever_the_type() {
        for kind in [RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::TXT] {
            let chase = chase("db.example.com.", kind);
            let query = Message::from_vec(chase.query()).unwrap();
            let outside = Query::query(Name::from_ascii("db.outside.test.").unwrap(), kind);
            assert_eq!(query.queries, std::slice::from_ref(&outside));
            let mut reply = Message::response(7, query.metadata.op_code);
            reply.add_query(outside);
            let address = RData::A(A::new(192, 0, 2, 7));
            reply.insert_answers(vec![Record::from_rdata(
                Name::from_ascii("db.outside.test.").unwrap(),
                77,
                address,
            )]);
            let alias = "db.example.com. db.outside.test.";
            assert_eq!(lines(&chase.clone().alone()), [alias]);
            let whole = chase.finish(&reply.to_vec().unwrap());
            assert_eq!(lines(&whole), [alias, "db.outside.test. 192.0.2.7"]);
        }
    }

    #[test]
    fn the_outcome_is_that_of_the_last_name_and_nonsense_is_a_failure() {
        let chase = chase("db.example.com.", RecordType::A);
        let mut reply = Message::response(7, hickory_proto::op::OpCode::Query);
        reply.metadata.response_code = ResponseCode::NXDomain;
        let code = |bytes: &[u8]| Message::from_vec(bytes).unwrap().metadata.response_code;
        let whole = chase.clone().finish(&reply.to_vec().unwrap());
        assert_eq!((code(&whole), lines(&whole).len()), (ResponseCode::NXDomain, 1));
        assert_eq!(code(&chase.finish(&[1, 2, 3])), ResponseCode::ServFail);
    }

    #[test]
    fn what_stands_for_a_name_of_the_table_is_answered_from_it() {
        let Verdict::Reply(bytes) = ask("web.example.com.", RecordType::A) else {
            panic!("it is in the table");
        };
        let expected = [
            "web.example.com. nick.example.com.",
            "nick.example.com. real.example.com.",
            "real.example.com. 10.0.0.1",
        ];
        assert_eq!(lines(&bytes), expected);
        let text = chase("web.example.com.", RecordType::TXT);
        let query = Message::from_vec(text.query()).unwrap();
        assert_eq!(query.queries[0].name().to_ascii(), "real.example.com.");
    }

    #[test]
    fn a_circle_ends() {
        let Verdict::Reply(bytes) = ask("round.example.com.", RecordType::A) else {
            panic!("it is in the table");
        };
        assert_eq!(lines(&bytes).len(), super::super::MAX_STEPS);
    }
}
