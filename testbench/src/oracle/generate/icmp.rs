//! ICMP and ICMPv6: requests, replies, and errors that quote packets of the conversation, rightly or not.

use super::dice::Dice;
use super::wire::{Address, ip, mend_transport};
use super::{Hosts, Move};
use crate::oracle::case::Side;
use packet::Protocol;
use packet::checksum::checksum;

/// A message; errors quote one of `history`.
pub(super) fn icmp(hosts: &Hosts, history: &[Vec<u8>], dice: &mut Dice) -> Move {
    if dice.chance(40) && !history.is_empty() {
        return error(hosts, history, dice);
    }
    let (side, source, destination) = hosts.ends(dice);
    let kinds: &[u8] = match (source.is_v6(), side) {
        (false, Side::A) => &[8, 8, 13, 15, 17, 0],
        (false, Side::B) => &[0, 0, 14, 16, 18, 8],
        (true, Side::A) => &[128, 128, 139, 129],
        (true, Side::B) => &[129, 129, 140, 128],
    };
    let kind = if dice.chance(85) {
        dice.pick(kinds)
    } else {
        dice.byte()
    };
    let code = if dice.chance(90) {
        0
    } else {
        dice.below(3) as u8
    };
    let (id, number) = (1 + dice.below(2) as u8, dice.below(5) as u8);
    let mut message = vec![kind, code, 0, 0, 0, id, 0, number];
    let data = dice.pick(&[0, 1, 8, 56]);
    message.extend((0..data).map(|_| dice.byte()));
    if dice.chance(3) {
        message.truncate(dice.below(9));
    }
    (side, wrap(source, destination, message, dice))
}

fn error(hosts: &Hosts, history: &[Vec<u8>], dice: &mut Dice) -> Move {
    let mut quoted = history[dice.below(history.len())].clone();
    let v6 = hosts.client.is_v6();
    let reporter = [hosts.third, hosts.server, hosts.client][dice.below(3)];
    let sender = sender_of(&quoted, v6).unwrap_or(hosts.client);
    let to = if dice.chance(90) {
        sender
    } else {
        [hosts.client, hosts.server, hosts.third][dice.below(3)]
    };
    if dice.chance(15) {
        let at = dice.below(quoted.len());
        quoted[at] = dice.byte();
    }
    let longest = if dice.chance(40) { dice.below(70) } else { 576 };
    quoted.truncate(longest);
    let kind = if v6 {
        dice.pick(&[1, 2, 3, 4, 1, 3, 5, 100, 127])
    } else {
        dice.pick(&[3, 4, 5, 11, 12, 3, 11])
    };
    let mut message = vec![kind, dice.below(4) as u8, 0, 0, 0, 0, 0, 0];
    if dice.chance(20) {
        message[5] = dice.below(20) as u8;
    }
    message.extend(quoted);
    let side = if dice.chance(50) { Side::A } else { Side::B };
    (side, wrap(reporter, to, message, dice))
}

fn sender_of(packet: &[u8], v6: bool) -> Option<Address> {
    if v6 {
        return packet.get(8..24)?.first_chunk().copied().map(Address::V6);
    }
    packet.get(12..16)?.first_chunk().copied().map(Address::V4)
}

fn wrap(source: Address, destination: Address, mut message: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let v6 = source.is_v6();
    if v6 {
        mend_transport(source, destination, Protocol::ICMPV6, &mut message, 2);
    } else if message.len() >= 4 {
        message[2..4].fill(0);
        let right = checksum(&message);
        message[2..4].copy_from_slice(&right.to_be_bytes());
    }
    if message.len() >= 4 && dice.chance(4) {
        message[3] ^= 1;
    }
    // Now and then the other family's protocol.
    let protocol = if v6 != dice.chance(1) {
        Protocol::ICMPV6
    } else {
        Protocol::ICMP
    };
    ip(source, destination, protocol, &message)
}
