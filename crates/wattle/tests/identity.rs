//! Nobody gets in or is called who is not who they must be, and each refusal says why.
#![allow(clippy::unwrap_used)]

#[path = "support/forge.rs"]
mod forge;
mod support;

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use forge::{Forger, Presented};
use support::Manifests;
use wattle_testkit::{Echo, Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3600);
const PORT: u16 = 8080;

const SERVER: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: server, labels: {app: server}}
spec:
  command: [sleep, '86400']
  serviceAccountName: server
  ports: [{name: http, port: 8080, appProtocol: http}, {name: raw, port: 9090, appProtocol: tcp}]
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec:
  selector: {app: server}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
";

fn mtls(mode: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default}}\nspec: {{mtls: {{mode: {mode}}}}}\n"
    )
}

#[test]
fn a_client_without_identity_is_refused_under_strict_and_served_under_permissive() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("server.yaml", SERVER), ("mtls.yaml", &mtls("STRICT"))]);
    manifests.write(
        "outsider.yaml",
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: outsider, labels: {wattle.io/inject: disabled}}\n\
         spec: {command: [sleep, '86400']}\n",
    );
    let mesh = Mesh::up(WATTLE, manifests.path());
    let (http, raw) = (at(&mesh, PORT), at(&mesh, 9090));
    let echo = Echo::start(&mesh.spot("server"), PORT, "server").unwrap();
    let _raw = Echo::start(&mesh.spot("server"), 9090, "raw").unwrap();
    mesh.wait_ready("outsider");
    let outsider = mesh.spot("outsider");
    let pretends = [
        (
            "X-Forwarded-Client-Cert",
            "URI=spiffe://cluster.local/ns/default/sa/admin",
        ),
        ("Wattle-Http1", "1:t"),
    ];
    let headers = pretends
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let request = Request {
        headers,
        ..Request::get("server", "/")
    };
    let knock = |address| outsider.enter(|| ask(address, &request));

    let refused = knock(http).unwrap();
    assert_eq!(
        (refused.status, refused.header("wattle-reason")),
        (403, Some("mtls_required"))
    );
    assert!(knock(raw).is_err(), "an opaque connection is cut off");
    assert_eq!(echo.requests(), 0, "nothing reached the application");

    manifests.write("mtls.yaml", &mtls("PERMISSIVE"));
    let served = eventually("PERMISSIVE lets the outsider in", PATIENCE, || {
        knock(http).ok().filter(|answer| answer.status == 200)
    });
    assert!(served.text().contains("\"name\":\"server\""), "{}", served.text());
    assert!(
        !served.text().contains("sa/admin"),
        "nobody names himself: {}",
        served.text()
    );
    assert!(!served.text().contains("wattle-http1"), "{}", served.text());
    assert!(knock(raw).is_ok());

    manifests.write("mtls.yaml", &mtls("STRICT"));
    eventually("STRICT shuts it out again", PATIENCE, || {
        knock(http).ok().filter(|answer| answer.status == 403)
    });
    mesh.stop();
}

#[test]
fn a_proxy_that_is_slow_to_begin_is_still_heard_as_one() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("server.yaml", SERVER), ("mtls.yaml", &mtls("PERMISSIVE"))]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let addresses = [PORT, 9090, 9091].map(|port| at(&mesh, port));
    let spot = mesh.spot("server");
    let echoes = [PORT, 9090, 9091].map(|port| Echo::start(&spot, port, "server").unwrap());
    let forger = Forger::of(&mesh);
    let genuine = forger.svid("client", SystemTime::now());
    assert_eq!(forger.call(&mesh, addresses[0], &genuine), Ok(200));
    // Declared HTTP, declared TCP, and not declared: the proxy dials the application of the last two when nobody speaks.
    let silent = addresses.map(|address| mesh.bridge().enter(|| TcpStream::connect(address).unwrap()));
    eventually("the applications are dialled", PATIENCE, || {
        echoes[1..]
            .iter()
            .all(|echo| echo.connections() == 1)
            .then_some(())
    });
    for (stream, address) in silent.into_iter().zip(addresses) {
        assert_eq!(forger.call_on(stream, &genuine), Ok(200), "{address}");
    }
    mesh.stop();
}

