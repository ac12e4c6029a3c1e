//! `wattle up` keeps what the manifests want: it restarts, replaces, stops and ends, and leaves nothing behind.
#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use wattle_capture::apart;
use wattle_testkit::{Mesh, Need, Spot, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for anything, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A user without rights.
const NOBODY: u32 = 65534;

/// A Process without a proxy that prints its variable and then waits.
fn process(name: &str, word: &str, more: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}}}\nspec:\n  \
         command: [sh, -c, 'echo \"says $WORD\"; exec sleep 600']\n  \
         env: [{{name: WORD, value: {word}}}]\n  terminationGracePeriodSeconds: 5\n{more}\n"
    )
}

const BARE: &str = "  proxy: {enabled: false}";

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    files
        .iter()
        .for_each(|(name, text)| write(directory.path(), name, text));
    directory
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

fn says(mesh: &Mesh, instance: &str, word: &str) {
    let log = format!("default.{instance}.log");
    eventually(&format!("{instance} says {word}"), PATIENCE, || {
        mesh.log(&log).contains(&format!("says {word}\n")).then_some(())
    });
}

#[test]
fn an_application_that_dies_is_started_again_and_one_that_changes_is_replaced() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = directory(&[("web.yaml", &process("web", "one", BARE))]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let first = mesh.wait_ready("web");
    says(&mesh, "web", "one");

    mesh.tell_supervisor("/processes/default/web/kill");
    let second = mesh.wait_for("web", "ready again", PATIENCE, |now| {
        now.phase == "ready" && now.pid != first.pid
    });
    assert_eq!(second.exit, Some(137));

    write(manifests.path(), "web.yaml", &process("web", "two", BARE));
    mesh.wait_for("web", "replaced", PATIENCE, |now| {
        now.phase == "ready" && now.pid != second.pid
    });
    says(&mesh, "web", "two");

    std::fs::remove_file(manifests.path().join("web.yaml")).unwrap();
    eventually("nothing runs", PATIENCE, || {
        mesh.processes().is_empty().then_some(())
    });
    mesh.stop();
}

