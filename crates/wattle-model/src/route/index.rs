//! Finding the rules that can match a request without looking at every one: by host, then by path.
//!
//! The index only leaves out what cannot match. Each rule that is left is compared as a whole, in the table's order, so
//! that the rule found is the one a look through all of them would find.

use std::borrow::Cow;
use std::collections::HashMap;

use super::RouteRule;
use crate::host::host_of;
use crate::{HostMatch, PathMatch, RequestFacts};

/// Positions of rules, ascending.
type Positions = Vec<u32>;

#[derive(Clone, Debug, Default)]
pub(super) struct RouteIndex {
    /// By exact host, lower case.
    exact: HashMap<Box<str>, Paths>,
    /// By what hosts end in, lower case.
    suffixes: Prefixed,
    /// Of any host.
    any: Paths,
    suffix_paths: Vec<Paths>,
}

/// Rules of one host.
#[derive(Clone, Debug, Default)]
struct Paths {
    /// By exact path.
    exact: HashMap<Box<str>, Positions>,
    /// By what paths start with.
    prefixes: HashMap<Box<str>, Positions>,
    /// Lengths of the keys of `prefixes`, ascending.
    lengths: Vec<usize>,
    /// With an expression, without regard to case, or of any path.
    others: Positions,
}

/// Suffixes of hosts, each with its place in `suffix_paths`.
#[derive(Clone, Debug, Default)]
struct Prefixed {
    places: HashMap<Box<str>, usize>,
    /// Lengths of the keys, ascending.
    lengths: Vec<usize>,
}

impl RouteIndex {
    pub(super) fn new(rules: &[RouteRule]) -> Self {
        let mut index = Self::default();
        for (position, rule) in (0u32..).zip(rules) {
            let path = rule.matches.path.as_ref();
            if rule.matches.hosts.is_empty() {
                index.any.add(position, path);
            }
            for host in &rule.matches.hosts {
                index.of_host(host).add(position, path);
            }
        }
        index.suffixes.lengths = lengths(index.suffixes.places.keys());
        index.any.close();
        index.exact.values_mut().for_each(Paths::close);
        index.suffix_paths.iter_mut().for_each(Paths::close);
        index
    }

    fn of_host(&mut self, host: &HostMatch) -> &mut Paths {
        match host {
            HostMatch::Any => &mut self.any,
            HostMatch::Exact(host) => self.exact.entry(host.clone()).or_default(),
            HostMatch::Suffix(suffix) => {
                let next = self.suffix_paths.len();
                let place = *self.suffixes.places.entry(suffix.clone()).or_insert(next);
                if place == next {
                    self.suffix_paths.push(Paths::default());
                }
                &mut self.suffix_paths[place]
            }
        }
    }

    pub(super) fn first_match<'a>(
        &self,
        rules: &'a [RouteRule],
        request: &RequestFacts<'_>,
    ) -> Option<&'a RouteRule> {
        let mut search = Search {
            rules,
            request,
            best: u32::MAX,
        };
        self.any.search(&mut search);
        if !self.exact.is_empty() || !self.suffix_paths.is_empty() {
            let host = lower(host_of(request.authority));
            if let Some(paths) = self.exact.get(&*host) {
                paths.search(&mut search);
            }
            for length in &self.suffixes.lengths {
                let Some(end) = host
                    .len()
                    .checked_sub(*length)
                    .and_then(|start| host.get(start..))
                else {
                    break;
                };
                if let Some(place) = self.suffixes.places.get(end) {
                    self.suffix_paths[*place].search(&mut search);
                }
            }
        }
        rules.get(usize::try_from(search.best).ok()?)
    }
}

impl Paths {
    fn add(&mut self, position: u32, path: Option<&PathMatch>) {
        let positions = match path {
            Some(PathMatch::Exact(path)) => self.exact.entry(path.clone()).or_default(),
            Some(PathMatch::Prefix(prefix)) => {
                let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
                self.prefixes.entry(prefix.into()).or_default()
            }
            Some(PathMatch::StartsWith(prefix)) => self.prefixes.entry(prefix.clone()).or_default(),
            Some(PathMatch::Regex(_) | PathMatch::ExactAnyCase(_) | PathMatch::StartsWithAnyCase(_))
            | None => &mut self.others,
        };
        // A rule may name a host twice.
        if positions.last() != Some(&position) {
            positions.push(position);
        }
    }

    fn close(&mut self) {
        self.lengths = lengths(self.prefixes.keys());
    }

    fn search(&self, search: &mut Search<'_, '_>) {
        let path = search.request.path;
        search.among(&self.others);
        if !self.exact.is_empty() {
            search.among(self.exact.get(path).map_or(&[], Vec::as_slice));
        }
        for length in &self.lengths {
            match path.get(..*length) {
                Some(start) => search.among(self.prefixes.get(start).map_or(&[], Vec::as_slice)),
                None if *length > path.len() => break,
                None => {}
            }
        }
    }
}

/// The search for the first rule that matches.
struct Search<'a, 'b> {
    rules: &'a [RouteRule],
    request: &'a RequestFacts<'b>,
    /// Position of the first that is known to match.
    best: u32,
}

impl Search<'_, '_> {
    /// Looks at the rules of one bucket that come before what was found.
    fn among(&mut self, positions: &[u32]) {
        let before = positions.iter().take_while(|position| **position < self.best);
        let found = before
            .copied()
            .find(|position| self.rules[*position as usize].matches.matches(self.request));
        self.best = found.unwrap_or(self.best);
    }
}

fn lengths<'a>(keys: impl Iterator<Item = &'a Box<str>>) -> Vec<usize> {
    let mut lengths: Vec<_> = keys.map(|key| key.len()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// Hosts are almost always sent in lower case.
fn lower(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

#[cfg(test)]
mod tests;
