//! Who sees what: ServiceEntries, Sidecars, `exportTo`, localities.

use wattle_testkit::Request;

use super::{Config, Family, Keep, MARKER, SERVERS, Step, VALUES, Way, World, outside, request, shown};
use crate::dice::Dice;

/// Where the ServiceEntries of a config are.
const OUTSIDE: &str = "240.9.0.1";

pub(super) fn config(dice: &mut Dice, (number, nth): (usize, usize), world: &World) -> Config {
    let (objects, steps) = match nth % 6 {
        0 => entry(dice, nth / 6, world),
        4 if nth / 6 % 3 == 2 => trusted(dice, nth / 18, world),
        4 => secured(dice, nth / 6 - nth / 18, world),
        5 if nth % 8 == 5 => outside::open_hosts(dice, nth / 24, world),
        5 if nth % 4 == 1 => announced(dice, world),
        5 => outside::beyond(dice, nth / 12, world),
        1 => seen_by(dice),
        2 => scoped(dice),
        _ => near(dice, nth / 6),
    };
    let marker = format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: marker}}\n\
         spec:\n  hosts: [shop-v1]\n  http:\n  - match: [{{uri: {{exact: {MARKER}}}}}]\n    \
         directResponse: {{status: 200, body: {{string: '{}'}}}}\n  - route: [{{destination: {{host: shop-v1}}}}]\n",
        shown(number)
    );
    Config {
        family: Family::Places,
        text: objects + &marker,
        probe: to("shop-v1", Way::Http(Request::get("shop-v1", MARKER))),
        shows: shown(number),
        steps,
    }
}

pub(super) type Steps = Box<dyn Fn(&mut Dice) -> Step>;

fn to(service: &str, way: Way) -> Step {
    Step {
        to: service.to_owned(),
        port: 80,
        way,
    }
}

/// A host that has no Service, and what is done for it.
fn entry(dice: &mut Dice, nth: usize, world: &World) -> (String, Steps) {
    let index = dice.below(SERVERS.len());
    let backends = match nth % 3 {
        0 => format!(
            "resolution: STATIC, location: MESH_INTERNAL, workloadSelector: {{labels: {{app: {}}}}}, \
             ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8080}}]",
            dice.one(&["other", "nobody"])
        ),
        1 => format!(
            "resolution: STATIC, location: MESH_EXTERNAL, ports: [{{number: 80, name: http, protocol: HTTP}}], \
             endpoints: [{{address: {}, ports: {{http: 8080}}, weight: 5, locality: one/a, labels: {{app: outside}}}}]",
            world.outside
        ),
        _ => format!(
            "resolution: STATIC, location: MESH_INTERNAL, ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8080}}], \
             endpoints: [{{address: {}}}]",
            world.addresses[index]
        ),
    };
    let seen = dice.one(&[
        "",
        ", exportTo: ['*']",
        ", exportTo: ['.']",
        ", exportTo: [elsewhere]",
    ]);
    let mut text = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: outside}}\n\
         spec: {{hosts: [outside.example], addresses: [{OUTSIDE}], {backends}{seen}}}\n"
    );
    if dice.chance(60) {
        text.push_str(&format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: outside}}\nspec:\n  \
             hosts: [outside.example]\n  http:\n  - match: [{{uri: {{prefix: /a}}}}]\n    \
             headers: {{request: {{set: {{x-two: {}}}}}}}\n    \
             route: [{{destination: {{host: outside.example}}}}]\n  \
             - route: [{{destination: {{host: {}}}}}]\n",
            dice.one(&VALUES),
            dice.one(&["outside.example", "shop-v2"])
        ));
    }
    let steps: Steps = Box::new(|dice| {
        let request = request(dice);
        to(
            OUTSIDE,
            Way::Http(Request {
                host: "outside.example".to_owned(),
                ..request
            }),
        )
    });
    (text, steps)
}

