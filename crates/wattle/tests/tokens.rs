//! Tokens of requests on real processes: who gets in, what the application sees, and where keys come from.
#![allow(clippy::unwrap_used)]

#[path = "support/issuer.rs"]
mod issuer;
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use issuer::{ISSUER, Issuer, KeyServer, encode, key_set};
use serde_json::Value;
use support::Manifests;
use wattle_testkit::{Answer, Echo, Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the control plane finds keys, on its own loopback.
const KEYS: u16 = 9999;
/// The token of RFC 7515 appendix A.3, which expired in 2011 and whose key is nobody's here.
const RFC_7515: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// The unsecured token of RFC 7519 section 6.1.
const RFC_7519: &str = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";

fn workload(name: &str, proxy: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\n\
         spec:\n  command: [sleep, '86400']\n  serviceAccountName: {name}\n  proxy: {{kind: {proxy}}}\n  \
         ports: [{{name: http, port: 8080, appProtocol: http}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080, appProtocol: http}}]}}\n"
    )
}

/// Takes tokens of one issuer; `keys` and `more` are fields of the rule.
fn authentication(keys: &str, more: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: tokens}}\nspec:\n  \
         selector: {{matchLabels: {{app: server}}}}\n  jwtRules: [{{issuer: '{ISSUER}', {keys}{more}}}]\n"
    )
}

fn policy(rule: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: tokens}}\nspec:\n  \
         selector: {{matchLabels: {{app: server}}}}\n  action: ALLOW\n  rules: [{rule}]\n"
    )
}

/// `web`, whose proxy is ours, calls `server`.
struct World {
    mesh: Mesh,
    manifests: Manifests,
    echo: Echo,
}

impl World {
    fn start(proxy: &str, more: &[(&str, &str)]) -> Self {
        Self::start_with(proxy, more, &[])
    }

    fn start_with(proxy: &str, more: &[(&str, &str)], settings: &[(&str, &str)]) -> Self {
        let manifests = Manifests::new(more);
        manifests.write("web.yaml", &workload("web", "wattle"));
        manifests.write("server.yaml", &workload("server", proxy));
        let always = [
            ("WATTLE_CONTROL_KEYS_ALLOW", "127.0.0.1"),
            ("WATTLE_CONTROL_KEYS_REFRESH", "1s"),
        ];
        let settings = [&always[..], settings].concat();
        let mesh = Mesh::up_in(WATTLE, manifests.path(), &settings);
        mesh.wait_ready("web");
        mesh.wait_ready("server");
        let echo = Echo::start(&mesh.spot("server"), 8080, "server").unwrap();
        Self {
            mesh,
            manifests,
            echo,
        }
    }

    fn ask(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let address = SocketAddr::new(self.mesh.service("server"), 80);
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = Request {
            headers: headers.collect(),
            ..Request::get("server", target)
        };
        let asked = self.mesh.spot("web").enter(|| ask(address, &request));
        asked.unwrap_or_default()
    }

    fn bearing(&self, token: &str) -> Answer {
        self.ask("/", &[("authorization", &format!("Bearer {token}"))])
    }

    #[track_caller]
    fn until(&self, status: u16, token: &str) {
        eventually(&format!("the token is answered {status}"), PATIENCE, || {
            (self.bearing(token).status == status).then_some(())
        });
    }
}

/// What the application saw.
fn seen(answer: &Answer, name: &str) -> Vec<String> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let headers = body["headers"].as_array().unwrap().iter();
    let named = headers.filter(|pair| pair[0] == name);
    named.map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
}

