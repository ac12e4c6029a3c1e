//! Fetches from a server on loopback.
#![allow(clippy::unwrap_used)]

mod secured;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::*;

const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const WISH: Wish = Wish {
    limit: Duration::from_secs(5),
    plaintext: false,
};

fn fetcher(allow: &[&str]) -> Fetcher {
    let settings = KeySettings {
        allow: allow.iter().map(|text| IpBlock::parse(text).unwrap()).collect(),
        ..KeySettings::default()
    };
    Fetcher::new(&settings, &Clock::default())
}

/// A server that answers each path as the function says; gives `http://ADDRESS`.
async fn server(answer: impl Fn(&str, &str) -> String + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    let base = own.clone();
    tokio::task::spawn_local(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = socket.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            // A client that has read enough goes away.
            let _ = socket.write_all(answer(&base, path).as_bytes()).await;
        }
    });
    own
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn within<T>(run: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(run).await
}

#[tokio::test]
async fn keys_come_from_their_address_or_from_the_one_that_a_discovery_document_names() {
    within(async {
        let base = server(|base, path| match path {
            "/keys?a=b" => ok(KEYS),
            "/tenant/.well-known/openid-configuration" => ok(&format!(
                r#"{{"issuer":"{base}/tenant","jwks_uri":"{base}/keys?a=b","more":1}}"#
            )),
            _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        })
        .await;
        let fetcher = fetcher(&["127.0.0.1"]);
        for address in ["/keys?a=b", "/tenant/.well-known/openid-configuration"] {
            let keys = fetcher.key_set(&format!("{base}{address}"), WISH).await;
            assert_eq!(&*keys.unwrap(), KEYS);
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_of_the_own_machine_is_not_asked_not_even_by_way_of_a_document() {
    within(async {
        let base = server(|_, _| ok(KEYS)).await;
        let refused = fetcher(&[]).key_set(&base, WISH).await.unwrap_err();
        assert!(matches!(refused, FetchError::Guarded), "{refused}");
        let (_, port) = base.rsplit_once(':').unwrap();
        for name in ["localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "user@127.0.0.1"] {
            let address = format!("http://{name}:{port}/");
            let refused = fetcher(&[]).key_set(&address, WISH).await.unwrap_err();
            assert!(matches!(refused, FetchError::Guarded), "{address} {refused}");
        }
        let pointing = server(|base, _| {
            ok(&format!(
                r#"{{"issuer":"{base}","jwks_uri":"http://169.254.169.254/keys"}}"#
            ))
        })
        .await;
        let address = format!("{pointing}/.well-known/openid-configuration");
        let refused = fetcher(&["127.0.0.1"]).key_set(&address, WISH).await.unwrap_err();
        assert!(matches!(refused, FetchError::Guarded), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn plaintext_is_asked_of_nobody_but_the_own_machine_not_even_by_way_of_a_document() {
    within(async {
        // Nobody is dialled, or it would take until the limit.
        for address in ["http://203.0.113.1/keys", "http://[2001:db8::1]:8080/keys"] {
            let refused = fetcher(&["203.0.113.0/24"])
                .key_set(address, WISH)
                .await
                .unwrap_err();
            assert!(matches!(refused, FetchError::Plaintext), "{address} {refused}");
            assert!(refused.told().contains("--keys-plaintext"), "{}", refused.told());
        }
        let pointing = server(|base, _| {
            ok(&format!(
                r#"{{"issuer":"{base}","jwks_uri":"http://203.0.113.1/keys"}}"#
            ))
        })
        .await;
        let address = format!("{pointing}/.well-known/openid-configuration");
        let refused = fetcher(&["127.0.0.1"]).key_set(&address, WISH).await.unwrap_err();
        assert!(matches!(refused, FetchError::Plaintext), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_key_set_of_the_issuer_is_refused_and_says_why() {
    within(async {
        let base = server(|base, path| match path {
            "/moved" => format!("HTTP/1.1 302 Found\r\nlocation: {base}/keys\r\ncontent-length: 0\r\n\r\n"),
            "/large" => ok(&" ".repeat(MAX_KEY_SET_BYTES + 1)),
            "/empty" => ok(r#"{"keys":[]}"#),
            "/text" => ok("keys"),
            "/other/.well-known/openid-configuration" => {
                ok(&format!(r#"{{"issuer":"{base}","jwks_uri":"{base}/keys"}}"#))
            }
            "/half/.well-known/openid-configuration" => ok(&format!(r#"{{"issuer":"{base}/half"}}"#)),
            _ => ok(KEYS),
        })
        .await;
        let fetcher = fetcher(&["127.0.0.1"]);
        let table = [
            ("/moved", "status is 302"),
            ("/large", "no answer"),
            ("/empty", "no key that can be used"),
            ("/text", "not JSON"),
            ("/other/.well-known/openid-configuration", "another issuer"),
            (
                "/half/.well-known/openid-configuration",
                "discovery document is not",
            ),
        ];
        for (path, expected) in table {
            let refused = fetcher.key_set(&format!("{base}{path}"), WISH).await.unwrap_err();
            assert!(refused.told().contains(expected), "{path}: {}", refused.told());
        }
        for address in ["ftp://a/", "file:///etc/passwd", "/keys", "http:///keys"] {
            assert!(fetcher.key_set(address, WISH).await.is_err(), "{address}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_given_up() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let limit = Wish {
            limit: Duration::from_millis(50),
            ..WISH
        };
        let refused = fetcher(&["127.0.0.1"])
            .key_set(&address, limit)
            .await
            .unwrap_err();
        assert!(matches!(refused, FetchError::Timeout(_)), "{refused}");
    })
    .await;
}
