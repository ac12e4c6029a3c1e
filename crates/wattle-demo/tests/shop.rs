//! The services of the shop, as a visitor meets them.
#![allow(clippy::unwrap_used)]

mod support;

use http::{Method, StatusCode};
use support::*;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use wattle_demo::Name;
use wattle_http::{Body, Response};

const RATE: &str = "/wattle.demo.v1.Ratings/Rate";

#[test]
fn the_front_page_is_made_of_what_everybody_knows() {
    run(async {
        let shop = Shop::open("v2").await;
        let (head, page) = fetch(shop.web.address, Method::GET, "/", "").await;
        assert_eq!(head.status, StatusCode::OK, "{page}");
        for text in [
            "willow basket",
            "Ann: ",
            "In the cart: 0",
            "stars by 99 votes",
            "latest: [4, 5, 5]",
        ] {
            assert!(page.contains(text), "{text:?} in {page}");
        }
        assert_eq!(header(&head, "x-served-by"), "web/v1");
        assert_eq!(header(&head, "x-reviews-version"), "v2");
        assert_eq!(
            header(&head, "x-request-path"),
            "web/v1,catalog-0/v1,reviews/v2,ratings/v1,cart/v1"
        );
    });
}

#[test]
fn only_the_second_version_of_reviews_asks_for_ratings() {
    run(async {
        let shop = Shop::open("v1").await;
        shop.ratings.stop().await;
        let (head, page) = fetch(shop.web.address, Method::GET, "/product/3", "").await;
        assert_eq!(
            (head.status, header(&head, "x-reviews-version")),
            (StatusCode::OK, "v1".to_owned())
        );
        assert!(page.contains("oak chair") && !page.contains("stars"), "{page}");
    });
}

#[test]
fn what_is_put_into_the_cart_stays_in_the_ledger() {
    run(async {
        let shop = Shop::open("v1").await;
        let wish = r#"{"visitor":"ann","product":3,"quantity":2}"#;
        for expected in ["{\"3\":2}", "{\"3\":4}"] {
            let (head, cart) = fetch(shop.web.address, Method::POST, "/cart", wish).await;
            assert_eq!((head.status, cart.as_str()), (StatusCode::OK, expected));
        }
        // Another cart process finds it there, and so does another visitor of the same one.
        let other = start(Name::Cart, &[("LEDGER_URL", tcp(shop.ledger.address))]).await;
        assert_eq!(
            see(other.address, "/cart/ann").await,
            (StatusCode::OK, "{\"3\":4}".to_owned())
        );
        assert_eq!(
            see(shop.web.address, "/cart/ben").await,
            (StatusCode::OK, "{}".to_owned())
        );
    });
}

