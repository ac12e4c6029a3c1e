//! Sources, operations and conditions, field by field.

use super::*;

/// Whether a source matches an identified peer, and whether it matches plaintext.
fn compare(set: fn(&mut Source), identified: bool, plaintext: bool) {
    let mut source = Source::default();
    set(&mut source);
    let rule = from(source);
    assert_eq!(
        matches(&rule, true, true, "/"),
        (identified, identified),
        "{rule:?}"
    );
    assert_eq!(
        matches(&rule, false, true, "/"),
        (plaintext, plaintext),
        "{rule:?}"
    );
}

#[test]
fn sources_compare_the_identity_and_never_match_without_one() {
    compare(
        |from| from.principals = texts(&["td/ns/shop/sa/web"]),
        true,
        false,
    );
    compare(|from| from.principals = texts(&["td/ns/shop/*"]), true, false);
    compare(|from| from.principals = texts(&["*/sa/web"]), true, false);
    compare(|from| from.principals = texts(&["*"]), true, false);
    compare(
        |from| from.principals = texts(&["td/ns/shop/sa/other"]),
        false,
        false,
    );
    compare(|from| from.namespaces = texts(&["shop"]), true, false);
    compare(|from| from.service_accounts = texts(&["shop/web"]), true, false);
    compare(|from| from.trust_domains = texts(&["td"]), true, false);
    compare(|from| from.trust_domains = texts(&["t"]), false, false);
    compare(|from| from.request_principals = texts(&["*/alice"]), true, false);
    compare(|from| from.request_principals = texts(&["*/bob"]), false, false);
}

/// As in Istio: to `namespaces` and `serviceAccounts` an account of a federated domain is one of ours of the same name;
/// `trustDomains` and `principals` tell them apart.
#[test]
fn namespaces_and_accounts_do_not_look_at_the_trust_domain() {
    let foreign = ConnectionFacts {
        peer: Some(PeerFacts {
            principal: "elsewhere/ns/shop/sa/web",
            namespace: "shop",
            service_account: "web",
        }),
        ..connection(true)
    };
    let lets_in = |source: Source| {
        let inbound = inbound(vec![], Some(vec![from(source)]));
        let decided = inbound.authorize(&foreign, None, &mut NoTrace);
        matches!(decided, AuthorizationDecision::Allowed { .. })
    };
    let by_name = Source {
        namespaces: texts(&["shop"]),
        service_accounts: texts(&["shop/web"]),
        ..Source::default()
    };
    assert!(lets_in(by_name.clone()));
    let of_ours = Source {
        trust_domains: texts(&["td"]),
        ..by_name
    };
    assert!(!lets_in(of_ours));
    let named = Source {
        principals: texts(&["td/ns/shop/sa/web"]),
        ..Source::default()
    };
    assert!(!lets_in(named));
}

#[test]
fn who_has_no_identity_is_none_of_those_excluded() {
    compare(|from| from.not_principals = texts(&["*"]), false, true);
    compare(|from| from.not_principals = texts(&["td/ns/x/sa/y"]), true, true);
    compare(|from| from.not_namespaces = texts(&["shop"]), false, true);
    compare(|from| from.not_trust_domains = texts(&["td"]), false, true);
    compare(|from| from.not_request_principals = texts(&["*"]), false, true);
    compare(
        |from| from.not_service_accounts = texts(&["shop/web"]),
        false,
        true,
    );
}

#[test]
fn everything_in_a_source_must_hold_and_one_source_suffices() {
    let web_elsewhere = Source {
        namespaces: texts(&["shop"]),
        ip_blocks: vec![IpBlock::parse("192.168.0.0/16").unwrap()],
        ..Default::default()
    };
    let near = Source {
        ip_blocks: vec![IpBlock::parse("10.1.0.0/16").unwrap()],
        ..Default::default()
    };
    assert!(!matches(&from(web_elsewhere.clone()), true, true, "/").1);
    let either = PolicyRule {
        from: vec![web_elsewhere, near],
        ..Default::default()
    };
    assert_eq!(matches(&either, true, true, "/"), (true, true));
}

