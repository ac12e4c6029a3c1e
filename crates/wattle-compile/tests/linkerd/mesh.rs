//! A mesh with one workload, and those who call it.

use http::{HeaderMap, HeaderName, HeaderValue};
use wattle_api::{Kind, ObjectKey};
use wattle_compile::{Mesh, Settings};
use wattle_model::{
    AuthorizationDecision, CallerFacts, ConnectionFacts, Inbound, NoTrace, PeerFacts, RequestFacts,
};

/// The workload that is called, and another that is not.
const WORKLOADS: &str = "apiVersion: wattle.io/v1alpha1\nkind: Process\n\
    metadata: {name: shop, labels: {app: shop}}\n\
    spec: {command: [shop], ports: [{name: web, port: 8080}, {name: raw, port: 9090}]}\n---\n\
    apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: other, labels: {app: other}}\n\
    spec: {command: [other], ports: [{name: web, port: 8080}]}\n";

/// Two of the mesh in the cluster, one of the mesh outside it, and two of nobody: inside and outside.
pub(crate) const CLIENTS: [(Option<&str>, [u8; 4]); 5] = [
    (Some("cluster.local/ns/default/sa/alice"), [10, 0, 0, 1]),
    (Some("cluster.local/ns/other/sa/carol"), [10, 0, 1, 1]),
    (Some("cluster.local/ns/default/sa/far"), [203, 0, 113, 1]),
    (None, [10, 0, 0, 2]),
    (None, [203, 0, 113, 2]),
];

/// What is asked of the workload.
#[derive(Clone, Copy)]
pub(crate) enum Deed<'a> {
    /// An opaque connection.
    Connect,
    /// `METHOD HOST/PATH[?QUERY]`.
    Ask(&'a str),
}

/// The mesh with these objects, all of which must be good.
pub(crate) fn mesh(objects: &[String]) -> Mesh {
    let mut mesh = Mesh::new(Settings::default());
    for text in objects.iter().map(String::as_str).chain([WORKLOADS]) {
        let parsed = wattle_api::parse(text, "t.yaml");
        assert!(parsed.refused.is_empty(), "{:?}\n{text}", parsed.diagnostics);
        parsed.objects.into_iter().for_each(|object| mesh.apply(object));
    }
    mesh
}

/// The mesh where something of this name is there and cannot be read.
pub(crate) fn without(objects: &[String], kind: Kind, namespace: &str, name: &str) -> Mesh {
    let mut mesh = mesh(objects);
    mesh.refuse(ObjectKey::new(kind, namespace, name));
    mesh
}

/// One letter for each client: `+` is let in, `-` refused, `!` let in and marked.
pub(crate) fn verdicts(mesh: &mut Mesh, port: u16, deed: Deed<'_>) -> String {
    let inbound = mesh.inbound("default/shop").unwrap();
    CLIENTS
        .iter()
        .map(|(principal, address)| verdict(&inbound, *principal, *address, (port, deed)))
        .collect()
}

fn verdict(
    inbound: &Inbound,
    principal: Option<&str>,
    address: [u8; 4],
    (port, deed): (u16, Deed<'_>),
) -> char {
    let peer = principal.map(|principal| {
        let parts: Vec<_> = principal.split('/').collect();
        PeerFacts {
            principal,
            namespace: parts[2],
            service_account: parts[4],
        }
    });
    let connection = ConnectionFacts {
        peer,
        peer_ip: address.into(),
        local_ip: [10, 0, 0, 9].into(),
        port,
        sni: None,
    };
    let mut headers = HeaderMap::new();
    let request = match deed {
        Deed::Connect => None,
        Deed::Ask(line) => Some(request(line, &mut headers)),
    };
    match inbound.authorize(&connection, request.as_ref(), &mut NoTrace) {
        AuthorizationDecision::Refused { .. } => '-',
        AuthorizationDecision::Allowed { .. } => match inbound.audited_by(&connection, request.as_ref()) {
            Some(_) => '!',
            None => '+',
        },
    }
}

/// `METHOD HOST/PATH[?QUERY] [NAME=VALUE …]`.
fn request<'a>(line: &'a str, headers: &'a mut HeaderMap) -> RequestFacts<'a> {
    let mut words = line.split(' ');
    let (method, url) = (words.next().unwrap(), words.next().unwrap());
    for word in words {
        let (name, value) = word.split_once('=').unwrap();
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let (url, query) = match url.split_once('?') {
        Some((url, query)) => (url, Some(query)),
        None => (url, None),
    };
    let (authority, _) = url.split_once('/').unwrap();
    RequestFacts {
        method,
        scheme: "http",
        authority,
        path: &url[authority.len()..],
        query,
        headers,
        caller: CallerFacts::default(),
        remote_ip: None,
        token: None,
    }
}

/// An object of Linkerd's group, in namespace `default` unless the name says another.
pub(crate) fn object(kind: &str, name: &str, spec: &str) -> String {
    let version = match kind {
        "Server" => "policy.linkerd.io/v1beta3",
        "ServerAuthorization" => "policy.linkerd.io/v1beta1",
        "GRPCRoute" | "Gateway HTTPRoute" => "gateway.networking.k8s.io/v1",
        "HTTPRoute" => "policy.linkerd.io/v1beta3",
        _ => "policy.linkerd.io/v1alpha1",
    };
    let kind = kind.strip_prefix("Gateway ").unwrap_or(kind);
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{tier: front}}}}\n\
         spec: {spec}\n"
    )
}