fn attacks(issuer: &Issuer) -> Vec<String> {
    let good = issuer.token("");
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let payload = r#"{"iss":"https://issuer.example","sub":"admin"}"#;
    vec![
        "x".to_owned(),
        format!("{signed}."),
        format!("{signed}.{}", encode([0; 64])),
        format!("{}.{}.{signature}", parts[0], encode(payload)),
        format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(payload)),
        format!("{}.{}.{signature}", encode(r#"{"alg":"HS256"}"#), parts[1]),
        issuer.until(-3600, ""),
        issuer.token(r#","nbf":9999999999"#),
        Issuer::new("a").token(""),
        issuer.sign(
            r#"{"alg":"ES256","kid":"a"}"#,
            r#"{"iss":"https://other.example","sub":"alice"}"#,
        ),
        RFC_7515.to_owned(),
        RFC_7519.to_owned(),
    ]
}

/// The same for every proxy of the server.
fn tokens_decide(proxy: &str) {
    let issuer = Issuer::new("a");
    let keys = format!("jwks: '{}'", key_set(&[&issuer]));
    let told = ", outputPayloadToHeader: x-payload, outputClaimToHeaders: [{header: x-sub, claim: sub}, \
                {header: x-role, claim: realm.role}]";
    let principal = format!("{{from: [{{source: {{requestPrincipals: ['{ISSUER}/alice']}}}}]}}");
    let world = World::start(
        proxy,
        &[
            ("tokens.yaml", &authentication(&keys, told)),
            ("policy.yaml", &policy(&principal)),
        ],
    );
    let good = issuer
        .token(r#","realm":{"role":"admin"},"groups":["staff","ops"],"aud":"shop","scope":"read write""#);
    world.until(200, &good);

    let before = world.echo.requests();
    for token in attacks(&issuer) {
        let refused = world.bearing(&token);
        assert_eq!(refused.status, 401, "{token} {}", refused.text());
        assert!(
            refused
                .header("www-authenticate")
                .is_some_and(|told| told.starts_with("Bearer")),
            "{token}"
        );
    }
    assert_eq!(world.ask("/", &[]).status, 403, "without a token nobody is named");
    assert_eq!(world.echo.requests(), before, "the application saw one of them");

    let answer = world.ask(
        "/",
        &[
            ("authorization", &format!("Bearer {good}")),
            ("x-sub", "admin"),
            ("x-payload", "admin"),
        ],
    );
    assert_eq!(answer.status, 200);
    assert_eq!(seen(&answer, "x-sub"), ["alice"]);
    assert_eq!(seen(&answer, "x-role"), ["admin"]);
    assert_eq!(seen(&answer, "x-payload"), [good.split('.').nth(1).unwrap()]);
    assert!(
        seen(&answer, "authorization").is_empty(),
        "the token is not for the application"
    );
    let query = world.ask(&format!("/p?a=b&access_token={good}"), &[]);
    let body: Value = serde_json::from_slice(&query.body).unwrap_or_default();
    assert_eq!((query.status, &body["target"]), (200, &Value::from("/p?a=b")));

    claims_decide(&world, &issuer, &good);

    world.manifests.write(
        "tokens.yaml",
        &authentication(&keys, &format!("{told}, forwardOriginalToken: true")),
    );
    world.manifests.write("policy.yaml", &policy("{}"));
    eventually("the application gets the token", PATIENCE, || {
        let answer = world.bearing(&good);
        (answer.status == 200 && seen(&answer, "authorization") == [format!("Bearer {good}")]).then_some(())
    });
    let spoofed = world.ask(
        "/",
        &[("x-sub", "admin"), ("x-role", "admin"), ("x-payload", "admin")],
    );
    assert_eq!(
        spoofed.status, 200,
        "a request needs no token where no policy asks for one"
    );
    for name in ["x-sub", "x-role", "x-payload"] {
        assert!(seen(&spoofed, name).is_empty(), "{name}");
    }
}

fn claims_decide(world: &World, issuer: &Issuer, good: &str) {
    let plain = issuer.token("");
    let conditions = [
        ("request.auth.claims[groups]", "ops"),
        ("request.auth.claims[scope]", "write"),
        ("request.auth.claims[realm][role]", "admin"),
        ("request.auth.audiences", "shop"),
    ];
    for (key, value) in conditions {
        world.manifests.write(
            "policy.yaml",
            &policy(&format!("{{when: [{{key: '{key}', values: ['{value}']}}]}}")),
        );
        // The rule before let it in.
        world.until(403, &plain);
        world.until(200, good);
        assert_eq!(world.ask("/", &[]).status, 403, "{key}");
        world.manifests.write("policy.yaml", &policy("{}"));
        world.until(200, &plain);
    }
}

#[test]
fn tokens_decide_who_gets_in_and_what_the_application_sees() {
    if lacks(&[Need::Root]) {
        return;
    }
    tokens_decide("wattle");
}

#[test]
fn tokens_decide_the_same_behind_an_envoy() {
    if lacks(&[Need::Root, Need::Envoy]) {
        return;
    }
    tokens_decide("envoy");
}

#[test]
fn keys_are_exchanged_under_traffic_without_a_failed_request() {
    if lacks(&[Need::Root]) {
        return;
    }
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let keys = format!("jwksUri: 'http://127.0.0.1:{KEYS}/keys'");
    let world = World::start("wattle", &[("tokens.yaml", &authentication(&keys, ""))]);
    let (by_old, by_new) = (old.token(""), new.token(""));
    world.until(401, &by_old);
    eventually("missing keys are reported", PATIENCE, || {
        let told = world.mesh.control("/diagnostics")?.to_string();
        told.contains("keys could not be fetched").then_some(())
    });
    let server = KeyServer::start(&world.mesh.bridge(), KEYS, key_set(&[&old]));
    world.until(200, &by_old);
    world.until(401, &by_new);

    let (current, over) = (Mutex::new(by_old.clone()), AtomicBool::new(false));
    let answered = AtomicUsize::new(0);
    let traffic = || {
        let mut statuses = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let token = current.lock().unwrap().clone();
            statuses.push(world.bearing(&token).status);
            answered.fetch_add(1, Ordering::Relaxed);
        }
        statuses
    };
    let statuses = std::thread::scope(|scope| {
        let running = scope.spawn(traffic);
        server.publish(key_set(&[&old, &new]));
        world.until(200, &by_new);
        current.lock().unwrap().clone_from(&by_new);
        // The first of two answers from now on may still be for an old token.
        let so_far = answered.load(Ordering::Relaxed);
        eventually("old tokens are used no more", PATIENCE, || {
            (answered.load(Ordering::Relaxed) > so_far + 1).then_some(())
        });
        server.publish(key_set(&[&new]));
        world.until(401, &by_old);
        server.publish("no keys".to_owned());
        eventually("what is no key set is reported", PATIENCE, || {
            let told = world.mesh.control("/diagnostics")?.to_string();
            told.contains("stay in use").then_some(())
        });
        over.store(true, Ordering::Relaxed);
        running.join().unwrap()
    });
    eprintln!("{} requests", statuses.len());
    let failed = statuses.iter().filter(|status| **status != 200).count();
    assert_eq!(failed, 0, "of {} requests", statuses.len());
    assert_eq!(
        world.bearing(&by_new).status,
        200,
        "keys stay in use while they cannot be fetched"
    );
}

/// Where every mesh of a directory has its bridge, which is not loopback.
const BRIDGE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

#[test]
fn keys_in_plaintext_are_believed_of_other_addresses_only_where_that_is_allowed() {
    if lacks(&[Need::Root]) {
        return;
    }
    let issuer = Issuer::new("one");
    let token = issuer.token("");
    let keys = authentication(&format!("jwksUri: 'http://{BRIDGE}:{KEYS}/keys'"), "");
    let serve =
        |world: &World| KeyServer::start_at(&world.mesh.bridge(), (BRIDGE, KEYS), key_set(&[&issuer]));
    let world = World::start("wattle", &[("tokens.yaml", &keys)]);
    let _server = serve(&world);
    eventually("what to do is told", PATIENCE, || {
        let told = world.mesh.control("/diagnostics")?.to_string();
        (told.contains("tokens are refused") && told.contains("--keys-plaintext")).then_some(())
    });
    world.until(401, &token);
    // A namespace may take Istio's defaults, and leave them.
    let defaults = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {wattle.io/istio-defaults: enabled}}\n";
    world.manifests.write("defaults.yaml", defaults);
    world.until(200, &token);
    world
        .manifests
        .write("defaults.yaml", &defaults.replace("enabled", "disabled"));
    world.until(401, &token);
    drop(world);

    let block = format!("{BRIDGE}/32");
    let world = World::start_with(
        "wattle",
        &[("tokens.yaml", &keys)],
        &[("WATTLE_CONTROL_KEYS_PLAINTEXT", &block)],
    );
    let _server = serve(&world);
    world.until(200, &token);
}
