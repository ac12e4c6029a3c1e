//! `wattle demo` shows what it promises and ends by itself, as root and as a user without rights.
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::Value;
use wattle_testkit::{Need, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// A user without rights.
const NOBODY: u32 = 65534;

fn demo(user: Option<u32>) -> Value {
    let directory = tempfile::Builder::new().prefix("wt").tempdir_in("/tmp").unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o711)).unwrap();
    let binary = directory.path().join("wattle");
    // Where it was built an ordinary user may not be able to look.
    fs::copy(WATTLE, &binary).unwrap();
    let run = directory.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, Permissions::from_mode(0o711)).unwrap();
    let mut command = Command::new(&binary);
    command
        .args(["demo", "--for", "12s", "-o", "json"])
        .env("WATTLE_RUN_DIR", &run)
        .current_dir("/");
    if let Some(user) = user {
        chown(&run, Some(user), Some(user)).unwrap();
        command.uid(user).gid(user);
    }
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("one JSON object: {error}"))
}

fn assert_kept(told: &Value) {
    assert!(told["requests"].as_u64().unwrap() > 500, "{told:#}");
    assert_eq!(told["success_rate"], 1.0, "{told:#}");
    assert!(told["p50_ms"].as_f64().unwrap() <= told["p99_ms"].as_f64().unwrap());
    let edges = told["edges"].as_array().unwrap();
    let has = |source: &str, destination: &str, protocol: &str| {
        edges.iter().any(|edge| {
            edge["source"] == source && edge["destination"] == destination && edge["protocol"] == protocol
        })
    };
    assert!(
        has("web", "catalog", "http") && has("reviews", "ratings", "grpc") && has("cart", "ledger", "tcp")
    );
    assert!(edges.iter().all(|edge| edge["mtls"] == true), "{told:#}");
    let (expected, observed) = (
        &told["canary"]["expected"],
        told["canary"]["observed"].as_f64().unwrap(),
    );
    assert_eq!(*expected, 0.1);
    assert!((0.03..0.25).contains(&observed), "{observed}");
    assert_eq!(told["denied"]["status"], 403);
    assert_eq!(told["denied"]["reason"], "policy_not_allowed");
}

#[test]
fn the_demo_shows_what_it_promises() {
    if lacks(&[Need::Root, Need::Program("nft"), Need::Program("ip")]) {
        return;
    }
    assert_kept(&demo(None));
}

#[test]
fn the_demo_needs_no_root() {
    if lacks(&[Need::Root, Need::Program("nft"), Need::Program("ip")]) {
        return;
    }
    assert_kept(&demo(Some(NOBODY)));
}
