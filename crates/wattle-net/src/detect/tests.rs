#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

/// The first flight of a real client.
fn hello(name: &str, alpn: &[&str]) -> Vec<u8> {
    let mut config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = name.to_owned().try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut flight = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut flight).unwrap();
    }
    flight
}

/// The same handshake message in records of `size` bytes.
fn fragmented(flight: &[u8], size: usize) -> Vec<u8> {
    let mut records = Vec::new();
    for part in flight[5..].chunks(size) {
        records.extend_from_slice(&flight[..3]);
        records.extend_from_slice(&(part.len() as u16).to_be_bytes());
        records.extend_from_slice(part);
    }
    records
}

fn tls(sni: Option<&str>, alpn: &[&'static str]) -> Verdict {
    Verdict::Tls(ClientHello {
        sni: sni.map(str::to_owned),
        alpn: alpn.iter().map(|name| (*name).into()).collect(),
    })
}

fn samples() -> Vec<(Vec<u8>, Verdict)> {
    let flight = hello("Shop.Example", &["h2", "http/1.1"]);
    let named = tls(Some("shop.example"), &["h2", "http/1.1"]);
    let mut not_a_hello = flight.clone();
    not_a_hello[5] = 2;
    let mut wrong_length = flight.clone();
    wrong_length[8] = wrong_length[8].wrapping_sub(1);
    let long_path = [b"GET /", &[b'a'; 9000][..], b" HTTP/1.1\r\n"].concat();
    let endless = [b"GET /", &[b'a'; LOOK_LIMIT_BYTES][..]].concat();
    let mut table = vec![
        (fragmented(&flight, 1), named.clone()),
        (fragmented(&flight, 100), named.clone()),
        (flight, named),
        (hello("10.0.0.1", &[]), tls(None, &[])),
        (not_a_hello, Verdict::Opaque),
        (wrong_length, Verdict::Opaque),
        (long_path, Verdict::Http1),
        (endless, Verdict::Opaque),
    ];
    let texts: &[(&[u8], Verdict)] = &[
        (b"", Verdict::NeedMore),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", Verdict::Http1),
        (b"GET /caf\xc3\xa9 HTTP/1.0\n", Verdict::Http1),
        (b"PURGE * HTTP/1.1\r\n", Verdict::Http1),
        (b"OPTIONS http://a/ HTTP/1.1\r\n", Verdict::Http1),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n", Verdict::Http1),
        (b"GET / HTTP/1.1", Verdict::NeedMore),
        (b"GET / HTTP/2.0\r\n", Verdict::Opaque),
        (b"GET / HTTP/1.12", Verdict::Opaque),
        (b"GET /\r\n", Verdict::Opaque),
        (b"GET  / HTTP/1.1\r\n", Verdict::Opaque),
        (b" GET / HTTP/1.1\r\n", Verdict::Opaque),
        (b"EHLO example.org\r\n", Verdict::Opaque),
        (b"SET key value\r\n", Verdict::Opaque),
        (b"*1\r\n$4\r\nPING\r\n", Verdict::Opaque),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Verdict::Opaque),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", Verdict::Opaque),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", Verdict::Http2),
        (b"PRI * HTTP/2.0\r\n\r\nSM", Verdict::NeedMore),
        (b"PRI * HTTP/2.0\r\nhost: a\r\n", Verdict::Opaque),
        (b"PRINT / HTTP/1.1\r\n", Verdict::Http1),
        (b"\x16\x03\x01\x02\x00\x01", Verdict::NeedMore),
        (b"\x16\x03\x01\x00\x00\x01", Verdict::Opaque),
        (b"\x16\x03\x01\x40\x01\x01", Verdict::Opaque),
        (b"\x16\x02", Verdict::Opaque),
        (b"\x16\x03\x01\x00\x04\x01\x00\xff\xff", Verdict::Opaque),
    ];
    table.extend(
        texts
            .iter()
            .map(|(bytes, verdict)| (bytes.to_vec(), verdict.clone())),
    );
    table
}

#[test]
fn first_bytes_tell_the_protocol() {
    for (bytes, verdict) in samples() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert_eq!(classify(&bytes), verdict, "{shown:?}");
    }
}

/// Until the answer every prefix wants more, and after it no byte changes it.
fn is_steady(bytes: &[u8]) -> bool {
    let answer = classify(bytes);
    let step = (bytes.len() / 700).max(1);
    (0..bytes.len())
        .step_by(step)
        .map(|end| classify(&bytes[..end]))
        .skip_while(|verdict| *verdict == Verdict::NeedMore)
        .all(|verdict| verdict == answer)
}

