//! Access policies, default policies and each way to authenticate, alone and together.

use crate::mesh::{Deed, authentications, mesh, object, policy, server, verdicts};

/// What an access policy lets in, by client; see [`crate::mesh::CLIENTS`].
const ACCESS: [(&str, &str); 6] = [
    ("deny", "-----"),
    ("audit", "!!!!!"),
    ("all-unauthenticated", "+++++"),
    ("all-authenticated", "+++--"),
    ("cluster-unauthenticated", "++-+-"),
    ("cluster-authenticated", "++---"),
];

/// What is authorized, and whom that lets in.
fn authorizations() -> Vec<(Vec<String>, &'static str)> {
    let on_server = |required: &[&str]| policy("p", "Server web", required);
    let older = |client: &str| {
        object(
            "ServerAuthorization",
            "p",
            &format!("{{server: {{name: web}}, client: {client}}}"),
        )
    };
    let mesh_tls = |name: &str| on_server(&[&format!("MeshTLSAuthentication {name}")]);
    let network = |name: &str| on_server(&[&format!("NetworkAuthentication {name}")]);
    let infix = "serviceaccount.identity.linkerd.cluster.local";
    let one = |text: String, expected| (vec![text], expected);
    vec![
        (vec![], "-----"),
        one(mesh_tls("alice"), "+----"),
        one(mesh_tls("anybody"), "+++--"),
        one(mesh_tls("others"), "-+---"),
        one(mesh_tls("spiffe"), "--+--"),
        one(mesh_tls("refs"), "++---"),
        one(mesh_tls("nobody"), "-----"),
        one(mesh_tls("gone"), "-----"),
        one(network("inside"), "++-+-"),
        one(network("holed"), "+---+"),
        one(network("outside"), "--+-+"),
        one(network("others/inside"), "-+---"),
        one(network("gone"), "-----"),
        one(on_server(&["ServiceAccount alice"]), "+----"),
        one(on_server(&["ServiceAccount other/carol"]), "-+---"),
        one(on_server(&["ServiceAccount carol"]), "-----"),
        one(on_server(&[]), "+++++"),
        // All of them have to hold.
        one(
            on_server(&["MeshTLSAuthentication anybody", "NetworkAuthentication inside"]),
            "++---",
        ),
        one(
            on_server(&["NetworkAuthentication holed", "MeshTLSAuthentication anybody"]),
            "+----",
        ),
        one(
            on_server(&["MeshTLSAuthentication anybody", "MeshTLSAuthentication others"]),
            "-+---",
        ),
        one(
            on_server(&["MeshTLSAuthentication refs", "ServiceAccount alice"]),
            "+----",
        ),
        one(
            on_server(&["MeshTLSAuthentication alice", "MeshTLSAuthentication others"]),
            "-----",
        ),
        one(
            on_server(&["NetworkAuthentication inside", "NetworkAuthentication holed"]),
            "+----",
        ),
        one(
            on_server(&["NetworkAuthentication inside", "NetworkAuthentication outside"]),
            "-----",
        ),
        one(
            on_server(&["NetworkAuthentication inside", "NetworkAuthentication gone"]),
            "-----",
        ),
        // One of several policies is enough.
        (
            vec![
                on_server(&["ServiceAccount alice"]),
                policy("q", "Server web", &["NetworkAuthentication outside"]),
            ],
            "+-+-+",
        ),
        one(policy("p", "Namespace default", &["ServiceAccount far"]), "--+--"),
        one(policy("p", "Namespace other", &["ServiceAccount far"]), "-----"),
        one(policy("p", "Server other", &[]), "-----"),
        one(policy("other/p", "Server web", &[]), "-----"),
        one(policy("other/p", "Namespace default", &[]), "-----"),
        // Without networks, those of the cluster.
        one(older("{unauthenticated: true}"), "++-+-"),
        one(
            older("{unauthenticated: true, networks: [{cidr: 0.0.0.0/0}]}"),
            "+++++",
        ),
        one(
            older("{unauthenticated: true, networks: [{cidr: 203.0.113.0/24, except: [203.0.113.2]}]}"),
            "--+--",
        ),
        one(older("{meshTLS: {unauthenticatedTLS: true}}"), "++---"),
        one(
            older(&format!("{{meshTLS: {{identities: ['*.default.{infix}']}}}}")),
            "+----",
        ),
        one(
            older("{networks: [{cidr: 0.0.0.0/0}], meshTLS: {identities: ['*']}}"),
            "+++--",
        ),
        one(
            older("{meshTLS: {serviceAccounts: [{name: alice}, {name: carol, namespace: other}]}}"),
            "++---",
        ),
        one(older("{meshTLS: {identities: [nobody.at.all]}}"), "-----"),
        one(
            object(
                "ServerAuthorization",
                "p",
                "{server: {selector: {matchLabels: {tier: front}}}, client: {unauthenticated: true}}",
            ),
            "++-+-",
        ),
        one(
            object(
                "ServerAuthorization",
                "p",
                "{server: {selector: {matchLabels: {tier: back}}}, client: {unauthenticated: true}}",
            ),
            "-----",
        ),
    ]
}

