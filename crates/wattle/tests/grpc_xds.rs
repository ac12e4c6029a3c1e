//! gRPC programs that are configured by the mesh over xDS, and whose calls their proxies carry, or that hold a certificate
//! themselves: Python's grpcio.
#![allow(clippy::unwrap_used)]

#[path = "support/forge.rs"]
mod forge;
mod support;

use std::fs::File;
use std::net::SocketAddr;
use std::process::Child;
use std::time::{Duration, SystemTime};

use forge::Forger;
use support::{Manifests, STRICT, bare_workload, turned_away};
use tempfile::TempDir;
use wattle_envoy::bootstrap;
use wattle_testkit::{Mesh, Need, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/xds.py");
/// Longest wait for anything, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(90);

fn process(name: &str, words: &str, proxy: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\n\
         spec:\n  command: [sh, -c, 'exec \"$WATTLE_PYTHON\" xds.py {words}']\n  serviceAccountName: {name}\n  \
         proxy: {{kind: {proxy}}}\n"
    )
}

fn server(name: &str, proxy: &str) -> String {
    format!(
        "{}  ports: [{{name: calls, port: 9000, appProtocol: grpc}}]\n  \
         readiness: {{tcpSocket: {{port: 9000}}, periodSeconds: 1, failureThreshold: 60}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: calls, port: 9000, appProtocol: grpc}}]}}\n",
        process(name, &format!("serve {name} 9000"), proxy)
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
        ("one.yaml", &server("one", "wattle")),
        ("two.yaml", &server("two", "wattle")),
        ("client.yaml", &process("client", "watch one:9000", proxy)),
        ("route.yaml", &route(1, 0)),
    ]);
    std::fs::copy(SCRIPT, manifests.path().join("xds.py")).unwrap();
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

/// Calls are taken of `program` alone.
const ONLY_PROGRAM: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-program}
spec:
  action: ALLOW
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/program]}}]}]
";

/// A program without a proxy, in the place of the workload `program`; it ends when it is dropped.
struct Program {
    child: Child,
    directory: TempDir,
}

impl Program {
    /// Starts one that calls `one`, and has discovery under a genuine certificate; `shown` is what it shows to endpoints,
    /// if anything.
    fn start(mesh: &Mesh, forger: &Forger, shown: Option<&wattle_identity::Svid>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (genuine, own) = (directory.path().join("genuine"), directory.path().join("own"));
        forger.write(&genuine, &forger.svid("program", SystemTime::now()));
        let certificates = shown.map(|svid| {
            forger.write(&own, svid);
            own.as_path()
        });
        let grpc = bootstrap::Grpc {
            // A workload without a proxy has no identity in the mesh, and so nobody may speak in its name.
            node: "default/grpc-program",
            server: SocketAddr::from(([127, 0, 0, 1], 15010)),
            certificates,
        };
        let file = directory.path().join("bootstrap.json");
        std::fs::write(&file, grpc.bootstrap().to_string()).unwrap();
        let words = mesh.proxy("one").words;
        let control = words
            .iter()
            .skip_while(|word| *word != "--control")
            .nth(1)
            .unwrap();
        let python = std::env::var("WATTLE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let said = File::create(directory.path().join("said")).unwrap();
        let child = mesh
            .spot("program")
            .command(&python)
            .arg(SCRIPT)
            .args(["own", "one:9000", control])
            .arg(genuine)
            .env("GRPC_XDS_BOOTSTRAP", file)
            .stdout(said)
            .spawn()
            .unwrap();
        Self { child, directory }
    }

    /// Waits until it says this in its last whole line.
    #[track_caller]
    fn wait_until_it_says(&self, wanted: &str) {
        let mut last = String::new();
        eventually(&format!("the program says {wanted}"), PATIENCE, || {
            let said = std::fs::read_to_string(self.directory.path().join("said")).unwrap();
            let line = said.lines().last().unwrap_or_default();
            if line != last {
                eprintln!("program: {line}");
                line.clone_into(&mut last);
            }
            line.starts_with(wanted).then_some(())
        });
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn calls_with_its_own_certificate_alone(proxy: &str) {
    let mut needs = vec![Need::Root, Need::Python("grpc")];
    needs.extend(Some(Need::Envoy).filter(|_| proxy == "envoy"));
    if lacks(&needs) {
        return;
    }
    let manifests = Manifests::new(&[
        ("strict.yaml", STRICT),
        ("policy.yaml", ONLY_PROGRAM),
        ("one.yaml", &server("one", proxy)),
        ("two.yaml", &server("two", proxy)),
        ("route.yaml", &route(1, 1)),
        ("program.yaml", &bare_workload("program", "{enabled: false}")),
    ]);
    std::fs::copy(SCRIPT, manifests.path().join("xds.py")).unwrap();
    let mesh = Mesh::up(WATTLE, manifests.path());
    for name in ["one", "two", "program"] {
        mesh.wait_ready(name);
    }
    let forger = Forger::of(&mesh);
    let genuine = forger.svid("program", SystemTime::now());
    let program = Program::start(&mesh, &forger, Some(&genuine));
    program.wait_until_it_says("one,two");
    manifests.write("route.yaml", &route(0, 1));
    program.wait_until_it_says("two");
    manifests.write("route.yaml", &route(1, 0));
    program.wait_until_it_says("one");
    drop(program);

    let other = Program::start(&mesh, &forger, Some(&forger.svid("other", SystemTime::now())));
    other.wait_until_it_says("PERMISSION_DENIED");
    drop(other);
    let foreign = Program::start(&mesh, &forger, Some(&forger.foreign("cluster.local", "program")));
    foreign.wait_until_it_says("UNAVAILABLE");
    if proxy == "wattle" {
        assert!(
            turned_away(&mesh, "one", "untrusted_issuer") > Some(0),
            "by its certificate"
        );
    }
    drop(foreign);
    Program::start(&mesh, &forger, None).wait_until_it_says("UNAVAILABLE");

    // Where plaintext is taken as well, who has a certificate is known by it.
    manifests.remove("strict.yaml");
    mesh.wait_synced(2);
    let program = Program::start(&mesh, &forger, Some(&genuine));
    program.wait_until_it_says("one");
    mesh.stop();
}

#[test]
fn a_grpc_program_with_a_certificate_of_its_own_calls_workloads_beside_proxies_of_ours_over_mutual_tls() {
    calls_with_its_own_certificate_alone("wattle");
}

#[test]
fn a_grpc_program_with_a_certificate_of_its_own_calls_workloads_beside_envoys_too() {
    calls_with_its_own_certificate_alone("envoy");
}
