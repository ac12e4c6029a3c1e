//! What is known of a connection or request when a decision is made.

use std::net::IpAddr;

use http::HeaderMap;

use crate::{CallerFacts, TokenFacts};

/// The verified identity of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerFacts<'a> {
    /// `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
    pub principal: &'a str,
    /// Namespace part of it.
    pub namespace: &'a str,
    /// Service account part of it.
    pub service_account: &'a str,
}

impl<'a> PeerFacts<'a> {
    /// First part of the principal.
    pub fn trust_domain(&self) -> &'a str {
        self.principal.split('/').next().unwrap_or_default()
    }
}

/// An inbound connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFacts<'a> {
    /// Who it is; `None` for plaintext.
    pub peer: Option<PeerFacts<'a>>,
    /// Address it comes from.
    pub peer_ip: IpAddr,
    /// Address of the workload that was dialled.
    pub local_ip: IpAddr,
    /// Port of the workload that was dialled.
    pub port: u16,
    /// Name that the client asked for in TLS.
    pub sni: Option<&'a str>,
}

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// `GET`, …
    pub method: &'a str,
    /// `http` or `https`, as the application meant it.
    pub scheme: &'a str,
    /// Host header or `:authority`, with port when it was sent.
    pub authority: &'a str,
    /// Path without query.
    pub path: &'a str,
    /// Query without `?`; `None` when there is none.
    pub query: Option<&'a str>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// Outbound: the workload that sends it. Inbound: nothing, since what a peer says of itself proves nothing.
    pub caller: CallerFacts<'a>,
    /// Inbound: address of the original client; `None` is the peer's.
    pub remote_ip: Option<IpAddr>,
    /// Inbound: what its verified token says.
    pub token: Option<&'a TokenFacts>,
}

/// Address of the original client: the last one of `x-forwarded-for`, which is heard from a peer of the mesh alone. `None`
/// is the peer's own.
pub fn original_client(peer_of_mesh: bool, headers: &HeaderMap) -> Option<IpAddr> {
    let mut said = headers.get_all("x-forwarded-for").iter();
    let last = said.next_back().filter(|_| peer_of_mesh)?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
impl<'a> RequestFacts<'a> {
    /// `GET http://a/` with these headers.
    pub(crate) fn example(headers: &'a HeaderMap) -> Self {
        Self {
            method: "GET",
            scheme: "http",
            authority: "a",
            path: "/",
            query: None,
            headers,
            caller: CallerFacts::default(),
            remote_ip: None,
            token: None,
        }
    }
}
