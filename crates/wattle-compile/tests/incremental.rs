//! After any edits, what is kept and recompiled equals what a fresh mesh compiles; and a change recompiles its readers only.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use wattle_api::{Object, ObjectKey};
use wattle_compile::{Mesh, ResourceName, Settings};

fn one(yaml: &str) -> Object {
    let parsed = wattle_api::parse(yaml, "t.yaml");
    let [object] =
        <[Object; 1]>::try_from(parsed.objects).unwrap_or_else(|_| panic!("{:?}", parsed.diagnostics));
    object
}

/// One of a few variants of one of a few objects, so that edits meet.
fn object(kind: u8, which: u8, variant: u8) -> Object {
    let namespace = if which.is_multiple_of(2) { "n0" } else { "n1" };
    let app = format!("a{}", which / 2);
    let label = format!("a{}", (which / 2 + variant / 4) % 2);
    let head = |api: &str, kind: &str, name: &str| {
        format!(
            "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n"
        )
    };
    let yaml = match kind {
        0 => {
            let address =
                ["", "  clusterIP: 10.96.0.1\n", "  clusterIP: None\n", ""][usize::from(variant % 4)];
            let port = 80 + u16::from(variant / 4);
            head("v1", "Service", &app)
                + &format!(
                    "  selector: {{app: {label}}}\n{address}  ports: [{{port: {port}, targetPort: http, name: http}}]\n"
                )
        }
        1 => {
            let parent = ["n0", "n1"][usize::from(variant % 2)];
            head("gateway.networking.k8s.io/v1", "HTTPRoute", &app)
                + &format!(
                    "  parentRefs: [{{group: '', kind: Service, name: {label}, namespace: {parent}}}]\n  rules: [{{backendRefs: [{{name: a1, namespace: n{}, port: 80}}]}}]\n",
                    variant / 2 % 2
                )
        }
        2 => {
            let health = if variant.is_multiple_of(2) {
                ""
            } else {
                "status: {conditions: [{type: Healthy, status: 'False'}]}\n"
            };
            head("networking.istio.io/v1", "WorkloadEntry", &format!("{app}-0"))
                + &format!(
                    "  address: 10.0.0.{}\n  labels: {{app: {label}, wattle.io/proxy: enabled}}\n  ports: {{http: 8080}}\n{health}",
                    which + variant % 2
                )
        }
        7..13 => traffic(kind, &app, &label, variant, &head),
        13 => defaults(which, variant),
        14.. => linkerd(kind, &app, &label, variant, &head),
        _ => policy(kind, &app, &label, variant, &head),
    };
    one(&yaml)
}

fn policy(
    kind: u8,
    app: &str,
    label: &str,
    variant: u8,
    head: &dyn Fn(&str, &str, &str) -> String,
) -> String {
    match kind {
        3 => {
            let mode = ["STRICT", "DISABLE", "PERMISSIVE", "UNSET"][usize::from(variant % 4)];
            let selector = if variant / 4 == 0 {
                String::new()
            } else {
                format!("  selector: {{matchLabels: {{app: {label}}}}}\n")
            };
            head("security.istio.io/v1", "PeerAuthentication", app)
                + &format!("{selector}  mtls: {{mode: {mode}}}\n")
        }
        4 => {
            let action = ["ALLOW", "DENY"][usize::from(variant % 2)];
            let whom = if variant / 4 == 0 {
                ""
            } else {
                "  targetRefs: [{kind: Service, group: '', name: a0}]\n"
            };
            head("security.istio.io/v1", "AuthorizationPolicy", app)
                + &format!(
                    "{whom}  action: {action}\n  rules: [{{from: [{{source: {{namespaces: [{label}]}}}}]}}]\n"
                )
        }
        5 => {
            head("gateway.networking.k8s.io/v1", "ReferenceGrant", app)
                + &format!(
                    "  from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: n{}}}]\n  to: [{{group: '', kind: Service}}]\n",
                    variant % 2
                )
        }
        _ => {
            head("wattle.io/v1alpha1", "Process", app)
                .replace("spec:", &format!("  labels: {{app: {label}}}\nspec:"))
                .replace("}\n  labels", ", labels")
                .replace("}\nspec", "}}\nspec")
                + "  command: [x]\n  ports: [{name: http, port: 8080}]\n"
        }
    }
}

