//! What to start and what to stop, as a pure function of what runs and what is wanted.
//!
//! It is asked again after every change, so it decides only the next step. A process with several copies rolls
//! without a gap: one new copy more than wanted, and an old one goes only when enough others are ready. A process with one copy
//! keeps its name and its data, so the old one goes before the new one comes.

use std::collections::BTreeSet;

use super::status::Name;

/// An instance that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The process it is a copy of.
    pub(crate) process: Name,
    /// Its own name, in the namespace of the process.
    pub(crate) instance: String,
    /// What it was started from.
    pub(crate) fingerprint: u64,
    /// Whether it serves, or has ended for good.
    pub(crate) settled: bool,
    /// Whether it was told to stop already.
    pub(crate) stopping: bool,
    /// Whether somebody stopped it and wants it to stay so.
    pub(crate) held: bool,
}

/// A process that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Desired {
    /// Its name.
    pub(crate) process: Name,
    /// What it is to be started from.
    pub(crate) fingerprint: u64,
    /// How many copies.
    pub(crate) replicas: u32,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a copy of a process under this name.
    Start {
        /// The process.
        process: Name,
        /// The new instance's name.
        instance: String,
    },
    /// Stop an instance.
    Stop(Name),
}

/// The next steps.
pub(crate) fn plan(standing: &[Standing], desired: &[Desired]) -> Vec<Action> {
    let is_desired = |one: &&Standing| desired.iter().any(|wanted| wanted.process == one.process);
    let mut actions: Vec<Action> = standing
        .iter()
        .filter(|one| !is_desired(one) && !one.stopping)
        .map(stop)
        .collect();
    for wanted in desired {
        let own: Vec<&Standing> = standing
            .iter()
            .filter(|one| one.process == wanted.process)
            .collect();
        actions.extend(plan_process(&own, wanted));
    }
    actions
}

fn stop(one: &Standing) -> Action {
    Action::Stop(Name::new(&one.process.namespace, &one.instance))
}

fn plan_process(standing: &[&Standing], wanted: &Desired) -> Vec<Action> {
    let running = standing.iter().copied().filter(|one| !one.stopping);
    let is_current = |one: &Standing| {
        one.held || (one.fingerprint == wanted.fingerprint && is_fitting(&one.instance, wanted))
    };
    let (current, old): (Vec<&Standing>, Vec<&Standing>) = running.partition(|one| is_current(one));
    let mut actions = surplus(&current, wanted);
    actions.extend(outdated(&current, &old, wanted));
    actions.extend(missing(standing, current.len(), wanted));
    actions
}

/// A single copy bears the name of its process, several are numbered.
fn is_fitting(instance: &str, wanted: &Desired) -> bool {
    (instance == wanted.process.name) == (wanted.replicas == 1)
}

/// Copies beyond what is wanted, the highest numbers first.
fn surplus(current: &[&Standing], wanted: &Desired) -> Vec<Action> {
    let mut by_number: Vec<&Standing> = current.to_vec();
    by_number.sort_by_key(|one| number(&one.instance));
    by_number
        .iter()
        .skip(wanted.replicas as usize)
        .map(|one| stop(one))
        .collect()
}

fn number(instance: &str) -> u32 {
    instance
        .rsplit_once('-')
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}

/// Old copies that can go: those that do not serve anyway, those whose name is needed, and as many as others can stand in for.
fn outdated(current: &[&Standing], old: &[&Standing], wanted: &Desired) -> Vec<Action> {
    let serving = |copies: &[&Standing]| copies.iter().filter(|one| one.settled).count();
    let mut dispensable = (serving(current) + serving(old)).saturating_sub(wanted.replicas as usize);
    let mut actions = Vec::new();
    for one in old {
        let blocks_the_name = wanted.replicas == 1 && one.instance == wanted.process.name;
        if !one.settled || blocks_the_name {
            actions.push(stop(one));
        } else if dispensable > 0 {
            dispensable -= 1;
            actions.push(stop(one));
        }
    }
    actions
}

/// New copies, at most one more at a time than wanted, those that are stopping included.
fn missing(standing: &[&Standing], current: usize, wanted: &Desired) -> Vec<Action> {
    let replicas = wanted.replicas as usize;
    let room = (replicas + 1).saturating_sub(standing.len());
    let wanting = replicas.saturating_sub(current);
    let taken: BTreeSet<&str> = standing.iter().map(|one| one.instance.as_str()).collect();
    let free = names(wanted).filter(|name| !taken.contains(name.as_str()));
    let start = |instance| Action::Start {
        process: wanted.process.clone(),
        instance,
    };
    free.take(wanting.min(room)).map(start).collect()
}

/// The names copies may have: enough for one more than wanted beside the old ones.
fn names(wanted: &Desired) -> impl Iterator<Item = String> {
    let name = wanted.process.name.clone();
    let several = wanted.replicas != 1;
    let numbers = if several { 0..2 * wanted.replicas + 2 } else { 0..1 };
    numbers.map(move |number| {
        if several {
            format!("{name}-{number}")
        } else {
            name.clone()
        }
    })
}

#[cfg(test)]
mod tests;