#[test]
fn a_forged_or_stale_client_certificate_is_turned_away_each_for_its_own_reason() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("server.yaml", SERVER), ("mtls.yaml", &mtls("STRICT"))]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let address = at(&mesh, PORT);
    let echo = Echo::start(&mesh.spot("server"), PORT, "server").unwrap();
    let forger = Forger::of(&mesh);

    let genuine = forger.svid("client", SystemTime::now());
    assert_eq!(
        forger.call(&mesh, address, &genuine),
        Ok(200),
        "a genuine certificate is let in"
    );
    let turned_away = |reason: &str, call: &dyn Fn() -> Result<u16, String>| {
        let before = turned_away(&mesh, reason);
        assert!(call().is_err(), "{reason}: must be turned away");
        eventually(&format!("the proxy counts one more {reason}"), PATIENCE, || {
            (turned_away(&mesh, reason) == before + 1).then_some(())
        });
        mesh.wait_log("default.server.proxy.log", &format!("reason=\"{reason}\""));
    };
    for (svid, reason) in [
        (
            forger.foreign("elsewhere.example", "client"),
            "unknown_trust_domain",
        ),
        (forger.foreign("cluster.local", "client"), "untrusted_issuer"),
        (forger.expired("client"), "expired"),
        (
            forger.svid("client", SystemTime::now() + HOUR * 20),
            "not_yet_valid",
        ),
    ] {
        turned_away(reason, &|| forger.call(&mesh, address, &svid));
    }
    turned_away("no_certificate", &|| forger.call_without(&mesh, address));
    assert_eq!(echo.requests(), 1, "only the genuine one reached the application");
    mesh.stop();
}

#[test]
fn a_server_that_is_not_who_the_endpoint_may_be_is_not_called() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("mtls.yaml", &mtls("STRICT"))]);
    manifests.write(
        "mesh.yaml",
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: client}\n\
         spec: {command: [sleep, '86400'], serviceAccountName: client}\n---\n\
         apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: impostor, labels: {wattle.io/inject: disabled}}\n\
         spec: {command: [sleep, '86400']}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: server}\n\
         spec: {selector: {app: server}, ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]}\n",
    );
    let mesh = Mesh::up(WATTLE, manifests.path());
    let impostor = mesh.wait_ready("impostor");
    let place = impostor.address.unwrap();
    // The config says that `server`, with a proxy, is where in truth somebody else listens.
    manifests.write(
        "entry.yaml",
        &format!(
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n\
             metadata: {{name: server, labels: {{app: server}}, annotations: {{wattle.io/proxy: enabled}}}}\n\
             spec: {{address: {place}, serviceAccount: server, labels: {{app: server}}, ports: {{http: 8080}}}}\n"
        ),
    );
    mesh.wait_ready("client");
    let client = mesh.spot("client");
    let service = SocketAddr::new(mesh.service("server"), 80);
    let forger = Forger::of(&mesh);
    let presented = Presented::listen(
        &mesh.spot("impostor"),
        PORT,
        &forger,
        &forger.svid("server", SystemTime::now()),
    );

    let call = || {
        client
            .enter(|| ask(service, &Request::get("server", "/")))
            .unwrap()
    };
    eventually("the right name is called", PATIENCE, || {
        (call().status == 200).then_some(())
    });
    for (svid, reason, cause) in [
        (
            forger.svid("impostor", SystemTime::now()),
            "upstream_tls_identity",
            "unexpected_identity",
        ),
        (
            forger.foreign("elsewhere.example", "server"),
            "upstream_trust_domain",
            "unknown_trust_domain",
        ),
        (
            forger.foreign("cluster.local", "server"),
            "upstream_certificate_untrusted",
            "untrusted_issuer",
        ),
        (
            forger.expired("server"),
            "upstream_certificate_expired",
            "expired",
        ),
    ] {
        presented.replace(&forger, &svid);
        let answer = eventually(&format!("{cause} is refused"), PATIENCE, || {
            Some(call()).filter(|answer| answer.status != 200)
        });
        assert_eq!(
            (answer.status, answer.header("wattle-reason")),
            (503, Some(reason)),
            "{cause}"
        );
        mesh.wait_log("default.client.proxy.log", &format!("cause=\"{cause}\""));
    }
    mesh.stop();
}

fn at(mesh: &Mesh, port: u16) -> SocketAddr {
    SocketAddr::new(mesh.wait_ready("server").address.unwrap(), port)
}

/// How many peers the server's proxy turned away for this reason.
fn turned_away(mesh: &Mesh, reason: &str) -> u64 {
    let status = at(mesh, 15020);
    let page = mesh
        .bridge()
        .enter(|| ask(status, &Request::get("proxy", "/metrics")))
        .unwrap()
        .text();
    let wanted = format!("wattle_inbound_tls_refused_total{{reason=\"{reason}\"}} ");
    page.lines()
        .find_map(|line| line.strip_prefix(&wanted)?.parse().ok())
        .unwrap_or(0)
}
