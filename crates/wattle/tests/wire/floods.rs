//! Floods: a client that keeps a proxy busy for nothing loses its connection, costs little memory, and disturbs nobody.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wattle_testkit::{Conversation, Mesh, Need, Request, lacks};

use crate::support::Manifests;
use crate::{FIRST_PORT, Ours, WATTLE, frames, manifest, text};

/// Pieces that nobody may get rid of.
const MOST: u32 = 200_000;
/// Written at once.
const BATCH: u32 = 64;
/// What a flood may add to the proxy's memory at its height.
const GROWTH_BYTES: u64 = 48 << 20;
/// Requests of another client beside each flood.
const BESIDE: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// A flood: what comes first, and what comes over and over, given how often it came.
struct Flood {
    name: &'static str,
    start: Vec<u8>,
    piece: Box<dyn Fn(u32) -> Vec<u8> + Sync>,
}

fn http2(
    name: &'static str,
    first: &[(&str, &str)],
    piece: impl Fn(u32) -> Vec<u8> + Sync + 'static,
) -> Flood {
    let mut start = frames::opening();
    for (kind, rest) in first {
        start.extend(frames::frame(kind, rest));
    }
    Flood {
        name,
        start,
        piece: Box::new(piece),
    }
}

fn same(name: &'static str, first: &[(&str, &str)], kind: &str, rest: &str) -> Flood {
    let frame = frames::frame(kind, rest);
    http2(name, first, move |_| frame.clone())
}

fn http1(name: &'static str, start: &str, piece: &str) -> Flood {
    let piece = text::bytes_of(piece);
    Flood {
        name,
        start: text::bytes_of(start),
        piece: Box::new(move |_| piece.clone()),
    }
}

/// The number of the stream that is opened at this turn.
fn stream(turn: u32) -> u32 {
    turn * 2 + 1
}

fn multiplexed() -> Vec<Flood> {
    let post = ("headers", "1 h post:/");
    let opened = |turn: u32, ends: &str| frames::frame("headers", &format!("{} {ends} post:/", stream(turn)));
    let then = move |turn: u32, kind: &str, number: &str, payload: &str| {
        let mut both = opened(turn, "h");
        both.extend(frames::frame("frame", &format!("{kind} 0 {number} {payload}")));
        both
    };
    vec![
        http2("rapid reset (CVE-2023-44487)", &[], move |turn| {
            then(turn, "3", &stream(turn).to_string(), r"\0\0\0\x08")
        }),
        http2("made you reset (CVE-2025-8671)", &[], move |turn| {
            then(turn, "8", &stream(turn).to_string(), r"\0\0\0\0")
        }),
        http2("streams beyond the limit", &[], move |turn| opened(turn, "h")),
        same("SETTINGS (CVE-2019-9515)", &[], "frame", "4 0 0 "),
        same(
            "SETTINGS that change windows",
            &[],
            "frame",
            r"4 0 0 \0\x04\0\0\x7f\xff",
        ),
        same("PING (CVE-2019-9512)", &[], "frame", "6 0 0 abcdefgh"),
        same("PRIORITY (CVE-2019-9513)", &[], "frame", r"2 0 1 \0\0\0\x03\0"),
        same("WINDOW_UPDATE", &[], "frame", r"8 0 0 \0\0\0\x01"),
        same("empty DATA (CVE-2019-9518)", &[post], "data", "1 - "),
        same(
            "CONTINUATION (CVE-2024-27316)",
            &[("headers", "1 - post:/")],
            "continuation",
            "1 - x=y",
        ),
        same(
            "empty CONTINUATION",
            &[("headers", "1 - post:/")],
            "continuation",
            "1 -",
        ),
        same("frames nobody knows", &[], "frame", "119 0 0 hello"),
        same(
            "resets of what has ended",
            &[("headers", "1 eh get:/"), ("frame", r"3 0 1 \0\0\0\x08")],
            "frame",
            r"3 0 1 \0\0\0\x08",
        ),
    ]
}

