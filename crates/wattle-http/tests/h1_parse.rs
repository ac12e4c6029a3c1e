//! What is accepted as HTTP/1 and what is refused, in wire bytes.
#![allow(clippy::unwrap_used)]

mod support;

use proptest::prelude::*;
use support::*;
use wattle_http::fuzz;

fn status(request: &str) -> u16 {
    let answer = run(talk(echo(), &[request.as_bytes()]));
    answer
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default()
}

#[test]
fn accepts_every_form_of_target() {
    let accepted = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET x / "),
        ("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET x / "),
        (
            "GET http://y:80/p?q HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET y:80 /p?q ",
        ),
        ("GET HTTP://y HTTP/1.1\r\nHost: x\r\n\r\n", "GET y / "),
        ("GET http://y?q HTTP/1.1\r\nHost: x\r\n\r\n", "GET y /?q "),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS x * "),
        (
            "GET /%7e/<a>|`b` HTTP/1.1\r\nHost:  x \r\n\r\n",
            "GET x /%7e/<a>|`b` ",
        ),
        ("GET / HTTP/1.0\r\n\r\n", "GET  / "),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET  / "),
        ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET [::1]:80 / "),
        (
            "BREW / HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nX-Obs: \u{e9}\r\n\r\n",
            "BREW x / ",
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ChunkeD\r\n\r\n02;x=\"y z\"\r\nhi\r\n0\r\n\r\n",
            "POST x / hi",
        ),
    ];
    for (request, told) in accepted {
        let answer = run(talk(echo(), &[request.as_bytes()]));
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(told),
            "{request:?} gave {answer:?}"
        );
    }
}

