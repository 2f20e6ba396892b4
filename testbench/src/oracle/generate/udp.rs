//! UDP and UDP-Lite datagrams: right ones, and lengths, coverages and checksums that are not.

use super::dice::Dice;
use super::wire::{ip, pseudo};
use super::{Hosts, Move};
use packet::Protocol;
use packet::checksum::{finish, sum};

/// A UDP datagram.
pub(super) fn udp(hosts: &Hosts, dice: &mut Dice) -> Move {
    let (side, source, destination) = hosts.ends(dice);
    let length = 8 + dice.pick(&[0, 1, 10, 33, 400]);
    let stated = if dice.chance(8) {
        dice.pick(&[0, 1, 7, 8, 9, length - 1, length + 1, 65_535])
    } else {
        length
    };
    let mut datagram = header(hosts, side, length, stated, dice);
    let covered = if dice.chance(10) {
        stated.clamp(8, length)
    } else {
        length
    };
    let claimed = if dice.chance(90) { length } else { covered };
    let right =
        finish(pseudo(source, destination, Protocol::UDP, claimed) + sum(&datagram[..covered]));
    put_checksum(&mut datagram, right, dice);
    (side, ip(source, destination, Protocol::UDP, &datagram))
}

/// A UDP-Lite datagram. Linux 6.18 verifies it with the pseudo header of UDP, and in IPv4 with the low byte of its
/// length: both that and what RFC 3828 says are tried.
pub(super) fn udplite(hosts: &Hosts, dice: &mut Dice) -> Move {
    let (side, source, destination) = hosts.ends(dice);
    let length = 8 + dice.pick(&[0, 1, 10, 33, 400]);
    let stated = if dice.chance(8) {
        dice.pick(&[1, 7, 9, length - 1, length + 1, 65_535])
    } else {
        dice.pick(&[0, 0, 8, 8, length, 9])
    };
    let mut datagram = header(hosts, side, length, stated, dice);
    let covered = if stated == 0 {
        length
    } else {
        stated.clamp(8, length)
    };
    let protocol = dice.pick(&[17, 17, 17, 136]);
    let narrow = !source.is_v6() && dice.chance(90);
    let claimed = if narrow { length & 0xff } else { length };
    let right = finish(
        pseudo(source, destination, Protocol(protocol), claimed) + sum(&datagram[..covered]),
    );
    put_checksum(&mut datagram, right, dice);
    (side, ip(source, destination, Protocol::UDPLITE, &datagram))
}

fn header(
    hosts: &Hosts,
    side: super::Side,
    length: usize,
    stated: usize,
    dice: &mut Dice,
) -> Vec<u8> {
    let [from, to] = hosts.ports(side, 53, dice);
    let mut datagram = Vec::new();
    datagram.extend(from.to_be_bytes());
    datagram.extend(to.to_be_bytes());
    datagram.extend((stated as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend((8..length).map(|_| dice.byte()));
    datagram
}

fn put_checksum(datagram: &mut Vec<u8>, right: u16, dice: &mut Dice) {
    let right = if right == 0 { 0xffff } else { right };
    datagram[6..8].copy_from_slice(&right.to_be_bytes());
    if dice.chance(6) {
        datagram[6..8].fill(0);
    }
    if dice.chance(4) {
        datagram[7] ^= 1;
    }
    if dice.chance(2) {
        datagram.truncate(dice.below(9));
    }
}
