//! Istio's traffic tasks, each on a running bookshop: the manifest of the task is put beside the others, and what
//! callers see changes as the task says.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wattle_testkit::{Answer, Mesh, Need, Request, Spot, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for anything, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bookshop that runs, and the directory it is described in.
struct Shop {
    mesh: Mesh,
    directory: TempDir,
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bookinfo")
}

impl Shop {
    /// Starts these parts of the mesh and waits until these instances are ready.
    fn open(parts: &[&str], ready: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in [&["service.py", "tcp_echo.py"], parts].concat() {
            std::fs::copy(example().join("mesh").join(file), directory.path().join(file)).unwrap();
        }
        let mesh = Mesh::up(WATTLE, directory.path());
        ready.iter().for_each(|instance| drop(mesh.wait_ready(instance)));
        Self { mesh, directory }
    }

    /// Puts the manifest of a task beside the others, and waits until every proxy has it.
    fn begin(&self, task: &str) {
        let file = format!("{task}.yaml");
        let text = std::fs::read_to_string(example().join("tasks").join(&file)).unwrap();
        std::fs::write(self.directory.path().join(&file), &text).unwrap();
        for object in wattle_api::parse(&text, &file).objects {
            let key = object.key();
            let path = format!("/objects/{}/{}/{}", key.kind, key.namespace, key.name);
            let known = || {
                self.mesh
                    .control(&path)
                    .filter(|found| found["manifest"].is_object())
            };
            eventually(&format!("{path} is known"), PATIENCE, known);
        }
        self.mesh.wait_synced(1);
    }

    /// Asks a service as the application of `from` would.
    fn ask(&self, from: &str, service: &str, port: u16, request: &Request) -> std::io::Result<Answer> {
        let server = SocketAddr::new(self.mesh.service(service), port);
        Spot::of(self.mesh.proxy(from).pid).enter(|| ask(server, request))
    }

    /// Status and body of `GET http://SERVICE:PORT/PATH` with these headers.
    fn get(&self, from: &str, url: (&str, u16, &str), headers: &[(&str, &str)]) -> (u16, Value) {
        let (service, port, path) = url;
        let mut request = Request::get(&format!("{service}:{port}"), path);
        let owned = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        request.headers.extend(owned);
        let answer = self.ask(from, service, port, &request).unwrap();
        (
            answer.status,
            serde_json::from_slice(&answer.body).unwrap_or_default(),
        )
    }

    /// Waits until a service is there for `from`; programs are ready a little before everybody knows where they are.
    fn until_served(&self, from: &str, (service, port, path): (&str, u16, &str)) {
        let request = Request::get(&format!("{service}:{port}"), path);
        eventually(&format!("{service} answers"), PATIENCE, || {
            self.ask(from, service, port, &request)
                .ok()
                .filter(|answer| answer.status == 200)
        });
    }

    /// What a user sees of the reviews.
    fn reviews(&self, user: &str) -> Value {
        self.get(
            "productpage-v1",
            ("reviews", 9080, "/reviews/0"),
            &[("end-user", user)],
        )
        .1
    }

    /// Waits until what a user sees of the reviews is so.
    fn until_reviews(&self, what: &str, user: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, PATIENCE, || {
            Some(self.reviews(user)).filter(|seen| wanted(seen))
        })
    }
}

fn reviews_shop() -> Option<Shop> {
    if lacks(&[Need::Root, Need::Program("python3")]) {
        return None;
    }
    let all = [
        "productpage-v1",
        "details-v1",
        "reviews-v1",
        "reviews-v2",
        "reviews-v3",
        "ratings-v1",
    ];
    let shop = Shop::open(&["bookinfo.yaml"], &all);
    shop.until_served("productpage-v1", ("reviews", 9080, "/reviews/0"));
    shop.until_served("reviews-v2", ("ratings", 9080, "/ratings/0"));
    Some(shop)
}

