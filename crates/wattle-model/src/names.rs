//! The names that the workloads of a namespace can resolve.

use std::net::IpAddr;
use std::sync::Arc;

use crate::matching::CallerLabel;
use crate::{CallerFacts, HostMatch, ObjectRef};

/// What a workload's resolver answers by itself; every other name is asked of the resolvers outside, unless
/// [`Self::outside`] keeps the workload to some.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Namespace of the workloads that ask; short forms depend on it.
    pub namespace: Arc<str>,
    /// Hosts by name, each once; no short form is another host's name or short form.
    pub hosts: Vec<NamedHost>,
    /// Hosts that are registered and have no address here, so that resolvers outside are asked; only where some scope
    /// keeps callers to them.
    pub registered: Vec<HostMatch>,
    /// Which names outside callers may ask for: the first that covers a caller counts, and without one it is any.
    pub scopes: Vec<NameScope>,
}

/// Which names outside the mesh some callers of a namespace may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct NameScope {
    /// Labels of the workloads it is about; empty for all.
    pub labels: Vec<CallerLabel>,
    /// The object that says so.
    pub origin: ObjectRef,
    /// What they may ask for.
    pub asked: Asked,
}

/// Names that resolvers outside are asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// All.
    Any,
    /// [`Names::registered`] and these.
    Registered(Vec<HostMatch>),
}

/// The names outside that a caller is kept to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outside<'a> {
    /// The object that says so.
    pub origin: &'a ObjectRef,
    registered: &'a [HostMatch],
    besides: &'a [HostMatch],
}

impl<'a> Outside<'a> {
    /// All of them.
    pub fn hosts(&self) -> impl Iterator<Item = &'a HostMatch> {
        self.registered.iter().chain(self.besides)
    }
}

impl Names {
    /// The names outside that `caller` is kept to; `None` if it may ask for any.
    pub fn outside(&self, caller: &CallerFacts<'_>) -> Option<Outside<'_>> {
        let mut scopes = self.scopes.iter();
        let scope = scopes.find(|scope| caller.has_labels(&scope.labels))?;
        match &scope.asked {
            Asked::Any => None,
            Asked::Registered(besides) => Some(Outside {
                origin: &scope.origin,
                registered: &self.registered,
                besides,
            }),
        }
    }

    /// Does it depend on the labels of who asks?
    pub fn differs_by_caller(&self) -> bool {
        self.scopes.iter().any(|scope| !scope.labels.is_empty())
    }
}

/// A host that has a name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedHost {
    /// Full name in small letters, without the final dot; `*.` and a suffix stands for every name below it.
    pub name: Box<str>,
    /// Short forms that hold in the namespace, such as `web` and `web.shop`; none for a wildcard.
    pub aliases: Vec<Box<str>>,
    /// Where the name leads.
    pub target: NameTarget,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq)]
pub enum NameTarget {
    /// Addresses of both families; none means that the name exists and has no address.
    Addresses(Vec<IpAddr>),
    /// Another name (Kubernetes Service `type: ExternalName`), in small letters and without the final dot.
    Alias(Box<str>),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scope(labels: &[(&str, &str)], asked: Asked) -> NameScope {
        let label = |&(key, value): &(&str, &str)| (key.into(), value.into());
        NameScope {
            labels: labels.iter().map(label).collect(),
            origin: ObjectRef {
                kind: "EgressPolicy".into(),
                namespace: "shop".into(),
                name: "p".into(),
                file: "".into(),
                line: 0,
            },
            asked,
        }
    }

    #[test]
    fn the_first_scope_that_covers_a_caller_counts_and_without_one_any_name_is_asked_for() {
        let also = vec![HostMatch::parse("api.example.com")];
        let names = Names {
            registered: vec![HostMatch::parse("*.example.org")],
            scopes: vec![
                scope(&[("app", "open")], Asked::Any),
                scope(&[("app", "kept"), ("v", "1")], Asked::Registered(also)),
                scope(&[("app", "kept")], Asked::Registered(Vec::new())),
            ],
            ..Names::default()
        };
        let asked = |labels: &[(&str, &str)]| {
            let labels: Vec<_> = labels
                .iter()
                .map(|&(key, value)| (key.into(), value.into()))
                .collect();
            let caller = CallerFacts {
                labels: &labels,
                ..CallerFacts::default()
            };
            let found = names.outside(&caller)?;
            Some(found.hosts().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(asked(&[("app", "open")]), None);
        assert_eq!(asked(&[("app", "other")]), None);
        assert_eq!(asked(&[("app", "kept")]).unwrap(), ["*.example.org"]);
        let both = asked(&[("v", "1"), ("app", "kept")]).unwrap();
        assert_eq!(both, ["*.example.org", "api.example.com"]);
    }
}
