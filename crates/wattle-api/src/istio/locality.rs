//! Which localities are preferred, and which stand in for those that fail.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::scalar;
use crate::tree::quote;

use super::value::{MAX_ITEMS, at_most_one, mapping};

/// Preferences by locality; at most one of the lists is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalityBalancing {
    /// Whether locality counts; none means the mesh's default, which is yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Shares of the traffic by locality of client and endpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub distribute: Vec<Distribute>,
    /// Regions that stand in for others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failover: Vec<Failover>,
    /// Labels, as `key` or `key=value`; the more of them in order an endpoint shares, the sooner it is taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failover_priority: Vec<String>,
}

/// Where traffic of one locality goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribute {
    /// Locality of the client, `region/zone/subzone`; `*` at the end stands for the rest.
    pub from: String,
    /// Shares in percent by locality of the endpoint, each 1 to 100, 100 together.
    pub to: BTreeMap<String, u32>,
}

/// A region that stands in for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failover {
    /// Region of the client.
    pub from: String,
    /// Another region, taken when the endpoints of the first fail.
    pub to: String,
}

pub(crate) fn locality_balancing(cursor: &Cursor<'_>) -> Decoded<LocalityBalancing> {
    let fields = cursor.fields(&["enabled", "distribute", "failover", "failoverPriority"])?;
    at_most_one(&fields, &["distribute", "failover", "failoverPriority"])?;
    let enabled = fields.optional("enabled", scalar::flag);
    let distribute = fields.optional("distribute", distributions);
    let failover = fields.list("failover", MAX_ITEMS, failover);
    let failover_priority = fields.list("failoverPriority", MAX_ITEMS, priority);
    Ok(LocalityBalancing {
        enabled: enabled?,
        distribute: distribute?.unwrap_or_default(),
        failover: failover?,
        failover_priority: failover_priority?,
    })
}

fn distributions(cursor: &Cursor<'_>) -> Decoded<Vec<Distribute>> {
    let list = cursor.list(MAX_ITEMS, |at| {
        let fields = at.fields(&["from", "to"])?;
        let from = fields.required("from", |at| locality(&scalar::text(at)?, at));
        let to = fields.required("to", shares);
        Ok(Distribute { from: from?, to: to? })
    })?;
    let mut seen = BTreeSet::new();
    match list.iter().find(|item| !seen.insert(&item.from)) {
        None => Ok(list),
        Some(twice) => {
            let reason = format!("the locality {} is given twice", twice.from);
            Err(cursor.refuse("duplicate-item", reason))
        }
    }
}

fn shares(cursor: &Cursor<'_>) -> Decoded<BTreeMap<String, u32>> {
    let shares = mapping(cursor, MAX_ITEMS, |key, at| {
        let to = locality(key, at);
        let share = scalar::count(at, 1, 100);
        Ok((to?, share?))
    })?;
    let sum: u32 = shares.values().sum();
    if sum != 100 {
        let reason = format!("found shares that add up to {sum}, expected 100");
        return Err(cursor.refuse("invalid-weights", reason));
    }
    Ok(shares)
}

fn locality(text: &str, cursor: &Cursor<'_>) -> Decoded<String> {
    let parts: Vec<_> = text.split('/').collect();
    let star = parts.iter().position(|part| part.contains('*'));
    let whole = parts.len() <= 3 && !parts.iter().any(|part| part.is_empty()) && text.len() <= 253;
    if !whole || star.is_some_and(|at| at + 1 != parts.len() || parts[at] != "*") {
        let reason = format!(
            "found {}, expected region/zone/subzone, or * as the last part",
            quote(text)
        );
        return Err(cursor.refuse("invalid-locality", reason));
    }
    Ok(text.to_owned())
}

fn failover(cursor: &Cursor<'_>) -> Decoded<Failover> {
    let fields = cursor.fields(&["from", "to"])?;
    let from = fields.required("from", region);
    let to = fields.required("to", region);
    let failover = Failover { from: from?, to: to? };
    if failover.from == failover.to {
        return Err(cursor.refuse("incompatible-fields", "from and to are the same region"));
    }
    Ok(failover)
}

fn region(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    if text.contains(['/', '*']) || text.len() > 253 {
        let reason = format!("found {}, expected a region without / or *", quote(&text));
        return Err(cursor.refuse("invalid-locality", reason));
    }
    Ok(text)
}

fn priority(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    let key = text.split_once('=').map_or(text.as_str(), |(key, _)| key);
    if key.is_empty() || text.len() > 512 {
        let reason = format!("found {}, expected a label's key or key=value", quote(&text));
        return Err(cursor.refuse("invalid-label", reason));
    }
    Ok(text)
}