/// A Namespace that says which defaults it wants.
fn defaults(which: u8, variant: u8) -> String {
    let said = ["enabled", "disabled"][usize::from(variant % 2)];
    let policy = ["deny", "audit", "all-unauthenticated", "oops"][usize::from(variant / 2)];
    let name = ["n0", "n1", "wattle-system", "n2"][usize::from(which)];
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{wattle.io/istio-defaults: {said}}}, \
         annotations: {{config.linkerd.io/default-inbound-policy: {policy}}}}}\n"
    )
}

/// Servers, and what authorizes their clients, by the name `label` of some Server, route or authentication.
fn linkerd(
    kind: u8,
    app: &str,
    label: &str,
    variant: u8,
    head: &dyn Fn(&str, &str, &str) -> String,
) -> String {
    let api = "policy.linkerd.io/v1alpha1";
    let server = format!("{{group: policy.linkerd.io, kind: Server, name: {label}}}");
    match kind {
        14 => {
            let access =
                ["deny", "audit", "all-authenticated", "cluster-unauthenticated"][usize::from(variant % 4)];
            head("policy.linkerd.io/v1beta3", "Server", app)
                + &format!(
                    "  podSelector: {{matchLabels: {{app: {label}}}}}\n  port: 8080\n  accessPolicy: {access}\n"
                )
        }
        15 => {
            let route = format!("{{group: policy.linkerd.io, kind: HTTPRoute, name: {label}}}");
            let target =
                [&*server, &*route, "{kind: Namespace, name: n0}", &*server][usize::from(variant % 4)];
            let of = ["MeshTLSAuthentication", "NetworkAuthentication"][usize::from(variant / 4)];
            head(api, "AuthorizationPolicy", app)
                + &format!(
                    "  targetRef: {target}\n  requiredAuthenticationRefs: [{{group: policy.linkerd.io, kind: {of}, name: {label}, namespace: n{}}}]\n",
                    variant % 2
                )
        }
        16 => {
            head("policy.linkerd.io/v1beta1", "ServerAuthorization", app)
                + &format!(
                    "  server: {{name: {label}}}\n  client: {{meshTLS: {{serviceAccounts: [{{name: s{variant}}}]}}}}\n"
                )
        }
        17 => {
            head(api, "MeshTLSAuthentication", app)
                + &format!("  identities: ['spiffe://td/ns/a/sa/s{variant}']\n")
        }
        18 => {
            head(api, "NetworkAuthentication", app)
                + &format!("  networks: [{{cidr: 10.{variant}.0.0/16}}]\n")
        }
        _ => {
            head("policy.linkerd.io/v1beta3", "HTTPRoute", app)
                + &format!(
                    "  parentRefs: [{server}]\n  rules: [{{matches: [{{path: {{value: /{variant}}}}}]}}]\n"
                )
        }
    }
}