/// The Server `web` of the workload, port 8080, with this access policy.
pub(crate) fn server(access: &str) -> String {
    let spec = format!("{{podSelector: {{matchLabels: {{app: shop}}}}, port: web, accessPolicy: {access}}}");
    object("Server", "web", &spec)
}

/// The AuthorizationPolicy `name` for a target (`KIND NAME`), requiring these (`KIND [NAMESPACE/]NAME`).
pub(crate) fn policy(name: &str, target: &str, required: &[&str]) -> String {
    let (kind, of) = target.rsplit_once(' ').unwrap();
    let group = match kind {
        "Namespace" => "",
        "Gateway HTTPRoute" | "GRPCRoute" => "gateway.networking.k8s.io",
        _ => "policy.linkerd.io",
    };
    let kind = kind.strip_prefix("Gateway ").unwrap_or(kind);
    let required = required.iter().map(|required| {
        let (kind, name) = required.split_once(' ').unwrap();
        let group = if kind == "ServiceAccount" {
            ""
        } else {
            "policy.linkerd.io"
        };
        let (namespace, name) = match name.split_once('/') {
            Some((namespace, name)) => (format!(", namespace: {namespace}"), name),
            None => (String::new(), name),
        };
        format!("{{group: '{group}', kind: {kind}, name: {name}{namespace}}}")
    });
    let spec = format!(
        "{{targetRef: {{group: '{group}', kind: {kind}, name: {of}}}, requiredAuthenticationRefs: [{}]}}",
        required.collect::<Vec<_>>().join(", ")
    );
    object("AuthorizationPolicy", name, &spec)
}

/// Authentications that policies of the tests require.
pub(crate) fn authentications() -> Vec<String> {
    let mesh_tls = |name, spec: &str| object("MeshTLSAuthentication", name, spec);
    let network = |name, spec: &str| object("NetworkAuthentication", name, spec);
    let infix = "serviceaccount.identity.linkerd.cluster.local";
    vec![
        mesh_tls("alice", &format!("{{identities: [alice.default.{infix}]}}")),
        mesh_tls("anybody", "{identities: ['*']}"),
        mesh_tls("others", &format!("{{identities: ['*.other.{infix}']}}")),
        mesh_tls(
            "spiffe",
            "{identities: ['spiffe://cluster.local/ns/default/sa/far']}",
        ),
        mesh_tls(
            "refs",
            "{identityRefs: [{kind: ServiceAccount, name: alice}, {kind: Namespace, name: other}]}",
        ),
        mesh_tls("nobody", "{identities: [nobody.at.all]}"),
        network("inside", "{networks: [{cidr: 10.0.0.0/8}]}"),
        network(
            "holed",
            "{networks: [{cidr: 10.0.0.0/8, except: [10.0.1.0/24, 10.0.0.2]}, {cidr: 203.0.113.2}]}",
        ),
        network("outside", "{networks: [{cidr: 203.0.113.0/24}]}"),
        network("others/inside", "{networks: [{cidr: 10.0.1.0/24}]}"),
    ]
}
