//! One request or response under way: which segment leaves when, and which of them are acknowledged when.
//!
//! Segments leave in windows: a first one, then one per round trip, each twice as large up to a limit
//! (slow start without losses); within a window they follow each other at the session's rate, and where
//! a window takes longer than a round trip the next follows without a pause. The receiver acknowledges
//! every second segment and the last. As the time of every segment follows from a few numbers, two
//! cursors over the same time line suffice, one for the data and one, a path delay later, for the
//! acknowledgments: memory does not grow with what is in flight.

use nic_model::clock::Picos;

/// What sets the times of segments.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From one segment to the next in a window.
    pub gap: Picos,
    /// From one window to the next, at least.
    pub rtt: Picos,
    /// Largest window.
    pub max_window_segments: u32,
}

/// A cursor over the time line of segments.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    /// When the segment the cursor is at passes the NIC.
    at: Picos,
    window_start: Picos,
    window_segments: u32,
    /// Segments of this window after the cursor's.
    left: u32,
}

impl Cursor {
    fn new(at: Picos, window_segments: u32) -> Self {
        let window_segments = window_segments.max(1);
        Self {
            at,
            window_start: at,
            window_segments,
            left: window_segments - 1,
        }
    }

    #[inline]
    fn advance(&mut self, pace: &Pace) {
        if self.left > 0 {
            self.left -= 1;
            self.at += pace.gap;
            return;
        }
        let sending = Picos(pace.gap.0.saturating_mul(u64::from(self.window_segments)));
        self.window_start += pace.rtt.max(sending);
        self.at = self.window_start;
        self.window_segments = self
            .window_segments
            .saturating_mul(2)
            .min(pace.max_window_segments)
            .max(1);
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
    /// The segment whose arrival makes the receiver acknowledge next; none from `ack_end` on.
    trigger: u64,
    ack_end: u64,
    data: Cursor,
    ack: Cursor,
    last_data: Picos,
    payload_bytes: u16,
}

impl Transfer {
    /// `bytes` (at least one) in segments of `payload_bytes`, the first at `at` in a window of `window_segments`.
    ///
    /// The last segment is acknowledged at once if `ack_last` is set; otherwise the answer to it will do that.
    pub fn new(
        at: Picos,
        bytes: u64,
        payload_bytes: u16,
        window_segments: u32,
        ack_last: bool,
        pace: &Pace,
    ) -> Self {
        let (bytes, payload_bytes) = (bytes.max(1), payload_bytes.max(1));
        let segments = bytes.div_ceil(u64::from(payload_bytes));
        let mut transfer = Self {
            bytes,
            segments,
            sent: 0,
            trigger: 0,
            ack_end: if ack_last { segments } else { segments - 1 },
            data: Cursor::new(at, window_segments),
            ack: Cursor::new(at, window_segments),
            last_data: at,
            payload_bytes,
        };
        transfer.move_trigger(1, pace);
        transfer
    }

    /// When the last data segment so far passed.
    pub fn last_data(&self) -> Picos {
        self.last_data
    }

    /// The window reached.
    pub fn window_segments(&self) -> u32 {
        self.data.window_segments
    }

    /// When the next segment or acknowledgment passes, `ack_delay` being the receiver's distance there and back.
    #[inline]
    pub fn next_at(&self, ack_delay: Picos) -> Option<Picos> {
        let data = (self.sent < self.segments).then_some(self.data.at);
        let ack = (self.trigger < self.ack_end).then(|| self.ack.at + ack_delay);
        match (data, ack) {
            (Some(data), Some(ack)) => Some(data.min(ack)),
            (data, ack) => data.or(ack),
        }
    }

    /// What passes next; must be followed by [`Self::advance`]. After the end: an acknowledgment of everything.
    #[inline]
    pub fn turn(&self, ack_delay: Picos) -> Turn {
        let ack_first = self.trigger < self.ack_end && self.ack.at + ack_delay <= self.data.at;
        if self.sent < self.segments && !ack_first {
            let last = self.sent + 1 == self.segments;
            let before = self.sent * u64::from(self.payload_bytes);
            let payload_bytes = if last {
                (self.bytes - before) as u16
            } else {
                self.payload_bytes
            };
            return Turn::Data {
                payload_bytes,
                last,
            };
        }
        let covered = self.bytes_of(self.trigger + 1);
        let outstanding_bytes = self.bytes_of(self.sent).saturating_sub(covered) as u32;
        Turn::Ack {
            outstanding_bytes,
            sent: self.ack.at,
        }
    }

    /// Moves on after `turn`.
    #[inline]
    pub fn advance(&mut self, turn: Turn, pace: &Pace) {
        match turn {
            Turn::Data { .. } => {
                self.last_data = self.data.at;
                self.sent += 1;
                if self.sent < self.segments {
                    self.data.advance(pace);
                }
            }
            Turn::Ack { .. } => self.move_trigger(2, pace),
        }
    }

