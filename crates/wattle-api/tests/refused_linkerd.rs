//! What authorizes Linkerd's clients is refused where it breaks a rule, field by field: nothing that was left empty by
//! mistake opens a door.

mod common;

use common::check;

fn object(version: &str, kind: &str, spec: &str) -> String {
    common::object(
        &format!("policy.linkerd.io/{version}"),
        kind,
        &format!("spec:\n  {spec}"),
    )
}

#[test]
fn authorization_policies() {
    let policy = |spec: &str| object("v1alpha1", "AuthorizationPolicy", spec);
    let server = "targetRef: {group: policy.linkerd.io, kind: Server, name: s}";
    let with = |refs: &str| format!("{server}\n  requiredAuthenticationRefs: {refs}");
    let unknown = "expected Server or HTTPRoute of policy.linkerd.io, HTTPRoute or GRPCRoute of \
                   gateway.networking.k8s.io, or Namespace of the core group";
    check(
        policy,
        "spec",
        &[
            (
                server,
                ".requiredAuthenticationRefs: the field is required and not there (add requiredAuthenticationRefs)",
            ),
            (
                &with("null"),
                ".requiredAuthenticationRefs: the field is required and not there (add requiredAuthenticationRefs)",
            ),
            (
                "targetRef: {kind: Server, name: s}\n  requiredAuthenticationRefs: []",
                &format!(".targetRef: found kind Server of group \"\", {unknown}"),
            ),
            (
                "targetRef: {group: policy.linkerd.io, kind: GRPCRoute, name: s}\n  requiredAuthenticationRefs: []",
                &format!(".targetRef: found kind GRPCRoute of group \"policy.linkerd.io\", {unknown}"),
            ),
            (
                &with("[{kind: MeshTLSAuthentication, name: a}]"),
                ".requiredAuthenticationRefs[0]: found group \"\", expected \"policy.linkerd.io\" for this kind (write \
                 group: \"policy.linkerd.io\")",
            ),
            (
                &with("[{group: policy.linkerd.io, kind: NetworkAuthentications, name: a}]"),
                ".requiredAuthenticationRefs[0].kind: found \"NetworkAuthentications\", expected one of \
                 MeshTLSAuthentication, NetworkAuthentication, ServiceAccount (write NetworkAuthentication)",
            ),
            (
                &with("[{kind: ServiceAccount, name: ''}]"),
                ".requiredAuthenticationRefs[0].name: found \"\", expected 1 to 253 of a-z, 0-9, - and . inside",
            ),
        ],
    );
}

#[test]
fn mesh_tls_authentications() {
    let hint = "(write SA.NAMESPACE.serviceaccount.identity.linkerd.TRUST-DOMAIN)";
    let unknown = |text: &str| {
        format!(
            ".identities[0]: found \"{text}\", expected * or *.SUFFIX or a DNS name or a SPIFFE ID without wildcards {hint}"
        )
    };
    let empty = "found no item, expected at least one (remove the field if anything may match)";
    check(
        |spec| object("v1alpha1", "MeshTLSAuthentication", spec),
        "spec",
        &[
            (
                "{}",
                ": found neither identities nor identityRefs, expected at least one client",
            ),
            ("identities: []", &format!(".identities: {empty}")),
            ("identityRefs: null", &format!(".identityRefs: {empty}")),
            ("identities: ['**']", &unknown("**")),
            ("identities: ['*.']", &unknown("*.")),
            ("identities: ['*web.shop']", &unknown("*web.shop")),
            ("identities: [web.*]", &unknown("web.*")),
            ("identities: ['spiffe://td/*']", &unknown("spiffe://td/*")),
            ("identities: ['spiffe://td']", &unknown("spiffe://td")),
            (
                "identityRefs: [{kind: Namespace, name: a, namespace: b}]",
                ".identityRefs[0]: a Namespace is in no namespace, its name alone says which (remove namespace)",
            ),
            (
                "identityRefs: [{kind: ServiceAccount}]",
                ".identityRefs[0].name: the field is required and not there (add name)",
            ),
            (
                "identityRefs: [{group: apps, kind: ServiceAccount, name: a}]",
                ".identityRefs[0]: found group \"apps\", expected the core group (write group: \"\")",
            ),
        ],
    );
}

#[test]
fn network_authentications() {
    check(
        |spec| object("v1alpha1", "NetworkAuthentication", spec),
        "spec",
        &[
            (
                "{}",
                ".networks: the field is required and not there (add networks)",
            ),
            (
                "networks: []",
                ".networks: found no network, expected at least one",
            ),
            (
                "networks: [{cidr: 10.0.0.0/8, except: [11.0.0.1]}]",
                ".networks[0]: 11.0.0.1/32 in except does not lie in 10.0.0.0/8",
            ),
            (
                "networks: [{cidr: inside}]",
                ".networks[0].cidr: found \"inside\", expected an address or a block such as 10.0.0.0/8",
            ),
        ],
    );
}

#[test]
fn server_authorizations() {
    let one = ": expected exactly one of unauthenticated: true and meshTLS";
    let some = ": expected either unauthenticatedTLS: true or some identities or serviceAccounts";
    let client = |client: &str| {
        object(
            "v1beta1",
            "ServerAuthorization",
            &format!("server: {{name: s}}\n  client: {client}"),
        )
    };
    check(
        client,
        "spec.client",
        &[
            ("{}", one),
            ("{unauthenticated: false}", one),
            ("{unauthenticated: true, meshTLS: {identities: ['*']}}", one),
            ("{meshTLS: {}}", &format!(".meshTLS{some}")),
            (
                "{meshTLS: {unauthenticatedTLS: true, identities: ['*']}}",
                &format!(".meshTLS{some}"),
            ),
            (
                "{unauthenticated: true, networks: []}",
                ".networks: found no item, expected at least one (remove the field if anything may match)",
            ),
        ],
    );
    let server = |server: &str| {
        object(
            "v1beta1",
            "ServerAuthorization",
            &format!("client: {{unauthenticated: true}}\n  server: {server}"),
        )
    };
    let exactly = ": expected exactly one of name and selector";
    check(
        server,
        "spec.server",
        &[("{}", exactly), ("{name: s, selector: {}}", exactly)],
    );
}