/// Whoever one of them lets in is let in, and marked if it is by auditing alone.
fn either(access: &str, authorized: &str) -> String {
    let both = access.chars().zip(authorized.chars());
    both.map(|(access, authorized)| if authorized == '-' { access } else { authorized })
        .collect()
}

#[test]
fn a_server_lets_in_what_its_access_policy_and_whoever_authorizes_let_in() {
    let mut wrong = Vec::new();
    for (access, by_access) in ACCESS {
        for (objects, by_policy) in authorizations() {
            let all = [authentications(), vec![server(access)], objects.clone()].concat();
            let mut mesh = mesh(&all);
            let expected = either(by_access, by_policy);
            for deed in [Deed::Connect, Deed::Ask("GET shop/")] {
                let decided = verdicts(&mut mesh, 8080, deed);
                if decided != expected {
                    wrong.push(format!(
                        "{decided}, not {expected}: {access}\n{}",
                        objects.join("---\n")
                    ));
                }
            }
            // Other ports know nothing of it.
            assert_eq!(verdicts(&mut mesh, 9090, Deed::Connect), "+++++");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn namespace(access: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\n\
         metadata: {{name: default, annotations: {{config.linkerd.io/default-inbound-policy: {access}}}}}\n"
    )
}

fn entry(annotations: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n\
         metadata: {{name: shop, annotations: {{{annotations}}}, labels: {{app: shop, wattle.io/proxy: enabled}}}}\n\
         spec: {{address: 10.0.0.9, ports: {{web: 8080}}}}\n"
    )
}

#[test]
fn a_default_policy_is_for_ports_without_a_server_and_is_changed_by_no_policy() {
    for (access, expected) in ACCESS {
        let objects = [
            namespace(access),
            server("all-authenticated"),
            policy("p", "Namespace default", &["ServiceAccount far"]),
        ];
        let mut mesh = mesh(&objects);
        assert_eq!(verdicts(&mut mesh, 9090, Deed::Connect), expected, "{access}");
        assert_eq!(
            verdicts(&mut mesh, 1, Deed::Ask("GET shop/")),
            expected,
            "{access}"
        );
        assert_eq!(verdicts(&mut mesh, 8080, Deed::Connect), "+++--", "{access}");
    }
}

#[test]
fn a_workload_has_its_own_default_policy_before_its_namespaces() {
    for (access, expected) in ACCESS {
        let own = entry(&format!("config.linkerd.io/default-inbound-policy: {access}"));
        for other in ["deny", "all-unauthenticated"] {
            let mut mesh = mesh(&[namespace(other), own.clone()]);
            assert_eq!(verdicts(&mut mesh, 9090, Deed::Connect), expected, "{access}");
        }
    }
    let mut mesh = mesh(&[namespace("deny"), entry("")]);
    assert_eq!(verdicts(&mut mesh, 9090, Deed::Connect), "-----");
}

#[test]
fn without_linkerds_policies_there_are_no_gates() {
    let objects = [
        authentications(),
        vec![
            policy("p", "Namespace default", &[]),
            namespace("all-unauthenticated"),
        ],
    ];
    let mut mesh = mesh(&objects.concat());
    let inbound = mesh.inbound("default/shop").unwrap();
    assert_eq!(inbound.authorization.gates, []);
    assert_eq!(verdicts(&mut mesh, 8080, Deed::Connect), "+++++");
}

#[test]
fn istios_policies_hold_beside_a_gate() {
    let istio = |action: &str, principal: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {}}}\n\
             spec: {{action: {action}, rules: [{{from: [{{source: {{principals: ['{principal}']}}}}]}}]}}\n",
            action.to_lowercase()
        )
    };
    let mut denying = mesh(&[server("all-authenticated"), istio("DENY", "*/sa/alice")]);
    assert_eq!(verdicts(&mut denying, 8080, Deed::Connect), "-++--");
    let mut allowing = mesh(&[
        server("cluster-authenticated"),
        istio("ALLOW", "*/ns/default/sa/far"),
    ]);
    assert_eq!(verdicts(&mut allowing, 8080, Deed::Connect), "-----");
    assert_eq!(verdicts(&mut allowing, 9090, Deed::Connect), "--+--");
}

#[test]
fn of_two_servers_of_a_port_the_older_counts() {
    let at = |name: &str, access: &str, created: &str| {
        let spec = format!("{{podSelector: {{}}, port: 8080, accessPolicy: {access}}}");
        let created = format!("name: {name}, creationTimestamp: '{created}'");
        object("Server", name, &spec).replace(&format!("name: {name}"), &created)
    };
    let old = at("b", "all-authenticated", "2025-01-01T00:00:00Z");
    let new = at("a", "all-unauthenticated", "2026-01-01T00:00:00Z");
    for objects in [[old.clone(), new.clone()], [new, old]] {
        assert_eq!(verdicts(&mut mesh(&objects), 8080, Deed::Connect), "+++--");
    }
}
