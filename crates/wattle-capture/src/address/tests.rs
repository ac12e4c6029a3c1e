#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn gateway() -> IpAddr {
    "10.0.0.1".parse().unwrap()
}

#[test]
fn the_same_key_gets_the_same_address_in_every_run() {
    let mut pods = Allocator::new(net("10.244.0.0/16"), []);
    assert_eq!(pods.allocate("shop/cart").unwrap().to_string(), "10.244.225.87");
}

#[test]
fn a_full_subnet_is_an_error_that_says_so() {
    let mut pods = Allocator::new(net("10.0.0.0/29"), [gateway()]);
    for number in 0..5 {
        pods.allocate(&format!("ns/{number}")).unwrap();
    }
    let error = pods.allocate("ns/late").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot assign an address to ns/late: all 5 of 10.0.0.0/29 are taken"
    );
    pods.release("ns/3").unwrap();
    assert!(pods.allocate("ns/late").is_ok());
}

#[test]
fn a_subnet_without_hosts_has_none_to_give() {
    for subnet in ["10.0.0.0/32", "10.0.0.0/31", "fd00::/128"] {
        assert!(
            Allocator::new(net(subnet), []).allocate("a/b").is_err(),
            "{subnet}"
        );
    }
}

#[test]
fn the_widest_subnets_work() {
    for subnet in ["0.0.0.0/0", "::/0", "fd00::/64"] {
        let address = Allocator::new(net(subnet), []).allocate("a/b").unwrap();
        assert!(net(subnet).contains(&address));
    }
}

#[test]
fn what_cannot_be_restored_is_given_back() {
    let mut pods = Allocator::new(net("10.0.0.0/24"), [gateway()]);
    let earlier = [
        ("ns/good", "10.0.0.9"),
        ("ns/twice", "10.0.0.9"),
        ("ns/gateway", "10.0.0.1"),
        ("ns/foreign", "10.9.9.9"),
        ("ns/broadcast", "10.0.0.255"),
    ];
    let refused = pods.restore(earlier.map(|(key, address)| (key.to_owned(), address.parse().unwrap())));
    let refused: Vec<_> = refused.into_iter().map(|(key, _)| key).collect();
    assert_eq!(refused, ["ns/twice", "ns/gateway", "ns/foreign", "ns/broadcast"]);
    assert_eq!(pods.allocate("ns/good").unwrap().to_string(), "10.0.0.9");
}

proptest! {
    #[test]
    fn no_address_is_ever_given_twice(keys in proptest::collection::btree_set("[a-z]{1,3}/[a-z]{1,4}", 0..120)) {
        let mut pods = Allocator::new(net("10.0.0.0/25"), [gateway()]);
        let mut seen = BTreeSet::new();
        for key in &keys {
            let address = pods.allocate(key).unwrap();
            prop_assert!(seen.insert(address) && address != gateway());
            prop_assert!(place_of(net("10.0.0.0/25"), address).is_some());
        }
    }

    #[test]
    fn restored_assignments_stay_whatever_comes_first(keys in proptest::collection::btree_set("[a-z]{1,6}", 1..60)) {
        let mut before = Allocator::new(net("10.0.0.0/24"), []);
        for key in &keys {
            before.allocate(key).unwrap();
        }
        let mut after = Allocator::new(net("10.0.0.0/24"), []);
        prop_assert!(after.restore(before.assignments().clone()).is_empty());
        after.allocate("newcomer/0").unwrap();
        for key in keys.iter().rev() {
            prop_assert_eq!(after.allocate(key).unwrap(), before.allocate(key).unwrap());
        }
    }
}
