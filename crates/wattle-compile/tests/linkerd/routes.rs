//! Routes of a Server: each request has one, which may let in more.

use crate::mesh::{Deed, authentications, mesh, object, policy, server, verdicts};

fn check(objects: &[String], rows: &[(&str, &str)]) {
    let mut mesh = mesh(&[authentications(), objects.to_vec()].concat());
    let wrong: Vec<_> = rows
        .iter()
        .map(|(line, expected)| (line, verdicts(&mut mesh, 8080, Deed::Ask(line)), expected))
        .filter(|(_, decided, expected)| decided != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", objects.join("---\n"));
}

fn route(kind: &str, name: &str, rules: &str) -> String {
    let parent = "parentRefs: [{group: policy.linkerd.io, kind: Server, name: web}]";
    object(kind, name, &format!("{{{parent}, {rules}}}"))
}

/// `/admin` for alice, `/` for whoever is inside.
fn guarded() -> [String; 4] {
    [
        route(
            "HTTPRoute",
            "admin",
            "rules: [{matches: [{path: {value: /admin}}]}]",
        ),
        route(
            "Gateway HTTPRoute",
            "rest",
            "rules: [{matches: [{path: {value: /}}]}]",
        ),
        policy("p", "HTTPRoute admin", &["ServiceAccount alice"]),
        policy("q", "Gateway HTTPRoute rest", &["NetworkAuthentication inside"]),
    ]
}

#[test]
fn the_route_of_a_request_lets_in_besides_its_server() {
    let objects = [vec![server("deny")], guarded().to_vec()].concat();
    let rows = [
        ("GET shop/", "++-+-"),
        ("GET shop/administration", "++-+-"),
        ("GET shop/admin", "+----"),
        ("POST shop/admin/x?y=z", "+----"),
    ];
    check(&objects, &rows);
    let authorized = policy("r", "Server web", &["MeshTLSAuthentication spiffe"]);
    let rows = [("GET shop/", "++++-"), ("GET shop/admin", "+-+--")];
    check(&[objects, vec![authorized]].concat(), &rows);
}

#[test]
fn an_odd_spelling_of_a_path_is_no_way_to_another_route() {
    let objects = [vec![server("deny")], guarded().to_vec()].concat();
    let spellings = [
        "/x/../admin",
        "/%61dmin",
        "/./admin",
        "//admin",
        "/x%2f..%2fadmin",
        "\\admin",
        "/admin/%2e",
        "/admin%2Fx",
    ];
    let rows = spellings.map(|path| (format!("GET shop/{}", path.trim_start_matches('/')), path));
    for (line, path) in rows {
        let line = line.replace("shop/", if path.starts_with("//") { "shop//" } else { "shop/" });
        check(&objects, &[(&line, "+----")]);
    }
}

#[test]
fn a_request_without_a_route_is_refused_by_whatever_policy() {
    for access in ["deny", "audit", "all-unauthenticated"] {
        let objects = [
            server(access),
            route("HTTPRoute", "a", "rules: [{matches: [{path: {value: /a}}]}]"),
            policy("p", "Server web", &[]),
        ];
        check(&objects, &[("GET shop/b", "-----"), ("GET shop/a", "+++++")]);
    }
}

#[test]
fn auditing_marks_what_neither_server_nor_route_authorizes() {
    let objects = [vec![server("audit")], guarded().to_vec()].concat();
    check(&objects, &[("GET shop/admin", "+!!!!"), ("GET shop/", "++!+!")]);
}

#[test]
fn connections_know_no_routes() {
    let objects = [vec![server("all-authenticated")], guarded().to_vec()].concat();
    let mut mesh = mesh(&[authentications(), objects].concat());
    assert_eq!(verdicts(&mut mesh, 8080, Deed::Connect), "+++--");
}

#[test]
fn the_more_specific_match_wins_whichever_route_it_is_in() {
    let on =
        |name: &str, matched: &str| route("HTTPRoute", name, &format!("rules: [{{matches: [{matched}]}}]"));
    let objects = [
        server("deny"),
        on("exact", "{path: {type: Exact, value: /a/b}}"),
        on("longer", "{path: {value: /a/b}}"),
        on("method", "{path: {value: /a}, method: POST}"),
        on(
            "header",
            "{path: {value: /a}, headers: [{name: x-role, value: admin}]}",
        ),
        on(
            "query",
            "{path: {value: /a}, queryParams: [{name: q, value: '1'}]}",
        ),
        on("plain", "{path: {value: /a}}"),
        policy("p1", "HTTPRoute exact", &["ServiceAccount alice"]),
        policy("p2", "HTTPRoute longer", &["ServiceAccount other/carol"]),
        policy("p3", "HTTPRoute method", &["ServiceAccount far"]),
        policy("p4", "HTTPRoute header", &["NetworkAuthentication outside"]),
        policy("p5", "HTTPRoute query", &["NetworkAuthentication inside"]),
        policy("p6", "HTTPRoute plain", &[]),
    ];
    let rows = [
        ("GET shop/a/b", "+----"),
        ("GET shop/a/b/c", "-+---"),
        ("POST shop/a/b", "+----"),
        ("POST shop/a", "--+--"),
        ("POST shop/a x-role=admin", "--+--"),
        ("GET shop/a x-role=admin", "--+-+"),
        ("GET shop/a?q=1", "++-+-"),
        ("GET shop/a?q=2", "+++++"),
        ("GET shop/a x-role=guest", "+++++"),
    ];
    check(&objects, &rows);
}

#[test]
fn hosts_are_told_apart_before_paths() {
    let on = |name: &str, hosts: &str| {
        let rest = format!("hostnames: [{hosts}], rules: [{{matches: [{{path: {{value: /}}}}]}}]");
        route("Gateway HTTPRoute", name, &rest)
    };
    let objects = [
        server("deny"),
        on("exact", "a.example"),
        on("star", "'*.example'"),
        route(
            "HTTPRoute",
            "any",
            "rules: [{matches: [{path: {type: Exact, value: /deep/path}}]}]",
        ),
        policy("p1", "Gateway HTTPRoute exact", &["ServiceAccount alice"]),
        policy("p2", "Gateway HTTPRoute star", &["ServiceAccount other/carol"]),
        policy("p3", "HTTPRoute any", &[]),
    ];
    let rows = [
        ("GET a.example/deep/path", "+----"),
        ("GET A.Example:8080/", "+----"),
        ("GET b.example/deep/path", "-+---"),
        ("GET elsewhere/deep/path", "+++++"),
        ("GET elsewhere/", "-----"),
    ];
    check(&objects, &rows);
}

#[test]
fn calls_have_grpc_routes_where_the_server_speaks_grpc() {
    let server = object(
        "Server",
        "web",
        "{podSelector: {}, port: 8080, proxyProtocol: gRPC}",
    );
    let objects = [
        server,
        route(
            "GRPCRoute",
            "greet",
            "rules: [{matches: [{method: {service: greet.Greeter, method: Hello}}]}, \
             {matches: [{method: {service: greet.Greeter}}]}]",
        ),
        route("HTTPRoute", "ignored", "rules: [{}]"),
        policy("p", "GRPCRoute greet", &["ServiceAccount alice"]),
        policy("q", "HTTPRoute ignored", &[]),
    ];
    let rows = [
        ("POST shop/greet.Greeter/Hello", "+----"),
        ("POST shop/greet.Greeter/Bye", "+----"),
        ("POST shop/greet.Other/Hello", "-----"),
    ];
    check(&objects, &rows);
}

#[test]
fn routes_that_are_not_attached_or_match_nothing_let_nobody_in() {
    let elsewhere = object(
        "HTTPRoute",
        "a",
        "{parentRefs: [{group: '', kind: Service, name: web}], rules: [{}]}",
    );
    let objects = [server("deny"), elsewhere, policy("p", "HTTPRoute a", &[])];
    check(&objects, &[("GET shop/", "-----")]);
    let grpc = object(
        "Server",
        "web",
        "{podSelector: {}, port: 8080, proxyProtocol: gRPC, accessPolicy: all-unauthenticated}",
    );
    check(
        &[grpc, route("GRPCRoute", "a", "rules: []")],
        &[("GET shop/", "-----")],
    );
}
