//! What callers did, as rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use wattle_model::normal_path;

use super::{ProposedOperation, ProposedRule};
use crate::records::{Known, Record};

/// Most paths that a rule names exactly.
const MAX_PATHS: usize = 20;

/// Who called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caller {
    /// A principal.
    Principal(String),
    /// In plaintext from here.
    Address(IpAddr),
    /// In plaintext from nobody knows where.
    Anybody,
}

impl Caller {
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Principal(_) | Self::Anybody => None,
        }
    }
}

/// What was asked for on one port.
#[derive(Debug, Default)]
struct Seen {
    /// A connection that was no request.
    opaque: bool,
    /// A path that may be longer than what is known of it.
    cut: bool,
    /// Methods of each path.
    paths: BTreeMap<String, BTreeSet<String>>,
}

/// What each caller did, by port; without ports of a caller of whom no more is known.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<Caller, BTreeMap<Option<u16>, Seen>>);

impl Calls {
    pub(super) fn add(&mut self, record: &Record) {
        let facts = &record.facts;
        let caller = match &facts.peer {
            Some(peer) => Caller::Principal(peer.strip_prefix("spiffe://").unwrap_or(peer).to_owned()),
            None if record.known == Known::Edge => Caller::Anybody,
            None => Caller::Address(facts.downstream.ip().to_canonical()),
        };
        let seen = self
            .0
            .entry(caller)
            .or_default()
            .entry(record.port())
            .or_default();
        match &facts.request {
            None => seen.opaque = true,
            Some(request) => {
                seen.cut |= request.cut;
                let methods = seen
                    .paths
                    .entry(normal_path(&request.path).into_owned())
                    .or_default();
                methods.insert(request.method.clone());
            }
        }
    }

    pub(super) fn callers(&self) -> impl Iterator<Item = &Caller> {
        self.0.keys()
    }

    /// One rule for those who do the same.
    pub(super) fn rules(&self, paths: bool, notes: &mut Vec<String>) -> Vec<ProposedRule> {
        let mut rules: BTreeMap<Vec<ProposedOperation>, ProposedRule> = BTreeMap::new();
        for (caller, ports) in &self.0 {
            let operations = operations(ports, paths, notes);
            // A source is all that it names, so that addresses have rules of their own.
            let rule = rules.entry(operations.clone()).or_default();
            rule.operations = operations;
            match caller {
                Caller::Principal(principal) => rule.principals.push(principal.clone()),
                Caller::Address(address) => rule.ip_blocks.push(address.to_string()),
                Caller::Anybody => {}
            }
        }
        rules.into_values().collect()
    }
}

fn operations(
    ports: &BTreeMap<Option<u16>, Seen>,
    paths: bool,
    notes: &mut Vec<String>,
) -> Vec<ProposedOperation> {
    let mut all = Vec::new();
    for (port, seen) in ports {
        // Of an edge nothing is known, so that anything may have been seen.
        let Some(port) = *port else { return Vec::new() };
        all.extend(on_port(port, seen, paths, notes));
    }
    all
}

fn on_port(port: u16, seen: &Seen, paths: bool, notes: &mut Vec<String>) -> Vec<ProposedOperation> {
    let plain = ProposedOperation {
        port,
        ..ProposedOperation::default()
    };
    if seen.opaque {
        return vec![plain];
    }
    if paths && seen.cut {
        notes.push(format!(
            "port {port}: a path is longer than the log writes, so that none is named"
        ));
    }
    if !paths || seen.cut {
        let methods: BTreeSet<String> = seen.paths.values().flatten().cloned().collect();
        return vec![ProposedOperation {
            methods: named(&methods, notes),
            ..plain
        }];
    }
    let mut alike: BTreeMap<&BTreeSet<String>, Vec<&str>> = BTreeMap::new();
    for (path, methods) in &seen.paths {
        alike.entry(methods).or_default().push(path);
    }
    let operation = |(methods, paths): (&BTreeSet<String>, Vec<&str>)| ProposedOperation {
        port,
        methods: named(methods, notes),
        paths: patterns(&paths, notes),
    };
    alike.into_iter().map(operation).collect()
}

/// The methods; any where one has characters that a policy reads otherwise.
fn named(methods: &BTreeSet<String>, notes: &mut Vec<String>) -> Vec<String> {
    let plain = |method: &String| {
        !method.is_empty()
            && method
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !methods.iter().all(plain) {
        super::note(
            notes,
            "a method cannot be written in a policy: any is let in beside it".to_owned(),
        );
        return Vec::new();
    }
    methods.iter().cloned().collect()
}

/// The paths exactly when they are few, else their common beginning.
fn patterns(paths: &[&str], notes: &mut Vec<String>) -> Vec<String> {
    if paths.len() > MAX_PATHS {
        let beginning = format!("{}*", beginning(paths));
        super::note(
            notes,
            format!("{} paths are told by their beginning, {beginning}", paths.len()),
        );
        return vec![beginning];
    }
    paths.iter().map(|path| pattern(path, notes)).collect()
}

/// A path as it is, or up to the character that a policy reads otherwise.
fn pattern(path: &str, notes: &mut Vec<String>) -> String {
    match path.find(['*', '{', '}']) {
        None => path.to_owned(),
        Some(end) => {
            let beginning = format!("{}*", &path[..end]);
            super::note(
                notes,
                format!("a path cannot be written in a policy, its beginning is: {beginning}"),
            );
            beginning
        }
    }
}

/// What all begin with, up to a slash.
fn beginning<'a>(paths: &[&'a str]) -> &'a str {
    let Some((first, rest)) = paths.split_first() else {
        return "/";
    };
    let common = rest.iter().fold(first.len(), |length, path| {
        let same = first
            .bytes()
            .zip(path.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        length.min(same)
    });
    let bytes = &first.as_bytes()[..common];
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    let special = first.find(['*', '{', '}']).unwrap_or(first.len());
    first.get(..end.min(special)).unwrap_or("/")
}
