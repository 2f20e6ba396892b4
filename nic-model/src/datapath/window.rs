//! The TCP window checker: may this segment have been sent, as far as both windows tell? One that may not goes to the host.
//!
//! After Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2001), with window scaling and SACK. A side is learnt
//! from the first segment of its direction that the card sees; what the other says is believed until then, because segments may have
//! passed before the entry was there. The state lies beside the entry: four words.

use super::parser::Parsed;
use crate::flow_table::KeyDirection;
use crate::layout::{FieldLayout, field};
use packet::{Tcp, TcpFlags, TcpOption};

/// An acknowledgment may lie this far back even if the window is smaller.
const MAX_ACK_WINDOW: u32 = 66_000;

/// What the window checker knows of an entry, on a card that has one: four 64-bit words.
pub const WINDOW_FIELDS: &[FieldLayout] = &[
    field(
        "end_0",
        32,
        "Number behind the last byte that the lower endpoint has sent.",
    ),
    field(
        "max_end_0",
        32,
        "Number behind the last byte that it may send.",
    ),
    field(
        "max_window_0",
        32,
        "The largest window it has offered; 0 if nothing of it was seen.",
    ),
    field("scale_0", 8, "Its window scale."),
    field("", 24, "reserved"),
    field("end_1", 32, "The same of the higher endpoint."),
    field("max_end_1", 32, ""),
    field("max_window_1", 32, ""),
    field("scale_1", 8, ""),
    field("", 24, "reserved"),
];

/// What the checker needs of a TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Segment {
    /// Number of the first byte.
    pub sequence: u32,
    /// Number behind the last one.
    pub end: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// The highest number acknowledged, by SACK blocks too.
    pub sack: u32,
    /// Window field, not scaled.
    pub window: u16,
}

impl Segment {
    /// What a header and the length of the segment with it say.
    pub fn new(tcp: &Tcp<'_>, segment_bytes: usize) -> Self {
        let flags = tcp.flags();
        let numbers =
            u32::from(flags.contains(TcpFlags::SYN)) + u32::from(flags.contains(TcpFlags::FIN));
        let data = segment_bytes.saturating_sub(tcp.header_len()) as u32;
        let acknowledgment = tcp.acknowledgment();
        let blocks = tcp.options().filter_map(|option| match option {
            TcpOption::Sack(blocks) => Some(blocks),
            _ => None,
        });
        let edges = blocks
            .flat_map(|blocks| blocks.as_chunks::<8>().0)
            .map(right_edge);
        let sack = edges.fold(
            acknowledgment,
            |most, edge| if after(edge, most) { edge } else { most },
        );
        Self {
            sequence: tcp.sequence(),
            end: tcp.sequence().wrapping_add(data).wrapping_add(numbers),
            acknowledgment,
            sack,
            window: tcp.window(),
        }
    }
}

/// The end of a SACK block.
fn right_edge(block: &[u8; 8]) -> u32 {
    u32::from_be_bytes([block[4], block[5], block[6], block[7]])
}

const fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

const fn before(a: u32, b: u32) -> bool {
    after(b, a)
}

/// What is known of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Side {
    /// Number behind the last byte it has sent.
    end: u32,
    /// Number behind the last byte it may send.
    max_end: u32,
    /// The largest window it has offered; 0 if nothing of it was seen.
    max_window: u32,
    /// Its window scale.
    scale: u8,
}

/// The state of an entry's checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct WindowWords(pub [u64; 4]);

impl WindowWords {
    /// The state of an entry of which nothing was seen, but the window scales of both sides (by key direction).
    pub fn unknown(scales: [u8; 2]) -> Self {
        let mut words = Self::default();
        for (i, scale) in scales.into_iter().enumerate() {
            let scale = scale.min(14);
            words.set(
                i,
                Side {
                    scale,
                    ..Side::default()
                },
            );
        }
        words
    }

    const fn side(&self, i: usize) -> Side {
        Side {
            end: self.0[2 * i] as u32,
            max_end: (self.0[2 * i] >> 32) as u32,
            max_window: self.0[2 * i + 1] as u32,
            scale: (self.0[2 * i + 1] >> 32) as u8,
        }
    }

    fn set(&mut self, i: usize, side: Side) {
        self.0[2 * i] = u64::from(side.end) | u64::from(side.max_end) << 32;
        self.0[2 * i + 1] = u64::from(side.max_window) | u64::from(side.scale) << 32;
    }

