//! Values that several of Istio's kinds share: percentages, absent-as-zero numbers and text.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded, Fields};
use crate::meta::Labels;
use crate::scalar;
use crate::tree::{Value, quote};

/// Most items of a list or mapping in these kinds, where the API has no bound of its own.
pub(crate) const MAX_ITEMS: usize = 1024;

/// A share of 0 to 100 percent, in steps of 0.0001 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentage(u32);

impl Percentage {
    /// 0 percent.
    pub const NONE: Self = Self(0);
    /// 100 percent.
    pub const ALL: Self = Self(1_000_000);

    /// The share in parts of a million, 0 to 1,000,000.
    #[must_use]
    pub fn parts_per_million(self) -> u32 {
        self.0
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 10_000.0)
    }
}

/// A factor of 1 to 1000, in steps of 0.001.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Factor(u32);

impl Factor {
    /// The factor in thousandths, 1000 to 1,000,000.
    #[must_use]
    pub fn thousandths(self) -> u32 {
        self.0
    }
}

impl Serialize for Factor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1_000.0)
    }
}

/// Labels that a workload of the object's namespace must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadSelector {
    /// All of these; empty selects every workload.
    pub labels: Labels,
}

impl WorkloadSelector {
    /// Whether a workload with these labels is selected.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        self.labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    }
}

pub(crate) fn workload_selector(cursor: &Cursor<'_>) -> Decoded<WorkloadSelector> {
    let fields = cursor.fields(&["labels"])?;
    Ok(WorkloadSelector {
        labels: fields.optional("labels", scalar::labels)?.unwrap_or_default(),
    })
}

/// A number with a fraction, between `least` and `most`, in whole steps of `1/scale`.
fn steps(cursor: &Cursor<'_>, least: u32, most: u32, scale: u32) -> Decoded<u32> {
    let number = match cursor.node.value {
        // Numbers of this size are exact; larger ones are out of range either way.
        Value::Int(number) => i32::try_from(number).map_or(f64::MAX, f64::from),
        Value::Float(number) => number,
        _ => return Err(cursor.mistyped(&format!("a number from {least} to {most}"))),
    };
    if !(f64::from(least)..=f64::from(most)).contains(&number) {
        return Err(cursor.refuse(
            "out-of-range",
            format!("found {number}, expected {least} to {most}"),
        ));
    }
    let scaled = (number * f64::from(scale)).round();
    if scaled == 0.0 && number != 0.0 {
        let step = 1.0 / f64::from(scale);
        return Err(cursor.refuse(
            "out-of-range",
            format!("found {number}, expected 0 or at least {step}"),
        ));
    }
    // In range by the check above, so the conversion keeps the value.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(scaled as u32)
}

/// A percentage as a bare number.
pub(crate) fn percentage(cursor: &Cursor<'_>) -> Decoded<Percentage> {
    steps(cursor, 0, 100, 10_000).map(Percentage)
}

/// A percentage as `{value: 12.5}`; an absent value is 0, as in protobuf.
pub(crate) fn percent(cursor: &Cursor<'_>) -> Decoded<Percentage> {
    let fields = cursor.fields(&["value"])?;
    Ok(fields.optional("value", percentage)?.unwrap_or(Percentage::NONE))
}

pub(crate) fn write_percent<S: Serializer>(share: &Percentage, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("value", share)?;
    map.end()
}

/// A percentage of whole numbers under an old name.
pub(crate) fn old_percent(cursor: &Cursor<'_>, better: &str) -> Decoded<Percentage> {
    let share = scalar::count(cursor, 0, 100)?;
    cursor.warn(
        "deprecated-field",
        "the field is deprecated",
        &format!("write {better}"),
    );
    Ok(Percentage(share * 10_000))
}

/// A factor of at least 1.
pub(crate) fn factor(cursor: &Cursor<'_>) -> Decoded<Factor> {
    steps(cursor, 1, 1_000, 1_000).map(Factor)
}

/// The number under `key`, 1 to 2,147,483,647; 0 counts as absent.
pub(crate) fn natural(fields: &Fields<'_>, key: &str) -> Decoded<Option<u32>> {
    let number = fields.optional(key, |at| scalar::count(at, 0, i32::MAX.unsigned_abs()))?;
    Ok(number.filter(|number| *number > 0))
}

/// The text under `key`; empty counts as absent.
pub(crate) fn words(fields: &Fields<'_>, key: &str) -> Decoded<Option<String>> {
    let text = fields.optional(key, |at| bounded(at, 4096))?;
    Ok(text.filter(|text| !text.is_empty()))
}

fn bounded(cursor: &Cursor<'_>, longest: usize) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    if text.len() > longest {
        let reason = format!("found {} bytes, expected at most {longest}", text.len());
        return Err(cursor.refuse("too-long", reason));
    }
    Ok(text)
}

/// The flag under `key`; absent means false.
pub(crate) fn flag(fields: &Fields<'_>, key: &str) -> Decoded<bool> {
    Ok(fields.optional(key, scalar::flag)?.unwrap_or_default())
}

/// The keys of `keys` that are there, which may be one at most.
pub(crate) fn at_most_one<'k>(fields: &Fields<'_>, keys: &[&'k str]) -> Decoded<Option<&'k str>> {
    let there: Vec<_> = keys
        .iter()
        .copied()
        .filter(|key| fields.at(key).is_some())
        .collect();
    match there.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        [first, second, ..] => {
            let reason = format!("{first} and {second} exclude each other");
            Err(fields.refuse("incompatible-fields", reason))
        }
    }
}

/// The key of `keys` that is there, which must be exactly one.
pub(crate) fn exactly_one<'k>(fields: &Fields<'_>, keys: &[&'k str]) -> Decoded<&'k str> {
    at_most_one(fields, keys)?.ok_or_else(|| {
        let reason = format!("expected exactly one of {}", keys.join(", "));
        fields.refuse("missing-field", reason)
    })
}

/// Refuses those of `keys` that are there, since leaving them out would not be safe.
pub(crate) fn unsupported(fields: &Fields<'_>, keys: &[&str]) -> Decoded<()> {
    let mut outcome = Ok(());
    for cursor in keys.iter().filter_map(|key| fields.at(key)) {
        outcome = Err(cursor.refuse("unsupported-field", "the field is not supported yet"));
    }
    outcome
}

/// A mapping of at most `most` entries, each decoded by key and value.
pub(crate) fn mapping<K: Ord, T>(
    cursor: &Cursor<'_>,
    most: usize,
    decode: impl Fn(&str, &Cursor<'_>) -> Decoded<(K, T)>,
) -> Decoded<BTreeMap<K, T>> {
    let entries = cursor.entries()?;
    if entries.len() > most {
        let reason = format!("found {} entries, expected at most {most}", entries.len());
        return Err(cursor.refuse("too-many", reason));
    }
    let decoded: Vec<_> = entries
        .iter()
        .map(|entry| decode(&entry.key, &cursor.entry(entry)))
        .collect();
    let mut map = BTreeMap::new();
    for (entry, pair) in entries.iter().zip(decoded) {
        let (key, value) = pair?;
        if map.insert(key, value).is_some() {
            let reason = format!("{} is given twice", quote(&entry.key));
            return Err(cursor.refuse("duplicate-key", reason));
        }
    }
    Ok(map)
}

/// A block of one address is written without its length, as some places take no blocks.
pub(crate) fn write_blocks<S: Serializer>(blocks: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(blocks.iter().map(|block| {
        if block.prefix_len() == block.max_prefix_len() {
            block.addr().to_string()
        } else {
            block.to_string()
        }
    }))
}