fn traffic(
    kind: u8,
    app: &str,
    label: &str,
    variant: u8,
    head: &dyn Fn(&str, &str, &str) -> String,
) -> String {
    let api = "networking.istio.io/v1";
    let export = ["", "  exportTo: [n0]\n"][usize::from(variant / 4)];
    match kind {
        7 => {
            let hosts = [
                "a0",
                "a1.n1.svc.cluster.local",
                "'*.n0.svc.cluster.local'",
                "api.example",
            ][usize::from(variant % 4)];
            head(api, "VirtualService", app)
                + &format!(
                    "{export}  hosts: [{hosts}]\n  http: [{{match: [{{sourceLabels: {{app: {label}}}}}], delegate: {{name: {label}-d}}}}, {{route: [{{destination: {{host: {label}, subset: v}}}}]}}]\n  tcp: [{{route: [{{destination: {{host: api.example}}}}]}}]\n"
                )
        }
        8 => {
            head(api, "VirtualService", &format!("{app}-d"))
                + &format!("  http: [{{route: [{{destination: {{host: {label}, subset: w}}}}]}}]\n")
        }
        9 => {
            let host = ["a0", "a1", "a0.n0.svc.cluster.local", "api.example"][usize::from(variant % 4)];
            head(api, "DestinationRule", app)
                + ["", "  workloadSelector: {matchLabels: {app: a0}}\n"][usize::from(variant == 2)]
                + &format!(
                    "{export}  host: {host}\n  trafficPolicy: {{outlierDetection: {{}}, loadBalancer: {{localityLbSetting: {{failoverPriority: [{label}]}}}}}}\n  subsets: [{{name: v, labels: {{app: {label}}}}}, {{name: w}}]\n"
                )
        }
        10 => {
            let rest = [
                "  resolution: DNS\n",
                "  addresses: [10.96.0.9]\n  resolution: STATIC\n  endpoints: [{address: 10.0.0.4, labels: {app: a0}}]\n",
                "  addresses: [10.96.0.0/16]\n",
                "  workloadSelector: {labels: {app: a1}}\n  resolution: STATIC\n",
            ][usize::from(variant % 4)];
            head(api, "ServiceEntry", app)
                + &format!("{export}  hosts: [api.example]\n  ports: [{{number: 80, name: http}}]\n{rest}")
        }
        11 => {
            head(api, "ServiceEntry", &format!("{app}-w"))
                + &format!(
                    "{export}  hosts: ['*.example']\n  ports: [{{number: 8080, name: {label}}}, {{number: 80, name: tls, protocol: TLS}}]\n"
                )
        }
        _ => {
            let mode = ["ALLOW_ANY", "REGISTRY_ONLY"][usize::from(variant % 2)];
            let selector = ["", "  workloadSelector: {labels: {app: a0}}\n"][usize::from(variant / 2 % 2)];
            head(api, "Sidecar", app)
                + &format!(
                    "{selector}  egress: [{{hosts: ['./*']}}]\n  outboundTrafficPolicy: {{mode: {mode}}}\n  ingress: [{{port: {{number: 8080, name: p}}, defaultEndpoint: '127.0.0.1:{}'}}]\n",
                    1 + u16::from(variant)
                )
        }
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Apply(u8, u8, u8),
    Delete(u8, u8),
    Assign(u8, bool),
    Reset,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        6 => (0u8..20, 0u8..4, 0u8..8).prop_map(|(kind, which, variant)| Edit::Apply(kind, which, variant)),
        3 => (0u8..20, 0u8..4).prop_map(|(kind, which)| Edit::Delete(kind, which)),
        1 => (0u8..4, any::<bool>()).prop_map(|(which, some)| Edit::Assign(which, some)),
        1 => Just(Edit::Reset),
    ];
    prop::collection::vec(edit, 1..30)
}

