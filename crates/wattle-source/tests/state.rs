//! Files' contents in, events out: the last good version stays, the first definition wins.

#![allow(clippy::unwrap_used)]

mod common;

use common::{bad_service, service, told};
use wattle_source::{Contents, Event, State};

struct Directory(State);

impl Directory {
    fn new() -> Self {
        Self(State::new("default"))
    }

    fn write(&mut self, file: &str, text: &str) -> Vec<String> {
        told(&self.0.update(vec![(file.into(), Contents::Bytes(text.into()))]))
    }

    fn remove(&mut self, file: &str) -> Vec<String> {
        told(&self.0.update(vec![(file.into(), Contents::Gone)]))
    }

    fn in_force(&self) -> Vec<String> {
        self.0
            .snapshot()
            .objects
            .iter()
            .map(|object| common::tell_object(object))
            .collect()
    }
}

fn documents(texts: &[&str]) -> String {
    texts.join("---\n")
}

#[test]
fn a_save_says_only_what_it_changed() {
    let mut directory = Directory::new();
    let both = documents(&[&service("a", 80), &service("b", 80)]);
    assert_eq!(directory.write("f.yaml", &both), ["apply a:80", "apply b:80"]);
    assert_eq!(directory.write("f.yaml", &both), [""; 0]);
    let edited = documents(&[&service("a", 80), &service("b", 81)]);
    assert_eq!(directory.write("f.yaml", &edited), ["apply b:81"]);
    assert_eq!(directory.write("f.yaml", &service("a", 80)), ["delete b"]);
    assert_eq!(directory.remove("f.yaml"), ["delete a"]);
}

#[test]
fn remarks_and_places_are_no_change_of_meaning_but_labels_are() {
    let mut directory = Directory::new();
    directory.write("f.yaml", &service("a", 80));
    assert_eq!(
        directory.write("f.yaml", &format!("# a remark\n{}", service("a", 80))),
        ["rewritten a"]
    );
    let noted = service("a", 80).replace("{name: a}", "{name: a, annotations: {team: blue}}");
    assert_eq!(directory.write("f.yaml", &noted), ["rewritten a"]);
    let read = service("a", 80).replace("{name: a}", "{name: a, annotations: {istio.io/dry-run: 'true'}}");
    assert_eq!(directory.write("f.yaml", &read), ["apply a:80"]);
    let labelled = service("a", 80).replace("{name: a}", "{name: a, labels: {team: blue}}");
    assert_eq!(directory.write("f.yaml", &labelled), ["apply a:80"]);
}

#[test]
fn a_bad_object_keeps_its_last_good_version_and_disturbs_nothing_else() {
    let mut directory = Directory::new();
    directory.write("f.yaml", &documents(&[&service("a", 80), &service("b", 80)]));
    let text = documents(&[&bad_service("a"), &service("b", 81)]);
    assert_eq!(
        directory.write("f.yaml", &text),
        ["apply b:81", "said f.yaml: wrong-type"]
    );
    assert_eq!(directory.in_force(), ["a:80", "b:81"]);
    let mended = documents(&[&service("a", 82), &service("b", 81)]);
    assert_eq!(directory.write("f.yaml", &mended), ["apply a:82", "said f.yaml:"]);
}

#[test]
fn a_document_that_is_not_yaml_keeps_only_its_own_object() {
    let mut directory = Directory::new();
    directory.write("f.yaml", &documents(&[&service("a", 80), &service("b", 80)]));
    let half = service("a", 80).replace("]}", "");
    assert_eq!(
        directory.write("f.yaml", &half),
        ["delete b", "said f.yaml: invalid-yaml"]
    );
    assert_eq!(directory.in_force(), ["a:80"]);
}

#[test]
fn while_a_name_cannot_be_read_everything_the_file_held_stays() {
    let mut directory = Directory::new();
    directory.write("f.yaml", &documents(&[&service("a", 80), &service("b", 80)]));
    let text = documents(&["apiVersion: v1\n", &service("b", 81)]);
    assert_eq!(
        directory.write("f.yaml", &text),
        ["apply b:81", "said f.yaml: missing-field"]
    );
    assert_eq!(directory.in_force(), ["a:80", "b:81"]);
}