#[test]
fn the_answer_does_not_depend_on_the_pieces() {
    for (bytes, _) in samples() {
        assert!(is_steady(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_or_change_the_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(is_steady(&bytes));
        let _ = parse_client_hello(&bytes);
    }

    #[test]
    fn no_text_changes_the_answer(text in "[A-Z]{0,5}[ /]{0,2}[a-z:/ .]{0,9} ?(HTTP/1)?[.1\r\n ]{0,5}") {
        prop_assert!(is_steady(text.as_bytes()));
    }

    #[test]
    fn a_damaged_hello_never_panics(at in 0usize..2000, with in any::<u8>(), cut in 0usize..2000) {
        let mut flight = hello("a.example", &["h2"]);
        let length = flight.len();
        flight[at % length] = with;
        flight.truncate(length - cut % length);
        prop_assert!(is_steady(&flight));
        let _ = parse_client_hello(flight.get(9..).unwrap_or_default());
    }
}

async fn detected(pieces: &[&[u8]], close: bool) -> (Detected, Vec<u8>) {
    let (mut client, near) = duplex(1 << 16);
    let mut near = Stream::from(near);
    let send = async {
        for piece in pieces {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        if close {
            client.shutdown().await.unwrap();
        }
        client
    };
    let (_client, found) = tokio::join!(send, detect(&mut near, Duration::from_secs(1)));
    let mut read = vec![0; pieces.concat().len()];
    near.read_exact(&mut read).await.unwrap();
    (found.unwrap(), read)
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_looked_at_are_read_again() {
    let pieces: [&[u8]; 3] = [b"GE", b"T / HTTP/1.1\r", b"\nhost: a\r\n\r\n"];
    let (found, read) = detected(&pieces, false).await;
    assert_eq!((found.verdict, found.cut_short), (Verdict::Http1, None));
    assert_eq!(read, pieces.concat());
}

#[tokio::test(start_paused = true)]
async fn too_little_in_time_is_opaque() {
    let (found, read) = detected(&[b"GET /"], false).await;
    assert_eq!(found.verdict, Verdict::Opaque);
    assert_eq!(found.cut_short, Some(CutShort::TimedOut));
    assert_eq!(read, b"GET /");
    let (found, _) = detected(&[b"GET /"], true).await;
    assert_eq!(found.cut_short, Some(CutShort::Closed));
}

async fn spoken(client: Option<&[u8]>, server: Option<&[u8]>) -> (Speaker, Stream, Stream) {
    let ((mut far_client, near), (mut far_server, away)) = (duplex(64), duplex(64));
    let (mut near, mut away) = (Stream::from(near), Stream::from(away));
    let send = async {
        tokio::task::yield_now().await;
        for (end, words) in [(&mut far_client, client), (&mut far_server, server)] {
            match words {
                Some([]) => end.shutdown().await.unwrap(),
                Some(words) => end.write_all(words).await.unwrap(),
                None => {}
            }
        }
    };
    let ((), spoke) = tokio::join!(send, first_speaker(&mut near, &mut away));
    (spoke.unwrap(), near, away)
}

#[tokio::test]
async fn whoever_speaks_first_is_heard_and_loses_no_byte() {
    let (spoke, mut client, _) = spoken(Some(b"GET"), None).await;
    assert_eq!(spoke, Speaker::Client);
    assert_eq!(client.read_u8().await.unwrap(), b'G');
    let (spoke, _, mut server) = spoken(None, Some(b"220 ready")).await;
    assert_eq!(spoke, Speaker::Server);
    assert_eq!(server.peeked(), b"220 ready");
    assert_eq!(server.read_u8().await.unwrap(), b'2');
}

#[tokio::test]
async fn an_end_without_a_word_is_told_apart() {
    assert_eq!(spoken(Some(b""), None).await.0, Speaker::ClientClosed);
    assert_eq!(spoken(None, Some(b"")).await.0, Speaker::ServerClosed);
}

#[tokio::test]
async fn a_server_that_resets_the_connection_has_closed_it_and_a_client_that_does_so_is_gone() {
    let pair = async || {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        (Stream::from(near.unwrap()), Stream::from(far.unwrap().0))
    };
    let ((mut client, _silent), (mut server, far)) = (pair().await, pair().await);
    far.abort();
    let spoke = first_speaker(&mut client, &mut server).await;
    assert_eq!(spoke.unwrap(), Speaker::ServerClosed);
    let ((mut client, far), (mut server, _silent)) = (pair().await, pair().await);
    far.abort();
    assert!(first_speaker(&mut client, &mut server).await.is_err());
}
