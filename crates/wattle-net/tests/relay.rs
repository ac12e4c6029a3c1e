//! Relays between sockets, TLS and pipes.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{pattern, tcp_pair, tls_pair, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use wattle_net::relay::{Ending, RelayOptions, Side, relay};
use wattle_net::{Drain, Stream};

/// The two far ends and the two near ones of a relay.
struct Ends {
    client: Stream,
    server: Stream,
    downstream: Stream,
    upstream: Stream,
}

async fn plain() -> Ends {
    let (client, downstream) = tcp_pair().await;
    let (upstream, server) = tcp_pair().await;
    Ends {
        client: client.into(),
        server: server.into(),
        downstream: downstream.into(),
        upstream: upstream.into(),
    }
}

async fn to_tls() -> Ends {
    let (client, downstream) = tcp_pair().await;
    let (upstream, server) = tls_pair().await;
    Ends {
        client: client.into(),
        server,
        downstream: downstream.into(),
        upstream,
    }
}

async fn from_tls() -> Ends {
    let (client, downstream) = tls_pair().await;
    let (upstream, server) = tcp_pair().await;
    Ends {
        client,
        server: server.into(),
        downstream,
        upstream: upstream.into(),
    }
}

fn pipes() -> Ends {
    let (client, downstream) = duplex(100);
    let (upstream, server) = duplex(100);
    Ends {
        client: client.into(),
        server: server.into(),
        downstream: downstream.into(),
        upstream: upstream.into(),
    }
}

async fn swap(stream: Stream, sent: &[u8], expected: &[u8]) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut got = Vec::new();
    let (wrote, read) = tokio::join!(
        async {
            writer.write_all(sent).await?;
            writer.shutdown().await
        },
        reader.read_to_end(&mut got)
    );
    wrote.unwrap();
    read.unwrap();
    assert!(got == expected, "content differs");
}

#[tokio::test]
async fn large_transfers_arrive_whole_both_ways_over_every_transport() {
    // More than what makes a direction bulk, so that sockets are spliced.
    let (up, down) = (pattern(6_000_001), pattern(3_000_017));
    for ends in [plain().await, to_tls().await, from_tls().await, pipes()] {
        let (_, _, outcome) = within(async {
            tokio::join!(
                swap(ends.client, &up, &down),
                swap(ends.server, &down, &up),
                relay(ends.downstream, ends.upstream, RelayOptions::default()),
            )
        })
        .await;
        assert_eq!(outcome.to_upstream_bytes, up.len() as u64);
        assert_eq!(outcome.to_downstream_bytes, down.len() as u64);
        assert!(
            matches!(outcome.ending, Ending::Closed { .. }),
            "{:?}",
            outcome.ending
        );
    }
}

#[tokio::test]
async fn an_end_of_one_direction_leaves_the_other_open() {
    for ends in [plain().await, to_tls().await, from_tls().await, pipes()] {
        let (mut client, mut server) = (ends.client, ends.server);
        let talk = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut question = String::new();
            server.read_to_string(&mut question).await.unwrap();
            assert_eq!(question, "question");
            server.write_all(b"answer").await.unwrap();
            server.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "answer");
        };
        let work = relay(ends.downstream, ends.upstream, RelayOptions::default());
        let ((), outcome) = within(async { tokio::join!(talk, work) }).await;
        let first = Side::Downstream;
        assert!(matches!(outcome.ending, Ending::Closed { first: side } if side == first));
    }
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    let ends = plain().await;
    let mut client = ends.client;
    let talk = async {
        ends.server.abort();
        client.read_u8().await.unwrap_err().kind()
    };
    let work = relay(ends.downstream, ends.upstream, RelayOptions::default());
    let (seen, outcome) = within(async { tokio::join!(talk, work) }).await;
    assert_eq!(seen, std::io::ErrorKind::ConnectionReset);
    assert_eq!(outcome.ending.id(), "upstream_failed");
}

