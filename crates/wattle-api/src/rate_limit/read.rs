//! Decoding of a RateLimit.

use std::time::Duration;

use super::{
    DescriptorEntry, DescriptorSource, GlobalLimit, Limit, LocalLimit, OnFailure, RateLimit, RateLimitRule,
    RateLimitService, RateShare, RateUnit,
};
use crate::authorization::some_of;
use crate::decode::{Cursor, Decoded, Fields};
use crate::matcher::text_match;
use crate::matching::bounded;
use crate::peer::some_selector;
use crate::reference::{PolicyTarget, Sections, policy_targets};
use crate::route::http_matches;
use crate::scalar;

/// Most rules of an object.
const MAX_RULES: usize = 64;
/// Most ports or clients of a rule.
const MAX_ITEMS: usize = 256;
/// Most entries of a descriptor.
const MAX_ENTRIES: usize = 16;
/// Longest key, value or domain in bytes.
const MAX_TEXT: usize = 256;
/// Most requests of a unit, and of a burst.
const MAX_REQUESTS: u32 = 1_000_000_000;
/// How long an answer is waited for unless the object says otherwise.
const TIMEOUT: Duration = Duration::from_millis(100);
/// Longest time an answer may be waited for.
const MAX_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn rate_limit(cursor: &Cursor<'_>) -> Decoded<RateLimit> {
    let fields = cursor.fields(&["targetRefs", "selector", "rules"])?;
    let target_refs = fields.optional("targetRefs", |at| targets(at, &fields));
    let selector = fields.optional("selector", some_selector);
    let rules = fields.required("rules", |at| {
        let rules = at.list(MAX_RULES, rule)?;
        if rules.is_empty() {
            return Err(at.refuse("empty", "found no rule, expected at least one"));
        }
        check_names(at, &rules)?;
        Ok(rules)
    });
    if fields.at("targetRefs").is_some() && fields.at("selector").is_some() {
        let reason = "selector and targetRefs exclude each other";
        return Err(cursor.refuse("incompatible-fields", reason));
    }
    Ok(RateLimit {
        target_refs: target_refs?.unwrap_or_default(),
        selector: selector?,
        rules: rules?,
    })
}

fn targets(cursor: &Cursor<'_>, fields: &Fields<'_>) -> Decoded<Vec<PolicyTarget>> {
    let targets = policy_targets(fields, Sections::Whole)?;
    match targets.iter().find(|target| !target.is_service()) {
        None => Ok(targets),
        Some(other) => {
            let reason = format!(
                "found {} of group {:?}, expected a Service of the core group",
                other.kind, other.group
            );
            Err(cursor.refuse("unknown-value", reason))
        }
    }
}

fn check_names(cursor: &Cursor<'_>, rules: &[RateLimitRule]) -> Decoded<()> {
    let mut names = std::collections::BTreeSet::new();
    match rules
        .iter()
        .filter_map(|rule| rule.name.as_deref())
        .find(|name| !names.insert(*name))
    {
        None => Ok(()),
        Some(name) => Err(cursor.refuse("duplicate-rule", format!("two rules are named {name}"))),
    }
}

fn rule(cursor: &Cursor<'_>) -> Decoded<RateLimitRule> {
    let known = ["name", "matches", "ports", "clients", "local", "global"];
    let fields = cursor.fields(&known)?;
    let name = fields.optional("name", scalar::subdomain);
    let matches = http_matches(&fields);
    let ports = some_of(&fields, "ports", MAX_ITEMS, scalar::port);
    let clients = some_of(&fields, "clients", MAX_ITEMS, text_match);
    let local = fields.optional("local", local);
    let global = fields.optional("global", global);
    let limit = match (local?, global?) {
        (Some(local), None) => Limit::Local(local),
        (None, Some(global)) => Limit::Global(global),
        _ => {
            let reason = "expected exactly one of local, global";
            return Err(cursor.refuse("incompatible-fields", reason));
        }
    };
    Ok(RateLimitRule {
        name: name?,
        matches: matches?,
        ports: ports?,
        clients: clients?,
        limit,
    })
}

