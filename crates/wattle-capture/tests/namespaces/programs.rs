//! What programs started in a namespace see and may do.

use std::io::Read as _;
use std::path::Path;
use std::process::{Stdio, exit};
use std::time::Instant;

use wattle_capture::SpawnSpec;
use wattle_capture::exec::RunAs;
use wattle_capture::names::{DEFAULT_LIMIT, Hosts, HostsFile, RESOLV_CONF, Service};
use wattle_capture::privileges::{Exemption, PROXY_UID};

use crate::world::{MARK, PATIENCE, Pod, World};

/// This binary's own `exec-in`.
pub(crate) fn exec_in(spec: &str) {
    let error = SpawnSpec::from_json(spec).unwrap().exec();
    eprintln!("{error}: {}", std::error::Error::source(&error).unwrap());
    exit(126);
}

pub(crate) fn spec(line: &str) -> SpawnSpec {
    let mut words = line.split_whitespace().map(str::to_owned);
    SpawnSpec::new(words.next().unwrap(), words)
}

/// What the program printed and whether it ended well.
fn output(pod: &Pod, spec: &SpawnSpec) -> (String, bool) {
    let mut command = spec.command().unwrap();
    command.stdout(Stdio::piped()).stdin(Stdio::null());
    let mut child = pod.netns.spawn(&mut command).unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let status = child.wait().unwrap();
    (text.trim().to_owned(), status.success())
}

pub(crate) fn said(pod: &Pod, spec: &SpawnSpec) -> String {
    let (text, well) = output(pod, spec);
    assert!(well, "{}: {text}", spec.program);
    text
}

fn dial(target: &str, mark: &str) -> SpawnSpec {
    spec(&format!("/proc/self/exe dial {target} {mark}"))
}

pub(crate) fn names_resolve() {
    let pod = World::new().pod(2);
    let directory = tempfile::tempdir().unwrap();
    let mut hosts = Hosts::new("web-1", pod.address).unwrap();
    let mut file = HostsFile::create(&directory.path().join("hosts"), &hosts, DEFAULT_LIMIT).unwrap();
    let resolver = directory.path().join("resolv.conf");
    std::fs::write(&resolver, RESOLV_CONF).unwrap();
    let ask = |name: &str| {
        let mut spec = spec(&format!("getent ahostsv4 {name}"));
        spec.binds.push((file_path(&directory), "/etc/hosts").into());
        spec.binds.push((&resolver, "/etc/resolv.conf").into());
        spec
    };
    let start = Instant::now();
    assert!(!output(&pod, &ask("cart.shop")).1);
    assert!(
        start.elapsed() < PATIENCE / 2,
        "an unknown name took {:?}",
        start.elapsed()
    );
    let cart = Service {
        name: "cart",
        namespace: "shop",
        cluster_domain: "cluster.local",
    };
    hosts.add_service([10, 96, 0, 7].into(), &cart, "shop").unwrap();
    file.rewrite(&hosts).unwrap();
    for name in [
        "cart",
        "cart.shop",
        "cart.shop.svc",
        "cart.shop.svc.cluster.local",
    ] {
        assert!(said(&pod, &ask(name)).starts_with("10.96.0.7 "), "{name}");
    }
    let mut hostname = spec("uname -n");
    hostname.hostname = Some("web-1".to_owned());
    assert_eq!(said(&pod, &hostname), "web-1");
    assert_ne!(said(&pod, &spec("uname -n")), "web-1");
}

fn file_path(directory: &tempfile::TempDir) -> std::path::PathBuf {
    Path::new(directory.path()).join("hosts")
}

pub(crate) fn a_program_has_its_user() {
    let pod = World::new().pod(2);
    let as_postgres = |line: &str| {
        let mut spec = spec(line);
        spec.run_as = Some(RunAs { uid: 26, gid: 27 });
        spec
    };
    assert_eq!(said(&pod, &as_postgres("id -u")), "26");
    assert_eq!(said(&pod, &as_postgres("id -g")), "27");
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(
        directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let file = directory.path().join("file");
    said(&pod, &as_postgres(&format!("touch {}", file.display())));
    assert_eq!(
        said(&pod, &as_postgres(&format!("stat -c %u:%g {}", file.display()))),
        "26:27"
    );
    assert_eq!(said(&pod, &spec("id -u")), "0");
    let mut nice = spec("nice");
    nice.nice = Some(7);
    assert_eq!(said(&pod, &nice), "7");
}

pub(crate) fn a_workload_cannot_change_rules() {
    let world = World::new();
    let pod = world.redirected_pod(2);
    let mut as_user = spec("nft flush ruleset");
    as_user.run_as = Some(RunAs { uid: 26, gid: 26 });
    for attempt in [spec("nft flush ruleset"), as_user, spec("ip link set eth0 down")] {
        assert!(!output(&pod, &attempt).1, "{attempt:?}");
    }
    pod.listen("127.0.0.1:15001", "outbound");
    // To set the mark needs a privilege, too.
    let marked = dial("10.244.0.1:9", &MARK.to_string());
    assert!(said(&pod, &marked).starts_with("error Operation not permitted"));
    assert!(pod.call("10.244.0.1:9").unwrap().starts_with("outbound "));
}

pub(crate) fn the_proxys_user_is_exempt() {
    let world = World::new();
    let (pod, other) = (world.redirected_pod(2), world.redirected_pod(3));
    pod.listen("127.0.0.1:15001", "outbound");
    other.listen("0.0.0.0:15006", "inbound");
    let line = |uid: u32| {
        let own = std::env::current_exe().unwrap();
        let own = own.display();
        spec(&format!(
            "setpriv --reuid {uid} --clear-groups {own} dial 10.244.0.3:8080"
        ))
    };
    let mut unprivileged = line(PROXY_UID);
    unprivileged.run_as = Some(RunAs { uid: 26, gid: 26 });
    assert!(!output(&pod, &unprivileged).1, "only who starts as root may");
    match Exemption::detect().unwrap() {
        // It leaves as nobody: what it reaches is the proxy of the other, which knows it by no certificate.
        Exemption::User => {
            assert!(said(&pod, &line(PROXY_UID)).starts_with("inbound for 10.244.0.3:8080 from 10.244.0.2"));
            assert!(said(&pod, &line(26)).starts_with("outbound "));
        }
        // There are no other users here.
        Exemption::Mark => assert!(!output(&pod, &line(PROXY_UID)).1),
    }
}

pub(crate) fn a_proxy_holds_little() {
    let world = World::new();
    let (pod, other) = (world.redirected_pod(2), world.pod(3));
    pod.listen("127.0.0.1:15001", "outbound");
    other.listen("0.0.0.0:8080", "app");
    let exemption = Exemption::detect().unwrap();
    let (mark, capabilities) = match exemption {
        Exemption::User => (String::new(), "0000000000000000"),
        Exemption::Mark => (MARK.to_string(), "0000000000001000"),
    };
    let reach = dial("10.244.0.3:8080", &mark);
    assert!(said(&pod, &reach.clone().as_proxy(exemption)).starts_with("app "));
    let status = said(&pod, &spec("cat /proc/self/status").as_proxy(exemption));
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert!(status.contains(&format!("{set}:\t{capabilities}")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1"));
}

pub(crate) fn a_low_port_needs_no_privilege() {
    let pod = World::new().pod(2);
    let lowest = said(&pod, &spec("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"));
    assert_eq!(lowest, "0");
}
