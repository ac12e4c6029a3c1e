#![allow(clippy::unwrap_used)]

use super::*;

/// A workspace from `crate: dependency dependency~dev` lines.
fn workspace(lines: &[&str]) -> Workspace {
    let packages: Vec<String> = lines.iter().map(|line| package(line)).collect();
    serde_json::from_str(&format!("{{\"packages\":[{}]}}", packages.join(","))).unwrap()
}

fn package(line: &str) -> String {
    let (name, dependencies) = line.split_once(':').unwrap();
    let dependencies: Vec<String> = dependencies.split_whitespace().map(dependency).collect();
    format!(
        "{{\"name\":\"{name}\",\"dependencies\":[{}]}}",
        dependencies.join(",")
    )
}

fn dependency(word: &str) -> String {
    match word.strip_suffix("~dev") {
        Some(name) => format!("{{\"name\":\"{name}\",\"kind\":\"dev\"}}"),
        None => format!("{{\"name\":\"{word}\",\"kind\":null}}"),
    }
}

fn only(lines: &[&str]) -> String {
    let violations = check(&workspace(lines));
    assert_eq!(violations.len(), 1, "{violations:#?}");
    violations.into_iter().next().unwrap()
}

#[test]
fn a_tree_after_the_plan_has_no_violation() {
    let violations = check(&workspace(&[
        "wattle-model:http regex",
        "wattle-wire:wattle-model prost",
        "wattle-proxy:wattle-wire wattle-model tokio",
        "wattle:wattle-proxy clap wattle-testkit~dev",
        "wattle-testkit:tokio",
    ]));
    assert_eq!(violations, Vec::<String>::new());
}

#[test]
fn an_arrow_up_is_refused() {
    assert!(only(&["wattle-net:wattle-http", "wattle-http:"]).contains("arrows point down only"));
}

#[test]
fn an_arrow_along_a_floor_is_refused() {
    assert!(only(&["wattle-telemetry:wattle-http", "wattle-http:"]).contains("arrows point down only"));
}

#[test]
fn a_crate_that_the_plan_does_not_know_is_refused() {
    assert!(only(&["wattle-misc:"]).contains("has no floor"));
}

#[test]
fn the_model_may_not_hold_a_runtime_or_a_format() {
    assert!(only(&["wattle-model:tokio"]).contains("decisions are pure"));
    assert!(only(&["wattle-model:serde"]).contains("not a format"));
}

#[test]
fn a_ban_holds_through_other_crates() {
    let violations = check(&workspace(&[
        "wattle-proxy:wattle-http",
        "wattle-http:wattle-api",
        "wattle-api:",
    ]));
    assert!(
        violations
            .iter()
            .any(|text| text.starts_with("wattle-proxy reaches wattle-api")),
        "{violations:#?}"
    );
}

#[test]
fn a_ban_does_not_count_what_only_tests_use() {
    assert!(check(&workspace(&["wattle-identity:tokio~dev"])).is_empty());
}

#[test]
fn api_and_model_meet_in_compile_and_not_in_a_console() {
    let below = ["wattle-api:", "wattle-model:"];
    let with = |line| check(&workspace(&[line, below[0], below[1]]));
    assert!(with("wattle-compile:wattle-api wattle-model").is_empty());
    assert!(with("wattle-console:wattle-api wattle-model")[0].contains("knows both"));
}

#[test]
fn a_cluster_client_is_held_by_few() {
    assert!(check(&workspace(&["wattle-source:kube"])).is_empty());
    assert!(only(&["wattle-telemetry:kube"]).contains("cluster client"));
}

#[test]
fn the_harness_does_not_ship() {
    let violations = check(&workspace(&["wattle:wattle-testkit", "wattle-testkit:"]));
    assert!(
        violations.iter().any(|text| text.contains("does not ship")),
        "{violations:#?}"
    );
}

#[test]
fn every_ban_names_a_crate_of_the_plan() {
    for ban in rules::BANS {
        assert!(rules::floor(ban.of).is_some(), "{}", ban.of);
    }
}
