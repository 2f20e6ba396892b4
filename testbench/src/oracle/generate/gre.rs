//! GRE of both versions, cut short and with odd flags.

use super::dice::Dice;
use super::wire::ip;
use super::{Hosts, Move};
use packet::Protocol;

/// A packet.
pub(super) fn gre(hosts: &Hosts, dice: &mut Dice) -> Move {
    let (side, source, destination) = hosts.ends(dice);
    let mut body = if dice.chance(50) {
        let call = 1 + dice.below(3) as u8;
        vec![0x30, 0x01, 0x88, 0x0b, 0, 4, 0, call, 0, 0, 0, 1]
    } else {
        let flags = dice.pick(&[0, 0x20, 0x30, 0xb0]);
        vec![flags, 0, 8, 0, 0, 0, 0, dice.below(3) as u8, 0, 0, 0, 1]
    };
    body.extend([1, 2, 3, 4]);
    if dice.chance(5) {
        body[1] = dice.byte();
    }
    if dice.chance(4) {
        body[2] = 8;
    }
    if dice.chance(3) {
        body.truncate(dice.below(16));
    }
    (side, ip(source, destination, Protocol::GRE, &body))
}

/// A packet of a protocol that has no tracker of its own.
pub(super) fn generic(hosts: &Hosts, dice: &mut Dice) -> Move {
    const PROTOCOLS: [u8; 11] = [50, 4, 41, 33, 2, 89, 103, 112, 253, 108, 97];
    let (side, source, destination) = hosts.ends(dice);
    let length = dice.below(30);
    let body: Vec<u8> = (0..length).map(|_| dice.byte()).collect();
    let protocol = Protocol(dice.pick(&PROTOCOLS));
    (side, ip(source, destination, protocol, &body))
}
