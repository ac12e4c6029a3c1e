//! Faults that are made up for tests, on the client's side.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded, Fields};
use crate::istio::time::{time, write_time};
use crate::istio::value::{self, Percentage, old_percent, percent, unsupported, write_percent};
use crate::scalar;

/// Faults; at least one of them is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Requests that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Requests that fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
}

/// Requests that wait before they are sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delay {
    /// How long, from 1 ms.
    #[serde(serialize_with = "write_time")]
    pub fixed_delay: Duration,
    /// Share of the requests; default 0 percent.
    #[serde(serialize_with = "write_percent")]
    pub percentage: Percentage,
}

/// Requests that are answered with a failure instead of being sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Abort {
    /// With what.
    #[serde(flatten)]
    pub with: AbortWith,
    /// Share of the requests; default 0 percent.
    #[serde(serialize_with = "write_percent")]
    pub percentage: Percentage,
}

/// What an aborted request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AbortWith {
    /// An HTTP status, 200 to 599.
    HttpStatus(u16),
    /// A gRPC status.
    GrpcStatus(GrpcStatus),
}

/// A gRPC status, by its name in the gRPC specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrpcStatus(u8);

const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl GrpcStatus {
    /// The number, 0 to 16.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        GRPC.get(usize::from(self.0)).copied().unwrap_or("UNKNOWN")
    }
}

impl Serialize for GrpcStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

pub(super) fn fault(cursor: &Cursor<'_>) -> Decoded<Fault> {
    let fields = cursor.fields(&["delay", "abort"])?;
    let delay = fields.optional("delay", delay);
    let abort = fields.optional("abort", abort);
    let fault = Fault {
        delay: delay?,
        abort: abort?,
    };
    if fault.delay.is_none() && fault.abort.is_none() {
        return Err(cursor.refuse("missing-field", "expected delay or abort"));
    }
    Ok(fault)
}

fn delay(cursor: &Cursor<'_>) -> Decoded<Delay> {
    let fields = cursor.fields(&["fixedDelay", "exponentialDelay", "percentage", "percent"])?;
    let exponential = unsupported(&fields, &["exponentialDelay"]);
    let percentage = share(&fields);
    exponential?;
    let fixed_delay = fields.required("fixedDelay", time);
    Ok(Delay {
        fixed_delay: fixed_delay?,
        percentage: percentage?,
    })
}

fn share(fields: &Fields<'_>) -> Decoded<Percentage> {
    let old = fields.optional("percent", |at| old_percent(at, "percentage.value"));
    let share = fields.optional("percentage", percent)?.or(old?);
    if share.is_none() {
        let reason = "without percentage no request is affected";
        fields.warn("no-effect", reason, "add percentage.value");
    }
    Ok(share.unwrap_or(Percentage::NONE))
}

fn abort(cursor: &Cursor<'_>) -> Decoded<Abort> {
    let fields = cursor.fields(&["httpStatus", "grpcStatus", "http2Error", "percentage"])?;
    unsupported(&fields, &["http2Error"])?;
    let percentage = share(&fields);
    let with = match value::exactly_one(&fields, &["httpStatus", "grpcStatus"])? {
        "httpStatus" => fields
            .required("httpStatus", |at| scalar::integer(at, 200, 599))
            .map(|status| AbortWith::HttpStatus(u16::try_from(status).unwrap_or(500))),
        grpc => fields.required(grpc, grpc_status).map(AbortWith::GrpcStatus),
    };
    Ok(Abort {
        with: with?,
        percentage: percentage?,
    })
}

fn grpc_status(cursor: &Cursor<'_>) -> Decoded<GrpcStatus> {
    let mut table = [("", GrpcStatus(0)); GRPC.len()];
    for ((row, name), code) in table.iter_mut().zip(GRPC).zip(0..) {
        *row = (name, GrpcStatus(code));
    }
    scalar::word(cursor, &table)
}
