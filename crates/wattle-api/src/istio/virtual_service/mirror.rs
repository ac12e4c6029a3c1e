//! Copies of requests.

use serde::Serialize;

use crate::decode::{Cursor, Decoded, Fields};
use crate::istio::destination::{Destination, destination};
use crate::istio::value::{MAX_ITEMS, Percentage, at_most_one, old_percent, percent, write_percent};

/// A place that gets copies of requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// Where.
    pub destination: Destination,
    /// Share of the requests that are copied; default 100 percent.
    #[serde(serialize_with = "write_percent")]
    pub percentage: Percentage,
}

/// Reads `mirrors`, or `mirror` with its percentage, which mean the same.
pub(super) fn mirrors(fields: &Fields<'_>) -> Decoded<Vec<Mirror>> {
    at_most_one(fields, &["mirror", "mirrors"])?;
    let several = fields.list("mirrors", MAX_ITEMS, mirror);
    let single = fields.optional("mirror", destination);
    let share = fields.optional("mirrorPercentage", percent);
    let old = old(fields);
    let mut mirrors = several?;
    let share = share?.or(old?);
    match single? {
        Some(destination) => mirrors.push(Mirror {
            destination,
            percentage: share.unwrap_or(Percentage::ALL),
        }),
        None if share.is_some() => {
            let hint = "give each of the mirrors its percentage";
            fields.warn(
                "no-effect",
                "the mirror's percentage has no effect without mirror",
                hint,
            );
        }
        None => {}
    }
    Ok(mirrors)
}

/// The deprecated spellings, in whole percent.
fn old(fields: &Fields<'_>) -> Decoded<Option<Percentage>> {
    let better = |at: &Cursor<'_>| old_percent(at, "mirrorPercentage.value");
    let camel = fields.optional("mirrorPercent", better);
    let snake = fields.optional("mirror_percent", better);
    Ok(camel?.or(snake?))
}

fn mirror(cursor: &Cursor<'_>) -> Decoded<Mirror> {
    let fields = cursor.fields(&["destination", "percentage"])?;
    let destination = fields.required("destination", destination);
    let percentage = fields.optional("percentage", percent);
    Ok(Mirror {
        destination: destination?,
        percentage: percentage?.unwrap_or(Percentage::ALL),
    })
}
