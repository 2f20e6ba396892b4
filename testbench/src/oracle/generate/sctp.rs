//! SCTP: chunks in likely and unlikely orders, right and wrong verification tags.

use super::dice::Dice;
use super::wire::ip;
use super::{Hosts, Move};
use crate::oracle::case::Side;
use packet::Protocol;

const INIT: u8 = 1;
const INIT_ACK: u8 = 2;

/// The tags both sides have chosen.
pub(super) struct SctpFlow {
    tags: [u32; 2],
}

impl SctpFlow {
    /// An association to be.
    pub(super) fn new(dice: &mut Dice) -> Self {
        Self {
            tags: [dice.number() as u32, dice.number() as u32],
        }
    }

    /// A packet.
    pub(super) fn next(&mut self, hosts: &Hosts, dice: &mut Dice) -> Move {
        let (side, source, destination) = hosts.ends(dice);
        let own = usize::from(side == Side::B);
        let count = if dice.chance(85) {
            1
        } else {
            1 + dice.below(3)
        };
        let mut chunks = Vec::new();
        for _ in 0..count {
            self.chunk(&mut chunks, own, dice);
        }
        let mut tag = if chunks.first() == Some(&INIT) {
            0
        } else {
            self.tags[1 - own]
        };
        if dice.chance(8) {
            tag = dice.pick(&[0, self.tags[0], self.tags[1], 1]);
        }
        if dice.chance(4) {
            self.tags[own] = dice.number() as u32;
        }
        let [from, to] = hosts.ports(side, 80, dice);
        let mut body = Vec::new();
        body.extend(from.to_be_bytes());
        body.extend(to.to_be_bytes());
        body.extend(tag.to_be_bytes());
        body.extend([0; 4]);
        body.extend(chunks);
        if dice.chance(3) {
            body.truncate(dice.below(30));
        }
        if body.len() >= 12 {
            let right = packet::sctp::crc32c(&body).to_le_bytes();
            body[8..12].copy_from_slice(&right);
            if dice.chance(3) {
                body[9] ^= 1;
            }
        }
        (side, ip(source, destination, Protocol::SCTP, &body))
    }

    fn chunk(&self, out: &mut Vec<u8>, own: usize, dice: &mut Dice) {
        const KINDS: [u8; 19] = [1, 1, 2, 2, 10, 10, 11, 11, 0, 3, 4, 5, 4, 5, 6, 7, 8, 9, 14];
        let kind = if dice.chance(97) {
            dice.pick(&KINDS)
        } else {
            dice.byte()
        };
        let mut value = Vec::new();
        if matches!(kind, INIT | INIT_ACK) {
            value.extend(self.tags[own].to_be_bytes());
            value.extend([0; 12]);
        }
        value.extend(std::iter::repeat_n(7, dice.pick(&[0, 0, 4, 5, 16])));
        let mut length = 4 + value.len() as u16;
        if dice.chance(3) {
            length = dice.pick(&[0, 1, 3, 4, 8, 19, 200]);
        }
        out.extend([kind, u8::from(dice.chance(15))]);
        out.extend(length.to_be_bytes());
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
}