fn textual() -> Vec<Flood> {
    let post = r"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        http1("chunk extensions without an end", &format!("{post}5"), ";a=b"),
        http1("a chunk's size without an end", post, "0"),
        http1("chunk extensions, small", post, r"1;{200*a}\r\nx\r\n"),
        http1("trailers without an end", &format!(r"{post}0\r\n"), r"A: b\r\n"),
        http1(
            "fields without an end",
            r"GET / HTTP/1.1\r\nHost: x\r\n",
            r"A: b\r\n",
        ),
        http1("a line without an end", "GET /", "a"),
        http1("empty lines", "", r"\r\n"),
    ]
}

/// What became of a flood.
struct Outcome {
    sent: u32,
    closed: bool,
}

/// Sends until the other side has closed or all is sent.
fn send(flood: &Flood, stream: TcpStream, over: &AtomicBool) -> Outcome {
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let outcome = std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut buffer = [0; 64 * 1024];
            // An end, orderly or not, is a close; only a timeout is none.
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => return true,
                    Ok(_) => {}
                    Err(error) => {
                        return !matches!(
                            error.kind(),
                            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                        );
                    }
                }
            }
        });
        let mut writer = stream;
        let mut written = writer.write_all(&flood.start).is_ok();
        let mut sent = 0;
        while written && sent < MOST {
            let batch: Vec<u8> = (sent..sent + BATCH)
                .flat_map(|turn| (flood.piece)(turn))
                .collect();
            written = writer.write_all(&batch).is_ok();
            sent += BATCH;
        }
        // What was taken after the end was read and thrown away.
        let closed = reading.join().unwrap();
        Outcome { sent, closed }
    });
    over.store(true, Ordering::Relaxed);
    outcome
}

/// Highest memory of a process since the last [`forget_peak`], and its memory now.
fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    };
    (field("VmHWM:"), field("VmRSS:"))
}

fn forget_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

/// Another client's requests while a flood goes on.
fn served_beside(mesh: &Mesh, address: SocketAddr, over: &AtomicBool) -> usize {
    let connect = || mesh.bridge().enter(|| Conversation::tcp(address).unwrap());
    let mut conversation = connect();
    let mut served = 0;
    while served < BESIDE || (!over.load(Ordering::Relaxed) && served < 10 * BESIDE) {
        let answer = conversation.send(&Request::get("x", "/")).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        served += 1;
    }
    served
}

#[test]
fn floods_end_their_connection_cost_little_memory_and_disturb_nobody() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("mesh.yaml", &manifest())]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let ways = Ours::ways(&mesh);
    let (flooded, beside) = (&ways[0].inbound, &ways[1].inbound);
    assert_eq!(flooded.1.port(), FIRST_PORT);
    let proxy = mesh.proxy("server");
    for flood in multiplexed().into_iter().chain(textual()) {
        forget_peak(proxy.pid);
        let before = memory(proxy.pid).1;
        let over = AtomicBool::new(false);
        let outcome = std::thread::scope(|scope| {
            let sending = scope.spawn(|| send(&flood, crate::dial(flooded), &over));
            served_beside(&mesh, beside.1, &over);
            sending.join().unwrap()
        });
        let growth = memory(proxy.pid).0.saturating_sub(before);
        eprintln!(
            "{}: {} sent, {} KiB more memory",
            flood.name,
            outcome.sent,
            growth / 1024
        );
        assert!(outcome.closed, "{}: all {} were taken", flood.name, outcome.sent);
        assert!(
            growth < GROWTH_BYTES,
            "{}: {growth} bytes more memory",
            flood.name
        );
        assert!(proxy.is_alive(), "{}", flood.name);
    }
    mesh.stop();
}

