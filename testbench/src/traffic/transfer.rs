//! One request or response under way: which segment leaves when, and which of them are acknowledged when.
//!
//! Segments leave in windows: a first one, then one per round trip, each twice as large up to a limit
//! (slow start without losses); within a window they follow each other at the session's rate, and where
//! a window takes longer than a round trip the next follows without a pause. The receiver acknowledges
//! every second segment and the last. As the time of every segment follows from a few numbers, two
//! cursors over the same time line suffice, one for the data and one, a path delay later, for the
//! acknowledgments: memory does not grow with what is in flight.

use nic_model::clock::Picos;

/// A cursor over the time line of segments.
#[derive(Debug, Clone, Copy, Default)]
struct Pacer {
    /// When the segment the cursor is at passes the NIC.
    at: Picos,
    window_start: Picos,
    window_segments: u32,
    /// Segments of this window after the cursor's.
    left: u32,
}

impl Pacer {
    fn new(at: Picos, window_segments: u32) -> Self {
        let window_segments = window_segments.max(1);
        Self { at, window_start: at, window_segments, left: window_segments - 1 }
    }

    #[inline]
    fn advance(&mut self, gap: Picos, rtt: Picos, max_window_segments: u32) {
        if self.left > 0 {
            self.left -= 1;
            self.at += gap;
            return;
        }
        let sending = Picos(gap.0.saturating_mul(u64::from(self.window_segments)));
        self.window_start += rtt.max(sending);
        self.at = self.window_start;
        self.window_segments = self.window_segments.saturating_mul(2).min(max_window_segments).max(1);
        self.left = self.window_segments - 1;
    }
}

/// What passes the NIC next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A data segment.
    Data {
        /// Its payload.
        payload_bytes: u16,
        /// Whether it is the last.
        last: bool,
    },
    /// An acknowledgment by the receiver.
    Ack {
        /// Bytes that have passed the NIC and that it does not cover yet.
        outstanding_bytes: u32,
        /// When the last segment it covers passed.
        sent: Picos,
    },
}

/// One request or response under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Transfer {
    bytes: u64,
    /// Segments in all, and how many have passed.
    segments: u64,
    sent: u64,
    /// The segment whose arrival makes the receiver acknowledge next; not below `ack_end` if none does.
    trigger: u64,
    /// Segments before this one may trigger.
    ack_end: u64,
    data: Pacer,
    ack: Pacer,
    last_data: Picos,
    payload_bytes: u16,
}

impl Transfer {
    /// `bytes` (at least one) in segments of `payload_bytes`, the first at `at` in a window of `window_segments`.
    pub fn new(at: Picos, bytes: u64, payload_bytes: u16, window_segments: u32) -> Self {
        let (bytes, payload_bytes) = (bytes.max(1), payload_bytes.max(1));
        let segments = bytes.div_ceil(u64::from(payload_bytes));
        let mut ack = Pacer::new(at, window_segments);
        let trigger = 1.min(segments - 1);
        // The first acknowledgment covers two segments of the first window (windows hold at least two).
        if trigger == 1 {
            ack.left = ack.left.saturating_sub(1);
        }
        Self {
            bytes,
            segments,
            sent: 0,
            trigger,
            ack_end: segments,
            data: Pacer::new(at, window_segments),
            ack,
            last_data: at,
            payload_bytes,
        }
    }
}
