//! What is about something else changes no verdict, in whatever order it comes.

use proptest::prelude::*;
use wattle_api::Object;
use wattle_compile::{Mesh, Settings};

use crate::mesh::{Deed, authentications, mesh, object, policy, server, verdicts};

const DEEDS: [(u16, Deed<'static>); 4] = [
    (8080, Deed::Connect),
    (8080, Deed::Ask("GET shop/a")),
    (8080, Deed::Ask("GET shop/b")),
    (9090, Deed::Connect),
];

fn guarded() -> Vec<String> {
    let parent = "parentRefs: [{group: policy.linkerd.io, kind: Server, name: web}]";
    let route = format!(
        "{{{parent}, rules: [{{matches: [{{path: {{value: /a}}}}]}}, {{matches: [{{path: {{value: /}}}}]}}]}}"
    );
    let own = [
        server("audit"),
        object("HTTPRoute", "mine", &route),
        policy("p", "Server web", &["ServiceAccount alice"]),
        policy("q", "HTTPRoute mine", &["NetworkAuthentication inside"]),
    ];
    [authentications(), own.to_vec()].concat()
}

fn unrelated() -> Vec<String> {
    let to = |name: &str| format!("parentRefs: [{{group: policy.linkerd.io, kind: Server, name: {name}}}]");
    let everybody = "{server: {name: other}, client: {unauthenticated: true}}";
    let namespace = |name: &str, access: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\n\
             metadata: {{name: {name}, annotations: {{config.linkerd.io/default-inbound-policy: {access}}}}}\n"
        )
    };
    vec![
        object(
            "Server",
            "other",
            "{podSelector: {matchLabels: {app: other}}, port: web, accessPolicy: deny}",
        ),
        object(
            "Server",
            "elsewhere/web",
            "{podSelector: {}, port: 8080, accessPolicy: deny}",
        ),
        object(
            "Server",
            "zzz",
            "{podSelector: {}, port: 8080, accessPolicy: all-unauthenticated}",
        ),
        object("ServerAuthorization", "x", everybody),
        object(
            "ServerAuthorization",
            "elsewhere/x",
            &everybody.replace("other", "web"),
        ),
        object("HTTPRoute", "x", &format!("{{{}, rules: [{{}}]}}", to("other"))),
        object(
            "Gateway HTTPRoute",
            "elsewhere/x",
            &format!("{{{}, rules: [{{}}]}}", to("web")),
        ),
        object("GRPCRoute", "x", &format!("{{{}, rules: [{{}}]}}", to("web"))),
        object(
            "HTTPRoute",
            "service",
            "{parentRefs: [{group: '', kind: Service, name: web}], rules: [{}]}",
        ),
        policy("x1", "Server other", &[]),
        policy("x2", "HTTPRoute x", &[]),
        policy("x3", "Gateway HTTPRoute mine", &[]),
        policy("x4", "Namespace elsewhere", &[]),
        policy("elsewhere/x5", "Server web", &[]),
        policy("elsewhere/x6", "HTTPRoute mine", &[]),
        policy("elsewhere/x7", "Namespace default", &[]),
        object("MeshTLSAuthentication", "spare", "{identities: ['*']}"),
        object(
            "NetworkAuthentication",
            "spare",
            "{networks: [{cidr: 0.0.0.0/0}]}",
        ),
        object(
            "NetworkAuthentication",
            "elsewhere/inside",
            "{networks: [{cidr: 0.0.0.0/0}]}",
        ),
        namespace("elsewhere", "deny"),
        namespace("default", "all-unauthenticated"),
    ]
}

fn applied(objects: &[Object]) -> Mesh {
    let mut mesh = Mesh::new(Settings::default());
    objects.iter().for_each(|object| mesh.apply(object.clone()));
    mesh
}

fn all_verdicts(mesh: &mut Mesh) -> Vec<String> {
    DEEDS
        .iter()
        .map(|(port, deed)| verdicts(mesh, *port, *deed))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_object_about_something_else_changes_no_verdict(
        added in prop::sample::subsequence(unrelated(), 0..=unrelated().len()),
        seed in any::<u64>(),
    ) {
        let expected = all_verdicts(&mut mesh(&guarded()));
        prop_assert_eq!(&expected, &["+!!!!", "++!+!", "++!+!", "+++++"]);
        let mut objects: Vec<_> = mesh(&[guarded(), added.clone()].concat()).objects().cloned().collect();
        // Any order will do: one by what the seed makes of each place.
        let mut place = seed;
        objects.sort_by_cached_key(|_| {
            place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            place >> 32
        });
        prop_assert_eq!(all_verdicts(&mut applied(&objects)), expected, "{}", added.join("---\n"));
    }
}
