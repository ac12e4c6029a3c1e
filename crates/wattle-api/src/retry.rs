//! Gateway API retries of an HTTPRoute rule (GEP-1731).

use std::time::Duration;

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::scalar::{self, write_duration};

/// Most status codes; there are no more in the range.
const MAX_CODES: usize = 200;
/// Most retries of a request; the Gateway API has no bound.
const MAX_ATTEMPTS: u32 = 100;

/// `retry` of a rule; connection errors are retried whatever `codes` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Retry {
    /// Status codes that are retried, each 400 to 599 and given once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<u16>,
    /// Retries after the first attempt, 1 to 100; none means the mesh's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Least time between two attempts; none means the mesh's default.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub backoff: Option<Duration>,
}

pub(crate) fn retry(cursor: &Cursor<'_>) -> Decoded<Retry> {
    let fields = cursor.fields(&["codes", "attempts", "backoff"])?;
    let codes = fields.optional("codes", codes);
    let attempts = fields.optional("attempts", |at| scalar::count(at, 1, MAX_ATTEMPTS));
    let backoff = fields.optional("backoff", scalar::duration);
    Ok(Retry {
        codes: codes?.unwrap_or_default(),
        attempts: attempts?,
        backoff: backoff?,
    })
}

fn codes(cursor: &Cursor<'_>) -> Decoded<Vec<u16>> {
    let codes = cursor.list(MAX_CODES, |at| {
        scalar::count(at, 400, 599).map(|code| code as u16)
    })?;
    scalar::distinct(cursor, &codes)?;
    Ok(codes)
}
