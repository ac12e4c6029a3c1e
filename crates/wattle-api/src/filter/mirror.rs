//! Mirroring: a copy of a request goes to another backend, whose answer is dropped.

use serde::Serialize;

use crate::decode::{Cursor, Decoded, Fields};
use crate::reference::{BackendObject, backend_object};
use crate::scalar;

/// Largest value of the API's 32-bit integers.
const MAX_INT32: u32 = i32::MAX as u32;

/// A copy of some requests for another backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// Where the copies go.
    pub backend_ref: BackendObject,
    /// Share of the requests that is copied; default all. `percent` is read as a fraction of 100.
    pub fraction: Fraction,
}

/// A share, at most 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fraction {
    /// From 0 to `denominator`.
    pub numerator: u32,
    /// From 1; default 100.
    pub denominator: u32,
}

impl Fraction {
    /// Everything.
    pub const ALL: Self = Self::percent(100);

    const fn percent(percent: u32) -> Self {
        Self {
            numerator: percent,
            denominator: 100,
        }
    }
}

pub(crate) fn mirror(cursor: &Cursor<'_>) -> Decoded<Mirror> {
    let fields = cursor.fields(&["backendRef", "percent", "fraction"])?;
    let backend_ref = fields.required("backendRef", backend_object);
    let share = share(&fields, cursor);
    Ok(Mirror {
        backend_ref: backend_ref?,
        fraction: share?,
    })
}

fn share(fields: &Fields<'_>, cursor: &Cursor<'_>) -> Decoded<Fraction> {
    let percent = fields.optional("percent", |at| scalar::count(at, 0, 100));
    let fraction = fields.optional("fraction", fraction);
    match (percent?, fraction?) {
        (Some(_), Some(_)) => Err(cursor.refuse_with(
            "incompatible-fields",
            "percent and fraction exclude each other",
            "remove one of the two",
        )),
        (Some(percent), None) => Ok(Fraction::percent(percent)),
        (None, fraction) => Ok(fraction.unwrap_or(Fraction::ALL)),
    }
}

fn fraction(cursor: &Cursor<'_>) -> Decoded<Fraction> {
    let fields = cursor.fields(&["numerator", "denominator"])?;
    let numerator = fields.required("numerator", |at| scalar::count(at, 0, MAX_INT32));
    let denominator = fields.optional("denominator", |at| scalar::count(at, 1, MAX_INT32));
    let fraction = Fraction {
        numerator: numerator?,
        denominator: denominator?.unwrap_or(100),
    };
    if fraction.numerator > fraction.denominator {
        return Err(cursor.refuse("out-of-range", "the numerator is greater than the denominator"));
    }
    Ok(fraction)
}
