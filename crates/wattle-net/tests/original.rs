//! The original destination, in a network namespace of its own with a real redirection.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;

use tokio::net::{TcpListener, TcpStream};
use wattle_net::original_destination;

const INSIDE: &str = "WATTLE_NET_TEST_INSIDE";

const RULES: &str = "
table inet redirected {
    chain output {
        type nat hook output priority -100;
        tcp dport 7777 redirect to :15001
    }
}
";

#[test]
fn a_redirected_connection_tells_whom_it_was_meant_for() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let namespaces = ["--user", "--map-root-user", "--net"];
    let possible = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let probe = [&namespaces[..], &["nft", "list", "tables"]].concat();
    if !possible("unshare", &probe) {
        println!("skipped: needs unshare with user and network namespaces, and nft");
        return;
    }
    let status = Command::new("unshare")
        .args(namespaces)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("a_redirected_connection_tells_whom_it_was_meant_for")
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

fn inside() {
    run("ip", &["link", "set", "lo", "up"]);
    let rules = std::env::temp_dir().join(format!("wattle-net-{}.nft", std::process::id()));
    std::fs::write(&rules, RULES).unwrap();
    run("nft", &["-f", rules.to_str().unwrap()]);
    std::fs::remove_file(&rules).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dual = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 15001)).await.unwrap();
        for dialled in [
            SocketAddr::from((Ipv4Addr::new(127, 1, 2, 3), 7777)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 7777)),
        ] {
            let (client, accepted) = tokio::join!(TcpStream::connect(dialled), dual.accept());
            client.unwrap();
            let (accepted, peer) = accepted.unwrap();
            let original = original_destination(&accepted, peer).unwrap();
            assert_eq!(original, Some(dialled));
        }
        let direct = SocketAddr::from((Ipv4Addr::LOCALHOST, 15001));
        let (client, accepted) = tokio::join!(TcpStream::connect(direct), dual.accept());
        client.unwrap();
        let (accepted, peer) = accepted.unwrap();
        let original = original_destination(&accepted, peer).unwrap();
        assert!(original.is_none_or(|address| address == direct), "{original:?}");
    });
}