/// Everything that can be asked about the objects above.
fn answers(mesh: &mut Mesh) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    let names = [
        "a0.n0:80",
        "a0:81",
        "a1.n1:80",
        "10.96.0.1:80",
        "10.96.0.9:80",
        "10.0.0.1:8080",
        "10.0.0.3:8080",
        "api.example:80",
        "192.0.2.1:80",
        "192.0.2.1:8080",
    ];
    for from in ["n0", "n1", "n2"] {
        for name in names {
            answers.insert(
                format!("{name} from {from}"),
                format!("{:?}", mesh.destination(name, from)),
            );
        }
    }
    for id in [
        "n0/a0:80",
        "n0/a1:80",
        "n1/a0:80",
        "n1/a1:81",
        "10.0.0.1:8080",
        "10.0.0.2:8080",
        "n0/api.example:80",
        "n1/api.example:80|app=a1",
        "n0/a0:80|app=a0",
        "n0/a1:80|app=a1",
        "n1/a1:81|app=a0",
    ] {
        answers.insert(id.to_owned(), format!("{:?}", mesh.endpoints(id)));
    }
    for name in ["n0/a0-0", "n0/a1-0", "n1/a0-0", "n1/a1-0", "n0/a0", "n1/a1-7"] {
        answers.insert(format!("inbound {name}"), format!("{:?}", mesh.inbound(name)));
    }
    for namespace in ["n0", "n1", "n2"] {
        answers.insert(
            format!("names in {namespace}"),
            format!("{:?}", mesh.names(namespace)),
        );
    }
    for last in 0..5 {
        let address = IpAddr::from([10, 0, 0, last]);
        answers.insert(address.to_string(), format!("{:?}", mesh.peer(address)));
    }
    answers
}

/// The objects and addresses that should be there, kept by something simpler than a mesh.
#[derive(Default)]
struct Expected {
    objects: BTreeMap<ObjectKey, Object>,
    addresses: BTreeMap<u8, IpAddr>,
}

impl Expected {
    fn edit(&mut self, mesh: &mut Mesh, edit: &Edit) {
        match *edit {
            Edit::Apply(kind, which, variant) => {
                let object = object(kind, which, variant);
                self.objects.insert(object.key(), object.clone());
                mesh.apply(object);
            }
            Edit::Delete(kind, which) => {
                let key = object(kind, which, 0).key();
                self.objects.remove(&key);
                mesh.delete(&key);
            }
            Edit::Assign(which, some) => {
                let address = some.then(|| IpAddr::from([10, 96, 0, 9 + which % 2]));
                match address {
                    Some(address) => self.addresses.insert(which, address),
                    None => self.addresses.remove(&which),
                };
                assign(mesh, which, address);
            }
            Edit::Reset => {
                self.objects.retain(|key, _| key.name.len() % 2 == 0);
                mesh.reset(self.objects.values().rev().cloned().collect());
            }
        }
    }

    fn fresh(&self) -> Mesh {
        let mut mesh = Mesh::new(Settings::default());
        for (which, address) in &self.addresses {
            assign(&mut mesh, *which, Some(*address));
        }
        mesh.reset(self.objects.values().cloned().collect());
        mesh
    }
}

fn assign(mesh: &mut Mesh, which: u8, address: Option<IpAddr>) {
    let namespace = if which.is_multiple_of(2) { "n0" } else { "n1" };
    mesh.assign_virtual_ip(namespace, &format!("a{}", which / 2), address);
    if which < 2 {
        mesh.assign_virtual_ip(namespace, "api.example", address);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn after_any_edits_the_kept_results_are_those_of_a_fresh_mesh(edits in edits()) {
        let mut mesh = Mesh::new(Settings::default());
        let mut expected = Expected::default();
        for edit in &edits {
            expected.edit(&mut mesh, edit);
            let fresh = answers(&mut expected.fresh());
            // One difference says enough.
            let kept = answers(&mut mesh);
            let differing = kept.iter().find(|(name, value)| fresh[*name] != **value);
            if let Some((name, value)) = differing {
                prop_assert_eq!(value, &fresh[name], "{} after {:?}", name, edit);
            }
        }
    }

    #[test]
    fn what_differs_after_an_edit_was_named_as_changed(edits in edits()) {
        let mut mesh = Mesh::new(Settings::default());
        let mut expected = Expected::default();
        for edit in &edits {
            let before = answers(&mut mesh);
            mesh.take_changed();
            expected.edit(&mut mesh, edit);
            let named = mesh.take_changed().len();
            let compiled = mesh.compiled();
            let after = answers(&mut mesh);
            let differing = before.iter().filter(|(name, value)| after[*name] != **value).count();
            prop_assert!(differing <= named, "{differing} differ, {named} named");
            prop_assert_eq!(usize::try_from(mesh.compiled() - compiled).unwrap(), named);
        }
    }
}

/// 100 Services with a workload each, all asked for.
fn large() -> Mesh {
    let mut mesh = Mesh::new(Settings::default());
    for index in 0..100 {
        mesh.apply(service(index));
        mesh.apply(workload(index, "10.0.0"));
    }
    for index in 0..100 {
        mesh.destination(&format!("s{index}:80"), "default").unwrap();
        mesh.endpoints(&format!("default/s{index}:80")).unwrap();
        mesh.inbound(&format!("default/w{index}-0")).unwrap();
    }
    mesh.take_changed();
    mesh
}

fn service(index: u32) -> Object {
    one(&format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: s{index}}}\nspec: {{selector: {{app: a{index}}}, ports: [{{port: 80}}]}}\n"
    ))
}

