//! Changes to headers: those of a rule and of its backend as one.

use std::collections::BTreeSet;

use core::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3 as core;
use http::{HeaderName, HeaderValue, header};
use wattle_model::HeaderModifier;

use crate::notes::Notes;

/// What Envoy does to the headers of one message: it removes, then sets, then adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    pub(crate) add: Vec<core::HeaderValueOption>,
    pub(crate) remove: Vec<String>,
}

impl Changes {
    /// These modifiers one after the other, as one.
    pub(crate) fn of(modifiers: &[&HeaderModifier], notes: &mut Notes) -> Self {
        let mut whole = HeaderModifier::default();
        for next in modifiers {
            then(&mut whole, next);
        }
        let mut changes = Self::default();
        let named = whole.remove.iter().filter(|name| named(name, notes));
        let names: BTreeSet<&str> = named.map(HeaderName::as_str).collect();
        changes.remove = names.into_iter().map(str::to_owned).collect();
        let sets = whole
            .set
            .iter()
            .map(|set| (set, HeaderAppendAction::OverwriteIfExistsOrAdd));
        let adds = whole
            .add
            .iter()
            .map(|add| (add, HeaderAppendAction::AppendIfExistsOrAdd));
        for ((name, value), action) in sets.chain(adds) {
            changes.add.extend(option(name, value, action, notes));
        }
        changes
    }
}

/// `whole` followed by `next`: what the later one removes or sets, the earlier one need not have done.
fn then(whole: &mut HeaderModifier, next: &HeaderModifier) {
    let gone = |name: &HeaderName| next.remove.contains(name) || next.set.iter().any(|(set, _)| set == name);
    whole.set.retain(|(name, _)| !gone(name));
    whole.add.retain(|(name, _)| !gone(name));
    whole.remove.extend(next.remove.iter().cloned());
    // What was added before would be lost if Envoy set after it; it adds last.
    whole.set.extend(next.set.iter().cloned());
    whole.add.extend(next.add.iter().cloned());
}

fn named(name: &HeaderName, notes: &mut Notes) -> bool {
    if *name == header::HOST {
        notes.gap("a header modifier names host: Envoy changes it by a rewrite alone, and it stays as it is");
        return false;
    }
    true
}

fn option(
    name: &HeaderName,
    value: &HeaderValue,
    action: HeaderAppendAction,
    notes: &mut Notes,
) -> Option<core::HeaderValueOption> {
    if !named(name, notes) {
        return None;
    }
    let Ok(text) = value.to_str() else {
        notes.gap(format!("the value of header {name} is not ASCII: it is not set"));
        return None;
    };
    Some(core::HeaderValueOption {
        header: Some(core::HeaderValue {
            key: name.as_str().to_owned(),
            // A percent sign begins a command of Envoy's.
            value: text.replace('%', "%%"),
            ..Default::default()
        }),
        append_action: action.into(),
        keep_empty_value: text.is_empty(),
        ..Default::default()
    })
}