#[test]
fn refuses_what_peers_could_read_differently() {
    let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n5\r\nGET /\r\n0\r\n\r\n");
    let refused = [
        (
            "both lengths",
            with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            400,
        ),
        (
            "both lengths, other order",
            with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            400,
        ),
        (
            "two lengths",
            with("Content-Length: 5\r\nContent-Length: 6\r\n"),
            400,
        ),
        (
            "two equal lengths",
            with("Content-Length: 5\r\nContent-Length: 5\r\n"),
            400,
        ),
        (
            "method in lower case",
            "get / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            400,
        ),
        ("two ports", "GET / HTTP/1.1\r\nHost: x:1:2\r\n\r\n".into(), 400),
        (
            "port of letters",
            "GET / HTTP/1.1\r\nHost: x:a\r\n\r\n".into(),
            400,
        ),
        (
            "bracket left open",
            "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n".into(),
            400,
        ),
        ("list of lengths", with("Content-Length: 5, 5\r\n"), 400),
        ("signed length", with("Content-Length: +5\r\n"), 400),
        ("hexadecimal length", with("Content-Length: 0x5\r\n"), 400),
        ("empty length", with("Content-Length:\r\n"), 400),
        (
            "huge length",
            with("Content-Length: 99999999999999999999\r\n"),
            400,
        ),
        (
            "chunked twice",
            with("Transfer-Encoding: chunked, chunked\r\n"),
            400,
        ),
        (
            "chunked twice in two fields",
            with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            400,
        ),
        (
            "chunked not last",
            with("Transfer-Encoding: chunked, identity\r\n"),
            400,
        ),
        ("other coding", with("Transfer-Encoding: gzip, chunked\r\n"), 501),
        ("misspelt coding", with("Transfer-Encoding: xchunked\r\n"), 501),
        ("quoted coding", with("Transfer-Encoding: \"chunked\"\r\n"), 501),
        (
            "vertical tab in coding",
            with("Transfer-Encoding: \x0bchunked\r\n"),
            400,
        ),
        ("space before colon", with("Transfer-Encoding : chunked\r\n"), 400),
        ("folded line", with("Transfer-Encoding:\r\n chunked\r\n"), 400),
        (
            "line feed alone",
            with("X: y\nTransfer-Encoding: chunked\r\n"),
            400,
        ),
        (
            "carriage return alone",
            with("X: y\rTransfer-Encoding: chunked\r\n"),
            400,
        ),
        ("null in value", with("X: a\0b\r\n"), 400),
        ("nameless field", with(": x\r\n"), 400),
        ("no colon", with("Transfer-Encoding\r\n"), 400),
        ("non-ASCII name", with("X\u{e9}: a\r\n"), 400),
        ("second host", with("Host: y\r\n"), 400),
        (
            "chunked in 1.0",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            400,
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n".into(), 400),
        (
            "host with a path",
            "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n".into(),
            400,
        ),
        (
            "host with a user",
            "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n".into(),
            400,
        ),
        (
            "target with a user",
            "GET http://a@x/ HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            400,
        ),
        ("fragment", "GET /#x HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        ("relative target", "GET x HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        (
            "asterisk for GET",
            "GET * HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            400,
        ),
        (
            "other scheme",
            "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            400,
        ),
        (
            "CONNECT without port",
            "CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            400,
        ),
        (
            "CONNECT with a path",
            "CONNECT x:1/ HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            400,
        ),
        (
            "CONNECT with a body",
            "CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi".into(),
            400,
        ),
        ("two spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        ("tab for space", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        (
            "request line ends in LF",
            "GET / HTTP/1.1\nHost: x\r\n\r\n".into(),
            400,
        ),
        ("head ends in LF", "GET / HTTP/1.1\r\nHost: x\r\n\n".into(), 400),
        (
            "starts with LF",
            "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            400,
        ),
        ("version 1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n".into(), 505),
        ("version 2", "GET / HTTP/2.0\r\nHost: x\r\n\r\n".into(), 505),
        ("no version", "GET /\r\n\r\n".into(), 400),
        ("TLS", "\x16\x03\x01\x02\0\x01\0\x01".into(), 400),
    ];
    for (name, request, expected) in refused {
        assert_eq!(status(&request), expected, "{name}");
    }
}

#[test]
fn refuses_broken_chunks() {
    let broken = [
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "\r\nhello",
        ";x\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5;a=\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX\r\n\r\n",
    ];
    for body in broken {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(status(&request), 418, "{body:?}");
    }
}

#[test]
fn limits_have_their_own_statuses() {
    let many: String = (0..100).map(|n| format!("X-{n}: y\r\n")).collect();
    let large = format!("X: {}\r\n", "y".repeat(70_000));
    let long = "y".repeat(20_000);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")), 431);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: x\r\n{large}\r\n")), 431);
    assert_eq!(status(&format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")), 414);
    assert_eq!(status(&format!("GET /{}", "y".repeat(70_000))), 414);
    let extensions = format!("1;{}\r\na\r\n", "x".repeat(1000)).repeat(20);
    assert_eq!(
        status(&format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{extensions}0\r\n\r\n"
        )),
        418
    );
}

#[test]
fn how_the_bytes_are_cut_changes_nothing() {
    let request = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n3;q\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n\
        \r\nPOST /b HTTP/1.1\r\nHost: y\r\nContent-Length: 4\r\n\r\nbody";
    let whole = run(talk(echo(), &[request]));
    assert!(
        whole.contains("POST x /a abcde") && whole.ends_with("POST y /b body"),
        "{whole}"
    );
    for cut in 1..request.len() {
        let (start, end) = request.split_at(cut);
        assert_eq!(run(talk(echo(), &[start, end])), whole, "cut at {cut}");
    }
    let single: Vec<&[u8]> = request.chunks(1).collect();
    assert_eq!(run(talk(echo(), &single)), whole);
}

/// Bytes that look like HTTP often enough to get past the first line.
fn httpish() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("GET / HTTP/1.1\r\n"),
        Just("HTTP/1.1 200 OK\r\n"),
        Just("Host: x\r\n"),
        Just("Content-Length: "),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("\r\n"),
        Just("5\r\n"),
        Just("0\r\n\r\n"),
        Just("a: b\r\n"),
        Just(","),
        Just("\n"),
        Just(" "),
        Just(";"),
        Just("\u{e9}"),
        Just(":l"),
        Just("Content-Type"),
    ];
    let piece = prop_oneof![
        token.prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..6)
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in httpish()) {
        fuzz::request_head(&bytes);
        fuzz::response_head(&bytes);
        fuzz::chunked(&bytes);
        fuzz::spelling(&bytes);
    }
}
