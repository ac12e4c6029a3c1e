//! DNS: what a workload sends to the proxy, and the file that names its resolvers.

use wattle_dns::{Host, MAX_RESOLVERS, MAX_SEARCH, Names, ResolvConf, Transport, Verdict, answer};

/// Most bytes the proxy sends over UDP.
const MOST_UDP: usize = 4096;

/// First byte: `0` a message, `1` a resolv.conf.
pub fn run(input: &[u8]) {
    match crate::select(input, 2) {
        Some((0, message)) => ask(message),
        Some((_, text)) => configure(text),
        None => {}
    }
}

/// Whatever is answered is an answer to the message's number, and fits; what is shorter than a header or an answer
/// itself is dropped.
fn ask(message: &[u8]) {
    let names = names();
    for (transport, most) in [
        (Transport::Udp, MOST_UDP),
        (Transport::Tcp, usize::from(u16::MAX)),
    ] {
        let verdict = answer(message, transport, &names, 7);
        let is_query = message.len() >= 12 && message[2] & 0x80 == 0;
        assert_eq!(verdict == Verdict::Drop, !is_query);
        if let Verdict::Reply(reply) = verdict {
            assert!((12..=most).contains(&reply.len()), "{} bytes", reply.len());
            assert_eq!(reply[..2], message[..2]);
            assert!(reply[2] & 0x80 != 0);
        }
    }
}

fn configure(text: &[u8]) {
    let conf = ResolvConf::parse(&String::from_utf8_lossy(text));
    assert!(conf.resolvers.len() <= MAX_RESOLVERS && conf.search.len() <= MAX_SEARCH);
    assert!(Names::builder(&conf.search).is_ok(), "{:?}", conf.search);
}

fn names() -> Names {
    let mut builder = Names::builder(&["shop.svc.cluster.local"]).expect("the search domain is valid");
    for (name, count) in [
        ("db.example.com", 3),
        ("*.example.org", 1),
        ("many.example.com", 200),
    ] {
        let host = Host {
            name: name.to_owned(),
            aliases: Vec::new(),
            addresses: (0..count).map(|last| [240, 240, 0, last].into()).collect(),
            stands_for: None,
        };
        builder.add(host).expect("the host is valid");
    }
    // Aliases of a name in the table, of one outside, and of each other in a circle.
    for (name, of) in [
        ("www.example.com", "db.example.com"),
        ("far.example.com", "elsewhere.test"),
        ("round.example.com", "again.example.com"),
        ("again.example.com", "round.example.com"),
    ] {
        let host = Host {
            name: name.to_owned(),
            stands_for: Some(of.to_owned()),
            ..Host::default()
        };
        builder.add(host).expect("the alias is valid");
    }
    builder.build()
}