#[tokio::test]
async fn tls_that_is_cut_short_does_not_look_like_an_end_to_the_other_side() {
    let ends = to_tls().await;
    let (mut client, server) = (ends.client, ends.server);
    let talk = async {
        drop(server);
        client.read_u8().await.unwrap_err().kind()
    };
    let work = relay(ends.downstream, ends.upstream, RelayOptions::default());
    let (seen, outcome) = within(async { tokio::join!(talk, work) }).await;
    assert_eq!(seen, std::io::ErrorKind::ConnectionReset);
    assert!(matches!(
        outcome.ending,
        Ending::Failed {
            side: Side::Upstream,
            writing: false,
            ..
        }
    ));
}

#[tokio::test]
async fn silence_ends_a_relay_and_traffic_keeps_it() {
    let ends = pipes();
    let (mut client, mut server) = (ends.client, ends.server);
    let limit = Duration::from_secs(30);
    let options = RelayOptions {
        idle_timeout: Some(limit),
        ..RelayOptions::default()
    };
    tokio::time::pause();
    let begin = tokio::time::Instant::now();
    let talk = async {
        for _ in 0..5 {
            tokio::time::advance(limit - Duration::from_secs(1)).await;
            client.write_all(b"x").await.unwrap();
            server.read_u8().await.unwrap();
        }
    };
    let work = relay(ends.downstream, ends.upstream, options);
    let (_, outcome) = tokio::join!(talk, work);
    assert!(matches!(outcome.ending, Ending::Idle));
    assert_eq!(outcome.to_upstream_bytes, 5);
    assert!(begin.elapsed() >= 5 * (limit - Duration::from_secs(1)) + limit);
}

#[tokio::test]
async fn a_relay_that_may_not_go_on_is_reset_on_both_sides() {
    let mut ends = plain().await;
    let (withdraw, withdrawn) = tokio::sync::oneshot::channel::<()>();
    let options = RelayOptions {
        withdrawn: Some(Box::pin(async move { drop(withdrawn.await) })),
        ..RelayOptions::default()
    };
    let talk = async {
        ends.client.write_all(b"x").await.unwrap();
        ends.server.read_u8().await.unwrap();
        withdraw.send(()).unwrap();
    };
    let work = relay(ends.downstream, ends.upstream, options);
    let (outcome, ()) = within(async { tokio::join!(work, talk) }).await;
    assert!(matches!(outcome.ending, Ending::Withdrawn));
    assert_eq!(outcome.to_upstream_bytes, 1);
    for socket in [&mut ends.client, &mut ends.server] {
        let error = within(socket.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_drain_leaves_a_relay_its_grace_and_then_cuts_it() {
    let ends = plain().await;
    let (drain, draining) = Drain::new();
    let open = draining.open();
    let options = RelayOptions {
        draining: Some(draining),
        ..RelayOptions::default()
    };
    let work = async {
        let outcome = relay(ends.downstream, ends.upstream, options).await;
        drop(open);
        outcome
    };
    let (outcome, drained) = within(async { tokio::join!(work, drain.run(Duration::from_millis(20))) }).await;
    assert!(matches!(outcome.ending, Ending::Cut));
    assert_eq!((drained.cut, drained.left), (1, 0));
}

#[tokio::test]
async fn bytes_are_told_while_the_connection_is_open_and_add_up_at_its_end() {
    let Ends {
        mut client,
        mut server,
        downstream,
        upstream,
    } = plain().await;
    let told = std::rc::Rc::new(std::cell::Cell::new((0, 0)));
    let teller = told.clone();
    let options = RelayOptions {
        progress: Some(std::rc::Rc::new(move |up, down| {
            let (ups, downs) = teller.get();
            teller.set((ups + up, downs + down));
        })),
        ..RelayOptions::default()
    };
    let ends = async {
        client.write_all(b"question").await.unwrap();
        let mut got = [0; 8];
        server.read_exact(&mut got).await.unwrap();
        server.write_all(b"ok").await.unwrap();
        client.read_exact(&mut got[..2]).await.unwrap();
        assert_eq!(told.get(), (8, 2));
        drop((client, server));
    };
    let (outcome, ()) = within(async { tokio::join!(relay(downstream, upstream, options), ends) }).await;
    assert_eq!(
        (outcome.to_upstream_bytes, outcome.to_downstream_bytes),
        told.get()
    );
}