fn local(cursor: &Cursor<'_>) -> Decoded<LocalLimit> {
    let fields = cursor.fields(&["requests", "unit", "burst", "per"])?;
    let units = [
        ("second", RateUnit::Second),
        ("minute", RateUnit::Minute),
        ("hour", RateUnit::Hour),
    ];
    let shares = [("total", RateShare::Total), ("identity", RateShare::Identity)];
    let requests = fields.required("requests", |at| scalar::count(at, 1, MAX_REQUESTS));
    let unit = fields.required("unit", |at| scalar::word(at, &units));
    let burst = fields.optional("burst", |at| scalar::count(at, 1, MAX_REQUESTS));
    let per = fields.optional("per", |at| scalar::word(at, &shares));
    let requests = requests?;
    Ok(LocalLimit {
        requests,
        unit: unit?,
        burst: burst?.unwrap_or(requests),
        per: per?.unwrap_or_default(),
    })
}

fn global(cursor: &Cursor<'_>) -> Decoded<GlobalLimit> {
    let known = ["service", "domain", "descriptors", "timeout", "onFailure"];
    let fields = cursor.fields(&known)?;
    let answers = [("Deny", OnFailure::Deny), ("Allow", OnFailure::Allow)];
    let service = fields.required("service", service);
    let domain = fields.required("domain", |at| bounded(at, MAX_TEXT));
    let descriptors = fields.required("descriptors", descriptors);
    let least = Duration::from_millis(1);
    let timeout = fields.optional("timeout", |at| scalar::length(at, least, MAX_TIMEOUT));
    let on_failure = fields.optional("onFailure", |at| scalar::word(at, &answers));
    Ok(GlobalLimit {
        service: service?,
        domain: domain?,
        descriptors: descriptors?,
        timeout: timeout?.unwrap_or(TIMEOUT),
        on_failure: on_failure?.unwrap_or_default(),
    })
}

fn service(cursor: &Cursor<'_>) -> Decoded<RateLimitService> {
    let fields = cursor.fields(&["name", "namespace", "port"])?;
    let name = fields.required("name", scalar::label);
    let namespace = fields.optional("namespace", scalar::label);
    let port = fields.required("port", scalar::port);
    Ok(RateLimitService {
        name: name?,
        namespace: namespace?,
        port: port?,
    })
}

fn descriptors(cursor: &Cursor<'_>) -> Decoded<Vec<DescriptorEntry>> {
    let entries = cursor.list(MAX_ENTRIES, entry)?;
    if entries.is_empty() {
        return Err(cursor.refuse("empty", "found no entry, expected at least one"));
    }
    let keys: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
    scalar::distinct(cursor, &keys)?;
    Ok(entries)
}

fn entry(cursor: &Cursor<'_>) -> Decoded<DescriptorEntry> {
    let known = ["key", "value", "header", "clientIdentity", "path", "method"];
    let fields = cursor.fields(&known)?;
    let key = fields.required("key", |at| bounded(at, MAX_TEXT));
    let value = fields.optional("value", |at| bounded(at, MAX_TEXT).map(DescriptorSource::Value));
    let header = fields.optional("header", |at| {
        scalar::header_name(at).map(DescriptorSource::Header)
    });
    let marks = [
        ("clientIdentity", DescriptorSource::ClientIdentity),
        ("path", DescriptorSource::Path),
        ("method", DescriptorSource::Method),
    ];
    let mut found = vec![value?, header?];
    for (key, source) in marks {
        found.push(fields.optional(key, truth)?.map(|()| source));
    }
    let mut found = found.into_iter().flatten();
    let (Some(source), None) = (found.next(), found.next()) else {
        let reason = "expected exactly one of value, header, clientIdentity, path, method";
        return Err(cursor.refuse("incompatible-fields", reason));
    };
    Ok(DescriptorEntry { key: key?, source })
}

/// A field that is either absent or true.
fn truth(cursor: &Cursor<'_>) -> Decoded<()> {
    if scalar::flag(cursor)? {
        return Ok(());
    }
    Err(cursor.refuse_with("unknown-value", "found false, expected true", "remove the field"))
}
