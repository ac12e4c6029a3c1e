//! TLS between two ends of this crate, and against an independent client.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use common::{Authority, PATIENCE, pattern, server_name, tcp_pair, tls_pair, within};
use rustls::{AlertDescription, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::task::{JoinHandle, LocalSet};
use wattle_net::tls::{self, Phase, Tie};
use wattle_net::{Drain, Stream};

#[tokio::test]
async fn both_sides_learn_what_was_agreed() {
    let authority = Authority::new();
    let (dialled, accepted) = tcp_pair().await;
    let (client, server) = tokio::join!(
        tls::connect(
            dialled.into(),
            server_name(),
            authority.client(&[b"h2", b"x"]),
            PATIENCE
        ),
        tls::accept(accepted.into(), authority.server(&[b"x"]), PATIENCE),
    );
    let (client, server) = (client.unwrap(), server.unwrap());
    assert_eq!(server.sni.as_deref(), Some("server.test"));
    for agreed in [&client.agreed, &server.agreed] {
        assert_eq!(agreed.alpn.as_deref(), Some(&b"x"[..]));
        assert_eq!(agreed.peer_certificates.len(), 1);
        assert_eq!(agreed.version, Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(agreed.key_exchange, Some(rustls::NamedGroup::X25519MLKEM768));
        assert!(!agreed.resumed);
    }
    assert!(client.stream.is_tls() && client.stream.peer_addr().is_some());
}

#[tokio::test]
async fn a_second_connection_is_resumed_and_still_shows_the_certificate() {
    let authority = Authority::new();
    let (client, server) = (authority.client(&[]), authority.server(&[]));
    for resumed in [false, true] {
        let (dialled, accepted) = tcp_pair().await;
        let (connected, accepted) = tokio::join!(
            tls::connect(dialled.into(), server_name(), client.clone(), PATIENCE),
            tls::accept(accepted.into(), server.clone(), PATIENCE),
        );
        let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
        assert_eq!(accepted.agreed.resumed, resumed);
        assert_eq!(accepted.agreed.peer_certificates.len(), 1);
        // The tickets arrive in front of the first bytes.
        accepted.stream.write_all(b"x").await.unwrap();
        connected.stream.read_u8().await.unwrap();
    }
}

#[tokio::test]
async fn bytes_arrive_whole_in_both_directions_at_once() {
    let (client, server) = tls_pair().await;
    let sent = pattern(5_000_000);
    let exchange = |stream: Stream| async {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut got = Vec::new();
        let (wrote, read) = tokio::join!(
            async {
                writer.write_all(&sent).await?;
                writer.shutdown().await
            },
            reader.read_to_end(&mut got)
        );
        wrote.unwrap();
        read.unwrap();
        assert!(got == sent, "content differs");
    };
    within(async { tokio::join!(exchange(client), exchange(server)) }).await;
}

#[tokio::test]
async fn a_pipe_of_seventeen_bytes_carries_a_handshake_and_traffic() {
    let authority = Authority::new();
    let (near, far) = duplex(17);
    let (mut client, mut server) = within(common::tls_over(&authority, near.into(), far.into())).await;
    let sent = pattern(100_000);
    let mut got = vec![0; sent.len()];
    let (wrote, read) = within(async {
        tokio::join!(
            async {
                client.write_all(&sent).await?;
                client.flush().await
            },
            server.read_exact(&mut got)
        )
    })
    .await;
    wrote.unwrap();
    read.unwrap();
    assert!(got == sent, "content differs");
}

#[tokio::test]
async fn a_reader_with_a_small_buffer_loses_nothing_while_writing() {
    let (mut client, mut server) = tls_pair().await;
    let sent = pattern(200_000);
    let echo = async {
        let mut got = Vec::new();
        let mut small = [0; 777];
        while got.len() < sent.len() {
            let count = server.read(&mut small).await.unwrap();
            server.write_all(&small[..count]).await.unwrap();
            got.extend_from_slice(&small[..count]);
        }
        got
    };
    let ask = async {
        client.write_all(&sent).await.unwrap();
        let mut back = vec![0; sent.len()];
        client.read_exact(&mut back).await.unwrap();
        back
    };
    let (got, back) = within(async { tokio::join!(echo, ask) }).await;
    assert!(got == sent && back == sent, "content differs");
}

#[tokio::test]
async fn one_side_may_stop_sending_and_go_on_reading() {
    let (mut client, mut server) = tls_pair().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    within(server.read_to_string(&mut question)).await.unwrap();
    assert_eq!(question, "question");
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "answer");
    let late = client.write_all(b"more").await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_connection_cut_without_notice_is_not_an_end() {
    let authority = Authority::new();
    let (near, far) = duplex(1 << 16);
    let (client, mut server) = common::tls_over(&authority, near.into(), far.into()).await;
    drop(client);
    let error = within(server.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let mut one = [0];
    let error = within(server.read(&mut one)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn pieces_written_together_travel_in_one_record() {
    let authority = Authority::new();
    let (near, far) = duplex(1 << 20);
    let (mut client, mut server) = common::tls_over(&authority, near.into(), far.into()).await;
    let pieces = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body")];
    assert_eq!(client.write_vectored(&pieces).await.unwrap(), 8);
    let mut got = [0; 64];
    assert_eq!(server.read(&mut got).await.unwrap(), 8);
    assert_eq!(&got[..8], b"headbody");
}

/// Runs as a task of its own, and says when it waits.
fn started<T: 'static>(work: impl Future<Output = T> + 'static) -> (Rc<Cell<bool>>, JoinHandle<T>) {
    let waits = Rc::new(Cell::new(false));
    let (tells, mut work) = (waits.clone(), Box::pin(work));
    let watched = poll_fn(move |cx| {
        let polled = work.as_mut().poll(cx);
        tells.set(polled.is_pending());
        polled
    });
    (waits, tokio::task::spawn_local(watched))
}

#[tokio::test]
async fn a_tied_stream_fails_when_its_drain_cuts_whether_it_reads_or_writes_and_no_other_does() {
    let run = async {
        let (drain, draining) = Drain::new();
        let ((mut reading, mut far), (mut writing, _unread), (mut free, mut other)) =
            tokio::join!(tls_pair(), tls_pair(), tls_pair());
        for stream in [&mut reading, &mut writing] {
            stream.tie(Tie::new(&draining, Rc::new(())));
        }
        assert_eq!(drain.open(), 2);
        far.write_all(b"x").await.unwrap();
        assert_eq!(reading.read_u8().await.unwrap(), b'x');
        let (reads, read) = started(async move { reading.read_u8().await.unwrap_err() });
        let (writes, written) = started(async move {
            let error = loop {
                if let Err(error) = writing.write_all(&[0; 65_536]).await {
                    break error;
                }
            };
            // An end in order would pass for all there was.
            (error, writing.shutdown().await.unwrap_err())
        });
        while !reads.get() || !writes.get() {
            tokio::task::yield_now().await;
        }
        drain.run(Duration::ZERO).await;
        let (written, end) = written.await.unwrap();
        for error in [read.await.unwrap(), written, end] {
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        }
        assert_eq!(drain.open(), 0);
        free.write_all(b"y").await.unwrap();
        assert_eq!(other.read_u8().await.unwrap(), b'y');
    };
    within(LocalSet::new().run_until(run)).await;
}

#[tokio::test]
async fn a_client_without_certificate_is_refused_and_told_so() {
    let authority = Authority::new();
    let (dialled, accepted) = tcp_pair().await;
    let dial = async {
        let config = authority.client_without_certificate();
        let mut connected = tls::connect(dialled.into(), server_name(), config, PATIENCE)
            .await
            .unwrap();
        let error = connected.stream.read_u8().await.unwrap_err();
        tls::cause(&error).cloned()
    };
    let (alert, refused) = within(async {
        tokio::join!(
            dial,
            tls::accept(accepted.into(), authority.server(&[]), PATIENCE)
        )
    })
    .await;
    let refused = refused.err().unwrap();
    assert_eq!(refused.protocol(), Some(&Error::NoCertificatesPresented));
    assert_eq!(refused.phase(), Phase::Negotiation);
    assert_eq!(
        alert,
        Some(Error::AlertReceived(AlertDescription::CertificateRequired))
    );
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let (dialled, accepted) = tcp_pair().await;
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (refused, told) = within(async {
        tokio::join!(
            tls::connect(dialled.into(), server_name(), ours.client(&[]), PATIENCE),
            tls::accept(accepted.into(), theirs.server(&[]), PATIENCE),
        )
    })
    .await;
    let refused = refused.err().unwrap();
    assert!(
        matches!(refused.protocol(), Some(Error::InvalidCertificate(_))),
        "{refused:?}"
    );
    assert!(matches!(
        told.err().unwrap().protocol(),
        Some(Error::AlertReceived(_))
    ));
}

#[tokio::test]
async fn a_peer_that_says_nothing_times_out() {
    let (_silent, accepted) = tcp_pair().await;
    let config = Authority::new().server(&[]);
    let refused = tls::accept(accepted.into(), config, Duration::from_millis(50)).await;
    let refused = refused.err().unwrap();
    assert_eq!((refused.id(), refused.phase()), ("tls_timed_out", Phase::Hello));
}

#[tokio::test]
async fn bytes_that_are_not_tls_are_refused_and_an_early_end_is_named() {
    for (bytes, id) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "tls_failed"),
        (b"", "tls_closed"),
    ] {
        let (mut dialled, accepted) = tcp_pair().await;
        dialled.write_all(bytes).await.unwrap();
        dialled.shutdown().await.unwrap();
        let refused = tls::accept(accepted.into(), Authority::new().server(&[]), PATIENCE).await;
        assert_eq!(refused.err().unwrap().id(), id);
    }
}

#[tokio::test]
async fn tampered_bytes_end_the_stream_with_an_error_that_stays() {
    let authority = Authority::new();
    let (near, far) = duplex(1 << 16);
    let (middle_near, middle_far) = duplex(1 << 16);
    // A man in the middle who flips the last byte of the first long message after the handshake.
    let attack = tokio::spawn(async move {
        let (mut left, mut right) = (far, middle_near);
        let (mut from_client, mut from_server) = (vec![0; 65536], vec![0; 65536]);
        loop {
            tokio::select! {
                count = left.read(&mut from_client) => {
                    let count = count.unwrap();
                    if count == 0 { return; }
                    let bytes = &mut from_client[..count];
                    if count == 5 + 1000 + 17 { bytes[count - 1] ^= 1; }
                    if right.write_all(bytes).await.is_err() { return; }
                }
                count = right.read(&mut from_server) => {
                    let count = count.unwrap();
                    if count == 0 { return; }
                    if left.write_all(&from_server[..count]).await.is_err() { return; }
                }
            }
        }
    });
    let (mut client, mut server) = common::tls_over(&authority, near.into(), middle_far.into()).await;
    client.write_all(&[7; 1000]).await.unwrap();
    for _ in 0..2 {
        let error = within(server.read_u8()).await.unwrap_err();
        assert_eq!(tls::cause(&error), Some(&Error::DecryptError));
    }
    assert!(server.write_all(b"x").await.is_err());
    drop((client, server));
    within(attack).await.unwrap();
}

#[tokio::test]
async fn an_independent_implementation_talks_to_ours() {
    let authority = Authority::new();
    let (dialled, accepted) = tcp_pair().await;
    let connector = tokio_rustls::TlsConnector::from(authority.client(&[]));
    let (theirs, ours) = tokio::join!(
        connector.connect(server_name(), dialled),
        tls::accept(accepted.into(), authority.server(&[]), PATIENCE),
    );
    let (mut theirs, mut ours) = (theirs.unwrap(), ours.unwrap().stream);
    // A key update of the other side, which ours has to answer on the way.
    theirs.get_mut().1.refresh_traffic_keys().unwrap();
    let sent = pattern(300_000);
    let mut got = vec![0; sent.len()];
    within(async {
        let (wrote, read) = tokio::join!(
            async {
                theirs.write_all(&sent).await?;
                theirs.flush().await
            },
            ours.read_exact(&mut got)
        );
        wrote.unwrap();
        read.unwrap();
        ours.write_all(&sent).await.unwrap();
        ours.shutdown().await.unwrap();
    })
    .await;
    assert!(got == sent, "content differs");
    let mut back = Vec::new();
    within(theirs.read_to_end(&mut back)).await.unwrap();
    assert!(back == sent, "content differs");
}
