//! Where connections go.

use std::net::UdpSocket;
use std::time::Instant;

use wattle_capture::Redirect;

use crate::world::{MARK, PATIENCE, SERVICE, World};

pub(crate) fn two_workloads_reach_each_other() {
    let world = World::new();
    let (one, other) = (world.pod(2), world.pod(3));
    other.listen("0.0.0.0:8080", "app");
    let said = one.call(other.at(8080)).unwrap();
    assert_eq!(said, "app for 10.244.0.3:8080 from 10.244.0.2");
}

pub(crate) fn a_service_address_is_redirected() {
    let world = World::new();
    let pod = world.redirected_pod(2);
    pod.listen("127.0.0.1:15001", "outbound");
    assert!(
        pod.call(SERVICE)
            .unwrap()
            .starts_with("outbound for 10.96.0.7:80 ")
    );
    assert!(
        pod.call("192.0.2.1:443")
            .unwrap()
            .starts_with("outbound for 192.0.2.1:443 ")
    );
}

pub(crate) fn datagrams_are_left_alone() {
    let world = World::new();
    let (pod, other) = (world.redirected_pod(2), world.redirected_pod(3));
    let [from, to] = [&pod, &other].map(|pod| {
        let socket = pod
            .netns
            .enter(|| UdpSocket::bind(pod.at(8080)))
            .unwrap()
            .unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    });
    from.send_to(b"hello", other.at(8080)).unwrap();
    let mut word = [0; 8];
    assert_eq!(to.recv_from(&mut word).unwrap(), (5, pod.at(8080)));
}

pub(crate) fn a_proxy_is_exempt() {
    let world = World::new();
    let (pod, other) = (world.redirected_pod(2), world.pod(3));
    pod.listen("127.0.0.1:15001", "outbound");
    other.listen("0.0.0.0:8080", "app");
    assert!(pod.call(other.at(8080)).unwrap().starts_with("outbound "));
    assert!(
        pod.dial(other.at(8080), Some(MARK), None)
            .unwrap()
            .starts_with("app ")
    );
    assert!(
        pod.dial(other.at(8080), Some(MARK + 1), None)
            .unwrap()
            .starts_with("outbound ")
    );
}

pub(crate) fn inbound_is_redirected() {
    let world = World::new();
    let (client, pod) = (world.pod(2), world.redirected_pod(3));
    pod.listen("0.0.0.0:15006", "inbound");
    pod.listen("0.0.0.0:8080", "app");
    let said = client.call(pod.at(8080)).unwrap();
    assert_eq!(said, "inbound for 10.244.0.3:8080 from 10.244.0.2");
}

pub(crate) fn ports_of_the_proxy_are_open() {
    let world = World::new();
    let (client, pod) = (world.pod(2), world.redirected_pod(3));
    pod.listen("0.0.0.0:15006", "inbound");
    for port in [15008, 15020, 15021, 15090] {
        pod.listen(&format!("0.0.0.0:{port}"), "app");
        assert!(client.call(pod.at(port)).unwrap().starts_with("app "), "{port}");
    }
    for port in [15007, 15014, 15019, 15091] {
        assert!(
            client.call(pod.at(port)).unwrap().starts_with("inbound "),
            "{port}"
        );
    }
}

pub(crate) fn passthrough_reaches_the_application() {
    let world = World::new();
    let pod = world.redirected_pod(2);
    pod.listen("0.0.0.0:15006", "inbound");
    pod.listen("0.0.0.0:8080", "app");
    let said = pod.dial(pod.at(8080), Some(MARK), Some("127.0.0.6")).unwrap();
    assert_eq!(said, "app for 10.244.0.2:8080 from 127.0.0.6");
}

pub(crate) fn hairpin_is_inbound() {
    let world = World::new();
    let pod = world.redirected_pod(2);
    pod.listen("0.0.0.0:15006", "inbound");
    pod.listen("0.0.0.0:8080", "app");
    let said = pod.dial(pod.at(8080), Some(MARK), None).unwrap();
    assert!(said.starts_with("inbound for 10.244.0.2:8080 "), "{said}");
    assert!(pod.call(pod.at(8080)).unwrap().starts_with("app "));
    assert!(pod.call("127.0.0.1:8080").unwrap().starts_with("app "));
    assert!(
        pod.dial("127.0.0.1:8080", Some(MARK), None)
            .unwrap()
            .starts_with("app ")
    );
}

