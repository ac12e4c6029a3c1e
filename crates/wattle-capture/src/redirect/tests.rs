#![allow(clippy::unwrap_used)]
use super::*;

fn cidrs(texts: &[&str]) -> BTreeSet<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn the_defaults_render_as_the_golden_file_says() {
    assert_eq!(Redirect::default().render(), include_str!("default.nft"));
}

#[test]
fn excluded_ports_and_networks_return_before_the_redirection() {
    let redirect = Redirect {
        exclude_outbound_ports: BTreeSet::from([5432, 22]),
        exclude_outbound_cidrs: cidrs(&["10.0.0.0/9", "10.128.0.0/9", "fd00::1/8"]),
        ..Redirect::default()
    };
    let text = redirect.render();
    let end = text.find("redirect to :15001").unwrap();
    for line in [
        "tcp dport { 22, 5432 } return",
        "ip daddr { 10.0.0.0/8 } return",
        "ip6 daddr { fd00::/8 } return",
    ] {
        assert!(text.find(line).unwrap() < end, "{line}");
    }
}

#[test]
fn included_networks_are_the_only_ones_redirected() {
    let redirect = Redirect {
        include_outbound_cidrs: cidrs(&["10.96.0.0/16"]),
        ..Redirect::default()
    };
    let text = redirect.render();
    assert!(text.contains("ip daddr { 10.96.0.0/16 } meta l4proto tcp redirect to :15001"));
    assert_eq!(text.matches("redirect to :15001").count(), 1);
}

#[test]
fn included_ports_are_the_only_ones_taken_in() {
    let redirect = Redirect {
        include_inbound_ports: BTreeSet::from([80, 443]),
        exclude_inbound_ports: BTreeSet::from([443]),
        ..Redirect::default()
    };
    assert!(
        redirect
            .render()
            .contains("\t\ttcp dport { 80 } redirect to :15006")
    );
}

#[test]
fn including_only_excluded_ports_takes_none_in() {
    let redirect = Redirect {
        include_inbound_ports: BTreeSet::from([443]),
        exclude_inbound_ports: BTreeSet::from([443]),
        ..Redirect::default()
    };
    assert!(
        redirect
            .render()
            .contains("\t\ttcp dport { 0 } redirect to :15006")
    );
}

fn with_dns() -> Redirect {
    Redirect {
        dns_port: Some(DNS_PORT),
        ..Redirect::default()
    }
}

#[test]
fn dns_renders_as_the_golden_file_says() {
    assert_eq!(with_dns().render(), include_str!("dns.nft"));
}

#[test]
fn refused_datagrams_render_as_the_golden_file_says() {
    let redirect = Redirect {
        refuse_datagrams: true,
        ..with_dns()
    };
    assert_eq!(redirect.render(), include_str!("datagrams.nft"));
}

#[test]
fn excluded_networks_are_asked_for_names_directly() {
    let redirect = Redirect {
        exclude_outbound_cidrs: cidrs(&["10.0.0.0/8", "fd00::/8"]),
        ..with_dns()
    };
    let text = redirect.render();
    let end = text.find("redirect to :15053").unwrap();
    for line in ["ip daddr { 10.0.0.0/8 } return", "ip6 daddr { fd00::/8 } return"] {
        assert!(text.find(line).unwrap() < end, "{line}");
    }
}

#[test]
fn excluding_port_53_leaves_names_alone() {
    let redirect = Redirect {
        exclude_outbound_ports: BTreeSet::from([53]),
        ..with_dns()
    };
    let plain = Redirect {
        dns_port: None,
        ..redirect.clone()
    };
    assert_eq!(redirect.render(), plain.render());
}
