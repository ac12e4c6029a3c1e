//! gRPC programs that are configured by the mesh over xDS, and whose calls their proxies carry: Python's grpcio.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use support::Manifests;
use wattle_testkit::{Mesh, Need, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for anything, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(90);

const STRICT: &str = "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
";

fn process(name: &str, words: &str, proxy: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\n\
         spec:\n  command: [sh, -c, 'exec \"$WATTLE_PYTHON\" xds.py {words}']\n  serviceAccountName: {name}\n  \
         proxy: {{kind: {proxy}}}\n"
    )
}

fn server(name: &str) -> String {
    format!(
        "{}  ports: [{{name: calls, port: 9000, appProtocol: grpc}}]\n  \
         readiness: {{tcpSocket: {{port: 9000}}, periodSeconds: 1, failureThreshold: 60}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: calls, port: 9000, appProtocol: grpc}}]}}\n",
        process(name, &format!("serve {name} 9000"), "wattle")
    )
}

/// Calls of `one` go to both of these in these shares.
fn route(one: u32, two: u32) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: one}}\nspec:\n  \
         parentRefs: [{{group: '', kind: Service, name: one}}]\n  rules: [{{backendRefs: \
         [{{name: one, port: 9000, weight: {one}}}, {{name: two, port: 9000, weight: {two}}}]}}]\n"
    )
}

fn follows_weights_beside(proxy: &str) {
    let mut needs = vec![Need::Root, Need::Python("grpc")];
    needs.extend(Some(Need::Envoy).filter(|_| proxy == "envoy"));
    if lacks(&needs) {
        return;
    }
    let manifests = Manifests::new(&[
        ("strict.yaml", STRICT),
        ("one.yaml", &server("one")),
        ("two.yaml", &server("two")),
        ("client.yaml", &process("client", "watch one:9000", proxy)),
        ("route.yaml", &route(1, 0)),
    ]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/xds.py");
    std::fs::copy(script, manifests.path().join("xds.py")).unwrap();
    let mesh = Mesh::up(WATTLE, manifests.path());
    for name in ["one", "two", "client"] {
        mesh.wait_ready(name);
    }
    let answered = |by: &str| {
        eventually(&format!("calls are answered by {by}"), PATIENCE, || {
            let log = mesh.log("default.client.log");
            (log.lines().last() == Some(by)).then_some(())
        });
    };
    answered("one");
    manifests.write("route.yaml", &route(0, 1));
    answered("two");
    manifests.write("route.yaml", &route(1, 1));
    answered("one,two");
    let proxies = mesh.control("/status").unwrap()["proxies"].clone();
    let programs = proxies.as_array().unwrap().iter();
    let programs = programs.filter(|one| one["agent"].as_str().unwrap().starts_with("gRPC"));
    let programs: Vec<_> = programs.collect();
    assert_eq!(programs.len(), 1, "{proxies}");
    assert_eq!(programs[0]["node"], "default/client");
    assert_eq!(
        programs[0]["gaps"].as_array().unwrap().len(),
        0,
        "{}",
        programs[0]
    );
    mesh.stop();
}

#[test]
fn a_grpc_program_beside_a_proxy_of_ours_follows_the_weights_of_a_route_under_strict_mtls() {
    follows_weights_beside("wattle");
}

#[test]
fn a_grpc_program_beside_an_envoy_does_so_too() {
    follows_weights_beside("envoy");
}
