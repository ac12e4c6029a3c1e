//! Tokens of requests: who gets in, and what the application sees.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use wattle_model::{Attribute, ClaimHeader, Condition, IpBlock, Source, TextMatch, TokenLocation, TokenRule};

use super::*;
use crate::worker::TokenRules;

const ISSUER: &str = "https://issuer.example";

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Somebody who signs tokens.
struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    fn keys(&self) -> String {
        let x = encode(self.0.public_key());
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#)
    }

    fn rule(&self) -> TokenRule {
        TokenRule {
            issuer: Some(ISSUER.into()),
            keys: Some(self.keys().as_str().into()),
            ..TokenRule::bearer(origin("r"))
        }
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = encode(self.0.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn token(&self, claims: &str) -> String {
        self.of(ISSUER, now() + 300, claims)
    }

    fn of(&self, issuer: &str, expiry: u64, claims: &str) -> String {
        let payload = format!(r#"{{"iss":"{issuer}","sub":"alice","exp":{expiry}{claims}}}"#);
        self.sign(r#"{"alg":"EdDSA"}"#, &payload)
    }
}

/// An application that remembers what it saw.
struct Seen {
    heads: Rc<RefCell<Vec<RequestHead>>>,
    at: SocketAddr,
}

impl Seen {
    async fn new() -> Self {
        let heads: Rc<RefCell<Vec<RequestHead>>> = Rc::default();
        let seen = heads.clone();
        let at = application(async move |request: Request| {
            seen.borrow_mut().push(request.head);
            Response::new(StatusCode::OK, Body::Empty)
        })
        .await;
        Self { heads, at }
    }

    fn last(&self) -> RequestHead {
        self.heads.borrow().last().unwrap().clone()
    }
}

fn enforce(worker: &Worker, inbound: Inbound) {
    worker.hear(News::Tokens(TokenRules::of(&inbound.tokens)));
    tell(worker, inbound, &[], None);
}

fn with(rules: Vec<TokenRule>, port: u16) -> Inbound {
    Inbound {
        tokens: rules,
        ..open(port)
    }
}

fn asking(path: &str, headers: &[(&'static str, &str)]) -> Request {
    let mut request = get(path);
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.head.headers.append(*name, value);
    }
    request
}

fn bearing(token: &str) -> Request {
    asking("/", &[("authorization", &format!("Bearer {token}"))])
}

fn header(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_refused_and_the_application_never_sees_it() {
    let run = async {
        let (worker, app, issuer) = (worker(), Seen::new().await, Issuer::new());
        enforce(&worker, with(vec![issuer.rule()], app.at.port()));
        let good = issuer.token("");
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let none = format!(
            "{}.{}.",
            encode(r#"{"alg":"none"}"#),
            encode(r#"{"sub":"alice"}"#)
        );
        let past = issuer.of(ISSUER, now() - 3600, "");
        let bad = [
            String::new(),
            "x".to_owned(),
            format!("{signed}."),
            format!("{signed}.{}", encode([0; 64])),
            format!("{good}.x"),
            format!("{good}, Bearer {good}"),
            none,
            past,
            issuer.of("https://other.example", now() + 300, ""),
            issuer.token(&format!(r#","nbf":{}"#, now() + 3600)),
            issuer.sign(r#"{"alg":"HS256"}"#, "{}"),
            issuer.sign(r#"{"alg":"EdDSA","crit":["exp"]}"#, "{}"),
            Issuer::new().token(""),
            format!("{}.{}.{signature}", encode(r#"{"alg":"EdDSA"}"#), encode("{}")),
            "a".repeat(17_000),
        ];
        for token in &bad {
            let refused = send(&worker, app.at, None, bearing(token)).await.head;
            let told = (
                refused.status.as_u16(),
                refused.headers["wattle-reason"].to_str().unwrap(),
                refused.headers["www-authenticate"].to_str().unwrap(),
            );
            assert_eq!(
                told,
                (401, "token_invalid", r#"Bearer error="invalid_token""#),
                "{token}"
            );
        }
        assert!(app.heads.borrow().is_empty());
        for request in [get("/"), bearing(&good), bearing(&good)] {
            assert_eq!(send(&worker, app.at, None, request).await.head.status, 200);
        }
        let two = format!("Bearer {}", bad[7]);
        let request = asking(
            "/",
            &[
                ("authorization", &format!("Bearer {good}")),
                ("authorization", &two),
            ],
        );
        assert_eq!(send(&worker, app.at, None, request).await.head.status, 401);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_grpc_client_is_told_that_it_is_not_authenticated() {
    let run = async {
        let (worker, app, issuer) = (worker(), Seen::new().await, Issuer::new());
        enforce(&worker, with(vec![issuer.rule()], app.at.port()));
        let headers = [
            ("authorization", "Bearer x"),
            ("content-type", "application/grpc"),
        ];
        let refused = send(&worker, app.at, None, asking("/", &headers)).await;
        assert_eq!(
            (refused.head.status, &refused.head.headers["grpc-status"]),
            (StatusCode::OK, &"16".parse().unwrap())
        );
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_token_is_looked_for_where_its_rule_says_and_taken_out_there() {
    let run = async {
        let (worker, app, issuer) = (worker(), Seen::new().await, Issuer::new());
        let mut rule = issuer.rule();
        rule.locations = vec![
            TokenLocation::Header(header("x-jwt"), "".into()),
            TokenLocation::Query("t".into()),
            TokenLocation::Cookie("jwt".into()),
        ];
        enforce(&worker, with(vec![rule.clone()], app.at.port()));
        let token = issuer.token("");
        let cookie = format!("a=b; jwt={token}");
        let all = |token: &str, cookie: &str| {
            asking(
                &format!("/p?a=b&t={token}"),
                &[
                    ("x-jwt", token),
                    ("cookie", cookie),
                    ("authorization", "Bearer x"),
                ],
            )
        };
        assert_eq!(
            send(&worker, app.at, None, all(&token, &cookie))
                .await
                .head
                .status,
            200
        );
        let seen = app.last();
        assert_eq!(seen.path_and_query, "/p?a=b");
        assert_eq!(seen.headers["cookie"], "a=b");
        assert_eq!(seen.headers["authorization"], "Bearer x");
        assert!(!seen.headers.contains_key("x-jwt"));
        rule.forward = true;
        enforce(&worker, with(vec![rule], app.at.port()));
        assert_eq!(
            send(&worker, app.at, None, all(&token, &cookie))
                .await
                .head
                .status,
            200
        );
        let seen = app.last();
        assert_eq!(seen.path_and_query.as_str(), format!("/p?a=b&t={token}"));
        assert_eq!(seen.headers["x-jwt"], token);
        assert_eq!(seen.headers["cookie"], cookie);
        let bad = [
            asking("/", &[("x-jwt", "x")]),
            asking("/?t=x", &[]),
            asking("/?%74=x", &[]),
            asking("/", &[("cookie", "jwt=x")]),
        ];
        for request in bad {
            assert_eq!(send(&worker, app.at, None, request).await.head.status, 401);
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn claims_are_told_in_headers_that_no_client_can_fill() {
    let run = async {
        let (worker, app, issuer) = (worker(), Seen::new().await, Issuer::new());
        let claim = |name: &'static str, path: &[&str]| ClaimHeader {
            header: header(name),
            claim: path.iter().map(|name| (*name).into()).collect(),
        };
        let rule = TokenRule {
            payload_header: Some(header("x-payload")),
            claim_headers: vec![
                claim("x-sub", &["sub"]),
                claim("x-level", &["realm", "level"]),
                claim("x-none", &["none"]),
            ],
            ..issuer.rule()
        };
        enforce(&worker, with(vec![rule], app.at.port()));
        let token = issuer.token(r#","realm":{"level":7}"#);
        let bearer = format!("Bearer {token}");
        let spoofed = [
            ("x-sub", "admin"),
            ("x_sub", "admin"),
            ("x-none", "admin"),
            ("x-payload", "admin"),
            ("connection", "x-sub, x-payload"),
        ];
        let with_token: Vec<_> = spoofed
            .iter()
            .copied()
            .chain([("authorization", &*bearer)])
            .collect();
        assert_eq!(
            send(&worker, app.at, None, asking("/", &with_token))
                .await
                .head
                .status,
            200
        );
        let seen = app.last();
        let payload = token.split('.').nth(1).unwrap();
        assert_eq!(seen.headers["x-sub"], "alice");
        assert_eq!(seen.headers["x-level"], "7");
        assert_eq!(seen.headers["x-payload"], payload);
        assert_eq!(seen.headers.get_all("x-sub").iter().count(), 1);
        for name in ["x_sub", "x-none", "authorization"] {
            assert!(!seen.headers.contains_key(name), "{name}");
        }
        assert_eq!(
            send(&worker, app.at, None, asking("/", &spoofed))
                .await
                .head
                .status,
            200
        );
        let seen = app.last();
        for name in ["x-sub", "x_sub", "x-none", "x-payload"] {
            assert!(!seen.headers.contains_key(name), "{name}");
        }
    };
    LocalSet::new().run_until(run).await;
}

/// Lets in whom these ask for.
fn allowing(inbound: Inbound, from: Vec<Source>, when: Vec<Condition>) -> Inbound {
    let mut inbound = inbound;
    inbound.authorization.allow[0].rules = vec![PolicyRule {
        from,
        when,
        ..PolicyRule::default()
    }];
    inbound
}

fn when(key: &str, value: &str) -> Condition {
    Condition {
        attribute: Attribute::parse(key),
        values: vec![TextMatch::Exact(value.into())],
        not_values: Vec::new(),
        blocks: Vec::new(),
        not_blocks: Vec::new(),
    }
}

#[tokio::test]
async fn policies_judge_by_what_the_token_proves() {
    let run = async {
        let (worker, app, issuer) = (worker(), Seen::new().await, Issuer::new());
        let mut rule = issuer.rule();
        rule.claim_headers = vec![ClaimHeader {
            header: header("x-group"),
            claim: vec!["group".into()],
        }];
        rule.space_delimited = vec!["roles".into()];
        let base = with(vec![rule], app.at.port());
        let alice = Source {
            request_principals: vec![TextMatch::Exact(format!("{ISSUER}/alice").into())],
            ..Source::default()
        };
        let allowed = issuer.token(
            r#","aud":["shop"],"azp":"web","group":"staff","scope":"read write","roles":"a b","realm":{"roles":["admin"]}"#,
        );
        let plain = issuer.token("");
        let table = [
            (vec![alice], vec![], 200),
            (vec![], vec![when("request.auth.audiences", "shop")], 403),
            (vec![], vec![when("request.auth.presenter", "web")], 403),
            (vec![], vec![when("request.auth.claims[group]", "staff")], 403),
            (vec![], vec![when("request.auth.claims[scope]", "write")], 403),
            (vec![], vec![when("request.auth.claims[roles]", "b")], 403),
            (
                vec![],
                vec![when("request.auth.claims[realm][roles]", "admin")],
                403,
            ),
            (vec![], vec![when("request.headers[x-group]", "staff")], 403),
        ];
        for (from, conditions, of_plain) in table {
            let asked = format!("{from:?} {conditions:?}");
            enforce(&worker, allowing(base.clone(), from, conditions));
            let none = asking("/", &[("x-group", "staff")]);
            let statuses = [
                send(&worker, app.at, None, bearing(&allowed))
                    .await
                    .head
                    .status
                    .as_u16(),
                send(&worker, app.at, None, bearing(&plain))
                    .await
                    .head
                    .status
                    .as_u16(),
                send(&worker, app.at, None, none).await.head.status.as_u16(),
            ];
            assert_eq!(statuses, [200, of_plain, 403], "{asked}");
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn new_keys_take_effect_at_once_also_for_tokens_that_were_verified_before() {
    let run = async {
        let (worker, app) = (worker(), Seen::new().await);
        let (old, new) = (Issuer::new(), Issuer::new());
        let statuses = async || {
            let by_old = send(&worker, app.at, None, bearing(&old.token(""))).await;
            let by_new = send(&worker, app.at, None, bearing(&new.token(""))).await;
            [by_old.head.status.as_u16(), by_new.head.status.as_u16()]
        };
        let kept = old.token("");
        let mut rule = old.rule();
        enforce(&worker, with(vec![rule.clone()], app.at.port()));
        assert_eq!(send(&worker, app.at, None, bearing(&kept)).await.head.status, 200);
        assert_eq!(statuses().await, [200, 401]);
        let both = format!(
            r#"{{"keys":[{},{}]}}"#,
            old.keys()
                .trim_start_matches(r#"{"keys":["#)
                .trim_end_matches("]}"),
            new.keys()
                .trim_start_matches(r#"{"keys":["#)
                .trim_end_matches("]}")
        );
        rule.keys = Some(both.as_str().into());
        enforce(&worker, with(vec![rule.clone()], app.at.port()));
        assert_eq!(statuses().await, [200, 200]);
        enforce(&worker, with(vec![new.rule()], app.at.port()));
        assert_eq!(statuses().await, [401, 200]);
        assert_eq!(send(&worker, app.at, None, bearing(&kept)).await.head.status, 401);
        rule.keys = None;
        for keys in [None, Some("no keys".into())] {
            rule.keys = keys;
            enforce(&worker, with(vec![rule.clone()], app.at.port()));
            assert_eq!(statuses().await, [401, 401]);
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn who_is_a_client_behind_others_is_believed_of_the_mesh_alone() {
    let run = async {
        let (worker, app) = (worker(), Seen::new().await);
        let from = Source {
            remote_ip_blocks: vec![IpBlock::parse("192.0.2.0/24").unwrap()],
            ..Source::default()
        };
        enforce(&worker, allowing(open(app.at.port()), vec![from], vec![]));
        let table = [
            (Some("gateway"), "10.1.1.1, 192.0.2.9", 200),
            (Some("gateway"), "192.0.2.9, 10.1.1.1", 403),
            (Some("gateway"), "192.0.2.9, nonsense", 403),
            (None, "192.0.2.9", 403),
        ];
        for (caller, said, expected) in table {
            let request = asking("/", &[("x-forwarded-for", said)]);
            let status = send(&worker, app.at, caller, request).await.head.status;
            assert_eq!(status, expected, "{caller:?} {said}");
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_request_may_carry_eight_tokens_and_no_more() {
    let run = async {
        let (worker, app, issuer) = (worker(), Seen::new().await, Issuer::new());
        enforce(&worker, with(vec![issuer.rule()], app.at.port()));
        let bearer = format!("Bearer {}", issuer.token(""));
        for (count, expected) in [(8, 200), (9, 401)] {
            let request = asking("/", &vec![("authorization", &*bearer); count]);
            assert_eq!(send(&worker, app.at, None, request).await.head.status, expected);
        }
        assert_eq!(app.heads.borrow().len(), 1);
    };
    LocalSet::new().run_until(run).await;
}
