//! And, or and not over what is compared, with what always or never holds taken out.

use envoy_types::pb::envoy::config::rbac::v3 as xds;
use xds::permission::Rule;
use xds::principal::Identifier;

/// Something that must hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Held<T> {
    Never,
    Always,
    If(T),
}

/// One side of a rule.
pub(super) trait Clause: Sized {
    fn of_any(clauses: Vec<Self>) -> Self;
    fn of_all(clauses: Vec<Self>) -> Self;
    fn not(self) -> Self;
    fn true_always() -> Self;
}

impl Clause for xds::Permission {
    fn of_any(rules: Vec<Self>) -> Self {
        permission(Rule::OrRules(xds::permission::Set { rules }))
    }

    fn of_all(rules: Vec<Self>) -> Self {
        permission(Rule::AndRules(xds::permission::Set { rules }))
    }

    fn not(self) -> Self {
        permission(Rule::NotRule(Box::new(self)))
    }

    fn true_always() -> Self {
        permission(Rule::Any(true))
    }
}

impl Clause for xds::Principal {
    fn of_any(ids: Vec<Self>) -> Self {
        principal(Identifier::OrIds(xds::principal::Set { ids }))
    }

    fn of_all(ids: Vec<Self>) -> Self {
        principal(Identifier::AndIds(xds::principal::Set { ids }))
    }

    fn not(self) -> Self {
        principal(Identifier::NotId(Box::new(self)))
    }

    fn true_always() -> Self {
        principal(Identifier::Any(true))
    }
}

pub(super) fn permission(rule: Rule) -> xds::Permission {
    xds::Permission { rule: Some(rule) }
}

pub(super) fn principal(identifier: Identifier) -> xds::Principal {
    xds::Principal {
        identifier: Some(identifier),
    }
}

impl<T: Clause> Held<T> {
    pub(super) fn not(self) -> Self {
        match self {
            Self::Never => Self::Always,
            Self::Always => Self::Never,
            Self::If(clause) => Self::If(clause.not()),
        }
    }

    /// As a clause; `None` when it never holds.
    pub(super) fn whole(self) -> Option<T> {
        match self {
            Self::Never => None,
            Self::Always => Some(T::true_always()),
            Self::If(clause) => Some(clause),
        }
    }
}

/// Some of these; none of none.
pub(super) fn any<T: Clause>(clauses: Vec<Held<T>>) -> Held<T> {
    let mut some = Vec::new();
    for clause in clauses {
        match clause {
            Held::Always => return Held::Always,
            Held::Never => {}
            Held::If(clause) => some.push(clause),
        }
    }
    match some.len() {
        0 => Held::Never,
        1 => some.pop().map_or(Held::Never, Held::If),
        _ => Held::If(T::of_any(some)),
    }
}

/// All of these.
pub(super) fn all<T: Clause>(clauses: Vec<Held<T>>) -> Held<T> {
    let mut some = Vec::new();
    for clause in clauses {
        match clause {
            Held::Never => return Held::Never,
            Held::Always => {}
            Held::If(clause) => some.push(clause),
        }
    }
    match some.len() {
        0 => Held::Always,
        1 => some.pop().map_or(Held::Always, Held::If),
        _ => Held::If(T::of_all(some)),
    }
}

/// A list of which some must hold unless it is empty, and one of which none may.
pub(super) fn lists<T: Clause, E>(
    wanted: &[E],
    unwanted: &[E],
    held: impl Fn(&E, bool) -> Held<T>,
) -> Held<T> {
    let some = match wanted.is_empty() {
        true => Held::Always,
        false => any(wanted.iter().map(|entry| held(entry, false)).collect()),
    };
    let none = any(unwanted.iter().map(|entry| held(entry, true)).collect()).not();
    all(vec![some, none])
}