    /// Whether a packet may have been sent; if so, it is learnt from. A SYN settles nothing here: it begins windows anew.
    pub fn admits(&mut self, parsed: &Parsed) -> bool {
        const SYN: u8 = 0x02;
        const RST: u8 = 0x04;
        const ACK: u8 = 0x10;
        if parsed.tcp_flags & (SYN | RST) != 0 {
            return true;
        }
        let has_ack = parsed.tcp_flags & ACK != 0;
        self.check(&parsed.segment, parsed.direction, has_ack)
    }

    fn check(&mut self, segment: &Segment, direction: KeyDirection, has_ack: bool) -> bool {
        let (s, r) = (direction.index(), direction.reverse().index());
        let (mut sender, mut receiver) = (self.side(s), self.side(r));
        let window = u32::from(segment.window) << sender.scale;
        if receiver.max_window == 0 {
            let first = sender.max_window == 0;
            if first || after(segment.end, sender.end) {
                sender.end = segment.end;
            }
            sender.max_window = sender.max_window.max(window).max(1);
            sender.max_end = sender.end.wrapping_add(sender.max_window);
            if has_ack && (first || after(segment.sack, receiver.end)) {
                receiver.end = segment.sack;
                receiver.max_end = segment.sack;
            }
            self.set(s, sender);
            self.set(r, receiver);
            return true;
        }
        if sender.max_window == 0 {
            sender.end = segment.end;
            sender.max_window = window.max(1);
            sender.max_end = segment.end.wrapping_add(sender.max_window);
            if segment.sack == receiver.end.wrapping_add(1) {
                // The answer to a keep-alive that was not seen.
                receiver.end = receiver.end.wrapping_add(1);
            }
            self.set(s, sender);
            self.set(r, receiver);
        }
        let (ack, sack) = if has_ack {
            (segment.acknowledgment, segment.sack)
        } else {
            (receiver.end, receiver.end)
        };
        if !may_be_sent(&sender, &receiver, segment, sack) {
            return false;
        }
        sender.max_window = sender
            .max_window
            .max(window.wrapping_add(sack.wrapping_sub(ack)));
        if after(segment.end, sender.end) {
            sender.end = segment.end;
        }
        if receiver.max_window != 0 && after(segment.end, sender.max_end) {
            let beyond = segment.end.wrapping_sub(sender.max_end);
            receiver.max_window = receiver.max_window.wrapping_add(beyond);
        }
        let right_edge = sack.wrapping_add(window);
        if after(right_edge, receiver.max_end.wrapping_sub(1)) {
            // One byte may be sent into a closed window.
            receiver.max_end = right_edge.wrapping_add(u32::from(window == 0));
        }
        self.set(s, sender);
        self.set(r, receiver);
        true
    }
}

/// The four bounds.
fn may_be_sent(sender: &Side, receiver: &Side, segment: &Segment, sack: u32) -> bool {
    let ack_window = sender.max_window.max(MAX_ACK_WINDOW);
    let oldest = sender.end.wrapping_sub(receiver.max_window).wrapping_sub(1);
    let oldest_ack = receiver.end.wrapping_sub(ack_window).wrapping_sub(1);
    before(segment.sequence, sender.max_end.wrapping_add(1))
        && (receiver.max_window == 0 || after(segment.end, oldest))
        && before(sack, receiver.end.wrapping_add(1))
        && after(sack, oldest_ack)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(sequence: u32, bytes: u32, acknowledgment: u32) -> Segment {
        Segment {
            sequence,
            end: sequence.wrapping_add(bytes),
            acknowledgment,
            sack: acknowledgment,
            window: 1_000,
        }
    }

    #[test]
    fn what_lies_outside_is_refused_and_changes_nothing() {
        use KeyDirection::{HigherToLower, LowerToHigher};
        let mut window = WindowWords::unknown([0, 2]);
        assert!(
            window.check(&segment(100, 10, 5_000), LowerToHigher, true),
            "learnt"
        );
        assert!(window.check(&segment(5_000, 10, 110), HigherToLower, true));
        let before = window;
        for (wrong, direction) in [
            // Beyond the window, which is 1,000 shifted by 2.
            (segment(110 + 4_001, 10, 5_010), LowerToHigher),
            // Long before it.
            (
                segment(110u32.wrapping_sub(70_000), 10, 5_010),
                LowerToHigher,
            ),
            // Of what was never sent.
            (segment(110, 10, 6_000), LowerToHigher),
            // Of what was sent long ago.
            (
                segment(5_010, 10, 110u32.wrapping_sub(70_000)),
                HigherToLower,
            ),
        ] {
            assert!(!window.check(&wrong, direction, true), "{wrong:?}");
            assert_eq!(window, before);
        }
        assert!(window.check(&segment(110 + 3_990, 10, 5_010), LowerToHigher, true));
    }
}