#[test]
fn a_slip_of_the_pen_stops_nothing() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = directory(&[("web.yaml", &process("web", "one", BARE))]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let first = mesh.wait_ready("web");
    write(
        manifests.path(),
        "web.yaml",
        &process("web", "one", "  replicas: many"),
    );
    eventually("the mistake is told", PATIENCE, || {
        let found = mesh.control("/diagnostics")?;
        found
            .as_array()?
            .iter()
            .any(|one| one["field"] == "spec.replicas")
            .then_some(())
    });
    let checked = mesh.wattle(&["check"]);
    assert_eq!(
        checked.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    assert_eq!(mesh.process("web").pid, first.pid);
    mesh.stop();
}

#[test]
fn what_was_stopped_stays_stopped_until_it_is_started() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = directory(&[("web.yaml", &process("web", "one", BARE))]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let first = mesh.wait_ready("web");
    mesh.tell_supervisor("/processes/default/web/stop");
    mesh.wait_for("web", "stopped", PATIENCE, |now| {
        now.phase == "stopped" && now.pid.is_none()
    });
    mesh.tell_supervisor("/processes/default/web/start");
    mesh.wait_for("web", "ready again", PATIENCE, |now| {
        now.phase == "ready" && now.pid != first.pid
    });
    mesh.stop();
}

#[test]
fn several_copies_roll_and_take_the_place_of_the_old_ones() {
    if lacks(&[Need::Root]) {
        return;
    }
    let two = format!("{BARE}\n  replicas: 2");
    let manifests = directory(&[("web.yaml", &process("web", "one", &two))]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let old = [mesh.wait_ready("web-0").pid, mesh.wait_ready("web-1").pid];
    write(manifests.path(), "web.yaml", &process("web", "two", &two));
    eventually("two new copies run", PATIENCE, || {
        let all = mesh.processes();
        // One more than wanted at most, and never fewer that are ready.
        assert!(all.len() <= 3, "{all:?}");
        assert!(
            all.iter().filter(|one| one.phase == "ready").count() >= 2,
            "{all:?}"
        );
        (all.len() == 2 && all.iter().all(|one| !old.contains(&one.pid))).then_some(())
    });
    mesh.stop();
}

#[test]
fn a_process_waits_for_those_it_depends_on_and_sees_nothing_of_the_meshs_keys() {
    if lacks(&[Need::Root]) {
        return;
    }
    let base = "  dependsOn: [migration]\n  proxy: {enabled: false}\n  readiness: {exec: {command: [sh, -c, 'exit 0']}}";
    let migration = "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: migration}\nspec:\n  \
         command: [sh, -c, 'cat $WATTLE_RUN_DIR/*/control/* $WATTLE_RUN_DIR/*/proxies/*/* $WATTLE_DATA/nothing; ls -A $WATTLE_RUN_DIR/*/control; echo done']\n  \
         restartPolicy: Never\n";
    let manifests = directory(&[
        ("web.yaml", &process("web", "one", base)),
        ("migration.yaml", migration),
    ]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    assert_eq!(mesh.wait_exit("migration", PATIENCE), 0);
    mesh.wait_ready("web");
    let log = mesh.log("default.migration.log");
    assert!(
        log.contains("done\n") && !log.contains("BEGIN") && !log.contains("redb"),
        "{log}"
    );
    assert!(mesh.state().join("control/roots.pem").exists());
    mesh.stop();
}

#[test]
fn an_application_sees_nothing_of_the_meshs_keys_without_root_either() {
    if lacks(&[Need::Root]) {
        return;
    }
    // 9 where a key was found, 7 where it looked in vain; what it starts in is the mesh's, so that it is there to be found.
    let search = "test -d $WATTLE_RUN_DIR && ls -d $WATTLE_RUN_DIR/*/control $WATTLE_RUN_DIR/*/proxies >/dev/null || exit 8; \
        find $WATTLE_RUN_DIR -type f -exec grep -lE \\\"PRIVATE KEY|redb\\\" {} + >/dev/null && exit 9; exit 7";
    let job = format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: job}}\nspec: \
         {{command: [sh, -c, \"{search}\"], restartPolicy: Never, dependsOn: [web], proxy: {{enabled: false}}}}\n"
    );
    let web = process("web", "one", "").replace(
        "metadata: {name: web}",
        "metadata: {name: web, labels: {app: web}}",
    );
    let output = up_as_nobody(&[("job.yaml", &job), ("web.yaml", &web)]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{error}");
}

/// A mesh without root, to the end of its job.
fn up_as_nobody(files: &[(&str, &str)]) -> Output {
    let place = tempfile::Builder::new().prefix("wt").tempdir_in("/tmp").unwrap();
    let (manifests, run) = (place.path().join("manifests"), place.path().join("run"));
    for directory in [place.path(), &manifests, &run] {
        let _ = std::fs::create_dir(directory);
        chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    files
        .iter()
        .for_each(|(name, text)| write(&manifests, name, text));
    // Where it was built an ordinary user may not be able to look.
    let binary = place.path().join("wattle");
    std::fs::copy(WATTLE, &binary).unwrap();
    let mut command = up_to_the_end_of_the_job(&binary, &manifests, &run);
    command.current_dir("/").uid(NOBODY).gid(NOBODY).output().unwrap()
}

fn up_to_the_end_of_the_job(binary: &Path, manifests: &Path, run: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["up", "--exit-with", "job"]).arg(manifests);
    command.env("WATTLE_RUN_DIR", run);
    command
}

/// Tries every other process of the mesh, then one of its own, and says of each what it could.
const TOUCH: &str = r#"for place in /proc/[0-9]*; do
  pid=${place#/proc/}; who=$(tr '\0' ' ' < $place/cmdline | cut -c 1-60)
  [ $pid = $$ ] && continue
  case $(kill -0 $pid 2>&1) in
    '') echo "SIGNALLED $who";;
    *ermitted*) echo "not signalled $who";;
  esac
  for file in environ maps mem; do true 2>&- < $place/$file && echo "READ $file of $who"; done
done 2>/dev/null
sleep 600 & true < /proc/$!/environ && kill $!; wait $!; echo "ended its own with $?"
"#;

/// That a program of a mesh, whose job runs [`TOUCH`], touched nobody else.
#[track_caller]
fn touched_its_own_alone(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}{error}");
    assert!(!said.contains("SIGNALLED") && !said.contains("READ"), "{said}");
    // The neighbour, proxies, the control plane.
    for untouched in ["sleep 600", "proxy --id", "control --"] {
        let found = said
            .lines()
            .any(|line| line.contains("not signalled") && line.contains(untouched));
        assert!(found, "{untouched}: {said}{error}");
    }
    assert!(said.contains("ended its own with 143"), "{said}");
}

#[test]
fn an_application_signals_and_reads_its_own_processes_alone_as_root_and_without() {
    let domains = Need::Kernel("Landlock that scopes signals", apart::is_possible());
    if lacks(&[Need::Root, domains]) {
        return;
    }
    let job = "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: job}\nspec: \
         {command: [sh, touch.sh], restartPolicy: Never, dependsOn: [web]}\n";
    // One that looks after its application may still ask whether it is there.
    let probe = "  readiness: {exec: {command: [sh, -c, 'kill -0 $(cat web.pid)']}}";
    let web = process("web", "one", probe)
        .replace(
            "metadata: {name: web}",
            "metadata: {name: web, labels: {app: web}}",
        )
        .replace("echo \"says $WORD\"", "echo $$ > web.pid");
    let files = [("job.yaml", job), ("web.yaml", &web), ("touch.sh", TOUCH)];
    touched_its_own_alone(&up_as_nobody(&files));

    let manifests = directory(&files);
    let runtime = tempfile::Builder::new().prefix("wt").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(runtime.path(), Permissions::from_mode(0o711)).unwrap();
    let run = runtime.path().join("run");
    let as_root = up_to_the_end_of_the_job(WATTLE.as_ref(), manifests.path(), &run).output();
    touched_its_own_alone(&as_root.unwrap());
}

/// What the kernel tells a program at `from` that says something to `to` in a datagram and waits for the answer.
fn told_of_a_datagram(from: &Spot, to: SocketAddr) -> Option<ErrorKind> {
    let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(to).unwrap();
    let said = socket.send(b"hello").and_then(|_| socket.recv(&mut [0; 8]));
    said.err().map(|error| error.kind())
}

#[test]
fn a_process_takes_no_datagrams_where_its_namespace_says_so_unless_it_says_otherwise() {
    if lacks(&[Need::Root]) {
        return;
    }
    let namespace =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, annotations: {wattle.io/udp: deny}}\n";
    let allowed = "metadata: {name: open, annotations: {wattle.io/udp: allow}}";
    let manifests = directory(&[
        ("web.yaml", &process("web", "one", "")),
        (
            "open.yaml",
            &process("open", "one", "").replace("metadata: {name: open}", allowed),
        ),
        ("namespace.yaml", namespace),
    ]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let web = mesh.wait_ready("web");
    let open = SocketAddr::new(mesh.wait_ready("open").address.unwrap(), 9000);
    let server = mesh.spot("open").enter(|| UdpSocket::bind(open)).unwrap();
    std::thread::spawn(move || {
        while let Ok((_, client)) = server.recv_from(&mut [0; 8]) {
            server.send_to(b"hello", client).unwrap();
        }
    });
    let refused = [ErrorKind::PermissionDenied, ErrorKind::ConnectionRefused];
    let told = told_of_a_datagram(&mesh.spot("web"), open);
    assert!(told.is_some_and(|told| refused.contains(&told)), "{told:?}");
    assert_eq!(told_of_a_datagram(&mesh.bridge(), open), None);

    std::fs::remove_file(manifests.path().join("namespace.yaml")).unwrap();
    mesh.wait_for("web", "replaced", PATIENCE, |now| {
        now.phase == "ready" && now.pid != web.pid
    });
    assert_eq!(told_of_a_datagram(&mesh.spot("web"), open), None);
    mesh.stop();
}

#[test]
fn a_mesh_ends_with_the_exit_code_of_the_process_it_is_told_to_end_with() {
    if lacks(&[Need::Root]) {
        return;
    }
    let job = "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: job}\nspec: \
         {command: [sh, -c, 'exit 7'], restartPolicy: Never, proxy: {enabled: false}}\n";
    let manifests = directory(&[("job.yaml", job), ("web.yaml", &process("web", "one", BARE))]);
    let runtime = tempfile::Builder::new().prefix("wt").tempdir_in("/tmp").unwrap();
    let mut command = Command::new(WATTLE);
    command
        .args(["up", "--exit-with", "job", "-o", "json"])
        .arg(manifests.path());
    let output = command
        .env("WATTLE_RUN_DIR", runtime.path().join("run"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(7),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in said.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert!(
        said.contains(r#"{"event":"finished with 7","subject":"job"}"#),
        "{said}"
    );
}

#[test]
fn manifests_with_errors_are_not_started() {
    let manifests = directory(&[("web.yaml", &process("web", "one", "  replicas: many"))]);
    let output = Command::new(WATTLE)
        .arg("up")
        .arg(manifests.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("web.yaml:8:13: Process default/web: spec.replicas:"),
        "{said}"
    );
    assert!(said.contains("\nhint: "), "{said}");
}
