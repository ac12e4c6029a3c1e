//! Names outside: who is kept to some hosts asks for these alone, so that no name carries anything out.

use wattle_testkit::Request;

use super::*;

const MESH: &str = include_str!("names.yaml");

/// What `dig` says.
fn dig(spot: &Spot, arguments: &[&str]) -> String {
    let mut command = spot.command("dig");
    let output = command.args(["+timeout=10", "+tries=1"]).args(arguments).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// The addresses that the C library finds.
fn found(spot: &Spot, name: &str) -> String {
    let script =
        "import socket, sys\ntry: print(socket.gethostbyname(sys.argv[1]))\nexcept OSError: print('none')";
    let output = spot
        .command("python3")
        .args(["-c", script, name])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the resolver was asked, line by line.
fn asked(log: &std::path::Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

#[test]
fn a_workload_that_is_kept_to_some_hosts_asks_nobody_outside_for_other_names() {
    asks_nobody_outside_for_other_names("wattle", &[]);
}

#[test]
fn nor_does_one_beside_an_envoy() {
    asks_nobody_outside_for_other_names("envoy", &[Need::Envoy]);
}

fn asks_nobody_outside_for_other_names(proxy: &str, more: &[Need]) {
    let programs = ["dnsmasq", "dig", "python3"].map(Need::Program);
    if lacks(&[&[Need::Root][..], &programs, more].concat()) {
        return;
    }
    let mesh_file = MESH.replace("PROXY", proxy);
    let manifests = Manifests::new(&[("mesh.yaml", &mesh_file)]);
    let mesh = Mesh::up_with(WATTLE, manifests.path(), &["--resolver", &BRIDGE.to_string()]);
    let log = manifests.path().join("resolver.log");
    let facility = format!("--log-facility={}", log.display());
    let hosts = ["good.test", "a.open.test", "c2vjcmv0.evil.test"].map(|host| (host, GOOD.into()));
    let _resolver = resolver_with(&mesh, &hosts, &["--log-queries", &facility]);
    let address = mesh.wait_ready("kept").address.unwrap();
    mesh.wait_ready("free");
    let (kept, free) = (mesh.spot("kept"), mesh.spot("free"));

    eventually("what is allowed is found", PATIENCE, || {
        (found(&kept, "good.test") == GOOD.to_string()).then_some(())
    });
    // Of a ServiceEntry without addresses, of every type, and with the search domains of the C library before it.
    assert_eq!(found(&kept, "a.open.test"), GOOD.to_string());
    for question in [&["good.test", "TXT"][..], &["a.open.test", "MX", "+tcp"]] {
        assert!(dig(&kept, question).contains("status: NOERROR"), "{question:?}");
    }
    for question in [
        &["c2vjcmv0.evil.test"][..],
        &["c2vjcmv0.evil.test", "TXT"],
        &["c2vjcmv0.evil.test", "+tcp"],
        &["@192.0.2.53", "c2vjcmv0.evil.test"],
        &["c2vjcmv0.good.test"],
        &["-c", "CH", "c2vjcmv0.good.test", "TXT"],
        &["-x", "203.0.113.9"],
    ] {
        let said = dig(&kept, question);
        assert!(said.contains("status: REFUSED"), "{question:?}: {said}");
        assert!(said.contains("EgressPolicy default/kept"), "{question:?}: {said}");
    }
    assert_eq!(found(&kept, "c2vjcmv0.evil.test"), "none");
    assert_eq!(found(&kept, "c2vjcmv0"), "none");
    let told = asked(&log);
    assert!(
        told.contains("a.open.test") && !told.contains("c2vjcmv0"),
        "{told}"
    );
    let metrics = SocketAddr::new(address, 15_020);
    let metrics = mesh
        .bridge()
        .enter(|| ask(metrics, &Request::get("kept", "/metrics")));
    let metrics = metrics.unwrap().text();
    assert!(!metrics.contains("outcome=\"refused\"} 0\n"), "{metrics}");
    mesh.wait_log("default.kept.proxy.log", "EgressPolicy default/kept");

    assert_eq!(found(&free, "c2vjcmv0.evil.test"), GOOD.to_string());
    assert!(asked(&log).contains("c2vjcmv0.evil.test"));
    manifests.write(
        "mesh.yaml",
        &mesh_file.replace("mode: RegistryOnly", "mode: AllowAny"),
    );
    eventually("other names are asked for once that is allowed", PATIENCE, || {
        (found(&kept, "c2vjcmv0.evil.test") == GOOD.to_string()).then_some(())
    });
    mesh.stop();
}