pub(crate) fn listeners_refuse_direct_connections() {
    let world = World::new();
    let (client, pod) = (world.pod(2), world.redirected_pod(3));
    pod.listen("0.0.0.0:15006", "inbound");
    pod.listen("127.0.0.1:15001", "outbound");
    assert_eq!(client.call(pod.at(15006)), None);
    assert_eq!(pod.call("127.0.0.1:15001"), None);
    assert_eq!(pod.call("127.0.0.1:15006"), None);
    assert!(
        client
            .call(pod.at(15001))
            .unwrap()
            .starts_with("inbound for 10.244.0.3:15001 ")
    );
}

pub(crate) fn outside_is_unreachable() {
    let world = World::new();
    let pod = world.pod(2);
    let start = Instant::now();
    assert_eq!(pod.call("192.0.2.1:443"), None);
    assert_eq!(pod.call(SERVICE), None);
    assert!(start.elapsed() < PATIENCE / 5, "took {:?}", start.elapsed());
}

pub(crate) fn ipv6_is_redirected() {
    let world = World::on_ipv6();
    let (client, pod) = (world.pod(2), world.redirected_pod(3));
    pod.listen("[::]:15006", "inbound");
    pod.listen("[::1]:15001", "outbound");
    pod.listen("[::]:8080", "app");
    assert_eq!(
        client.call(pod.at(8080)).unwrap(),
        "inbound for [fd00::3]:8080 from fd00::2"
    );
    assert!(
        pod.call("[2001:db8::1]:80")
            .unwrap()
            .starts_with("outbound for [2001:db8::1]:80 ")
    );
    let hairpin = pod.dial(pod.at(8080), Some(MARK), None).unwrap();
    assert!(hairpin.starts_with("inbound for [fd00::3]:8080 "), "{hairpin}");
    assert_eq!(client.call("[2001:db8::1]:80"), None);
    assert_eq!(client.call(pod.at(15006)), None);
}

pub(crate) fn rules_can_be_replaced_and_removed() {
    let world = World::new();
    let (pod, other) = (world.redirected_pod(2), world.pod(3));
    pod.listen("127.0.0.1:15001", "outbound");
    other.listen("0.0.0.0:8080", "app");
    let excluding = Redirect {
        exclude_outbound_ports: [8080].into(),
        ..Redirect::default()
    };
    excluding.apply(&pod.netns).unwrap();
    assert!(pod.call(other.at(8080)).unwrap().starts_with("app "));
    assert!(pod.call(other.at(8081)).unwrap().starts_with("outbound "));
    let network = Redirect {
        exclude_outbound_cidrs: ["10.244.0.0/24", "fd00::/8"]
            .map(|cidr| cidr.parse().unwrap())
            .into(),
        include_outbound_cidrs: ["10.0.0.0/8", "::/0"].map(|cidr| cidr.parse().unwrap()).into(),
        include_inbound_ports: [443].into(),
        ..Redirect::default()
    };
    network.apply(&pod.netns).unwrap();
    assert!(pod.call(other.at(8080)).unwrap().starts_with("app "));
    Redirect::default().apply(&pod.netns).unwrap();
    assert!(pod.call(other.at(8080)).unwrap().starts_with("outbound "));
    Redirect::remove(&pod.netns).unwrap();
    Redirect::remove(&pod.netns).unwrap();
    assert!(pod.call(other.at(8080)).unwrap().starts_with("app "));
}

pub(crate) fn a_cable_can_be_cut() {
    let world = World::new();
    let (client, old) = (world.pod(2), world.pod(3));
    old.listen("0.0.0.0:8080", "old");
    assert!(client.call(old.at(8080)).unwrap().starts_with("old "));
    world.bridge.disconnect(old.address).unwrap();
    let new = world.pod(3);
    new.listen("0.0.0.0:8080", "new");
    assert!(client.call(new.at(8080)).unwrap().starts_with("new "));
    assert!(world.bridge.connect(&new.netns, world.bridge.address()).is_err());
    assert!(world.bridge.connect(&new.netns, [10, 9, 9, 9].into()).is_err());
}