fn workload(index: u32, network: &str) -> Object {
    one(&format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: w{index}-0}}\nspec: {{address: {network}.{index}, labels: {{app: a{index}}}}}\n"
    ))
}

#[test]
fn a_workload_that_moves_recompiles_its_endpoints_and_its_own_inbound() {
    let mut mesh = large();
    mesh.apply(workload(7, "10.0.1"));
    let changed: Vec<_> = mesh.take_changed().into_iter().collect();
    let expected = [
        ResourceName::Endpoints("default/s7:80".into()),
        ResourceName::Inbound("default/w7-0".into()),
    ];
    assert_eq!(changed, expected);
}

#[test]
fn fetched_keys_recompile_the_workloads_that_take_tokens_by_them_alone() {
    let mut mesh = large();
    mesh.apply(one("apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: r}\nspec:\n  selector: {matchLabels: {app: a5}}\n  jwtRules: [{jwksUri: 'https://keys.example'}]\n"));
    mesh.inbound("default/w5-0").unwrap();
    for index in mesh.take_changed() {
        let ResourceName::Inbound(name) = index else {
            panic!("{index:?}")
        };
        mesh.inbound(&name).unwrap();
    }
    let address: Arc<str> = "https://keys.example".into();
    for keys in [Some("1"), Some("2"), None] {
        mesh.set_key_set(&address, keys.map(Into::into));
        let changed: Vec<_> = mesh.take_changed().into_iter().collect();
        assert_eq!(changed, [ResourceName::Inbound("default/w5-0".into())]);
        let rules = &mesh.inbound("default/w5-0").unwrap().tokens;
        assert_eq!(rules[0].keys.as_deref(), keys);
    }
    mesh.set_key_set(&"https://other.example".into(), Some("1".into()));
    assert!(mesh.take_changed().is_empty());
}

#[test]
fn a_route_recompiles_the_destinations_of_its_parent_only() {
    let mut mesh = large();
    mesh.apply(one("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{group: '', kind: Service, name: s3}]\n  rules: [{backendRefs: [{name: s4, port: 80}]}]\n"));
    let changed: Vec<_> = mesh.take_changed().into_iter().collect();
    assert_eq!(
        changed,
        [ResourceName::Destination {
            name: "s3:80".into(),
            from: "default".into()
        }]
    );
}

#[test]
fn a_service_recompiles_what_names_it_and_whom_it_selects() {
    let mut mesh = large();
    mesh.apply(one(
        "apiVersion: v1\nkind: Service\nmetadata: {name: s7}\nspec: {selector: {app: a8}, ports: [{port: 80}]}\n",
    ));
    let changed: Vec<_> = mesh.take_changed().into_iter().collect();
    let expected = [
        ResourceName::Destination {
            name: "s7:80".into(),
            from: "default".into(),
        },
        ResourceName::Endpoints("default/s7:80".into()),
        ResourceName::Inbound("default/w7-0".into()),
        ResourceName::Inbound("default/w8-0".into()),
    ];
    assert_eq!(changed, expected);
}

