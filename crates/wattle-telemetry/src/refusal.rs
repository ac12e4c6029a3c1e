//! What a proxy keeps of a request or connection that it refused: the facts that were compared, and no secret.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// One refusal on the way in, as `wattle why` asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Names it: 16 hexadecimal digits; header `wattle-refusal` and `refusal_id` of the access log.
    pub id: String,
    /// Trace id of the request's `traceparent` (W3C Trace Context), as `trace_id` of the access log.
    #[serde(default)]
    pub trace_id: Option<String>,
    /// When, RFC 3339 with milliseconds.
    pub time: String,
    /// Stable id of the reason.
    pub reason: String,
    /// Stable id of the cause, where the reason has several; else empty.
    pub detail: String,
    /// The policy and rule that decided, with file and line, as it was then; empty where no single one did.
    pub policy: String,
    /// SPIFFE name of the workload that refused.
    pub workload: String,
    /// Its instance.
    pub instance: String,
    /// SPIFFE name of the peer; `None` for plaintext.
    pub peer: Option<String>,
    /// Who connected.
    pub downstream: SocketAddr,
    /// Address of the workload that was dialled.
    pub local: SocketAddr,
    /// Name that the client asked for in TLS.
    pub sni: Option<String>,
    /// What was asked for; `None` for an opaque connection.
    pub request: Option<RefusedRequest>,
}

/// The request that was refused. Texts are cut at 1 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRequest {
    /// `GET`, …
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host, with port when it was sent.
    pub authority: String,
    /// Path without query.
    pub path: String,
    /// Names of its headers.
    pub header_names: Vec<String>,
    /// Values of the headers that a policy compares, except those that hold credentials.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Address of the original client, where a policy compares it.
    pub remote_ip: Option<IpAddr>,
    /// What its verified token says.
    pub token: Option<RefusedToken>,
    /// Texts were cut or left out, for want of room: what is not here may have been there.
    #[serde(default)]
    pub cut: bool,
}

/// What a verified token said, of what a policy may compare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedToken {
    /// Claims `iss` and `sub`.
    pub principal: Option<(String, String)>,
    /// Claim `aud`.
    pub audiences: Vec<String>,
    /// Claim `azp`.
    pub presenter: Option<String>,
    /// Values of the claims that a policy compares, by the attribute's name.
    pub claims: BTreeMap<String, Vec<String>>,
}
