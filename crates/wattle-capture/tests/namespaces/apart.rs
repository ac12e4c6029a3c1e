//! What programs of one pid namespace can do to each other.

use std::process::{Child, exit};

use wattle_capture::SpawnSpec;
use wattle_capture::apart;
use wattle_capture::exec::{Reach, RunAs};

use crate::lifecycle::wait_until;
use crate::outer::CANNOT;
use crate::programs::{said, spec};
use crate::world::{Pod, World};

/// Ended and collected with the test, before its supervisor is.
struct Neighbour(Child);

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Neighbour {
    /// One that has come so far as to be the program.
    fn start(pod: &Pod, spec: &SpawnSpec) -> Self {
        let neighbour = Self(pod.netns.spawn(&mut spec.command().unwrap()).unwrap());
        let comm = format!("/proc/{}/comm", neighbour.id());
        wait_until("the neighbour runs", || {
            std::fs::read_to_string(&comm).unwrap() == "sleep\n"
        });
        neighbour
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

fn need_domains() {
    if !apart::is_possible() {
        exit(CANNOT);
    }
}

fn script(text: &str) -> SpawnSpec {
    SpawnSpec::new("sh", ["-c", text].map(str::to_owned))
}

/// What of a process can be touched.
fn touch(pid: u32) -> SpawnSpec {
    script(&format!(
        "kill -0 {pid} && echo signalled; for file in environ maps mem; do true < /proc/{pid}/$file && echo $file; done; \
         echo no more"
    ))
}

pub(crate) fn own_processes_alone() {
    need_domains();
    let world = World::new();
    let (pod, other) = (world.pod(2), world.pod(3));
    let neighbour = Neighbour::start(&other, &spec("sleep 600"));
    let supervisor = std::process::id();
    for pid in [neighbour.id(), supervisor, 1] {
        assert_eq!(said(&pod, &touch(pid)), "no more", "{pid}");
    }
    let mut as_user = spec("sleep 600");
    as_user.run_as = Some(RunAs { uid: 26, gid: 27 });
    let user = Neighbour::start(&other, &as_user);
    assert_eq!(said(&pod, &touch(user.id())), "no more");
    let mut of_user = touch(user.id());
    of_user.run_as = as_user.run_as;
    assert_eq!(said(&pod, &of_user), "no more");

    let own = "sleep 600 & true < /proc/$!/environ && kill $!; wait $!; echo ended with $?";
    assert_eq!(said(&pod, &script(own)), "ended with 143");
    let group = "trap 'echo heard; exit 0' TERM; kill -TERM 0; sleep 600";
    assert_eq!(said(&pod, &script(group)), "heard");
}

pub(crate) fn one_that_looks_after_others() {
    need_domains();
    let world = World::new();
    let (pod, other) = (world.pod(2), world.pod(3));
    let neighbour = Neighbour::start(&other, &spec("sleep 600"));
    let mut probe = touch(neighbour.id());
    probe.reach = Reach::Others;
    assert_eq!(said(&pod, &probe), "signalled\nenviron\nmaps\nmem\nno more");
}
