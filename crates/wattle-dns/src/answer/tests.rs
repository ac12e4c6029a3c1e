#![allow(clippy::unwrap_used)]
use hickory_proto::op::{MessageType, OpCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use proptest::prelude::*;

use super::*;
use crate::names::{Host, NamesBuilder};
use crate::outside::Outside;

fn names() -> Names {
    builder().build()
}

/// The same for a workload that is kept to some names outside.
fn kept() -> Names {
    let mut outside = Outside::nothing("EgressPolicy shop/kept".to_owned());
    for host in ["api.example.net", "*.example.edu", "*.com.shop.svc.cluster.local"] {
        outside.add(host).unwrap();
    }
    let mut builder = builder();
    builder.keep_to(outside);
    builder.build()
}

fn builder() -> NamesBuilder {
    let mut builder = Names::builder(&["shop.svc.cluster.local"]).unwrap();
    let many: Vec<IpAddr> = (0..120).map(|last| [10, 0, 0, last].into()).collect();
    let rows: &[(&str, &[&str], Vec<IpAddr>)] = &[
        (
            "web.shop.svc.cluster.local",
            &["web"],
            vec![[240, 240, 0, 1].into()],
        ),
        (
            "db.example.com",
            &[],
            vec![
                [240, 240, 0, 2].into(),
                [240, 240, 0, 3].into(),
                [0x2001, 2, 0, 0, 0, 0, 0, 2].into(),
            ],
        ),
        ("*.example.org", &[], vec![[240, 240, 0, 4].into()]),
        ("many.example.com", &[], many),
        ("none.example.com", &[], vec![]),
    ];
    for (name, aliases, addresses) in rows {
        let host = Host {
            name: (*name).to_owned(),
            aliases: aliases.iter().map(ToString::to_string).collect(),
            addresses: addresses.clone(),
            ..Host::default()
        };
        builder.add(host).unwrap();
    }
    builder
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 0x1234;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn ask_with(message: &Message, transport: Transport, random: u64) -> Option<(Message, usize)> {
    match answer(&message.to_vec().unwrap(), transport, &names(), random) {
        Verdict::Reply(bytes) => Some((Message::from_vec(&bytes).unwrap(), bytes.len())),
        Verdict::Forward => None,
        Verdict::Refuse(_) => panic!("this workload may ask for any name"),
        Verdict::Chase(_) => panic!("no name here stands for one outside"),
        Verdict::Drop => panic!("a query is never dropped"),
    }
}

fn ask(name: &str, kind: RecordType) -> Option<Message> {
    ask_with(&query(name, kind), Transport::Udp, 0).map(|(message, _)| message)
}

/// The answer section as `owner type data`.
fn lines(message: &Message) -> Vec<String> {
    let line = |record: &Record| {
        assert_eq!(record.ttl, 30);
        format!("{} {} {}", record.name, record.record_type(), record.data)
    };
    message.answers.iter().map(line).collect()
}

#[test]
fn names_of_the_table_are_answered_and_all_others_forwarded() {
    use RecordType::{A, AAAA, ANY, DS, HTTPS, MX, NS, PTR, SOA, SRV, SVCB, TXT};
    let rows: &[(&str, RecordType, Option<&[&str]>)] = &[
        ("web.", A, Some(&["web. A 240.240.0.1"])),
        ("web.", AAAA, Some(&[])),
        (
            "web.shop.svc.cluster.local.",
            A,
            Some(&["web.shop.svc.cluster.local. A 240.240.0.1"]),
        ),
        (
            "db.example.com.",
            A,
            Some(&["db.example.com. A 240.240.0.2", "db.example.com. A 240.240.0.3"]),
        ),
        ("db.example.com.", AAAA, Some(&["db.example.com. AAAA 2001:2::2"])),
        (
            "db.example.com.",
            ANY,
            Some(&[
                "db.example.com. A 240.240.0.2",
                "db.example.com. A 240.240.0.3",
                "db.example.com. AAAA 2001:2::2",
            ]),
        ),
        (
            "db.example.com.shop.svc.cluster.local.",
            AAAA,
            Some(&[
                "db.example.com.shop.svc.cluster.local. CNAME db.example.com.",
                "db.example.com. AAAA 2001:2::2",
            ]),
        ),
        (
            "x.example.org.shop.svc.cluster.local.",
            AAAA,
            Some(&["x.example.org.shop.svc.cluster.local. CNAME x.example.org."]),
        ),
        ("a.b.example.org.", A, Some(&["a.b.example.org. A 240.240.0.4"])),
        ("none.example.com.", A, Some(&[])),
        ("db.example.com.", HTTPS, Some(&[])),
        ("db.example.com.", SVCB, Some(&[])),
        (
            "2.0.240.240.in-addr.arpa.",
            PTR,
            Some(&["2.0.240.240.in-addr.arpa. PTR db.example.com."]),
        ),
        (
            "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.2.ip6.arpa.",
            PTR,
            Some(&[
                "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.2.ip6.arpa. PTR db.example.com.",
            ]),
        ),
        ("1.0.0.10.in-addr.arpa.", A, None),
        ("9.9.9.9.in-addr.arpa.", PTR, None),
        ("0.240.240.in-addr.arpa.", PTR, None),
        ("db.example.com.", MX, None),
        ("db.example.com.", TXT, None),
        ("db.example.com.", SRV, None),
        ("db.example.com.", SOA, None),
        ("db.example.com.", DS, None),
        ("other.example.com.", A, None),
        ("other.example.com.", NS, None),
        (".", A, None),
        ("web.shop.svc.cluster.local.evil.example.", A, None),
    ];
    for (name, kind, expected) in rows {
        let found = ask(name, *kind).map(|message| {
            assert_eq!(message.metadata.response_code, ResponseCode::NoError, "{name}");
            lines(&message)
        });
        let expected = expected.map(|lines| lines.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(found, expected, "{name} {kind}");
    }
}

#[test]
fn an_answer_repeats_number_question_and_spelling() {
    let reply = ask("DB.Example.COM.", RecordType::AAAA).unwrap();
    let metadata = &reply.metadata;
    assert_eq!(
        (metadata.id, metadata.message_type),
        (0x1234, MessageType::Response)
    );
    assert!(metadata.recursion_desired && metadata.recursion_available && metadata.authoritative);
    assert!(!metadata.truncation && !metadata.authentic_data);
    assert_eq!(reply.queries[0].name().to_ascii(), "DB.Example.COM.");
    assert_eq!(reply.answers[0].name.to_ascii(), "DB.Example.COM.");
    assert_eq!(reply.edns, None);
}

#[test]
fn a_dot_within_a_label_separates_nothing() {
    let message = {
        let mut message = Message::query();
        let name = Name::from_labels([&b"db.example"[..], b"com"]).unwrap();
        message.add_query(Query::query(name, RecordType::A));
        message
    };
    assert!(ask_with(&message, Transport::Udp, 0).is_none());
}

#[test]
fn each_address_comes_first_for_some_random_number() {
    for (random, first) in [
        (0, "240.240.0.2"),
        (1, "240.240.0.3"),
        (2, "240.240.0.2"),
        (u64::MAX, "240.240.0.3"),
    ] {
        let (reply, _) = ask_with(&query("db.example.com.", RecordType::A), Transport::Udp, random).unwrap();
        assert_eq!(reply.answers.len(), 2);
        assert_eq!(reply.answers[0].data.to_string(), first, "{random}");
    }
}

#[test]
fn a_long_answer_is_cut_to_what_the_client_takes_over_udp() {
    let plain = query("many.example.com.", RecordType::A);
    let mut edns = plain.clone();
    edns.set_edns(Edns::new().set_max_payload(1232).clone());
    let mut tiny = plain.clone();
    tiny.set_edns(Edns::new().set_max_payload(1).clone());
    let mut roomy = plain.clone();
    roomy.set_edns(Edns::new().set_max_payload(4096).clone());
    for (message, limit, count) in [
        (&plain, 512, 29),
        (&edns, 1232, 74),
        (&tiny, 512, 29),
        (&roomy, 4096, 120),
    ] {
        let (reply, size) = ask_with(message, Transport::Udp, 7).unwrap();
        assert!(size <= limit, "{size} bytes of {limit}");
        assert_eq!(reply.answers.len(), count);
        assert_eq!(reply.metadata.truncation, count < 120);
        assert_eq!(reply.edns.is_some(), message.edns.is_some());
    }
    let (reply, _) = ask_with(&plain, Transport::Tcp, 7).unwrap();
    assert_eq!(reply.answers.len(), 120);
    assert!(!reply.metadata.truncation);
}

#[test]
fn a_later_version_of_edns_is_told_the_one_we_speak() {
    let mut message = query("db.example.com.", RecordType::A);
    message.set_edns(Edns::new().set_version(1).clone());
    let (reply, _) = ask_with(&message, Transport::Udp, 0).unwrap();
    // The number is shared with a bad signature.
    assert_eq!(u16::from(reply.metadata.response_code), 16);
    assert_eq!(reply.edns.unwrap().version(), 0);
    assert!(reply.answers.is_empty());
}

#[test]
fn other_classes_and_operations_are_not_ours() {
    let mut chaos = query("db.example.com.", RecordType::A);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert!(ask_with(&chaos, Transport::Udp, 0).is_none());
    let mut update = query("db.example.com.", RecordType::SOA);
    update.metadata.op_code = OpCode::Update;
    assert!(ask_with(&update, Transport::Udp, 0).is_none());
}

#[test]
fn what_is_no_query_is_dropped_and_what_cannot_be_read_is_said_to_be() {
    let good = query("db.example.com.", RecordType::A).to_vec().unwrap();
    let mut response = good.clone();
    response[2] |= 0x80;
    let mut two = good.clone();
    two[5] = 2;
    let mut cut = good.clone();
    cut.truncate(20);
    let mut trailing = good.clone();
    trailing[11] = 1;
    let empty = Names::default();
    let verdict = |bytes: &[u8]| answer(bytes, Transport::Udp, &names(), 0);
    assert_eq!(verdict(&[]), Verdict::Drop);
    assert_eq!(verdict(&good[..11]), Verdict::Drop);
    assert_eq!(verdict(&response), Verdict::Drop);
    for bad in [&two, &cut, &trailing] {
        let Verdict::Reply(bytes) = verdict(bad) else {
            panic!("{bad:?} is answered");
        };
        assert_eq!(bytes[..4], [0x12, 0x34, 0x81, 0x81], "{bad:?}");
    }
    assert_eq!(answer(&good, Transport::Udp, &empty, 0), Verdict::Forward);
}

#[test]
fn without_resolvers_only_names_outside_the_table_do_not_exist() {
    let code = |name: &str, kind| {
        let bytes = unknown(&query(name, kind).to_vec().unwrap(), &names());
        let reply = Message::from_vec(&bytes).unwrap();
        assert_eq!(reply.queries.len(), 1);
        reply.metadata.response_code
    };
    assert_eq!(
        code("nowhere.example.net.", RecordType::A),
        ResponseCode::NXDomain
    );
    assert_eq!(code("db.example.com.", RecordType::MX), ResponseCode::NoError);
}

/// `None` where a resolver is asked, else the outcome.
fn kept_from(message: &Message) -> Option<ResponseCode> {
    match answer(&message.to_vec().unwrap(), Transport::Udp, &kept(), 0) {
        Verdict::Forward => None,
        Verdict::Refuse(bytes) => {
            let message = Message::from_vec(&bytes).unwrap();
            assert!(message.answers.is_empty() && !message.metadata.authoritative);
            Some(message.metadata.response_code)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_workload_that_is_kept_to_some_names_asks_nobody_for_others() {
    use RecordType::{A, AAAA, MX, NS, PTR, SRV, TXT};
    use ResponseCode::{NXDomain, NoError, Refused};
    for (name, kind, expected) in [
        // What is registered or allowed, of every type.
        ("api.example.net.", A, None),
        ("API.example.net.", TXT, None),
        ("a.b.example.edu.", SRV, None),
        ("db.example.com.", MX, None),
        ("x.example.org.", TXT, None),
        // What is not.
        ("c2VjcmV0.evil.example.", A, Some(Refused)),
        ("c2VjcmV0.evil.example.", TXT, Some(Refused)),
        ("example.edu.", A, Some(Refused)),
        ("x.api.example.net.", AAAA, Some(Refused)),
        ("9.9.9.9.in-addr.arpa.", PTR, Some(Refused)),
        ("com.", NS, Some(Refused)),
        (".", NS, Some(Refused)),
        // What a resolver makes of a name before it asks for it as it is.
        ("api.example.net.shop.svc.cluster.local.", A, Some(NXDomain)),
        ("c2VjcmV0.evil.shop.svc.cluster.local.", A, Some(NXDomain)),
        ("db.example.com.shop.svc.cluster.local.", TXT, Some(NoError)),
        ("here.com.shop.svc.cluster.local.", A, None),
        ("shop.svc.cluster.local.", A, Some(Refused)),
    ] {
        assert_eq!(kept_from(&query(name, kind)), expected, "{name} {kind}");
    }
}

#[test]
fn what_is_no_plain_question_goes_nowhere_where_names_are_kept_to() {
    let mut chaos = query("api.example.net.", RecordType::A);
    chaos.queries[0].set_query_class(DNSClass::CH);
    let mut update = query("api.example.net.", RecordType::SOA);
    update.metadata.op_code = OpCode::Update;
    let mut dotted = Message::query();
    let name = Name::from_labels([&b"c2VjcmV0.example"[..], b"edu"]).unwrap();
    dotted.add_query(Query::query(name, RecordType::A));
    for message in [&chaos, &update, &dotted, &Message::query()] {
        assert_eq!(kept_from(message), Some(ResponseCode::Refused), "{message}");
    }
}

#[test]
fn a_refusal_says_which_object_to_whoever_can_read_it() {
    let plain = query("evil.example.", RecordType::A);
    let mut edns = plain.clone();
    edns.set_edns(Edns::new());
    let refusal = |message: &Message| match answer(&message.to_vec().unwrap(), Transport::Udp, &kept(), 0) {
        Verdict::Refuse(bytes) => Message::from_vec(&bytes).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(&plain).edns, None);
    let found = refusal(&edns).edns.unwrap();
    let option = EdnsOption::Unknown(15, b"\x00\x12EgressPolicy shop/kept".to_vec());
    assert_eq!(found.option(15.into()), Some(&option));
    assert_eq!(refusal(&edns).queries, edns.queries);
}

proptest! {
    #[test]
    fn any_bytes_have_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..700), random in any::<u64>()) {
        let names = names();
        let mut builder = NamesBuilder::default();
        builder.keep_to(Outside::default());
        let nothing = builder.build();
        for transport in [Transport::Udp, Transport::Tcp] {
            let _ = answer(&bytes, transport, &names, random);
            prop_assert_ne!(answer(&bytes, transport, &nothing, random), Verdict::Forward);
        }
        let _ = unknown(&bytes, &names);
    }

    #[test]
    fn a_damaged_query_never_gets_an_answer_that_cannot_be_read(
        at in 2_usize..60, value in any::<u8>(), length in 12_usize..60, kind in 0_usize..5,
    ) {
        let kinds = [RecordType::A, RecordType::AAAA, RecordType::PTR, RecordType::ANY, RecordType::HTTPS];
        let mut message = query("db.example.com.shop.svc.cluster.local.", kinds[kind]);
        message.set_edns(Edns::new());
        let mut bytes = message.to_vec().unwrap();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        bytes.truncate(length.max(at));
        if let Verdict::Reply(reply) = answer(&bytes, Transport::Udp, &names(), 0) {
            let read = Message::from_vec(&reply).unwrap();
            prop_assert_eq!(read.metadata.id, 0x1234);
            prop_assert!(reply.len() <= 4096);
        }
    }
}