#[test]
fn clients_that_begin_a_request_and_go_silent_are_turned_away_and_disturb_nobody() {
    if lacks(&[Need::Root]) {
        return;
    }
    const CLIENTS: usize = 300;
    let manifests = Manifests::new(&[("mesh.yaml", &manifest())]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let ways = Ours::ways(&mesh);
    let proxy = mesh.proxy("server");
    let before = memory(proxy.pid).1;
    let slow: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut stream = crate::dial(&ways[0].inbound);
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX: ").unwrap();
            stream
        })
        .collect();
    assert_eq!(
        served_beside(&mesh, ways[1].inbound.1, &AtomicBool::new(true)),
        BESIDE
    );
    let growth = memory(proxy.pid).0.saturating_sub(before);
    assert!(growth < GROWTH_BYTES, "{growth} bytes for {CLIENTS} connections");
    for mut stream in slow {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("wattle-reason: request_head_timeout"), "{answer}");
    }
    mesh.stop();
}

#[test]
fn many_requests_on_a_connection_are_answered_in_turn_in_little_memory() {
    if lacks(&[Need::Root]) {
        return;
    }
    const REQUESTS: usize = 20_000;
    let manifests = Manifests::new(&[("mesh.yaml", &manifest())]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let ways = Ours::ways(&mesh);
    let proxy = mesh.proxy("server");
    let before = memory(proxy.pid).1;
    let mut stream = crate::dial(&ways[0].inbound);
    let mut reader = stream.try_clone().unwrap();
    reader.set_read_timeout(Some(PATIENCE)).unwrap();
    let answered = std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let (mut answered, mut tail) = (0, Vec::new());
            let mut buffer = [0; 64 * 1024];
            while answered < REQUESTS {
                let length = reader.read(&mut buffer).unwrap();
                assert!(length > 0, "closed after {answered}");
                tail.extend_from_slice(&buffer[..length]);
                let found = tail.windows(12).filter(|part| *part == b"HTTP/1.1 200").count();
                answered += found;
                let kept = tail.len().saturating_sub(11);
                // A status line that is cut stays for the next look; one that was counted must not.
                tail = tail[kept..].to_vec();
            }
            answered
        });
        let piece = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
        (0..REQUESTS / 100).for_each(|_| stream.write_all(&piece).unwrap());
        reading.join().unwrap()
    });
    assert_eq!(answered, REQUESTS);
    let growth = memory(proxy.pid).0.saturating_sub(before);
    assert!(growth < GROWTH_BYTES, "{growth} bytes more memory");
    mesh.stop();
}

#[test]
fn the_admin_pages_are_out_of_reach_of_everybody_else() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("mesh.yaml", &manifest())]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let ways = Ours::ways(&mesh);
    let server = ways[0].inbound.1.ip();
    let admin = SocketAddr::new(server, wattle_model::port::ADMIN);
    let status = SocketAddr::new(server, wattle_model::port::STATUS);
    let order = Request {
        method: "POST".to_owned(),
        ..Request::get("localhost", "/renew")
    };
    for (who, spot) in [
        ("the bridge", mesh.bridge()),
        ("another workload", mesh.spot("client")),
    ] {
        for request in [Request::get("localhost", "/status"), order.clone()] {
            // Refused, reset or answered with an error: whatever, but not by the admin pages.
            let answer = spot.enter(|| wattle_testkit::ask(admin, &request));
            assert!(
                answer.as_ref().is_ok_and(|answer| answer.status >= 500) || answer.is_err(),
                "{who}: {answer:?}"
            );
        }
        let answer = spot.enter(|| wattle_testkit::ask(status, &order)).unwrap();
        assert!(answer.status >= 400, "{who}: {answer:?}");
    }
    let own = mesh.spot("server");
    let local = SocketAddr::from(([127, 0, 0, 1], wattle_model::port::ADMIN));
    let answer = own
        .enter(|| wattle_testkit::ask(local, &Request::get("localhost", "/status")))
        .unwrap();
    assert_eq!(answer.status, 200, "the workload itself reaches them");
    mesh.stop();
}