fn istio(kind: &str, name: &str, spec: &str) -> Object {
    one(&format!(
        "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    ))
}

/// The destination of Service `s3`.
fn of_s3() -> ResourceName {
    ResourceName::Destination {
        name: "s3:80".into(),
        from: "default".into(),
    }
}

#[test]
fn a_virtual_service_recompiles_the_destinations_of_its_hosts_only() {
    let mut mesh = large();
    mesh.apply(istio(
        "VirtualService",
        "v",
        "{hosts: [s3], http: [{route: [{destination: {host: s4}}]}]}",
    ));
    assert_eq!(mesh.take_changed().into_iter().collect::<Vec<_>>(), [of_s3()]);
    mesh.destination("s3:80", "default").unwrap();
    mesh.take_changed();
    mesh.apply(istio(
        "VirtualService",
        "w",
        "{http: [{directResponse: {status: 404}}]}",
    ));
    assert!(mesh.take_changed().is_empty(), "nobody delegates to it");
}

#[test]
fn a_destination_rule_recompiles_the_destinations_with_its_host_only() {
    let mut mesh = large();
    let rule = |version: &str| {
        istio(
            "DestinationRule",
            "r",
            &format!("{{host: s3, subsets: [{{name: v, labels: {{version: {version}}}}}]}}"),
        )
    };
    mesh.apply(rule("one"));
    assert_eq!(mesh.take_changed().into_iter().collect::<Vec<_>>(), [of_s3()]);
    mesh.destination("s3:80", "default").unwrap();
    // The labels are part of a subset's id: other labels are another backend.
    mesh.endpoints("default/s3:80|version=one").unwrap();
    mesh.take_changed();
    mesh.apply(rule("two"));
    assert_eq!(mesh.take_changed().into_iter().collect::<Vec<_>>(), [of_s3()]);
}

#[test]
fn a_service_entry_and_a_sidecar_elsewhere_recompile_nothing() {
    let mut mesh = large();
    mesh.apply(istio(
        "ServiceEntry",
        "e",
        "{hosts: [api.example.com], ports: [{number: 80, name: http}], resolution: DNS}",
    ));
    mesh.assign_virtual_ip("default", "api.example.com", Some(IpAddr::from([10, 96, 0, 1])));
    let elsewhere = "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: other}\nspec: {egress: [{hosts: ['./*']}]}\n";
    mesh.apply(one(elsewhere));
    assert!(mesh.take_changed().is_empty());
}

#[test]
fn names_are_compiled_again_for_services_and_for_nothing_else() {
    let mut mesh = large();
    let names = ResourceName::Names("default".into());
    assert_eq!(mesh.names("default").hosts.len(), 100);
    mesh.apply(workload(7, "10.0.1"));
    assert!(!mesh.take_changed().contains(&names));
    mesh.apply(service(100));
    assert!(mesh.take_changed().contains(&names));
    assert_eq!(mesh.names("default").hosts.len(), 101);
    mesh.assign_virtual_ip("default", "s100", Some([10, 96, 0, 1].into()));
    assert!(mesh.take_changed().contains(&names));
}

#[test]
fn an_object_that_only_moved_in_its_file_recompiles_nothing() {
    let mut mesh = large();
    let compiled = mesh.compiled();
    for index in 0..100 {
        mesh.apply(service(index));
        mesh.apply(workload(index, "10.0.0"));
    }
    assert_eq!((mesh.take_changed().len(), mesh.compiled()), (0, compiled));
}

#[test]
fn a_forgotten_result_is_neither_kept_nor_named() {
    let mut mesh = large();
    let name = ResourceName::Endpoints("default/s7:80".into());
    let kept = mesh.kept();
    mesh.forget(&name);
    mesh.apply(workload(7, "10.0.1"));
    assert_eq!(mesh.kept(), kept - 2);
    assert!(!mesh.take_changed().contains(&name));
}
