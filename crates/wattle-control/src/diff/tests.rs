#![allow(clippy::unwrap_used)]
use wattle_compile::Settings;

use super::*;

const BASE: &str = "
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart-next, namespace: shop}
spec: {selector: {app: cart-next}, ports: [{name: http, port: 80}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {command: [web], serviceAccountName: web}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec: {command: [cart], serviceAccountName: cart, ports: [{name: http, port: 80}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: cart-next, namespace: shop, labels: {app: cart-next}}
spec: {command: [cart], serviceAccountName: cart, ports: [{name: http, port: 80}]}
";

const CANARY: &str = "
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: canary, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v2}}]
    backendRefs: [{name: cart-next, port: 80}]
  - backendRefs: [{name: cart, port: 80}]
";

const POLICY: &str = "
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: read-only, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]
    to: [{operation: {methods: [GET]}}]
";

fn mesh(text: &str) -> Mesh {
    let parsed = wattle_api::parse(text, "mesh.yaml");
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    let mut mesh = Mesh::new(Settings::default());
    mesh.reset(parsed.objects);
    mesh
}

fn between(before: &str, after: &str) -> Difference {
    diff(&mut mesh(before), &mut mesh(after), |_, _| {})
}

#[test]
fn a_mesh_differs_in_nothing_from_itself() {
    let all = [BASE, CANARY, POLICY].concat();
    let difference = between(&all, &all);
    assert!(difference.is_empty(), "{difference}");
    assert!(difference.questions > 0);
}

#[test]
fn a_route_changes_what_it_matches_and_nothing_else() {
    let difference = between(BASE, &[BASE, CANARY].concat());
    let [change] = &difference.changes[..] else {
        panic!("{difference}");
    };
    assert_eq!(change.destination, "cart.shop.svc.cluster.local:80");
    assert!(
        change.before.starts_with("shop/cart:80 100%"),
        "{}",
        change.before
    );
    assert!(
        change.after.starts_with("shop/cart-next:80 100%"),
        "{}",
        change.after
    );
    assert!(
        change.requests.iter().all(|request| request.contains(" /v2")),
        "{:?}",
        change.requests
    );
    assert!(change.callers.contains(&"shop/web".to_owned()));
}

#[test]
fn a_policy_changes_whom_it_refuses() {
    let difference = between(BASE, &[BASE, POLICY].concat());
    let refused: Vec<_> = difference
        .changes
        .iter()
        .filter(|change| change.after.contains("policy_not_allowed"))
        .collect();
    assert!(
        refused
            .iter()
            .any(|change| change.callers.contains(&"shop/cart-next".to_owned()))
    );
    for change in refused.iter().filter(|change| change.callers == ["shop/web"]) {
        assert!(
            change.requests.iter().all(|request| request.starts_with("PATCH")),
            "{difference}"
        );
    }
}

#[test]
fn services_and_workloads_that_come_and_go_are_named() {
    let more = "
---
apiVersion: v1
kind: Service
metadata: {name: new, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 81}]}
";
    let difference = between(BASE, &[BASE, more].concat());
    assert_eq!(difference.services_added, ["new.shop.svc.cluster.local:81"]);
    let back = between(&[BASE, more].concat(), BASE);
    assert_eq!(back.services_removed, ["new.shop.svc.cluster.local:81"]);
}

#[test]
fn a_rule_for_some_of_the_callers_changes_what_they_do_and_nothing_else() {
    let rule = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: cart
  workloadSelector: {matchLabels: {app: web}}
  trafficPolicy: {tls: {mode: DISABLE}}
";
    let difference = between(BASE, &[BASE, rule].concat());
    let callers: Vec<_> = difference.changes.iter().map(|change| &change.callers).collect();
    assert_eq!(callers, [&["shop/web".to_owned()]], "{difference}");
}
