//! A control plane with a directory for everything and one whose author has a single namespace.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use wattle_testkit::{Conversation, Request, eventually};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(30);

const EVERYTHING: &str = "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: wattle-system}
spec: {mtls: {mode: STRICT}}
";

/// What the author of `shop` would like: an object of its own, the same policy for the mesh, and one that closes another
/// namespace by being unreadable.
const OF_SHOP: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: wattle-system}
spec: {mtls: {mode: DISABLE}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: payments}
spec: {action: PERHAPS}
";

/// Ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn asked(state: &Path, target: &str) -> Option<Value> {
    let mut socket = Conversation::unix(&state.join("admin.sock")).ok()?;
    let answer = socket.send(&Request::get("admin", target)).ok()?;
    (answer.status == 200).then(|| serde_json::from_slice(&answer.body).unwrap())
}

/// Kind, namespace and name of every object, and what the mesh says of it.
fn objects(state: &Path) -> Vec<String> {
    let objects = asked(state, "/objects").unwrap();
    let text = |object: &Value, field: &str| object[field].as_str().unwrap().to_owned();
    let described = |object: &Value| {
        ["kind", "namespace", "name", "status"]
            .map(|field| text(object, field))
            .join(" ")
    };
    objects.as_array().unwrap().iter().map(described).collect()
}

fn analyzed(directory: &str) -> Output {
    Command::new(WATTLE)
        .args(["analyze", directory])
        .output()
        .unwrap()
}

#[test]
fn the_author_of_one_namespace_writes_no_other_and_a_mended_file_counts() {
    let [everything, shop, state] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    std::fs::write(everything.path().join("mesh.yaml"), EVERYTHING).unwrap();
    std::fs::write(shop.path().join("shop.yaml"), OF_SHOP).unwrap();
    let of_shop = format!("shop={}", shop.path().display());
    let mut command = Command::new(WATTLE);
    // Its author comes first: of two same objects the first would win.
    command.args(["control", "--config", &of_shop, "--config"]);
    command.arg(everything.path()).arg("--state").arg(state.path());
    command.args(["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    let null = || Stdio::null();
    let _control = Running(
        command
            .stdin(null())
            .stdout(null())
            .stderr(null())
            .spawn()
            .unwrap(),
    );
    let state = state.path();
    eventually("it has read the manifests", PATIENCE, || {
        asked(state, "/status").filter(|status| status["ready"] == true)
    });
    let strict = "PeerAuthentication wattle-system default accepted".to_owned();
    let web = "Service shop web accepted".to_owned();
    assert_eq!(objects(state), [web.clone(), strict.clone()]);
    let kept = asked(state, "/objects/PeerAuthentication/wattle-system/default").unwrap();
    assert_eq!(kept["manifest"]["spec"]["mtls"]["mode"], "STRICT");
    let said = asked(state, "/diagnostics").unwrap();
    let foreign = said.as_array().unwrap().iter();
    let foreign: Vec<_> = foreign.filter(|one| one["code"] == "foreign-namespace").collect();
    assert_eq!(foreign.len(), 2, "{said}");
    for (one, object) in foreign.iter().zip([
        "PeerAuthentication wattle-system/default",
        "AuthorizationPolicy payments/closed",
    ]) {
        let text = one["text"].as_str().unwrap();
        let expected =
            format!("{object} does not count: this directory is for objects of namespace shop alone");
        assert!(text.contains("shop.yaml:") && text.contains(&expected), "{text}");
    }

    let offline = analyzed(&of_shop);
    let text = String::from_utf8_lossy(&offline.stdout).into_owned();
    assert!(
        !offline.status.success() && text.contains("[foreign-namespace]"),
        "{text}"
    );

    let mended = OF_SHOP.replace("wattle-system", "shop");
    std::fs::write(shop.path().join("shop.yaml"), mended).unwrap();
    eventually("the policy of its own namespace counts", PATIENCE, || {
        let own = "PeerAuthentication shop default accepted".to_owned();
        (objects(state) == [web.clone(), own, strict.clone()]).then_some(())
    });
}
