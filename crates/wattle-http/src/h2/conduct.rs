//! How a peer behaves: frames that carry nothing cost it, frames that serve a request earn, and who has nothing left goes.
//!
//! The engine bounds the memory of each frame; this bounds how long it may be kept busy with PING, SETTINGS, PRIORITY,
//! WINDOW_UPDATE, empty frames, frames nobody knows, and resets of what was never open (CVE-2019-9512 to 9518).

use crate::Limits;
use std::time::Duration;
use tokio::time::Instant;

/// The client's preface (RFC 9113 §3.4), which is no frame.
const PREFACE_BYTES: u32 = 24;
/// Length of a frame's own head (RFC 9113 §4.1).
const HEAD_BYTES: usize = 9;
/// What a frame of a response earns: readers answer it with a WINDOW_UPDATE or two, some with a PING.
const EARNED_BY_ANSWER: u32 = 10;

/// What a stream that we have to reset costs, in idle frames.
const REFUSED: u32 = 2;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// The account of one peer.
#[derive(Debug)]
pub(super) struct Conduct {
    received: Frames,
    sent: Frames,
    /// Idle frames it may still send.
    left: u32,
    most: u32,
    /// Time that gives one idle frame back.
    pace: Duration,
    paid_until: Instant,
    /// Streams it opened and did not reset.
    open: u32,
    spent: bool,
}

impl Conduct {
    /// Of a client whose preface is still to come.
    pub(super) fn of_client(limits: &Limits) -> Self {
        Self {
            received: Frames::after(PREFACE_BYTES),
            sent: Frames::after(0),
            left: limits.max_idle_frames,
            most: limits.max_idle_frames,
            pace: limits.idle_frame_pace,
            paid_until: Instant::now(),
            open: 0,
            spent: false,
        }
    }

    /// Whether the peer is to be told to go.
    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Takes note of bytes that came, however they are cut.
    pub(super) fn received(&mut self, mut bytes: &[u8]) {
        while let Some(head) = self.received.next(&mut bytes) {
            match (head.kind, head.length) {
                (HEADERS, 1..) => self.open = self.open.saturating_add(1),
                (RST_STREAM, _) if self.open > 0 => self.open -= 1,
                (DATA, 1..) => self.earn(1),
                (DATA, 0) if head.flags & END_STREAM != 0 => {}
                _ => self.spend(),
            }
        }
    }

    /// Takes note of bytes that go out.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        while let Some(head) = self.sent.next(&mut bytes) {
            match (head.kind, head.length) {
                (HEADERS | DATA, 1..) => self.earn(EARNED_BY_ANSWER),
                // It made us refuse something, which costs more than a frame of data earns.
                (RST_STREAM, _) => (0..REFUSED).for_each(|_| self.spend()),
                _ => {}
            }
        }
    }

    fn earn(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(self.most);
    }

    fn spend(&mut self) {
        if self.left == 0 {
            self.left = self.given_back();
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => self.spent = true,
        }
    }

    /// What time has given back; asked only when nothing is left, so that the clock is rarely read.
    fn given_back(&mut self) -> u32 {
        let passed = self.paid_until.elapsed();
        let frames = passed.as_nanos() / self.pace.as_nanos().max(1);
        if frames > 0 {
            self.paid_until += passed;
        }
        u32::try_from(frames).unwrap_or(u32::MAX).min(self.most)
    }
}

struct Head {
    length: u32,
    kind: u8,
    flags: u8,
}

/// Finds the heads of frames in a stream of bytes.
#[derive(Debug)]
struct Frames {
    head: [u8; HEAD_BYTES],
    /// Bytes of `head` that are there.
    filled: usize,
    /// Bytes until the next head.
    skip: u32,
}

impl Frames {
    fn after(skip: u32) -> Self {
        Self {
            head: [0; HEAD_BYTES],
            filled: 0,
            skip,
        }
    }

    /// The next head that is complete; takes what it has seen off the front.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        let skipped = bytes.len().min(self.skip as usize);
        self.skip -= skipped as u32;
        let rest = &bytes[skipped..];
        let taken = rest.len().min(HEAD_BYTES - self.filled);
        self.head[self.filled..self.filled + taken].copy_from_slice(&rest[..taken]);
        self.filled += taken;
        *bytes = &rest[taken..];
        if self.filled < HEAD_BYTES {
            return None;
        }
        self.filled = 0;
        let [a, b, c, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]);
        self.skip = length;
        Some(Head { length, kind, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const REQUEST: &[u8] = &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x82];
    const RESET: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    const EMPTY: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 1];
    const EMPTY_END: &[u8] = &[0, 0, 0, 0, 1, 0, 0, 0, 1];
    const ANSWER: &[u8] = &[0, 0, 1, 0, 0, 0, 0, 0, 1, b'x'];

    fn with(frames: u32) -> Conduct {
        let mut conduct = Conduct::of_client(&Limits {
            max_idle_frames: frames,
            idle_frame_pace: Duration::from_secs(3600),
            ..Limits::default()
        });
        conduct.received(&[b'P'; PREFACE_BYTES as usize]);
        conduct
    }

    fn after(conduct: &mut Conduct, frame: &[u8], times: usize) -> bool {
        (0..times).for_each(|_| conduct.received(frame));
        conduct.is_spent()
    }

    #[test]
    fn so_many_idle_frames_are_borne_and_one_more_is_too_many() {
        for frame in [PING, EMPTY, RESET] {
            let mut conduct = with(10);
            assert!(!after(&mut conduct, frame, 10), "{frame:?}");
            assert!(after(&mut conduct, frame, 1), "{frame:?}");
        }
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let mut conduct = with(10);
        let all = [REQUEST, PING].concat().repeat(10);
        all.iter()
            .for_each(|byte| conduct.received(std::slice::from_ref(byte)));
        assert!(!conduct.is_spent());
        conduct.received(&PING[..8]);
        assert!(!conduct.is_spent());
        conduct.received(&PING[8..]);
        assert!(conduct.is_spent());
    }

    #[test]
    fn what_serves_a_request_costs_nothing() {
        let mut conduct = with(1);
        assert!(!after(&mut conduct, REQUEST, 100));
        assert!(!after(&mut conduct, RESET, 100), "what was open may be reset");
        assert!(!after(&mut conduct, EMPTY_END, 100));
        assert!(after(&mut conduct, RESET, 2), "what was not, costs");
    }

    #[test]
    fn answers_earn_what_their_reader_sends_for_them() {
        let mut conduct = with(10);
        for _ in 0..100 {
            assert!(!after(&mut conduct, PING, 10));
            conduct.sent(ANSWER);
        }
        assert!(after(&mut conduct, PING, 11));
    }

    #[test]
    fn who_makes_us_refuse_pays_for_it() {
        let mut conduct = with(2);
        conduct.sent(RESET);
        assert!(!conduct.is_spent());
        conduct.sent(RESET);
        assert!(conduct.is_spent());
    }

    #[test]
    fn data_for_streams_that_are_gone_does_not_pay_for_their_resets() {
        let mut conduct = with(10);
        let mut rounds = 0;
        while !conduct.is_spent() && rounds < 100 {
            conduct.received(ANSWER);
            conduct.sent(RESET);
            rounds += 1;
        }
        assert!(rounds < 20, "{rounds}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_gives_back() {
        let mut conduct = with(10);
        assert!(!after(&mut conduct, PING, 10));
        tokio::time::advance(Duration::from_secs(2 * 3600)).await;
        assert!(!after(&mut conduct, PING, 2));
        assert!(after(&mut conduct, PING, 1));
    }
}