#[test]
fn operations_compare_the_request() {
    let operation = |set: fn(&mut Operation)| {
        let mut operation = Operation::default();
        set(&mut operation);
        to(operation)
    };
    let table = [
        (operation(|to| to.methods = texts(&["GET", "HEAD"])), true),
        (operation(|to| to.methods = texts(&["POST"])), false),
        (operation(|to| to.not_methods = texts(&["GET"])), false),
        (operation(|to| to.paths = texts(&["/a/b"])), true),
        (operation(|to| to.paths = texts(&["/a*"])), true),
        (operation(|to| to.paths = texts(&["*/b"])), true),
        (operation(|to| to.not_paths = texts(&["/a*"])), false),
        (operation(|to| to.hosts = texts(&["shop.TEST"])), true),
        (operation(|to| to.hosts = texts(&["shop.test:8080"])), true),
        (operation(|to| to.hosts = texts(&["shop.test:81"])), false),
        (operation(|to| to.not_hosts = texts(&["*.test"])), false),
        (operation(|to| to.ports = vec![8080]), true),
        (operation(|to| to.ports = vec![80]), false),
        (operation(|to| to.not_ports = vec![8080]), false),
    ];
    for (rule, expected) in table {
        assert_eq!(
            matches(&rule, true, true, "/a/b"),
            (expected, expected),
            "{rule:?}"
        );
    }
}

#[test]
fn conditions_compare_attributes_by_key() {
    let table = [
        (when("source.ip", &["10.0.0.0/8"], &[]), true, true),
        (when("source.ip", &["11.0.0.0/8"], &[]), false, false),
        (when("source.ip", &[], &["10.1.2.3"]), false, false),
        (when("source.namespace", &["shop"], &[]), true, true),
        (when("source.principal", &["td/ns/shop/sa/*"], &[]), true, true),
        (when("source.serviceAccount", &["shop/web"], &[]), true, true),
        (when("source.trustDomain", &["td"], &[]), true, true),
        (when("destination.port", &["8080"], &[]), true, true),
        (when("destination.port", &[], &["8080"]), false, false),
        (when("request.headers[X-Role]", &["guest,admin"], &[]), true, true),
        (when("request.headers[x-role]", &["admin"], &[]), true, false),
        (when("request.headers[x-absent]", &["*"], &[]), false, false),
        (when("request.headers[x-absent]", &[], &["1"]), true, true),
        (when("remote.ip", &["192.0.2.0/24"], &[]), true, true),
        (when("remote.ip", &["10.0.0.0/8"], &[]), false, false),
        (when("destination.ip", &["10.9.9.9"], &[]), true, true),
        (when("connection.sni", &["*.test"], &[]), true, true),
        (when("connection.sni", &[], &["shop.test"]), false, false),
        (
            when("request.auth.principal", &["accounts.test/*"], &[]),
            true,
            true,
        ),
        (when("request.auth.audiences", &["mail"], &[]), true, true),
        (when("request.auth.audiences", &["other"], &[]), false, false),
        (when("request.auth.presenter", &["app"], &[]), true, true),
        (when("request.auth.claims[groups]", &["admin"], &[]), true, true),
        (when("request.auth.claims[groups]", &[], &["admin"]), false, false),
        (when("request.auth.claims[iss]", &["x"], &[]), false, false),
        (when("request.auth.claims[iss]", &[], &["x"]), true, true),
        (when("misspelled", &["x"], &[]), true, false),
    ];
    for (rule, deny, allow) in table {
        assert_eq!(matches(&rule, true, true, "/"), (deny, allow), "{rule:?}");
    }
}

#[test]
fn ranges_hold_their_addresses() {
    let table = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.1.2.3", "10.1.2.3", true),
        ("0.0.0.0/0", "1.2.3.4", true),
        ("::/0", "fe80::1", true),
        ("::/0", "1.2.3.4", false),
        ("fd00::/8", "fd12::1", true),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true),
    ];
    for (block, address, expected) in table {
        let found = IpBlock::parse(block).unwrap().contains(address.parse().unwrap());
        assert_eq!(found, expected, "{block} {address}");
    }
    assert!(
        ["10.0.0.0/33", "x", "10.0.0.0/", "::/129"]
            .iter()
            .all(|text| IpBlock::parse(text).is_none())
    );
}