#[test]
fn an_object_that_was_never_good_is_unreadable_until_it_is_good_or_gone() {
    let mut directory = Directory::new();
    assert_eq!(
        directory.write("f.yaml", &bad_service("a")),
        ["unreadable a", "said f.yaml: wrong-type"]
    );
    assert_eq!(directory.0.snapshot().unreadable.len(), 1);
    assert_eq!(
        directory.write("f.yaml", &service("a", 80)),
        ["apply a:80", "said f.yaml:"]
    );
    directory.write("g.yaml", &bad_service("b"));
    assert_eq!(directory.remove("g.yaml"), ["delete b", "said g.yaml:"]);
}

#[test]
fn of_two_definitions_the_first_file_wins_and_the_other_names_both_places() {
    let mut directory = Directory::new();
    directory.write("b.yaml", &service("a", 2));
    let batch = directory
        .0
        .update(vec![("a.yaml".into(), Contents::Bytes(service("a", 1).into()))]);
    assert_eq!(told(&batch), ["apply a:1", "said b.yaml: defined-twice"]);
    let Event::Diagnosed { diagnostics, .. } = &batch[1] else {
        panic!()
    };
    assert_eq!(
        diagnostics[0].to_string(),
        "b.yaml:1:1: Service default/a: the object is defined already at a.yaml:1, which stays in force (remove one \
         of the two)"
    );
    assert_eq!(directory.remove("a.yaml"), ["apply a:2", "said b.yaml:"]);
}

#[test]
fn the_outcome_does_not_depend_on_which_file_came_first() {
    let (mut one, mut other) = (Directory::new(), Directory::new());
    one.write("a.yaml", &service("a", 1));
    one.write("b.yaml", &service("a", 2));
    other.write("b.yaml", &service("a", 2));
    other.write("a.yaml", &service("a", 1));
    assert_eq!(one.0.snapshot(), other.0.snapshot());
}

#[test]
fn of_two_definitions_in_one_file_the_first_wins() {
    let mut directory = Directory::new();
    let text = documents(&[&service("a", 1), &service("a", 2)]);
    assert_eq!(
        directory.write("f.yaml", &text),
        ["apply a:1", "said f.yaml: defined-twice"]
    );
}

#[test]
fn a_file_that_moves_changes_nothing_even_when_its_object_has_become_bad() {
    let mut directory = Directory::new();
    directory.write("a.yaml", &service("a", 80));
    let moved = |text: String| {
        vec![
            ("a.yaml".into(), Contents::Gone),
            ("b.yaml".into(), Contents::Bytes(text.into())),
        ]
    };
    assert_eq!(
        told(&directory.0.update(moved(bad_service("a")))),
        ["said b.yaml: wrong-type"]
    );
    assert_eq!(directory.in_force(), ["a:80"]);
}

#[test]
fn a_file_that_cannot_be_read_keeps_what_it_held() {
    let mut directory = Directory::new();
    directory.write("f.yaml", &service("a", 80));
    let batch = directory.0.update(vec![(
        "f.yaml".into(),
        Contents::Failed("permission denied".into()),
    )]);
    assert_eq!(told(&batch), ["said f.yaml: unreadable-file"]);
    assert_eq!(directory.in_force(), ["a:80"]);
    assert_eq!(
        directory.write("f.yaml", &service("a", 81)),
        ["apply a:81", "said f.yaml:"]
    );
}

#[test]
fn events_applied_in_order_always_amount_to_the_snapshot() {
    let texts = [
        service("a", 1),
        service("b", 1),
        bad_service("a"),
        String::new(),
        "{".to_owned(),
        service("a", 2),
    ];
    let mut directory = Directory::new();
    let mut known = std::collections::BTreeMap::new();
    // Every sequence of three saves over two files.
    for round in 0..texts.len().pow(3) * 8 {
        let mut rest = round;
        for _ in 0..3 {
            let file = if rest % 2 == 0 { "f.yaml" } else { "g.yaml" };
            rest /= 2;
            let contents = Contents::Bytes(texts[rest % texts.len()].clone().into());
            rest /= texts.len();
            for event in directory.0.update(vec![(file.into(), contents)]) {
                match event {
                    Event::Apply(object) | Event::Rewritten(object) => {
                        known.insert(object.key(), Some(object));
                    }
                    Event::Unreadable(bad) => drop(known.insert(bad.key, None)),
                    Event::Delete(key) => drop(known.remove(&key)),
                    _ => {}
                }
            }
            let snapshot = directory.0.snapshot();
            let objects: Vec<_> = known.values().flatten().cloned().collect();
            assert_eq!(objects, snapshot.objects);
            assert_eq!(known.len() - objects.len(), snapshot.unreadable.len());
        }
    }
}
