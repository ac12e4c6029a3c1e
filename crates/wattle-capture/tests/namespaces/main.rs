//! Real namespaces, as root and again without it, made by real processes.
//!
//! The test binary re-executes itself in the roles the real one has: the outer process (`outer`), the
//! supervisor inside (`inside`), and the workload's last step (`exec-in`). So it brings its own main, which
//! speaks as much of the test runner's language as cargo and nextest need.
#![allow(clippy::unwrap_used, unsafe_code)]

mod apart;
mod datagrams;
mod dial;
mod dns;
mod lifecycle;
mod outer;
mod programs;
mod traffic;
mod world;

use std::panic::catch_unwind;
use std::process::exit;

use outer::{Outcome, Who};
use world::World;

/// Something to be shown inside an isolated world, in the supervisor's place.
type Scenario = (&'static str, fn());

/// Something to be shown about an isolated world, from outside.
type Story = (&'static str, fn(Who) -> Outcome);

const SCENARIOS: &[Scenario] = &[
    (
        "two_workloads_reach_each_other_over_the_bridge",
        traffic::two_workloads_reach_each_other,
    ),
    (
        "a_service_address_is_redirected_and_remembered",
        traffic::a_service_address_is_redirected,
    ),
    (
        "datagrams_pass_by_the_proxies_of_both_ends",
        traffic::datagrams_are_left_alone,
    ),
    (
        "datagrams_are_refused_on_both_ways_where_a_workload_wants_none",
        || datagrams::refused_on_both_ways(&World::new()),
    ),
    (
        "datagrams_over_ipv6_are_refused_on_both_ways_where_a_workload_wants_none",
        || datagrams::refused_on_both_ways(&World::on_ipv6()),
    ),
    (
        "loopback_names_and_the_proxys_own_datagrams_pass_where_others_are_refused",
        || datagrams::loopback_names_and_the_proxys_own_pass(&World::new()),
    ),
    (
        "loopback_names_and_the_proxys_own_datagrams_over_ipv6_pass_where_others_are_refused",
        || datagrams::loopback_names_and_the_proxys_own_pass(&World::on_ipv6()),
    ),
    (
        "a_proxys_own_connections_are_not_redirected",
        traffic::a_proxy_is_exempt,
    ),
    (
        "what_reaches_a_workload_goes_to_the_inbound_listener",
        traffic::inbound_is_redirected,
    ),
    (
        "an_application_on_a_port_of_the_proxys_own_is_reached_past_its_proxy",
        traffic::ports_of_the_proxy_are_open,
    ),
    (
        "the_inbound_proxy_reaches_its_application",
        traffic::passthrough_reaches_the_application,
    ),
    (
        "a_proxy_calling_its_own_workload_passes_the_inbound_listener",
        traffic::hairpin_is_inbound,
    ),
    (
        "nobody_dials_the_listeners_directly",
        traffic::listeners_refuse_direct_connections,
    ),
    (
        "what_is_not_in_the_mesh_is_refused_at_once",
        traffic::outside_is_unreachable,
    ),
    (
        "rules_can_be_replaced_and_removed",
        traffic::rules_can_be_replaced_and_removed,
    ),
    (
        "a_disconnected_workload_leaves_its_address_to_another",
        traffic::a_cable_can_be_cut,
    ),
    (
        "names_resolve_from_the_workloads_own_file",
        programs::names_resolve,
    ),
    (
        "a_program_runs_as_the_user_it_asks_for",
        programs::a_program_has_its_user,
    ),
    (
        "a_workload_cannot_undo_its_redirection",
        programs::a_workload_cannot_change_rules,
    ),
    (
        "a_workload_that_becomes_the_proxys_user_leaves_past_its_proxy_and_meets_the_others",
        programs::the_proxys_user_is_exempt,
    ),
    (
        "a_proxy_holds_no_more_than_it_needs",
        programs::a_proxy_holds_little,
    ),
    (
        "a_program_signals_and_reads_its_own_processes_and_no_others",
        apart::own_processes_alone,
    ),
    (
        "a_program_that_looks_after_others_reaches_them",
        apart::one_that_looks_after_others,
    ),
    (
        "a_low_port_needs_no_privilege",
        programs::a_low_port_needs_no_privilege,
    ),
    ("ipv6_is_redirected_like_ipv4", traffic::ipv6_is_redirected),
    (
        "questions_for_names_go_to_the_proxy_but_not_its_own",
        dns::questions_are_redirected,
    ),
    (
        "questions_over_ipv6_go_to_the_proxy_but_not_its_own",
        dns::questions_are_redirected_on_ipv6,
    ),
    (
        "questions_for_names_are_left_alone_by_default",
        dns::questions_are_left_alone_by_default,
    ),
    (
        "a_programs_own_resolver_hears_the_proxy",
        dns::a_programs_own_resolver_hears_the_proxy,
    ),
];

const STORIES: &[Story] = &[
    ("the_programs_exit_code_comes_out", lifecycle::exit_code_comes_out),
    (
        "a_termination_signal_reaches_the_program",
        lifecycle::termination_is_passed_on,
    ),
    (
        "a_second_interrupt_kills_a_stubborn_program",
        lifecycle::second_interrupt_kills,
    ),
    (
        "nothing_survives_the_supervisor",
        lifecycle::nothing_survives_the_supervisor,
    ),
    (
        "nothing_survives_the_outer_process",
        lifecycle::nothing_survives_the_outer_process,
    ),
    ("orphans_are_reaped", lifecycle::orphans_are_reaped),
    ("a_missing_program_is_named", lifecycle::missing_program_is_named),
    ("nothing_survives_init", lifecycle::nothing_survives_init),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exec-in", spec] => programs::exec_in(spec),
        ["dial", rest @ ..] => dial::main(rest),
        ["outer", rest @ ..] => outer::main(rest),
        ["inside", name] => inside(name),
        _ if words.contains(&"--list") => list(&words),
        _ => run(&words),
    }
}

fn inside(name: &str) {
    if let Some(role) = lifecycle::role(name) {
        return role();
    }
    let scenario = SCENARIOS.iter().find(|(known, _)| *known == name);
    scenario.expect("a scenario of this name").1();
}

fn names() -> impl Iterator<Item = (String, Who, &'static str)> {
    let all = SCENARIOS
        .iter()
        .map(|(name, _)| *name)
        .chain(STORIES.iter().map(|(name, _)| *name));
    all.flat_map(|name| [Who::Root, Who::Nobody].map(|who| (format!("{who}::{name}"), who, name)))
}

fn list(words: &[&str]) {
    if !words.contains(&"--ignored") {
        names().for_each(|(full, ..)| println!("{full}: test"));
    }
}

fn run(words: &[&str]) {
    let filters: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let exact = words.contains(&"--exact");
    let is_wanted = |full: &str| {
        filters.is_empty()
            || filters.iter().any(|filter| {
                if exact {
                    full == **filter
                } else {
                    full.contains(**filter)
                }
            })
    };
    let mut failed = 0;
    for (full, who, name) in names().filter(|(full, ..)| is_wanted(full)) {
        match catch_unwind(|| show(who, name)) {
            Ok(Outcome::Shown) => println!("test {full} ... ok"),
            Ok(Outcome::Skipped(need)) => println!("test {full} ... skipped: needs {need}"),
            Err(_) => {
                println!("test {full} ... FAILED");
                failed += 1;
            }
        }
    }
    exit(if failed == 0 { 0 } else { 101 });
}

fn show(who: Who, name: &str) -> Outcome {
    if let Some(need) = who.what_is_missing() {
        return Outcome::Skipped(need);
    }
    match STORIES.iter().find(|(known, _)| *known == name) {
        Some((_, story)) => story(who),
        None => outer::show_inside(who, name),
    }
}
