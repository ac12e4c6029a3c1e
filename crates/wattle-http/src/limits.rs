//! Bounds of a server or client connection.

use std::time::Duration;

/// The most header fields [`Limits::max_headers`] can allow.
pub(crate) const MAX_HEADERS_CEILING: usize = 256;

/// Bounds and times of a connection; the defaults suit a sidecar.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Header fields in one head, default 100, at most 256; more is answered 431.
    pub max_headers: usize,
    /// Bytes of one head and of one trailer section, default 64 KiB; more is answered 431.
    pub max_head_bytes: usize,
    /// Bytes of a request target, default 16 KiB; more is answered 414.
    pub max_target_bytes: usize,
    /// From the first byte of a head to its last, default 10 s; `None` waits for ever.
    pub header_timeout: Option<Duration>,
    /// Between two reads of an HTTP/1 request's body, tunnels apart, default 5 min (Envoy's stream idle timeout); a request
    /// that stops for longer is answered 408. `None` waits for ever.
    pub body_timeout: Option<Duration>,
    /// Between two requests on one connection, default 1 h; `None` waits for ever.
    pub idle_timeout: Option<Duration>,
    /// Bytes of an unread request body that are read and dropped to keep the connection, default 64 KiB.
    pub max_discard_bytes: u64,
    /// Whether end of stream from a client whose request is in work is a half-close to be honoured; default false:
    /// the client is taken to have gone and the work is dropped. Tunnels always honour half-close.
    pub half_close: bool,
    /// Concurrent HTTP/2 streams a peer may open, default 1024 (RFC 9113 §6.5.2).
    pub max_streams: u32,
    /// HTTP/2 receive window of one stream in bytes, default 256 KiB: the most that a stalled reader holds.
    pub stream_window: u32,
    /// HTTP/2 receive window of the connection in bytes, default 2^31 - 1, the most there is: each stream bounds itself, and
    /// stalled streams must not stall the others.
    pub connection_window: u32,
    /// HTTP/2 frame payload we accept in bytes, default 16 KiB (RFC 9113 §4.2).
    pub max_frame_bytes: u32,
    /// HTTP/2 streams that may be opened and reset again before they are looked at, default 256; beyond it the
    /// connection is closed with ENHANCE_YOUR_CALM. One rude client behind a shared hop resets many at once.
    pub max_pending_resets: usize,
    /// What unread small HTTP/2 DATA frames of a connection may cost beyond their payload, in bytes, default 16 MiB
    /// (some 65,000 frames); beyond it the connection is closed with ENHANCE_YOUR_CALM.
    pub small_frames_bytes: usize,
    /// HTTP/2 frames a client may send that carry nothing (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty or unknown ones),
    /// default 10,000; beyond it the connection is closed with ENHANCE_YOUR_CALM. A frame of a response gives 10 back.
    pub max_idle_frames: u32,
    /// Time that gives one of them back, default 10 ms.
    pub idle_frame_pace: Duration,
    /// HTTP/2 streams of a connection that a client may reset within a second of opening them, before their answer, default
    /// 500; beyond it, if they are more than half of its streams, it is closed with ENHANCE_YOUR_CALM (CVE-2023-44487).
    pub max_early_resets: u64,
    /// HTTP/2 keep-alive: a PING after so long, default `None`.
    pub ping_interval: Option<Duration>,
    /// HTTP/2 keep-alive: the connection is given up when a PING is unanswered for so long, default 20 s.
    pub ping_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_headers: 100,
            max_head_bytes: 64 * 1024,
            max_target_bytes: 16 * 1024,
            header_timeout: Some(Duration::from_secs(10)),
            body_timeout: Some(Duration::from_secs(300)),
            idle_timeout: Some(Duration::from_secs(3600)),
            max_discard_bytes: 64 * 1024,
            half_close: false,
            max_streams: 1024,
            stream_window: 256 << 10,
            connection_window: (1 << 31) - 1,
            max_frame_bytes: 16 * 1024,
            max_pending_resets: 256,
            small_frames_bytes: 16 << 20,
            max_idle_frames: 10_000,
            idle_frame_pace: Duration::from_millis(10),
            max_early_resets: 500,
            ping_interval: None,
            ping_timeout: Duration::from_secs(20),
        }
    }
}
