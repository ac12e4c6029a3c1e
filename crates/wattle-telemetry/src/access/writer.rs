//! From workers to the log: batches over a bounded queue to a thread that may block on the disk or a pipe, so that no worker does.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use super::record::AccessRecord;

/// A worker's batch goes out when it has grown to this size, in bytes.
const BATCH: usize = 16 * 1_024;

/// Where lines go.
pub enum Sink {
    /// Standard output.
    Stdout,
    /// A file that is made when missing and appended to.
    File(PathBuf),
    /// Anything else.
    Writer(Box<dyn Write + Send>),
}

/// How the log is kept.
pub struct AccessLogConfig {
    /// Where lines go.
    pub sink: Sink,
    /// Batches of up to 16 KiB that may wait for the sink; default 64, so 1 MiB. When all wait, further batches are dropped and their lines counted.
    pub queue: usize,
}

impl Default for AccessLogConfig {
    fn default() -> Self {
        Self {
            sink: Sink::Stdout,
            queue: 64,
        }
    }
}

/// Lines of one worker on their way to the sink.
struct Batch {
    text: Vec<u8>,
    lines: u64,
}

/// Counts that every writer and the thread share; touched once per batch.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
}

/// The log of a process.
pub struct AccessLog {
    batches: SyncSender<Batch>,
    spare: Arc<std::sync::Mutex<Receiver<Vec<u8>>>>,
    finished: Receiver<()>,
    counts: Arc<Counts>,
}

impl AccessLog {
    /// Opens the sink and starts the thread; fails when the file or the thread cannot be had.
    pub fn start(config: AccessLogConfig) -> io::Result<Self> {
        let sink = open(config.sink)?;
        let (batches, incoming) = sync_channel(config.queue.max(1));
        let (give_back, spare) = sync_channel(config.queue.max(1));
        let (finish, finished) = sync_channel(1);
        let counts = Arc::new(Counts::default());
        let thread_counts = Arc::clone(&counts);
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || {
                write_batches(sink, &incoming, &give_back, &thread_counts);
                let _ = finish.try_send(());
            })?;
        Ok(Self {
            batches,
            spare: Arc::new(std::sync::Mutex::new(spare)),
            finished,
            counts,
        })
    }

    /// A worker's end of the log.
    #[must_use]
    pub fn writer(&self) -> AccessWriter {
        AccessWriter {
            batch: Vec::new(),
            lines: 0,
            batches: self.batches.clone(),
            spare: Arc::clone(&self.spare),
            counts: Arc::clone(&self.counts),
        }
    }

    /// Lines that reached the sink.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.counts.written.load(Relaxed)
    }

    /// Lines that were dropped because the sink was slow or failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Relaxed)
    }

    /// Waits until all is written; the writers must be gone. False when that took longer than `limit`.
    pub fn finish(self, limit: Duration) -> bool {
        let Self {
            batches, finished, ..
        } = self;
        drop(batches);
        finished.recv_timeout(limit).is_ok()
    }
}

/// One worker's end of the log: lines gather here and go out in batches.
pub struct AccessWriter {
    batch: Vec<u8>,
    lines: u64,
    batches: SyncSender<Batch>,
    /// Buffers that came back; only tried, never waited for.
    spare: Arc<std::sync::Mutex<Receiver<Vec<u8>>>>,
    counts: Arc<Counts>,
}

impl AccessWriter {
    /// Adds a line; never waits. Call [`flush`](Self::flush) when the worker has nothing else to do or a second has passed.
    #[inline]
    pub fn log(&mut self, record: &AccessRecord<'_>) {
        record.write_json(&mut self.batch);
        self.lines += 1;
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    /// Hands over what has gathered; drops and counts it when the queue is full.
    pub fn flush(&mut self) {
        if self.lines == 0 {
            return;
        }
        let next = self.spare_buffer();
        let batch = Batch {
            text: std::mem::replace(&mut self.batch, next),
            lines: std::mem::take(&mut self.lines),
        };
        if let Err(TrySendError::Full(mut lost) | TrySendError::Disconnected(mut lost)) =
            self.batches.try_send(batch)
        {
            self.counts.dropped.fetch_add(lost.lines, Relaxed);
            lost.text.clear();
            self.batch = lost.text;
        }
    }

    fn spare_buffer(&self) -> Vec<u8> {
        let spare = self.spare.try_lock().ok();
        spare.and_then(|spare| spare.try_recv().ok()).unwrap_or_default()
    }
}

impl Drop for AccessWriter {
    fn drop(&mut self) {
        self.flush();
    }
}

fn open(sink: Sink) -> io::Result<Box<dyn Write + Send>> {
    Ok(match sink {
        Sink::Stdout => Box::new(io::stdout()),
        Sink::File(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        Sink::Writer(writer) => writer,
    })
}

/// Runs until every writer and the log itself are gone.
fn write_batches(
    mut sink: Box<dyn Write + Send>,
    incoming: &Receiver<Batch>,
    give_back: &SyncSender<Vec<u8>>,
    counts: &Counts,
) {
    for mut batch in incoming {
        let written = sink.write_all(&batch.text).and_then(|()| sink.flush());
        let count = match written {
            Ok(()) => &counts.written,
            Err(_) => &counts.dropped,
        };
        count.fetch_add(batch.lines, Relaxed);
        batch.text.clear();
        // A full return path only means that the buffer is freed instead.
        let _ = give_back.try_send(batch.text);
    }
}
