//! The access log from a worker to its sink.
#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use wattle_telemetry::access::{AccessLog, AccessLogConfig, AccessRecord, Sink};

const LIMIT: Duration = Duration::from_secs(20);

fn record(path: &str) -> AccessRecord<'_> {
    AccessRecord {
        method: "GET",
        path,
        response_code: 200,
        ..AccessRecord::default()
    }
}

fn start(sink: Sink, queue: usize) -> AccessLog {
    AccessLog::start(AccessLogConfig { sink, queue }).unwrap()
}

#[test]
fn every_line_of_every_worker_is_in_the_file_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = start(Sink::File(path.clone()), 4_096);
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let mut writer = log.writer();
            std::thread::spawn(move || {
                for index in 0..500 {
                    writer.log(&record(&format!("/{worker}/{index}")));
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert!(log.finish(LIMIT));
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 2_000);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["response_code"], 200);
    }
}

/// Tells that it has begun to write, then stands still until told to go on.
struct Stuck {
    begun: Sender<()>,
    go_on: Receiver<()>,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.begun.send(());
        let _ = self.go_on.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_sink_costs_lines_that_are_counted_and_never_the_worker_s_time() {
    let (begun, has_begun) = channel();
    let (release, go_on) = channel();
    let log = start(Sink::Writer(Box::new(Stuck { begun, go_on })), 2);
    let mut writer = log.writer();
    let mut log_one = || {
        writer.log(&record("/"));
        writer.flush();
    };
    log_one();
    has_begun.recv_timeout(LIMIT).unwrap();
    // One batch is being written, two fit in the queue.
    (0..10).for_each(|_| log_one());
    assert_eq!(log.dropped(), 8);
    drop(release);
    drop(writer);
    let deadline = Instant::now() + LIMIT;
    while log.written() < 3 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!((log.written(), log.dropped()), (3, 8));
    assert!(log.finish(LIMIT));
}

/// Fails always.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_the_sink_refuses_are_counted_as_dropped() {
    let log = start(Sink::Writer(Box::new(Broken)), 2);
    let mut writer = log.writer();
    writer.log(&record("/"));
    drop(writer);
    let deadline = Instant::now() + LIMIT;
    while log.dropped() == 0 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(log.dropped(), 1);
}

#[test]
fn a_log_that_cannot_be_opened_says_so_at_the_start() {
    let config = AccessLogConfig {
        sink: Sink::File("/nonexistent/access.log".into()),
        ..AccessLogConfig::default()
    };
    assert!(AccessLog::start(config).is_err());
}