#[test]
fn what_does_not_exist_is_not_found_and_what_is_malformed_is_refused() {
    run(async {
        let shop = Shop::open("v2").await;
        let web = shop.web.address;
        for path in [
            "/product/13",
            "/product/0",
            "/product/x",
            "/cart/a%20b",
            "/nothing",
            "/welcome/<b>",
        ] {
            assert_eq!(see(web, path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
        let bad = [
            "",
            "[]",
            r#"{"visitor":"a b","product":1,"quantity":1}"#,
            r#"{"visitor":"a","product":99,"quantity":1}"#,
        ];
        for wish in bad {
            assert_eq!(
                fetch(web, Method::POST, "/cart", wish).await.0.status,
                StatusCode::BAD_REQUEST,
                "{wish}"
            );
        }
    });
}

#[test]
fn every_http_service_says_that_it_is_well_and_who_it_is() {
    run(async {
        let shop = Shop::open("v2").await;
        let services = [
            (&shop.web, "web/v1"),
            (&shop.catalog, "catalog-0/v1"),
            (&shop.cart, "cart/v1"),
            (&shop.reviews, "reviews/v2"),
        ];
        for (service, signature) in services {
            let (head, body) = fetch(service.address, Method::GET, "/health", "").await;
            assert_eq!((head.status, body.as_str()), (StatusCode::OK, "ok\n"));
            assert_eq!(header(&head, "x-served-by"), signature);
            let (head, body) = fetch(service.address, Method::HEAD, "/health", "").await;
            assert_eq!((head.status, body.as_str()), (StatusCode::OK, ""));
        }
    });
}

#[test]
fn a_service_that_is_away_is_a_502_with_its_name() {
    run(async {
        let shop = Shop::open("v2").await;
        let web = shop.web.address;
        shop.ratings.stop().await;
        let (status, text) = see(web, "/").await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert!(text.starts_with("reviews: answered 502: ratings: "), "{text}");
        shop.ledger.stop().await;
        let (status, text) = see(web, "/cart/ann").await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert!(
            text.contains("cart: answered 502: ledger: cannot connect"),
            "{text}"
        );
        shop.greeter.stop().await;
        let (status, text) = see(web, "/welcome/ann").await;
        assert!(
            status == StatusCode::BAD_GATEWAY && text.contains("greeter: cannot connect"),
            "{status} {text}"
        );
    });
}

#[test]
fn a_service_that_does_not_answer_is_a_502_in_time() {
    run(async {
        let silent = stand_in(|_| std::future::pending()).await;
        let extra = [("CATALOG_URL", http(silent)), ("TIMEOUT_MS", "50".to_owned())];
        let shop = Shop::open_with("v1", &extra).await;
        let (status, text) = see(shop.web.address, "/product/1").await;
        assert_eq!(
            (status, text.as_str()),
            (StatusCode::BAD_GATEWAY, "catalog: no answer within 50 ms\n")
        );
    });
}

#[test]
fn the_reason_of_a_refusal_is_told_on() {
    run(async {
        let refusing = stand_in(|_| async { refusal(StatusCode::FORBIDDEN, "policy-denied") }).await;
        let shop = Shop::open_with("v1", &[("CART_URL", http(refusing))]).await;
        for path in ["/", "/cart/ann"] {
            let (status, text) = see(shop.web.address, path).await;
            assert_eq!(status, StatusCode::BAD_GATEWAY);
            assert_eq!(text, "cart: answered 403: policy-denied: not for you\n");
        }
    });
}

#[test]
fn a_service_that_comes_back_is_asked_again_without_a_failure() {
    run(async {
        let shop = Shop::open("v2").await;
        assert_eq!(see(shop.web.address, "/").await.0, StatusCode::OK);
        let (ledger, ratings) = (shop.ledger.address, shop.ratings.address);
        shop.ledger.stop().await;
        shop.ratings.stop().await;
        // The connections that web's callees kept are dead; they must not cost a request.
        let ledger = start(Name::Ledger, &[("LISTEN", ledger.to_string())]).await;
        let ratings = start(Name::Ratings, &[("LISTEN", ratings.to_string())]).await;
        for _ in 0..3 {
            assert_eq!(see(shop.web.address, "/").await.0, StatusCode::OK);
        }
        ledger.stop().await;
        ratings.stop().await;
    });
}

#[test]
fn the_status_of_a_grpc_call_is_told_on() {
    run(async {
        let refusing = stand_in_h2(|request| async move {
            assert_eq!(
                (request.head.path_and_query.as_str(), request.head.method),
                (RATE, Method::POST)
            );
            let mut response = Response::new(StatusCode::OK, Body::Empty);
            let fields = [
                ("content-type", "application/grpc"),
                ("grpc-status", "7"),
                ("grpc-message", "not for you"),
            ];
            for (name, value) in fields {
                response
                    .head
                    .headers
                    .insert(name, http::HeaderValue::from_static(value));
            }
            response
        });
        let ratings = refusing.await;
        let variables = [("VERSION", "v2".to_owned()), ("RATINGS_URL", http(ratings))];
        let reviews = start(Name::Reviews, &variables).await;
        let (status, text) = see(reviews.address, "/reviews/1").await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert_eq!(text, "ratings: answered with grpc-status 7: not for you\n");
    });
}

#[test]
fn a_kept_connection_that_was_closed_does_not_cost_a_post() {
    run(async {
        let shop = Shop::open("v1").await;
        let wish = r#"{"visitor":"ann","product":3,"quantity":2}"#;
        let (web, cart) = (shop.web.address, shop.cart.address);
        assert_eq!(
            fetch(web, Method::POST, "/cart", wish).await.0.status,
            StatusCode::OK
        );
        shop.cart.stop().await;
        let variables = [
            ("LISTEN", cart.to_string()),
            ("LEDGER_URL", tcp(shop.ledger.address)),
        ];
        let cart = start(Name::Cart, &variables).await;
        let (head, text) = fetch(web, Method::POST, "/cart", wish).await;
        assert_eq!((head.status, text.as_str()), (StatusCode::OK, "{\"3\":4}"));
        cart.stop().await;
    });
}

#[test]
fn trace_headers_go_on_and_others_do_not() {
    run(async {
        let telling = stand_in(|request| async move {
            let names: Vec<&str> = request.head.headers.keys().map(|name| name.as_str()).collect();
            Response::new(StatusCode::OK, Body::full(names.join(",")))
        })
        .await;
        let shop = Shop::open_with("v1", &[("CART_URL", http(telling))]).await;
        let mut stream = TcpStream::connect(shop.web.address).await.unwrap();
        let asked = b"GET /cart/ann HTTP/1.1\r\nhost: web\r\nconnection: close\r\ntraceparent: 00-1-2-01\r\ncookie: secret\r\n\r\n";
        stream.write_all(asked).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\ntraceparent"), "{answer}");
    });
}

#[test]
fn a_request_in_work_is_finished_when_the_service_is_told_to_end() {
    run(async {
        let (asked, release) = (std::rc::Rc::new(Notify::new()), std::rc::Rc::new(Notify::new()));
        let (at, may) = (asked.clone(), release.clone());
        let slow = stand_in(move |_| {
            let (at, may) = (at.clone(), may.clone());
            async move {
                at.notify_one();
                may.notified().await;
                Response::new(StatusCode::OK, Body::from("{}"))
            }
        })
        .await;
        let mut shop = Shop::open_with("v1", &[("CART_URL", http(slow))]).await;
        let web = shop.web.address;
        let seen = tokio::task::spawn_local(see(web, "/cart/ann"));
        asked.notified().await;
        shop.web.tell_to_stop();
        // Told before it is let go on: the listener is closed, the request is not.
        while TcpStream::connect(web).await.is_ok() {
            tokio::task::yield_now().await;
        }
        release.notify_one();
        assert_eq!(seen.await.unwrap(), (StatusCode::OK, "{}".to_owned()));
        shop.web.stop().await;
    });
}

#[test]
fn the_ledger_answers_line_by_line_however_they_arrive() {
    run(async {
        let ledger = start(Name::Ledger, &[]).await;
        let mut stream = TcpStream::connect(ledger.address).await.unwrap();
        stream
            .write_all(b"PING\nSET a some words\r\nGET a\nGET b\nNONSENSE\n")
            .await
            .unwrap();
        let mut lines = BufReader::new(&mut stream).lines();
        for expected in [
            "PONG",
            "OK",
            "VALUE some words",
            "NONE",
            "ERR expected PING, GET key or SET key value",
        ] {
            assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(expected));
        }
        ledger.stop().await;
        assert_eq!(
            stream.read(&mut [0; 8]).await.unwrap(),
            0,
            "an idle connection is closed at the end"
        );
    });
}

#[test]
fn the_greeter_speaks_first() {
    run(async {
        let greeter = start(Name::Greeter, &[]).await;
        let mut stream = BufReader::new(TcpStream::connect(greeter.address).await.unwrap());
        let mut said = String::new();
        stream.read_line(&mut said).await.unwrap();
        assert_eq!(said, "220 greeter/v1 ready\n");
        stream.write_all(b"ann\nQUIT\n").await.unwrap();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(
            said.ends_with("250 welcome to the shop, ann\n221 bye\n"),
            "{said}"
        );
        greeter.stop().await;
    });
}
