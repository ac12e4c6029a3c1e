//! The decision itself: the same manifests compiled, and the model asked.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use wattle_compile::{Mesh, Settings};
use wattle_model::{
    AuthorizationDecision, CallerFacts, ConnectionFacts, Inbound, NoTrace, PeerFacts, Reason, RequestFacts,
    original_client,
};

use crate::cases::{Addresses, Asked, Case, Deed, Verdict};

/// What a server enforces under these manifests, all of which must be good.
pub(crate) fn compiled(server: &str, manifests: &[&str]) -> Arc<Inbound> {
    let mut mesh = Mesh::new(Settings::default());
    for text in manifests {
        let parsed = wattle_api::parse(text, "table.yaml");
        assert!(parsed.refused.is_empty(), "{:?}\n{text}", parsed.diagnostics);
        parsed.objects.into_iter().for_each(|object| mesh.apply(object));
    }
    mesh.inbound(&format!("default/{server}")).unwrap()
}

/// The decision about a case.
pub(crate) fn decide(inbound: &Inbound, case: &Case, addresses: &Addresses, server: &str) -> Verdict {
    let (namespace, principal) = match &*case.who {
        "carol" => ("other", "cluster.local/ns/other/sa/carol".to_owned()),
        who => ("default", format!("cluster.local/ns/default/sa/{who}")),
    };
    let peer = (case.who != "plain").then_some(PeerFacts {
        principal: &principal,
        namespace,
        service_account: &case.who,
    });
    let address = |name: &str| -> IpAddr { addresses[name] };
    let (port, asked, sni) = match &case.does {
        Deed::Request(asked) => (8080, Some(asked), None),
        Deed::Tcp => (9090, None, None),
        Deed::Tls(name) => (7443, None, Some(name.as_str())),
    };
    let connection = ConnectionFacts {
        peer,
        peer_ip: address(&case.who),
        local_ip: address(server),
        port,
        sni,
    };
    let headers = asked.map(headers).unwrap_or_default();
    let request = asked.map(|asked| facts(asked, &headers, peer.is_some()));
    match inbound.authorize(&connection, request.as_ref(), &mut NoTrace) {
        AuthorizationDecision::Allowed { .. } => Verdict::Allowed,
        AuthorizationDecision::Refused {
            reason: Reason::PolicyDenied,
            ..
        } => Verdict::Denied,
        AuthorizationDecision::Refused { .. } => Verdict::NotAllowed,
    }
}

fn headers(asked: &Asked) -> HeaderMap {
    let pairs = asked.headers.iter().map(|(name, value)| {
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    let mut headers = HeaderMap::new();
    pairs.for_each(|(name, value)| {
        headers.append(name, value);
    });
    headers
}

fn facts<'a>(asked: &'a Asked, headers: &'a HeaderMap, meshed: bool) -> RequestFacts<'a> {
    let (path, query) = match asked.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*asked.target, None),
    };
    RequestFacts {
        method: &asked.method,
        scheme: "http",
        authority: &asked.host,
        path,
        query,
        headers,
        caller: CallerFacts::default(),
        remote_ip: original_client(meshed, headers),
        token: None,
    }
}
