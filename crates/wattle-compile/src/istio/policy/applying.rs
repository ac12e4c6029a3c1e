//! Which DestinationRules apply to a host, and to which callers of a namespace.

use std::sync::Arc;

use wattle_api::istio::DestinationRule;
use wattle_api::{Labels, Resource};

use super::super::{host, routes};
use crate::view::View;

pub(crate) type Rule = Arc<Resource<DestinationRule>>;

/// The rules of a host, as callers of one namespace follow them.
#[derive(Default)]
pub(crate) struct Applying<'a> {
    /// For callers that a rule selects; the first that covers a caller counts.
    pub(crate) selected: Vec<Selected<'a>>,
    /// For all the others.
    pub(crate) others: Vec<&'a Rule>,
}

/// Rules that add up for callers with these labels: those that select them first, then those for all.
pub(crate) struct Selected<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) rules: Vec<&'a Rule>,
}

/// The DestinationRules of `host`, whose service is in namespace `home`, for callers in `from`: of the caller's
/// namespace, else the service's, else the root namespace; there those of the narrowest pattern, the oldest first. They
/// add up: subsets by name, and the policy of the first that has one.
///
/// One with a selector is for callers of its own namespace alone, and to all the others as if it were not there.
pub(crate) fn of_host<'a>(host: &str, home: &Arc<str>, from: &Arc<str>, view: &View<'a>) -> Applying<'a> {
    let patterns: Vec<_> = host::covering(host)
        .map(|pattern| view.destination_rules_of(&pattern))
        .collect();
    let mut applying = Applying::default();
    for there in &patterns {
        let (selecting, open) = of_namespace(there, from, from);
        applying.select(&selecting, &open);
        if !open.is_empty() {
            applying.others = open;
            return applying;
        }
    }
    let root = &view.settings.root_namespace;
    let elsewhere = |namespace: &Arc<str>| {
        let mut open = patterns
            .iter()
            .map(|there| of_namespace(there, namespace, from).1);
        open.find(|open| !open.is_empty())
    };
    applying.others = [home, root].into_iter().find_map(elsewhere).unwrap_or_default();
    applying
}

impl<'a> Applying<'a> {
    /// Adds what callers follow whom rules of one pattern select: rules of the same selector add up, others do not.
    fn select(&mut self, selecting: &[&'a Rule], open: &[&'a Rule]) {
        let mut known: Vec<&Labels> = Vec::new();
        for labels in selecting.iter().filter_map(|rule| selector(rule)) {
            if known.contains(&labels) {
                continue;
            }
            known.push(labels);
            let same = selecting.iter().filter(|rule| selector(rule) == Some(labels));
            self.selected.push(Selected {
                labels,
                rules: same.chain(open).copied().collect(),
            });
        }
    }
}

/// The rules of a namespace for callers in `from`, the oldest first: those that select callers, and those for all.
fn of_namespace<'a>(there: &[&'a Rule], namespace: &Arc<str>, from: &str) -> (Vec<&'a Rule>, Vec<&'a Rule>) {
    let mut applying: Vec<_> = there
        .iter()
        .copied()
        .filter(|rule| rule.meta.namespace == *namespace && is_exported(rule, from))
        .collect();
    applying.sort_by_key(|rule| routes::age(&rule.meta));
    applying.into_iter().partition(|rule| selector(rule).is_some())
}

/// Labels of the callers that a rule is for; `None` for all of them.
pub(crate) fn selector(rule: &Resource<DestinationRule>) -> Option<&Labels> {
    rule.spec
        .workload_selector
        .as_ref()
        .map(|selector| &selector.match_labels)
}

fn is_exported(rule: &Resource<DestinationRule>, from: &str) -> bool {
    let reached = rule.spec.export_to.reaches(&rule.meta.namespace, from);
    reached.unwrap_or(true)
}

/// The rule whose policy is that of the whole host.
pub(crate) fn deciding<'a>(rules: &[&'a Rule]) -> Option<&'a Rule> {
    let mut rules = rules.iter().copied();
    rules.find(|rule| rule.spec.traffic_policy.is_some())
}