fn tools_shop(ready: &[&str]) -> Option<Shop> {
    if lacks(&[Need::Root, Need::Program("python3")]) {
        return None;
    }
    let shop = Shop::open(&["tools.yaml"], ready);
    if ready.contains(&"httpbin-v1") {
        shop.until_served("client", ("httpbin", 8000, "/"));
    }
    Some(shop)
}

#[test]
fn request_routing_shows_one_user_another_version() {
    let Some(shop) = reviews_shop() else { return };
    shop.begin("request-routing");
    shop.until_reviews("jason sees v2", "jason", |seen| seen["version"] == "v2");
    for _ in 0..20 {
        assert_eq!(shop.reviews("jason")["version"], "v2");
        assert_eq!(shop.reviews("anna")["version"], "v1");
    }
    shop.mesh.stop();
}

#[test]
fn fault_injection_delays_one_user_and_fails_another() {
    let Some(shop) = reviews_shop() else { return };
    shop.begin("fault-injection");
    shop.until_reviews("anna sees no ratings", "anna", |seen| {
        seen["version"] == "v2" && seen["ratings"].is_null()
    });
    assert!(shop.reviews("bob")["ratings"].is_array());
    let ratings = ("ratings", 9080, "/ratings/0");
    assert_eq!(shop.get("reviews-v2", ratings, &[("end-user", "anna")]).0, 500);
    // Late, and answered all the same.
    let begun = std::time::Instant::now();
    assert!(shop.reviews("jason")["ratings"].is_array());
    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "a delay of two seconds cannot be shorter"
    );
    shop.mesh.stop();
}

#[test]
fn traffic_shifting_sends_a_quarter_to_the_new_version() {
    let Some(shop) = reviews_shop() else { return };
    shop.begin("traffic-shifting");
    shop.until_reviews("v3 is seen", "bob", |seen| seen["version"] == "v3");
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..400 {
        let version = shop.reviews("bob")["version"].as_str().unwrap().to_owned();
        *counts.entry(version).or_default() += 1;
    }
    assert!(!counts.contains_key("v2"), "{counts:?}");
    // Five standard deviations of a quarter of 400.
    assert!((57..=143).contains(&counts["v3"]), "{counts:?}");
    shop.mesh.stop();
}

#[test]
fn tcp_traffic_shifting_sends_a_fifth_of_the_connections_to_the_new_version() {
    let Some(shop) = tools_shop(&["client", "tcp-echo-v1", "tcp-echo-v2"]) else {
        return;
    };
    let server = SocketAddr::new(shop.mesh.service("tcp-echo"), 9000);
    let spot = Spot::of(shop.mesh.proxy("client").pid);
    let word = || {
        spot.enter(|| {
            let mut stream = TcpStream::connect(server).ok()?;
            stream.write_all(b"hello\n").ok()?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).ok()?;
            line.split(' ').next().map(ToOwned::to_owned)
        })
    };
    shop.begin("tcp-traffic-shifting");
    let count = |wanted: &str, of: u32| (0..of).filter(|_| word().as_deref() == Some(wanted)).count();
    eventually("most go to the first version", PATIENCE, || {
        (count("two", 30) <= 12).then_some(())
    });
    let second = count("two", 300);
    assert!((25..=95).contains(&second), "{second} of 300");
    shop.mesh.stop();
}

#[test]
fn request_timeouts_end_what_takes_too_long() {
    let Some(shop) = reviews_shop() else { return };
    shop.begin("request-timeouts");
    let reviews = ("reviews", 9080, "/reviews/0");
    eventually("the caller does not wait", PATIENCE, || {
        (shop.get("productpage-v1", reviews, &[]).0 == 504).then_some(())
    });
    let page = shop
        .get("productpage-v1", ("productpage", 9080, "/productpage"), &[])
        .1;
    assert_eq!(
        (&page["reviews_status"], &page["details_status"]),
        (&504.into(), &200.into()),
        "{page}"
    );
    shop.mesh.stop();
}

