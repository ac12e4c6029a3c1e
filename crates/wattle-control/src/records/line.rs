//! A line of the access log as a record.

use std::net::SocketAddr;

use serde_json::Value;
use wattle_telemetry::access::MAX_TEXT;
use wattle_telemetry::{Refusal, RefusedRequest};

use super::{Known, Record};

/// Why a line is no record of something on the way in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It cannot be read.
    #[error("the line of the log is not a JSON object")]
    Shape,
    /// It is of the proxy that called.
    #[error(
        "the line is of the calling side (reporter is source): who was let in is in the log of the called workload's proxy"
    )]
    OtherSide,
    /// A field is not as the log writes it.
    #[error("field {field} of the line is not an address: `{found}`")]
    Address {
        /// Its name.
        field: &'static str,
        /// Its value.
        found: String,
    },
}

/// Reads a line of a workload's own proxy.
///
/// # Errors
/// When it is none, or of the calling side.
pub fn of_line(line: &Value) -> Result<Record, LineError> {
    if !line.is_object() {
        return Err(LineError::Shape);
    }
    if !is_inbound(line) {
        return Err(LineError::OtherSide);
    }
    let some = |name: &str| Some(text(line, name)).filter(|text| !text.is_empty());
    let request = (text(line, "protocol") != "TCP").then(|| request(line));
    let reason = some("response_code_details").filter(|reason| reason != "via_upstream");
    let facts = Refusal {
        id: String::new(),
        trace_id: some("trace_id"),
        time: text(line, "start_time"),
        reason: reason.unwrap_or_default(),
        detail: text(line, "reason_detail"),
        policy: String::new(),
        workload: text(line, "destination_principal"),
        instance: text(line, "instance"),
        peer: some("source_principal"),
        downstream: address(line, "downstream_remote_address")?,
        local: address(line, "downstream_local_address")?,
        sni: some("requested_server_name"),
        request,
    };
    Ok(Record {
        facts,
        known: Known::Line,
        count: 1,
    })
}

fn request(line: &Value) -> RefusedRequest {
    let (authority, path) = (text(line, "authority"), text(line, "path"));
    // The log cuts within a character's length of its bound.
    let cut = [&authority, &path]
        .into_iter()
        .any(|text| text.len() + 4 > MAX_TEXT);
    RefusedRequest {
        method: text(line, "method"),
        scheme: "http".to_owned(),
        authority,
        path,
        cut,
        ..RefusedRequest::default()
    }
}

/// Lines without a reporter are told apart by names that the calling side alone writes.
fn is_inbound(line: &Value) -> bool {
    let calling = ["destination_service", "destination_principal", "route_name"];
    match line["reporter"].as_str() {
        Some(reporter) => reporter == "destination",
        None => calling.into_iter().all(|name| line[name].is_null()),
    }
}

fn text(line: &Value, name: &str) -> String {
    line[name].as_str().unwrap_or_default().to_owned()
}

fn address(line: &Value, field: &'static str) -> Result<SocketAddr, LineError> {
    let found = text(line, field);
    found.parse().map_err(|_| LineError::Address { field, found })
}