/// A host that is called by TLS of the proxy's own.
fn secured(dice: &mut Dice, nth: usize, world: &World) -> (String, Steps) {
    let of = |name: &str| format!("{}/{name}.pem", world.certificates);
    let (authorities, certificate, key) = (of("ca"), of("client"), of("client-key"));
    let name = dice.one(&["", ", sni: other.example"]);
    let server = "spiffe://outside.example/ns/default/sa/server";
    let files = format!("clientCertificate: {certificate}, privateKey: {key}, caCertificates: {authorities}");
    let meshed = nth % 8 >= 6;
    let tls = match nth % 8 {
        0 => format!("mode: SIMPLE, insecureSkipVerify: true{name}"),
        1 => format!("mode: SIMPLE, caCertificates: {authorities}, subjectAltNames: ['{server}']{name}"),
        2 => format!(
            "mode: SIMPLE, caCertificates: {authorities}, subjectAltNames: ['spiffe://outside.example/other']"
        ),
        3 => format!("mode: MUTUAL, {files}, subjectAltNames: ['{server}']{name}"),
        4 => format!("mode: MUTUAL, {files}, subjectAltNames: ['spiffe://outside.example/other']"),
        5 => "mode: DISABLE".to_owned(),
        _ => "mode: ISTIO_MUTUAL".to_owned(),
    };
    let policy = match dice.below(2) {
        0 => format!("tls: {{{tls}}}"),
        _ => format!("portLevelSettings: [{{port: {{number: 80}}, tls: {{{tls}}}}}]"),
    };
    let san = |name: &str| format!(", subjectAltNames: ['{name}']");
    // A server of another mesh is known by its name alone.
    let account = if meshed && dice.chance(30) {
        ", serviceAccount: server"
    } else {
        ""
    };
    let named = match account {
        "" => san(dice.one(&[server, "spiffe://outside.example/ns/default/sa/other"])),
        _ => String::new(),
    };
    let (port, names) = match (meshed, dice.chance(50)) {
        (true, _) => (8444, named),
        (false, true) => (8443, san(server)),
        (false, false) => (8443, String::new()),
    };
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: outside}}\n\
         spec: {{hosts: [outside.example], addresses: [{OUTSIDE}], resolution: STATIC, location: MESH_EXTERNAL{names}, \
         ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}], endpoints: [{{address: {}{account}}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: outside}}\n\
         spec: {{host: outside.example, trafficPolicy: {{{policy}}}}}\n",
        world.outside
    );
    let steps: Steps = Box::new(|_| to(OUTSIDE, Way::Http(Request::get("outside.example", "/"))));
    (text, steps)
}

/// A Service that is called by TLS of the proxy's own, under authorities of a ConfigMap.
fn trusted(dice: &mut Dice, nth: usize, world: &World) -> (String, Steps) {
    let authorities = std::fs::read_to_string(format!("{}/ca.pem", world.certificates)).unwrap();
    let authorities = authorities.replace('\n', "\n    ");
    let server = "spiffe://outside.example/ns/default/sa/server";
    let known = "caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]";
    let of_server = format!("{{type: URI, uri: '{server}'}}");
    let (authority, names) = match nth % 4 {
        0 => (known, of_server),
        1 => ("wellKnownCACertificates: System", of_server),
        2 => (
            known,
            format!("{{type: Hostname, hostname: other.example}}, {of_server}"),
        ),
        _ => (
            known,
            "{type: URI, uri: 'spiffe://outside.example/other'}".to_owned(),
        ),
    };
    let section = dice.one(&["", ", sectionName: tls"]);
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: ca}}\ndata:\n  ca.crt: |\n    {authorities}\n---\n\
         apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: outside}}\n\
         spec: {{targetRefs: [{{group: '', kind: Service, name: outside{section}}}], \
         validation: {{hostname: outside.example, {authority}, subjectAltNames: [{names}]}}}}\n"
    );
    let steps: Steps = Box::new(|_| Step {
        to: "outside".to_owned(),
        port: 443,
        way: Way::Http(Request::get("outside", "/")),
    });
    (text, steps)
}

/// A server that is told first who calls.
fn announced(dice: &mut Dice, world: &World) -> (String, Steps) {
    let version = dice.one(&["{version: V1}", "{version: V2}", "{}"]);
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: outside}}\n\
         spec: {{hosts: [outside.example], addresses: [{OUTSIDE}], resolution: STATIC, location: MESH_EXTERNAL, \
         ports: [{{number: 80, name: tcp, protocol: TCP, targetPort: 9100}}], endpoints: [{{address: {}}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: outside}}\n\
         spec: {{host: outside.example, trafficPolicy: {{proxyProtocol: {version}}}}}\n",
        world.outside
    );
    let steps: Steps = Box::new(|_| to(OUTSIDE, Way::Bytes));
    (text, steps)
}

