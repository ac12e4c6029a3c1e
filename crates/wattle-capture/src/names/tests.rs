#![allow(clippy::unwrap_used)]
use std::os::unix::fs::MetadataExt as _;

use super::*;

const CART: Service<'_> = Service {
    name: "cart",
    namespace: "shop",
    cluster_domain: "cluster.local",
};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn hosts(from: &str) -> Hosts {
    let mut hosts = Hosts::new("web-1", address("10.244.0.5")).unwrap();
    hosts.add_service(address("10.96.0.7"), &CART, from).unwrap();
    hosts
}

fn meaning(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_service_has_its_bare_name_only_at_home() {
    let expected = "10.96.0.7 cart\n10.96.0.7 cart.shop\n10.96.0.7 cart.shop.svc\n\
                    10.96.0.7 cart.shop.svc.cluster.local\n";
    assert!(hosts("shop").render().contains(expected));
    assert!(!hosts("other").render().contains("10.96.0.7 cart\n"));
    assert!(hosts("other").render().contains("10.96.0.7 cart.shop\n"));
}

#[test]
fn a_workload_knows_itself_and_loopback() {
    let text = hosts("shop").render();
    assert!(text.contains("127.0.0.1 localhost\n") && text.contains("::1 localhost\n"));
    assert!(text.contains("10.244.0.5 web-1\n"));
}

#[test]
fn a_name_cannot_smuggle_a_line_in() {
    for name in [
        "",
        "a b",
        "a\n10.0.0.1 bank",
        "#",
        "a..b",
        ".a",
        &"a".repeat(64),
        &"a.".repeat(127),
    ] {
        assert!(
            matches!(
                Hosts::default().add(address("10.0.0.1"), name),
                Err(NamesError::Name { .. })
            ),
            "{name:?}"
        );
    }
}

#[test]
fn a_rewrite_keeps_the_file_and_leaves_nothing_of_the_old_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hosts");
    let mut file = HostsFile::create(&path, &hosts("shop"), DEFAULT_LIMIT).unwrap();
    let inode = std::fs::metadata(&path).unwrap().ino();
    let fewer = Hosts::new("web-1", address("10.244.0.5")).unwrap();
    assert!(file.rewrite(&fewer).unwrap());
    assert!(!file.rewrite(&fewer).unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(meaning(&text), meaning(&fewer.render()));
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
}

#[test]
fn a_file_from_an_earlier_start_is_taken_over_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hosts");
    std::fs::write(&path, "10.9.9.9 stale\n".repeat(1000)).unwrap();
    let file = HostsFile::create(&path, &hosts("shop"), DEFAULT_LIMIT).unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert_eq!(meaning(&text), meaning(&hosts("shop").render()));
}

#[test]
fn too_many_names_leave_the_old_file_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hosts");
    let few = Hosts::new("web-1", address("10.244.0.5")).unwrap();
    let mut file = HostsFile::create(&path, &few, 100).unwrap();
    let before = std::fs::read_to_string(&path).unwrap();
    assert!(matches!(
        file.rewrite(&hosts("shop")),
        Err(NamesError::TooLarge { limit: 100, .. })
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn files_are_asked_before_anybody_else() {
    assert_eq!(nsswitch("passwd: files\nhosts: files dns\n"), None);
    let asked_first = nsswitch("passwd: files systemd\nhosts: resolve [!UNAVAIL=return] files\n").unwrap();
    assert_eq!(asked_first, "passwd: files systemd\nhosts: files dns\n");
    assert_eq!(nsswitch("").unwrap(), "hosts: files dns\n");
}