    fn bytes_of(&self, segments: u64) -> u64 {
        segments
            .saturating_mul(u64::from(self.payload_bytes))
            .min(self.bytes)
    }

    /// Moves the trigger on by `by` segments, not beyond the last unless it is there.
    fn move_trigger(&mut self, by: u64, pace: &Pace) {
        let last = self.segments - 1;
        let steps = by.min(last - self.trigger.min(last));
        for _ in 0..steps {
            self.ack.advance(pace);
        }
        // From the last segment there is nowhere to go on to (but the first move of a single segment stays on it).
        self.trigger = if steps == 0 && by == 2 {
            self.ack_end
        } else {
            self.trigger + steps
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pace(gap: u64, rtt: u64) -> Pace {
        Pace {
            gap: Picos(gap),
            rtt: Picos(rtt),
            max_window_segments: 8,
        }
    }

    /// Plays a transfer: (time, what) in order.
    fn play(mut transfer: Transfer, delay: Picos, pace: &Pace) -> Vec<(Picos, Turn)> {
        let mut events = Vec::new();
        while let Some(at) = transfer.next_at(delay) {
            let turn = transfer.turn(delay);
            events.push((at, turn));
            transfer.advance(turn, pace);
        }
        events
    }

    #[test]
    fn windows_double_once_per_round_trip() {
        let pace = pace(10, 1_000);
        let events = play(
            Transfer::new(Picos(0), 1_400, 100, 2, true, &pace),
            Picos(300),
            &pace,
        );
        let data: Vec<u64> = events
            .iter()
            .filter(|(_, turn)| matches!(turn, Turn::Data { .. }))
            .map(|(at, _)| at.0)
            .collect();
        let windows = [
            0, 10, 1_000, 1_010, 1_020, 1_030, 2_000, 2_010, 2_020, 2_030, 2_040, 2_050, 2_060,
            2_070,
        ];
        assert_eq!(data, windows);
        let acks: Vec<u64> = events
            .iter()
            .filter(|(_, turn)| matches!(turn, Turn::Ack { .. }))
            .map(|(at, _)| at.0)
            .collect();
        assert_eq!(acks, [310, 1_310, 1_330, 2_310, 2_330, 2_350, 2_370]);
    }

    #[test]
    fn a_window_longer_than_a_round_trip_leaves_no_pause() {
        let pace = pace(1_000, 100);
        let events = play(
            Transfer::new(Picos(0), 2_000, 100, 2, true, &pace),
            Picos(50),
            &pace,
        );
        let data: Vec<u64> = events
            .iter()
            .filter(|(_, turn)| matches!(turn, Turn::Data { .. }))
            .map(|(at, _)| at.0)
            .collect();
        assert_eq!(
            data,
            (0..20).map(|segment| segment * 1_000).collect::<Vec<_>>()
        );
    }

    #[test]
    fn one_segment_is_acknowledged_or_left_to_the_answer() {
        let pace = pace(10, 1_000);
        let acked = play(
            Transfer::new(Picos(5), 1, 100, 10, true, &pace),
            Picos(300),
            &pace,
        );
        let data = (
            Picos(5),
            Turn::Data {
                payload_bytes: 1,
                last: true,
            },
        );
        assert_eq!(
            acked,
            [
                data,
                (
                    Picos(305),
                    Turn::Ack {
                        outstanding_bytes: 0,
                        sent: Picos(5)
                    }
                )
            ]
        );
        let left = play(
            Transfer::new(Picos(5), 1, 100, 10, false, &pace),
            Picos(300),
            &pace,
        );
        assert_eq!(left, [data]);
    }

    proptest! {
        #[test]
        fn everything_is_sent_once_and_acknowledged_in_order(
            bytes in 1_u64..200_000,
            payload_bytes in 1_u16..9_000,
            window in 1_u32..64,
            ack_last: bool,
            times in (1_u64..5_000, 2_u64..100_000, 1_u64..100_000),
        ) {
            let bytes = bytes.min(u64::from(payload_bytes) * 300);
            let (gap, rtt, delay) = times;
            let pace = pace(gap, rtt.max(delay));
            let (mut sent, mut acked, mut before) = (0_u64, 0_u64, Picos(0));
            for (at, turn) in play(Transfer::new(Picos(7), bytes, payload_bytes, window, ack_last, &pace), Picos(delay), &pace) {
                prop_assert!(at >= before);
                before = at;
                match turn {
                    Turn::Data { payload_bytes: length, last } => {
                        prop_assert!(length >= 1 && length <= payload_bytes);
                        sent += u64::from(length);
                        prop_assert_eq!(last, sent == bytes);
                    }
                    Turn::Ack { outstanding_bytes, .. } => {
                        let upto = sent - u64::from(outstanding_bytes);
                        prop_assert!(upto > acked, "{} after {}", upto, acked);
                        acked = upto;
                    }
                }
            }
            prop_assert_eq!(sent, bytes);
            prop_assert_eq!(acked == bytes, ack_last);
        }
    }
}
