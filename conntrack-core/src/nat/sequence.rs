//! Sequence numbers of a TCP stream whose text was changed in length: what was sent after it, and the acknowledgments of
//! that, are shifted.

use crate::tuple::Direction;
use packet::{Tcp, checksum};

/// The shift of one direction's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shift {
    /// Where it changed last.
    position: u32,
    before: i32,
    after: i32,
}

impl Shift {
    /// Position, and the shifts before and after it.
    pub(crate) const fn parts(self) -> (u32, i32, i32) {
        (self.position, self.before, self.after)
    }

    /// What is to be added at a sequence number.
    const fn at(&self, sequence: u32) -> i32 {
        if (self.position.wrapping_sub(sequence) as i32) < 0 {
            self.after
        } else {
            self.before
        }
    }

    /// The text at `sequence` became longer by so many bytes.
    pub(crate) const fn change(&mut self, sequence: u32, by: i32) {
        let later = (self.position.wrapping_sub(sequence) as i32) < 0;
        if self.before == self.after || later {
            self.position = sequence;
            self.before = self.after;
            self.after = self.after.wrapping_add(by);
        }
    }
}

/// The shifts of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shifts(pub(crate) [Shift; 2]);

impl Shifts {
    /// How much an acknowledgment that comes in `direction` is ahead of what its receiver has sent.
    pub(crate) const fn of_acknowledgment(&self, direction: Direction, ack: u32) -> u32 {
        self.0[direction.other().index()].at(ack.wrapping_sub(1)) as u32
    }

    /// Shifts the numbers of a segment (TCP header on) that goes in `direction`; whether its header is there.
    pub(crate) fn apply(&self, segment: &mut [u8], direction: Direction) -> bool {
        let Ok(tcp) = Tcp::new(segment) else {
            return false;
        };
        const ACK: u8 = 0x10;
        let (this, other) = (
            &self.0[direction.index()],
            &self.0[direction.other().index()],
        );
        let (seq, ack) = (tcp.sequence(), tcp.acknowledgment());
        let has_ack = segment[13] & ACK != 0;
        let header_len = tcp.header_len();
        put(segment, 4, seq.wrapping_add_signed(this.at(seq)));
        if !has_ack {
            return true;
        }
        put(segment, 8, other.acknowledge(ack));
        let whole = segment.get(20..header_len).is_some();
        if whole {
            shift_sack(segment, 20, header_len, other);
        }
        whole
    }
}

impl Shift {
    /// An acknowledgment as the other end must see it, who knows nothing of the change.
    const fn acknowledge(&self, ack: u32) -> u32 {
        let unshifted = ack.wrapping_sub(self.before as u32);
        let later = (self.position.wrapping_sub(unshifted) as i32) < 0;
        ack.wrapping_sub(if later { self.after } else { self.before } as u32)
    }
}

/// Shifts the blocks of all SACK options between `at` and `end`.
fn shift_sack(segment: &mut [u8], mut at: usize, end: usize, other: &Shift) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const SACK: u8 = 5;
    while at < end {
        match segment[at] {
            END => return,
            NO_OPERATION => at += 1,
            kind => {
                let length = segment.get(at + 1).copied().map_or(0, usize::from);
                if length < 2 || at + length > end {
                    return;
                }
                if kind == SACK && length >= 10 && (length - 2).is_multiple_of(8) {
                    for edge in (at + 2..at + length).step_by(4) {
                        let bytes = segment[edge..edge + 4].first_chunk();
                        let number = bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes));
                        put(segment, edge, other.acknowledge(number));
                    }
                }
                at += length;
            }
        }
    }
}

/// Writes a number and mends the TCP checksum.
fn put(segment: &mut [u8], at: usize, number: u32) {
    let old = segment[at..at + 4].first_chunk();
    let old = old.map_or(0, |bytes| u32::from_be_bytes(*bytes));
    segment[at..at + 4].copy_from_slice(&number.to_be_bytes());
    let before = u16::from_be_bytes([segment[16], segment[17]]);
    // An option may begin at an odd place; its bytes are then swapped within the words that are summed.
    let mended = if at.is_multiple_of(2) {
        checksum::update_u32(before, old, number)
    } else {
        checksum::update_u32(before, old.rotate_left(8), number.rotate_left(8))
    };
    segment[16..18].copy_from_slice(&mended.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_change_is_shifted() {
        let mut shift = Shift::default();
        shift.change(1_000, 3);
        assert_eq!([999, 1_000, 1_001].map(|seq| shift.at(seq)), [0, 0, 3]);
        // The same text once more changes nothing, a later one adds up.
        shift.change(1_000, 3);
        shift.change(2_000, -5);
        assert_eq!([1_500, 2_000, 2_001].map(|seq| shift.at(seq)), [3, 3, -2]);
        assert_eq!(shift.acknowledge(2_003), 2_000);
        assert_eq!(shift.acknowledge(2_004), 2_006);
    }

    #[test]
    fn numbers_wrap() {
        let mut shift = Shift::default();
        shift.change(u32::MAX, 2);
        assert_eq!(shift.at(0), 2);
        assert_eq!(0xffff_ffff_u32.wrapping_add_signed(shift.at(0)), 1);
    }
}
