//! Messages of SNMP, some of them wrong in a place.

use super::end::End;
use crate::oracle::generate::dice::Dice;
use crate::oracle::generate::wire::Address;

/// A notification, or something like it.
pub(super) fn message(end: &End, dice: &mut Dice) -> Vec<u8> {
    let version = dice.pick(&[0, 1, 1, 1, 1, 2]);
    let community = vec![b'p'; dice.below(9)];
    let mut parts = vec![
        element(0x02, &[version], dice),
        element(0x04, &community, dice),
    ];
    if !dice.chance(2) {
        parts.push(pdu(end, dice));
    }
    let mut message = constructed(0x30, &parts, dice);
    if dice.chance(5) {
        message.extend(vec![0; dice.below(4)]);
    }
    message
}

fn pdu(end: &End, dice: &mut Dice) -> Vec<u8> {
    let kind = dice.pick(&[
        0xa7, 0xa7, 0xa7, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa8,
    ]);
    let variables = dice.pick(&[0, 1, 1, 1, 2, 2, 3, 6]);
    let list: Vec<Vec<u8>> = (0..variables).map(|_| variable(end, dice)).collect();
    let mut parts: Vec<Vec<u8>> = (0..3)
        .map(|_| {
            let number = vec![dice.byte(); dice.pick(&[1, 1, 1, 0, 2, 4])];
            element(0x02, &number, dice)
        })
        .collect();
    parts.push(constructed(0x30, &list, dice));
    constructed(kind, &parts, dice)
}

fn variable(end: &End, dice: &mut Dice) -> Vec<u8> {
    const TAGS: [u8; 15] = [
        0x02, 0x04, 0x05, 0x06, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x80, 0x81, 0x82, 0x47,
    ];
    let name = element(0x06, &[0x2b, 6, 1], dice);
    let value = if dice.chance(60) {
        let whose = if dice.chance(70) {
            end.local.0
        } else {
            end.remote.0
        };
        let address = match whose {
            Address::V4(bytes) => bytes.to_vec(),
            Address::V6(bytes) => bytes.to_vec(),
        };
        element(0x40, &address, dice)
    } else {
        let bytes = vec![dice.byte(); dice.pick(&[0, 1, 4, 4, 5, 130])];
        element(dice.pick(&TAGS), &bytes, dice)
    };
    let mut parts = vec![name, value];
    if dice.chance(3) {
        parts.truncate(dice.below(2));
    }
    constructed(0x30, &parts, dice)
}

/// Something with a length, told in one of several ways.
fn element(tag: u8, bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let tag = if dice.chance(1) { dice.byte() } else { tag };
    let len = if dice.chance(1) {
        bytes
            .len()
            .saturating_add_signed(dice.below(3) as isize - 1)
    } else {
        bytes.len()
    };
    let [.., high, low] = (len as u32).to_be_bytes();
    let mut out = vec![tag];
    match dice.below(20) {
        0 => out.extend([0x82, high, low]),
        1 if high == 0 => out.extend([0x81, low]),
        _ if len < 0x80 => out.push(low),
        _ if high == 0 => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend(bytes);
    out
}

fn constructed(tag: u8, parts: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    if dice.chance(4) {
        return [&[tag, 0x80], parts.concat().as_slice(), &[0, 0]].concat();
    }
    element(tag, &parts.concat(), dice)
}