#[test]
fn circuit_breaking_lets_what_overflows_fail_at_once() {
    let Some(shop) = tools_shop(&["client", "httpbin-v1", "httpbin-v2"]) else {
        return;
    };
    let server = SocketAddr::new(shop.mesh.service("httpbin"), 8000);
    shop.begin("circuit-breaking");
    let spot = Spot::of(shop.mesh.proxy("client").pid);
    let many = || -> Vec<(u16, Option<String>)> {
        std::thread::scope(|scope| {
            let one = || {
                let answer = spot.enter(|| ask(server, &Request::get("httpbin:8000", "/?delay=0.3")));
                answer.map(|answer| {
                    (
                        answer.status,
                        answer.header("wattle-reason").map(ToOwned::to_owned),
                    )
                })
            };
            let running: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            running
                .into_iter()
                .filter_map(|thread| thread.join().unwrap().ok())
                .collect()
        })
    };
    let answers = eventually("something overflows", PATIENCE, || {
        let answers = many();
        answers
            .iter()
            .any(|(status, _)| *status == 503)
            .then_some(answers)
    });
    assert!(answers.iter().any(|(status, _)| *status == 200), "{answers:?}");
    let overflowed = |(status, reason): &&(u16, Option<String>)| {
        *status == 503 && reason.as_deref() == Some("upstream_overflow")
    };
    assert!(answers.iter().any(|answer| overflowed(&answer)), "{answers:?}");
    // One at a time nothing overflows.
    for _ in 0..10 {
        assert_eq!(shop.get("client", ("httpbin", 8000, "/"), &[]).0, 200);
    }
    shop.mesh.stop();
}

#[test]
fn egress_reaches_what_is_registered_and_nothing_else() {
    let Some(shop) = tools_shop(&["client", "outside", "httpbin-v1"]) else {
        return;
    };
    let outside = eventually("the server outside has an address", PATIENCE, || {
        shop.mesh.process("outside").address
    });
    let direct = SocketAddr::new(outside, 8080);
    let spot = Spot::of(shop.mesh.proxy("client").pid);
    let past = || spot.enter(|| ask(direct, &Request::get("elsewhere.example", "/")));
    eventually("unregistered, it is reached as dialled", PATIENCE, || {
        past().ok().filter(|answer| answer.status == 200)
    });
    shop.begin("egress");
    let registered = ("outside.example", 80, "/");
    eventually("registered, it is reached by its name", PATIENCE, || {
        shop.mesh
            .control("/services")?
            .as_array()?
            .iter()
            .find(|service| service["name"] == "outside.example")?;
        Some(shop.get("client", registered, &[])).filter(|(status, _)| *status == 200)
    });
    assert_eq!(
        shop.get("client", ("outside.example", 80, "/?delay=2"), &[]).0,
        504
    );
    let unknown: SocketAddr = "203.0.113.7:80".parse().unwrap();
    let answer = eventually("what is not registered is refused", PATIENCE, || {
        spot.enter(|| ask(unknown, &Request::get("unknown.example", "/")))
            .ok()
    });
    assert_eq!(
        answer.header("wattle-reason"),
        Some("unknown_destination"),
        "{}",
        answer.status
    );
    shop.mesh.stop();
}
#[test]
fn mirroring_copies_every_request_and_answers_none_of_the_copies() {
    let Some(shop) = tools_shop(&["client", "httpbin-v1", "httpbin-v2"]) else {
        return;
    };
    shop.begin("mirroring");
    let answered = |path: &str| shop.get("client", ("httpbin", 8000, path), &[]).1["version"].clone();
    let copied = |path: &str| {
        let log = shop.mesh.log("default.httpbin-v2.log");
        log.lines()
            .any(|line| line.contains(path) && line.contains("-shadow"))
    };
    eventually("a copy arrives", PATIENCE, || {
        answered("/first");
        copied("/first").then_some(())
    });
    for number in 0..20 {
        assert_eq!(answered(&format!("/copy-{number}")), "v1");
    }
    eventually("every copy arrives", PATIENCE, || {
        (0..20)
            .all(|number| copied(&format!("/copy-{number} ")))
            .then_some(())
    });
    shop.mesh.stop();
}
