#![allow(clippy::unwrap_used)]
use super::*;

fn host(name: &str, aliases: &[&str], addresses: &[&str]) -> Host {
    Host {
        name: name.to_owned(),
        aliases: aliases.iter().map(ToString::to_string).collect(),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        ..Host::default()
    }
}

fn table(hosts: &[Host]) -> Names {
    let mut builder =
        Names::builder(&["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]).unwrap();
    for host in hosts {
        builder.add(host.clone()).unwrap();
    }
    builder.build()
}

fn mesh() -> Names {
    table(&[
        host(
            "web.shop.svc.cluster.local",
            &["web", "web.shop", "web.shop.svc"],
            &["240.240.0.1"],
        ),
        host("db.example.com", &[], &["240.240.0.2", "2001:2::2"]),
        host("*.example.com", &[], &["240.240.0.3"]),
        host("*.eu.example.com", &[], &["240.240.0.4"]),
        host("empty.example.org", &[], &[]),
    ])
}

/// A name asked for, and the alias and the address it is answered with.
type Row = (&'static str, Option<(Option<&'static str>, &'static str)>);

#[test]
fn a_name_is_found_exactly_then_without_its_search_domain_then_by_the_longest_wildcard() {
    let mesh = mesh();
    let rows: &[Row] = &[
        ("web.shop.svc.cluster.local", Some((None, "240.240.0.1"))),
        ("web", Some((None, "240.240.0.1"))),
        ("web.shop", Some((None, "240.240.0.1"))),
        (
            "web.shop.shop.svc.cluster.local",
            Some((Some("web.shop"), "240.240.0.1")),
        ),
        ("db.example.com", Some((None, "240.240.0.2"))),
        (
            "db.example.com.shop.svc.cluster.local",
            Some((Some("db.example.com"), "240.240.0.2")),
        ),
        (
            "db.example.com.cluster.local",
            Some((Some("db.example.com"), "240.240.0.2")),
        ),
        ("other.example.com", Some((None, "240.240.0.3"))),
        ("a.b.example.com", Some((None, "240.240.0.3"))),
        ("a.eu.example.com", Some((None, "240.240.0.4"))),
        ("eu.example.com", Some((None, "240.240.0.3"))),
        (
            "a.eu.example.com.svc.cluster.local",
            Some((Some("a.eu.example.com"), "240.240.0.4")),
        ),
        ("example.com", None),
        ("notexample.com", None),
        ("db.example.com.elsewhere.local", None),
        ("web.other.svc.cluster.local", None),
        ("shop.svc.cluster.local", None),
        ("", None),
    ];
    for (asked, expected) in rows {
        let found = mesh
            .find(asked)
            .map(|found| (found.alias_of, found.addresses[0].to_string()));
        let expected = expected.map(|(alias, address)| (alias, address.to_owned()));
        assert_eq!(found, expected, "{asked}");
    }
}

#[test]
fn a_name_without_addresses_is_known() {
    assert_eq!(
        mesh().find("empty.example.org").unwrap().addresses,
        &[] as &[IpAddr]
    );
}

#[test]
fn an_address_has_the_first_of_its_full_names() {
    let names = table(&[
        host("zoo.example.com", &["a"], &["240.240.0.9"]),
        host("ant.example.com", &[], &["240.240.0.9", "240.240.0.10"]),
        host("*.example.net", &[], &["240.240.0.11"]),
    ]);
    assert_eq!(
        names.name_of("240.240.0.9".parse().unwrap()),
        Some("ant.example.com")
    );
    assert_eq!(
        names.name_of("240.240.0.10".parse().unwrap()),
        Some("ant.example.com")
    );
    assert_eq!(names.name_of("240.240.0.11".parse().unwrap()), None);
    assert_eq!(names.name_of("10.0.0.1".parse().unwrap()), None);
}

#[test]
fn names_are_kept_in_small_letters_without_the_final_dot() {
    let names = table(&[host("DB.Example.COM.", &["Db"], &["240.240.0.2"])]);
    assert!(names.find("db.example.com").is_some());
    assert!(names.find("db").is_some());
    assert_eq!(names.len(), 2);
}

#[test]
fn what_is_refused_is_named_and_leaves_nothing_behind() {
    let mut builder = Names::builder::<&str>(&[]).unwrap();
    builder.add(host("web.example.com", &["web"], &[])).unwrap();
    builder.add(host("*.example.com", &[], &[])).unwrap();
    let long = format!("{}.com", "a".repeat(64));
    let rows = [
        (host("", &[], &[]), "cannot answer for \"\""),
        (host("a..b", &[], &[]), "\"a..b\""),
        (host("*", &[], &[]), "\"*\""),
        (host("*.*.com", &[], &[]), "\"*.*.com\""),
        (host("a.*.com", &[], &[]), "\"a.*.com\""),
        (host("spa ce.com", &[], &[]), "\"spa ce.com\""),
        (host(&long, &[], &[]), "1 to 63"),
        (host("*.example.org", &["x"], &[]), "no short forms, found \"x\""),
        (
            host("other.com", &["web"], &[]),
            "\"web\" belongs to \"web.example.com\"",
        ),
        (host("*.EXAMPLE.com", &[], &[]), "belongs to \"*.example.com\""),
        (
            host("many.com", &[], &vec!["10.0.0.1"; 257]),
            "257 addresses, the limit is 256",
        ),
    ];
    for (bad, words) in rows {
        let error = builder.add(bad).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(builder.build().len(), 3);
}

#[test]
fn search_domains_are_bounded_and_checked() {
    assert_eq!(
        Names::builder(&["a"; 7]).unwrap_err(),
        NameError::Search { count: 7 }
    );
    assert!(Names::builder(&["not a domain"]).is_err());
}
