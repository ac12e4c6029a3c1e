use proptest::prelude::*;

use super::*;

fn process() -> Name {
    Name::new("shop", "web")
}

fn wanted(fingerprint: u64, replicas: u32) -> Desired {
    Desired {
        process: process(),
        fingerprint,
        replicas,
    }
}

fn settled(instance: &str, fingerprint: u64) -> Standing {
    Standing {
        process: process(),
        instance: instance.to_owned(),
        fingerprint,
        settled: true,
        stopping: false,
        held: false,
    }
}

fn start(instance: &str) -> Action {
    Action::Start {
        process: process(),
        instance: instance.to_owned(),
    }
}

fn stop(instance: &str) -> Action {
    Action::Stop(Name::new("shop", instance))
}

#[test]
fn a_single_copy_bears_the_name_of_its_process() {
    assert_eq!(plan(&[], &[wanted(1, 1)]), [start("web")]);
}

#[test]
fn several_copies_are_numbered_and_start_together() {
    assert_eq!(
        plan(&[], &[wanted(1, 3)]),
        [start("web-0"), start("web-1"), start("web-2")]
    );
}

#[test]
fn what_is_no_longer_wanted_is_stopped_once() {
    let mut one = settled("web", 1);
    assert_eq!(plan(std::slice::from_ref(&one), &[]), [stop("web")]);
    one.stopping = true;
    assert_eq!(plan(&[one], &[]), []);
}

#[test]
fn nothing_is_done_when_all_is_as_wanted() {
    assert_eq!(plan(&[settled("web", 1)], &[wanted(1, 1)]), []);
    assert_eq!(
        plan(&[settled("web-0", 1), settled("web-1", 1)], &[wanted(1, 2)]),
        []
    );
}

#[test]
fn a_changed_single_copy_is_stopped_before_its_successor_starts() {
    let mut old = settled("web", 1);
    assert_eq!(plan(std::slice::from_ref(&old), &[wanted(2, 1)]), [stop("web")]);
    old.stopping = true;
    assert_eq!(plan(&[old], &[wanted(2, 1)]), []);
}

#[test]
fn a_roll_begins_with_one_new_copy_and_stops_none() {
    let old = [settled("web-0", 1), settled("web-1", 1)];
    assert_eq!(plan(&old, &[wanted(2, 2)]), [start("web-2")]);
}

#[test]
fn an_old_copy_goes_when_the_new_one_serves() {
    let mut copies = vec![settled("web-0", 1), settled("web-1", 1), settled("web-2", 2)];
    assert_eq!(plan(&copies, &[wanted(2, 2)]), [stop("web-0")]);
    copies[2].settled = false;
    assert_eq!(plan(&copies, &[wanted(2, 2)]), []);
}

#[test]
fn an_old_copy_that_does_not_serve_goes_at_once() {
    let mut old = settled("web-0", 1);
    old.settled = false;
    assert_eq!(
        plan(&[old, settled("web-1", 1)], &[wanted(2, 2)])[0],
        stop("web-0")
    );
}

#[test]
fn fewer_copies_means_that_the_highest_numbers_go() {
    let copies = [settled("web-0", 1), settled("web-1", 1), settled("web-2", 1)];
    assert_eq!(plan(&copies, &[wanted(1, 2)]), [stop("web-2")]);
    assert_eq!(
        plan(&copies, &[wanted(1, 0)]),
        [stop("web-0"), stop("web-1"), stop("web-2")]
    );
}

#[test]
fn what_somebody_stopped_is_not_started_again() {
    let mut held = settled("web", 1);
    held.held = true;
    assert_eq!(plan(&[held], &[wanted(2, 1)]), []);
}

/// Plays the plan: what stops is gone, what starts serves, one event at a time in the given order.
fn play(mut standing: Vec<Standing>, wanted: &Desired, order: &[bool]) -> (Vec<Standing>, usize) {
    let most = standing.len().max(wanted.replicas as usize) + 1;
    let mut fewest = usize::MAX;
    for pick_start in order.iter().cycle().take(400) {
        for action in plan(&standing, std::slice::from_ref(wanted)) {
            match action {
                Action::Start { instance, .. } => {
                    let mut fresh = settled(&instance, wanted.fingerprint);
                    fresh.settled = false;
                    assert!(
                        standing.iter().all(|one| one.instance != instance),
                        "{instance} is there already"
                    );
                    standing.push(fresh);
                }
                Action::Stop(name) => {
                    let victim = standing.iter_mut().find(|one| one.instance == name.name);
                    victim.expect("stops only what is there").stopping = true;
                }
            }
        }
        assert!(standing.len() <= most, "too many at a time");
        fewest = fewest.min(standing.iter().filter(|one| one.settled && !one.stopping).count());
        let starting = standing.iter().position(|one| !one.settled && !one.stopping);
        let stopping = standing.iter().position(|one| one.stopping);
        match (pick_start, starting, stopping) {
            (true, Some(at), _) | (false, Some(at), None) => standing[at].settled = true,
            (_, _, Some(at)) => drop(standing.remove(at)),
            (_, None, None) => break,
        }
    }
    (standing, fewest)
}

proptest! {
    #[test]
    fn a_roll_of_several_copies_never_serves_with_fewer_and_ends_with_new_ones(
        replicas in 2u32..9,
        order in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let old = (0..replicas).map(|number| settled(&format!("web-{number}"), 1)).collect();
        let (end, fewest) = play(old, &wanted(2, replicas), &order);
        prop_assert!(fewest >= replicas as usize, "only {} served", fewest);
        prop_assert_eq!(end.len(), replicas as usize);
        prop_assert!(end.iter().all(|one| one.fingerprint == 2 && one.settled));
    }

    #[test]
    fn any_change_of_number_or_content_ends_as_wanted(
        before in 0u32..6,
        after in 0u32..6,
        fingerprint in 1u64..3,
        order in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let name = |number| if before == 1 { "web".to_owned() } else { format!("web-{number}") };
        let old = (0..before).map(|number| settled(&name(number), 1)).collect();
        let (end, _) = play(old, &wanted(fingerprint, after), &order);
        prop_assert_eq!(end.len(), after as usize);
        prop_assert!(end.iter().all(|one| one.fingerprint == fingerprint));
        prop_assert!(plan(&end, &[wanted(fingerprint, after)]).is_empty());
    }
}
