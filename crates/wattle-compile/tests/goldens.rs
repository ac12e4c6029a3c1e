//! Goldens: `tests/goldens/CASE/in.yaml` against `out.txt`. Comments in the YAML ask the questions:
//!
//! ```text
//! # ask destination reviews:9080 from default
//! # ask endpoints default/reviews:9080
//! # ask inbound default/reviews-v1-0
//! # ask peer 10.0.0.1
//! # ask names in default
//! # vip default/reviews 10.96.0.1
//! # trust-domain example.org
//! ```
//!
//! `WATTLE_BLESS=1` writes `out.txt` anew; read the difference before you commit it.

#![allow(clippy::unwrap_used)]

mod render;

use std::fs;
use std::path::Path;

use wattle_compile::{Mesh, Settings};

fn comments<'a>(yaml: &'a str, word: &str) -> Vec<Vec<&'a str>> {
    let lines = yaml.lines().filter_map(|line| line.strip_prefix("# "));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| words.first() == Some(&word)).collect()
}

fn mesh(yaml: &str, reversed: bool) -> (Mesh, String) {
    let parsed = wattle_api::parse(yaml, "in.yaml");
    let mut settings = Settings::default();
    for words in comments(yaml, "trust-domain") {
        settings.trust_domain = words[1].into();
    }
    let mut mesh = Mesh::new(settings);
    let mut objects = parsed.objects;
    if reversed {
        objects.reverse();
    }
    for object in objects {
        mesh.apply(object);
    }
    for words in comments(yaml, "vip") {
        let (namespace, name) = words[1].split_once('/').unwrap();
        mesh.assign_virtual_ip(namespace, name, Some(words[2].parse().unwrap()));
    }
    let said = parsed
        .diagnostics
        .iter()
        .map(|diagnostic| format!("parse: {diagnostic}\n"))
        .collect();
    (mesh, said)
}

fn answers(yaml: &str, reversed: bool) -> String {
    let (mut mesh, mut out) = mesh(yaml, reversed);
    for words in comments(yaml, "ask") {
        let answer = match words[1..] {
            ["destination", name, "from", from] => mesh
                .destination(name, from)
                .map(|found| render::destination(&found)),
            ["endpoints", id] => mesh.endpoints(id).map(|found| render::endpoints(&found)),
            ["inbound", name] => mesh.inbound(name).map(|found| render::inbound(&found)),
            ["peer", address] => mesh
                .peer(address.parse().unwrap())
                .map(|found| render::workload(&found)),
            ["names", "in", namespace] => Some(render::names(&mesh.names(namespace))),
            _ => panic!("no such question: {}", words.join(" ")),
        };
        out += &format!(
            "? {}\n{}\n",
            words[1..].join(" "),
            answer.unwrap_or_else(|| "nothing\n".to_owned())
        );
    }
    out.extend(mesh.route_statuses().iter().map(render::status));
    out.extend(mesh.diagnostics().iter().map(|diagnostic| {
        let severity = format!("{:?}", diagnostic.severity).to_lowercase();
        format!("{severity} {}: {diagnostic}\n", diagnostic.code)
    }));
    out
}

fn cases() -> Vec<std::path::PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let mut cases: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_case_gives_what_was_agreed() {
    let bless = std::env::var_os("WATTLE_BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let yaml = fs::read_to_string(case.join("in.yaml")).unwrap();
        let found = answers(&yaml, false);
        if bless {
            fs::write(case.join("out.txt"), &found).unwrap();
        }
        let agreed = fs::read_to_string(case.join("out.txt")).unwrap_or_default();
        if found != agreed {
            wrong.push(format!(
                "{}\n--- agreed\n{agreed}\n--- found\n{found}",
                case.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_order_of_objects_does_not_matter() {
    for case in cases() {
        let yaml = fs::read_to_string(case.join("in.yaml")).unwrap();
        assert_eq!(answers(&yaml, false), answers(&yaml, true), "{}", case.display());
    }
}

#[test]
fn there_are_enough_cases() {
    assert!(cases().len() >= 15);
}
