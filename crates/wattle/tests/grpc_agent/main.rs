//! gRPC programs without a proxy, with `wattle agent` beside them: Python's grpcio finds discovery, certificate and key by the
//! bootstrap alone, and misses nothing when they are replaced.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;
mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use support::bare_workload;
use wattle_testkit::{Need, eventually, lacks};
use world::{Agent, PATIENCE, Program, guard, manifests, mesh};

/// Everything below a directory that others than its owner may read, by its name.
fn open_to_others(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut found = Vec::new();
    for entry in entries {
        let metadata = entry.metadata().unwrap();
        if !metadata.is_symlink() && metadata.permissions().mode() & 0o077 != 0 {
            found.push(entry.path().display().to_string());
        }
        if metadata.is_dir() {
            found.extend(open_to_others(&entry.path()));
        }
    }
    found
}

#[test]
fn a_program_calls_over_mutual_tls_and_no_call_fails_while_its_certificate_and_the_root_are_replaced() {
    if lacks(&[Need::Root, Need::Python("grpc")]) {
        return;
    }
    let manifests = manifests();
    // A rotation ends with the last who renews: bystanders, who are not all done by chance before the program is.
    let bystanders = ["other", "second", "third"];
    for name in &bystanders[1..] {
        manifests.write(&format!("{name}.yaml"), &bare_workload(name, "{enabled: true}"));
    }
    let mesh = mesh(&manifests);
    for name in bystanders {
        mesh.wait_ready(name);
    }
    // A workload without a proxy has no identity in the mesh, and so nobody may speak in its name.
    let agent = Agent::start(&mesh, "program", "grpc-program", "program");
    assert_eq!(open_to_others(&agent.state()), [""; 0]);
    let program = Program::start(&agent, &["keep", "one:9000"]);
    program.calls_on();

    agent.renew();
    program.calls_on();

    let begun = mesh.wattle(&["rotate", "root"]);
    assert!(
        begun.status.success(),
        "{}",
        String::from_utf8_lossy(&begun.stderr)
    );
    eventually("the new issuer signs", PATIENCE, || {
        (mesh.control("/rotation")?["stage"] == "renewing").then_some(())
    });
    // It is called at once by those who were told of the new root.
    mesh.renew_certificate("one");
    agent.renew();
    program.calls_on();
    for name in bystanders {
        mesh.renew_certificate(name);
    }
    eventually("the new root alone is believed", PATIENCE, || {
        (mesh.control("/rotation")?["stage"] == "steady").then_some(())
    });
    program.calls_on();

    let mut rounds = program.rounds();
    rounds.dedup();
    assert_eq!(rounds, ["one one"]);
    assert!(!agent.log().contains("PRIVATE KEY"));
    drop(program);
    drop(agent);
    mesh.stop();
}

#[test]
fn a_server_that_leaves_its_security_to_a_mesh_that_does_not_know_it_takes_nothing() {
    if lacks(&[Need::Root, Need::Python("grpc")]) {
        return;
    }
    let manifests = manifests();
    let mesh = mesh(&manifests);
    let agent = Agent::start(&mesh, "vm", "grpc-vm", "vm");
    let server = Program::start(&agent, &["guard", "9000"]);
    eventually("the server has started", PATIENCE, || {
        (server.rounds() == ["started"]).then_some(())
    });
    let caller = Program::start(&agent, &["knock", "127.0.0.1:9000"]);
    caller.calls_on();
    assert!(!caller.rounds().iter().any(|round| round.contains("guard")));
    drop((caller, server, agent));
    mesh.stop();
}

#[test]
fn a_server_without_a_proxy_takes_mutual_tls_alone_and_those_alone_whom_policy_lets_in() {
    if lacks(&[Need::Root, Need::Python("grpc")]) {
        return;
    }
    let manifests = manifests();
    let mesh = mesh(&manifests);
    let address = mesh.process("vm").address.unwrap();
    manifests.write("guard.yaml", &guard(address));
    mesh.wait_endpoint("guard");
    let agent = Agent::start(&mesh, "vm", "guard", "guard");
    let server = Program::start(&agent, &["guard", "9000"]);
    let callers = [("program", "grpc-program"), ("stranger", "grpc-stranger")];
    let callers = callers.map(|(place, instance)| Agent::start(&mesh, place, instance, place));
    let [welcome, stranger] = callers
        .each_ref()
        .map(|agent| Program::start(agent, &["keep", "guard:9000"]));
    let plaintext = Program::start(&callers[0], &["knock", &format!("{address}:9000")]);
    // Beside a proxy, which calls for it.
    let meshed = Program::start_at(&mesh, "other", Path::new(""), &["knock", "guard:9000"]);
    eventually("the server answers", PATIENCE, || {
        let answers = welcome.rounds().last()? == "guard guard" && meshed.rounds().last()? == "guard";
        answers.then_some(())
    });
    let before = [&welcome, &meshed].map(|caller| caller.rounds().len());
    agent.renew();
    for caller in [&welcome, &meshed, &stranger, &plaintext] {
        caller.calls_on();
    }
    for (caller, before) in [&welcome, &meshed].into_iter().zip(before) {
        let failed = |round: &&String| !matches!(&***round, "guard guard" | "guard");
        assert_eq!(caller.rounds()[before..].iter().find(failed), None);
    }
    let denied = stranger.rounds().pop().unwrap();
    assert!(denied.starts_with("PERMISSION_DENIED"), "{denied}");
    for refused in [&stranger, &plaintext] {
        assert!(
            !refused
                .rounds()
                .iter()
                .any(|round| round.split(' ').any(|word| word == "guard"))
        );
    }
    drop((welcome, meshed, stranger, plaintext));
    drop((callers, server, agent));
    mesh.stop();
}
