//! Real files in a real directory: what is said when somebody saves, moves, removes or spoils them.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use common::{bad_service, service, told};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wattle_source::{Batch, Directory};

/// No notice of the kernel takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

struct Watched {
    home: TempDir,
    batches: mpsc::Receiver<Batch>,
    task: JoinHandle<()>,
}

impl Watched {
    async fn new(prepare: impl Fn(&Path)) -> (Self, Vec<String>) {
        let home = TempDir::new().unwrap();
        prepare(home.path());
        let (out, batches) = mpsc::channel(16);
        // Long enough that only notices can bring a change within the test's patience.
        let directory = Directory::new(home.path()).reread(Duration::from_secs(3600));
        let task = tokio::spawn(async move { directory.run(out).await.unwrap() });
        let mut watched = Self { home, batches, task };
        let first = watched.said().await;
        (watched, first)
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.home.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    async fn said(&mut self) -> Vec<String> {
        told(
            &timeout(PATIENCE, self.batches.recv())
                .await
                .expect("nothing was said")
                .unwrap(),
        )
    }
}

#[tokio::test]
async fn what_is_there_is_said_first_and_edits_after() {
    let (mut watched, first) = Watched::new(|home| {
        fs::create_dir_all(home.join("sub/deep")).unwrap();
        fs::write(home.join("a.yaml"), service("a", 80)).unwrap();
        fs::write(home.join("sub/b.yml"), service("b", 80)).unwrap();
        fs::write(home.join("sub/deep/c.json"), service("c", 80)).unwrap();
        fs::write(home.join("sub/bad.yaml"), bad_service("d")).unwrap();
        fs::write(home.join("notes.txt"), service("e", 80)).unwrap();
    })
    .await;
    assert_eq!(first, ["reset a:80 b:80 c:80 !d"]);
    watched.write("a.yaml", &service("a", 81));
    assert_eq!(watched.said().await, ["apply a:81"]);
    watched.write("sub/deep/c.json", &service("c", 81));
    assert_eq!(watched.said().await, ["apply c:81"]);
    fs::remove_file(watched.path("sub/b.yml")).unwrap();
    assert_eq!(watched.said().await, ["delete b"]);
}

#[tokio::test]
async fn an_editor_that_renames_over_the_file_is_one_change() {
    let (mut watched, _) =
        Watched::new(|home| fs::write(home.join("a.yaml"), service("a", 80)).unwrap()).await;
    watched.write(".a.yaml.swp", &service("a", 1));
    watched.write("a.yaml~", &service("a", 2));
    fs::rename(watched.path("a.yaml~"), watched.path("a.yaml")).unwrap();
    assert_eq!(watched.said().await, ["apply a:2"]);
}

#[tokio::test]
async fn a_file_is_not_read_while_its_writer_is_at_work() {
    let (mut watched, _) =
        Watched::new(|home| fs::write(home.join("a.yaml"), service("a", 80)).unwrap()).await;
    let text = format!("{}---\n{}", service("a", 81), service("b", 81));
    let mut file = fs::File::create(watched.path("a.yaml")).unwrap();
    for half in [&text[..text.len() / 2], &text[text.len() / 2..]] {
        file.write_all(half.as_bytes()).unwrap();
        file.sync_all().unwrap();
    }
    drop(file);
    assert_eq!(watched.said().await, ["apply a:81", "apply b:81"]);
}

#[tokio::test]
async fn a_half_written_file_keeps_the_last_good_version() {
    let (mut watched, _) =
        Watched::new(|home| fs::write(home.join("a.yaml"), service("a", 80)).unwrap()).await;
    watched.write("a.yaml", &service("a", 81).replace("]}", ""));
    assert_eq!(watched.said().await, ["said a.yaml: invalid-yaml"]);
    watched.write("a.yaml", &service("a", 81));
    assert_eq!(watched.said().await, ["apply a:81", "said a.yaml:"]);
}

#[tokio::test]
async fn a_new_directory_is_watched_with_what_was_put_into_it_at_once() {
    let (mut watched, first) = Watched::new(|_| {}).await;
    assert_eq!(first, ["reset"]);
    fs::create_dir_all(watched.path("x/y/z")).unwrap();
    watched.write("x/y/z/a.yaml", &service("a", 80));
    assert_eq!(watched.said().await, ["apply a:80"]);
    watched.write("x/y/z/a.yaml", &service("a", 81));
    assert_eq!(watched.said().await, ["apply a:81"]);
}

#[tokio::test]
async fn a_directory_that_is_replaced_by_another_of_its_name_is_still_watched() {
    let (mut watched, _) = Watched::new(|home| {
        for directory in ["live", "next"] {
            fs::create_dir(home.join(directory)).unwrap();
        }
        fs::write(home.join("live/a.yaml"), service("a", 80)).unwrap();
    })
    .await;
    fs::rename(watched.path("live"), watched.path(".old")).unwrap();
    fs::rename(watched.path("next"), watched.path("live")).unwrap();
    let mut said = watched.said().await;
    assert_eq!(said.pop().unwrap(), "delete a");
    watched.write("live/b.yaml", &service("b", 80));
    assert_eq!(watched.said().await, ["apply b:80"]);
}

#[tokio::test]
async fn links_in_a_circle_end_and_hidden_places_are_not_read() {
    let (mut watched, first) = Watched::new(|home| {
        fs::create_dir_all(home.join("sub")).unwrap();
        fs::create_dir_all(home.join(".wattle")).unwrap();
        fs::write(home.join(".wattle/state.yaml"), service("hidden", 80)).unwrap();
        fs::write(home.join("sub/a.yaml"), service("a", 80)).unwrap();
        std::os::unix::fs::symlink("..", home.join("sub/up")).unwrap();
        std::os::unix::fs::symlink("nowhere", home.join("dangling.yaml")).unwrap();
    })
    .await;
    assert_eq!(first, ["reset a:80"]);
    watched.write(".wattle/state.yaml", &service("hidden", 81));
    watched.write("sub/a.yaml", &service("a", 81));
    assert_eq!(watched.said().await, ["apply a:81"]);
}

#[tokio::test]
async fn a_mounted_config_map_that_swaps_its_link_is_seen() {
    let (mut watched, first) = Watched::new(|home| {
        for (version, port) in [("..1", 80), ("..2", 81)] {
            fs::create_dir(home.join(version)).unwrap();
            fs::write(home.join(version).join("a.yaml"), service("a", port)).unwrap();
        }
        std::os::unix::fs::symlink("..1", home.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.yaml", home.join("a.yaml")).unwrap();
    })
    .await;
    assert_eq!(first, ["reset a:80"]);
    std::os::unix::fs::symlink("..2", watched.path("..data_tmp")).unwrap();
    fs::rename(watched.path("..data_tmp"), watched.path("..data")).unwrap();
    assert_eq!(watched.said().await, ["apply a:81"]);
}

#[tokio::test]
async fn without_notices_the_periodic_read_brings_the_change() {
    let home = TempDir::new().unwrap();
    // The target lies outside, so that no notice about it can come.
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("real.yaml"), service("a", 80)).unwrap();
    std::os::unix::fs::symlink(outside.path().join("real.yaml"), home.path().join("a.yaml")).unwrap();
    let (out, mut batches) = mpsc::channel(16);
    let directory = Directory::new(home.path()).reread(Duration::from_millis(20));
    let task = tokio::spawn(directory.run(out));
    assert_eq!(told(&batches.recv().await.unwrap()), ["reset a:80"]);
    fs::write(outside.path().join("real.yaml"), service("a", 81)).unwrap();
    let said = timeout(PATIENCE, batches.recv()).await.unwrap().unwrap();
    assert_eq!(told(&said).last().unwrap(), "apply a:81");
    task.abort();
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_said_and_is_no_end() {
    let home = TempDir::new().unwrap();
    let root = home.path().join("later");
    let (out, mut batches) = mpsc::channel(16);
    tokio::spawn(Directory::new(&root).reread(Duration::from_millis(20)).run(out));
    let first = batches.recv().await.unwrap();
    let wattle_source::Event::Reset(snapshot) = &first[0] else {
        panic!()
    };
    assert_eq!(snapshot.diagnostics[0].code, "unreadable-file");
    fs::create_dir(&root).unwrap();
    let said = timeout(PATIENCE, batches.recv()).await.unwrap().unwrap();
    assert_eq!(told(&said), ["said later:"]);
}

#[tokio::test]
async fn the_source_ends_when_nobody_reads_it() {
    let (watched, _) = Watched::new(|_| {}).await;
    drop(watched.batches);
    timeout(PATIENCE, watched.task).await.unwrap().unwrap();
}