/// Objects of another namespace that this one sees, or does not: the root namespace may route its host, a stranger where
/// the owner lets it.
fn seen_by(dice: &mut Dice) -> (String, Steps) {
    let lets = "apiVersion: v1\nkind: Namespace\n\
        metadata: {name: default, labels: {wattle.io/istio-defaults: enabled}}\n---\n";
    let author = dice.one(&["wattle-system", "elsewhere"]);
    let owner = dice.one(&["", lets]);
    let scope = |dice: &mut Dice| {
        dice.one(&["['*']", "['.']", "[default]", "[elsewhere]", "['.', default]"])
            .to_owned()
    };
    let text = format!(
        "{owner}apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: shop-any, namespace: default}}\n\
         spec: {{host: shop-any, exportTo: {}, subsets: [{{name: v2, labels: {{version: v2}}}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: shop, namespace: {author}}}\nspec:\n  \
         hosts: [shop.default.svc.cluster.local]\n  exportTo: {}\n  http:\n  - match: [{{uri: {{prefix: /a}}}}]\n    \
         route: [{{destination: {{host: shop-any.default.svc.cluster.local, subset: v2}}}}]\n  \
         - route: [{{destination: {{host: other.default.svc.cluster.local}}}}]\n",
        dice.one(&["['*']", "['.']", "[default]"]),
        scope(dice)
    );
    let steps: Steps = Box::new(|dice| to("shop", Way::Http(request(dice))));
    (text, steps)
}

/// A Sidecar that knows a part of the mesh.
fn scoped(dice: &mut Dice) -> (String, Steps) {
    let hosts = dice.one(&[
        "./shop.default.svc.cluster.local, ./shop-v1.default.svc.cluster.local",
        "'./*'",
        "default/shop-v1.default.svc.cluster.local, default/other.default.svc.cluster.local",
        "'*/*'",
    ]);
    let port = dice.one(&["", "port: {number: 80, protocol: HTTP, name: http}, "]);
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: client}}\nspec:\n  \
         workloadSelector: {{labels: {{app: client}}}}\n  egress: [{{{port}hosts: [{hosts}]}}]\n  \
         outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: shop}}\nspec:\n  \
         hosts: [shop]\n  http:\n  - match: [{{uri: {{prefix: /a}}}}]\n    route: [{{destination: {{host: other}}}}]\n  \
         - route: [{{destination: {{host: shop}}}}]\n"
    );
    let steps: Steps = Box::new(|dice| {
        let service = dice.one(&["shop", "other", "shop-v1"]);
        let request = request(dice);
        to(
            service,
            Way::Http(Request {
                host: service.to_owned(),
                ..request
            }),
        )
    });
    (text, steps)
}

/// Localities: clients and `shop-v1` are in `one/a`, `shop-v2` is in `two/a`.
fn near(dice: &mut Dice, nth: usize) -> (String, Steps) {
    let settings = [
        "enabled: true",
        "enabled: false",
        "distribute: [{from: one/*, to: {two/*: 100}}]",
        "distribute: [{from: one/*, to: {one/*: 100}}]",
        "distribute: [{from: one/a, to: {one/*: 50, two/*: 50}}]",
        "failover: [{from: one, to: two}]",
        "failoverPriority: ['topology.kubernetes.io/region']",
    ];
    let setting = settings[nth % settings.len()];
    let detection = dice.one(&[
        "",
        ", outlierDetection: {consecutive5xxErrors: 100, interval: 10s}",
    ]);
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: shop-any}}\n\
         spec: {{host: shop-any, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN, localityLbSetting: {{{setting}}}}}{detection}}}}}\n"
    );
    let steps: Steps = Box::new(|_| {
        to(
            "shop-any",
            Way::Many(Request::get("shop-any", "/"), 24, Keep::Named),
        )
    });
    (text, steps)
}
