//! A request and its connection as text, and the decisions about them.

use http::{HeaderMap, HeaderName, HeaderValue};
use wattle_model::{
    AuthorizationDecision, CallerFacts, ConnectionFacts, Destination, Inbound, NoTrace, PeerFacts,
    RequestFacts, Step,
};

/// What a client sent; every part may be anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) method: &'a str,
    pub(crate) authority: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    /// `name:value` lines.
    pub(crate) headers: &'a str,
    /// `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`; `None` is plaintext.
    pub(crate) principal: Option<&'a str>,
    pub(crate) port: u16,
}

impl Facts<'static> {
    /// A few that differ in every part.
    pub(crate) const SOME: [Self; 3] = [
        Self {
            method: "GET",
            authority: "reviews",
            path: "/a/%2e%2e/admin//x",
            query: Some("q=1&q=%32"),
            headers: "x-user:ann",
            principal: Some("cluster.local/ns/default/sa/web"),
            port: 80,
        },
        Self {
            method: "POST",
            authority: "reviews.shop.svc.cluster.local:9080",
            path: "/",
            query: None,
            headers: "",
            principal: None,
            port: 9080,
        },
        Self {
            method: "DELETE",
            authority: "",
            path: "*",
            query: Some(""),
            headers: "a:b\na:c",
            principal: Some("cluster.local/ns/shop/sa/"),
            port: 0,
        },
    ];
}

impl<'a> Facts<'a> {
    /// Routes twice, with and without a trace, and checks that the trace changes nothing.
    pub(crate) fn route(&self, destination: &Destination) {
        let headers = self.header_map();
        let request = self.request(&headers);
        for random in [0, u64::MAX / 3, u64::MAX] {
            let mut trace = Vec::<Step>::new();
            let explained = destination.route(&request, random, &mut trace);
            let quiet = destination.route(&request, random, &mut NoTrace);
            assert_eq!(explained, quiet, "{trace:?}");
            drop(destination.shares(explained.rule));
        }
    }

    /// Authorizes as a request and as a bare connection; gives the verdict on the request.
    pub(crate) fn authorize<'i>(&self, inbound: &'i Inbound) -> AuthorizationDecision<'i> {
        let headers = self.header_map();
        let request = self.request(&headers);
        let connection = self.connection();
        let mut trace = Vec::<Step>::new();
        let _ = inbound.authorize(&connection, None, &mut trace);
        let explained = inbound.authorize(&connection, Some(&request), &mut trace);
        let quiet = inbound.authorize(&connection, Some(&request), &mut NoTrace);
        assert_eq!(explained, quiet, "{trace:?}");
        explained
    }

    fn connection(&self) -> ConnectionFacts<'a> {
        ConnectionFacts {
            peer: self.principal.map(peer),
            peer_ip: [10, 0, 0, 7].into(),
            local_ip: [10, 0, 0, 8].into(),
            port: self.port,
            sni: self.principal.map(|_| self.authority),
        }
    }

    fn request<'b>(&self, headers: &'b HeaderMap) -> RequestFacts<'b>
    where
        'a: 'b,
    {
        RequestFacts {
            method: self.method,
            scheme: "http",
            authority: self.authority,
            path: self.path,
            query: self.query,
            headers,
            caller: CallerFacts::default(),
            remote_ip: None,
            token: None,
        }
    }

    fn header_map(&self) -> HeaderMap {
        let fields = self.headers.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter_map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_str(value).ok()?))
            })
            .take(64)
            .collect()
    }
}

fn peer(principal: &str) -> PeerFacts<'_> {
    let mut parts = principal.split('/').skip(2).step_by(2);
    PeerFacts {
        principal,
        namespace: parts.next().unwrap_or(""),
        service_account: parts.next().unwrap_or(""),
    }
}
