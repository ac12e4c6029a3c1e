//! Where a route sends requests or connections.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::scalar::{self, Port};

use super::value::MAX_ITEMS;

/// A Service or ServiceEntry by host name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Destination {
    /// Host name; without a dot it is a Service of the route's namespace.
    pub host: String,
    /// A subset that a DestinationRule of the host names; none means all endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<String>,
    /// Port of the Service; none means its only one, or the one the request came to.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_port")]
    pub port: Option<Port>,
}

/// A destination of a TLS or TCP route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WeightedDestination {
    /// Where.
    pub destination: Destination,
    /// Share relative to the other destinations, up to 2,147,483,647; 1 when it is the only one.
    pub weight: u32,
}

fn write_port<S: Serializer>(port: &Option<Port>, serializer: S) -> Result<S::Ok, S::Error> {
    match port {
        Some(port) => write_port_number(port, serializer),
        None => serializer.serialize_none(),
    }
}

/// Writes a port as `{number: 80}`.
pub(crate) fn write_port_number<S: Serializer>(port: &Port, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("number", port)?;
    map.end()
}

pub(crate) fn port_selector(cursor: &Cursor<'_>) -> Decoded<Port> {
    cursor.fields(&["number"])?.required("number", scalar::port)
}

pub(crate) fn destination(cursor: &Cursor<'_>) -> Decoded<Destination> {
    let fields = cursor.fields(&["host", "subset", "port"])?;
    let host = fields.required("host", |at| scalar::hostname(at, false));
    let subset = fields.optional("subset", scalar::label);
    let port = fields.optional("port", port_selector);
    Ok(Destination {
        host: host?,
        subset: subset?,
        port: port?,
    })
}

pub(crate) fn weight(cursor: &Cursor<'_>) -> Decoded<u32> {
    scalar::count(cursor, 0, i32::MAX.unsigned_abs())
}

pub(crate) fn weighted_destinations(cursor: &Cursor<'_>) -> Decoded<Vec<WeightedDestination>> {
    let mut destinations = cursor.list(MAX_ITEMS, |at| {
        let fields = at.fields(&["destination", "weight"])?;
        let destination = fields.required("destination", destination);
        let weight = fields.optional("weight", weight);
        Ok(WeightedDestination {
            destination: destination?,
            weight: weight?.unwrap_or_default(),
        })
    })?;
    let weights = destinations.iter_mut().map(|item| &mut item.weight).collect();
    check_weights(cursor, weights)?;
    Ok(destinations)
}

/// At least one destination, and weights that add up to something that fits 32 bits.
pub(crate) fn check_weights(cursor: &Cursor<'_>, mut weights: Vec<&mut u32>) -> Decoded<()> {
    if let [only] = weights.as_mut_slice() {
        // A single destination gets everything, whatever its weight (Istio).
        **only = (**only).max(1);
        return Ok(());
    }
    let sum: u64 = weights.iter().map(|weight| u64::from(**weight)).sum();
    if weights.is_empty() {
        return Err(cursor.refuse("empty", "found no destination, expected at least one"));
    }
    if sum == 0 || sum > u64::from(u32::MAX) {
        let reason = format!("found weights that add up to {sum}, expected 1 to {}", u32::MAX);
        return Err(cursor.refuse_with("invalid-weights", reason, "give each destination a weight"));
    }
    Ok(())
}
