//! IPv4 options and IPv6 extension headers around a packet.

use super::dice::Dice;
use super::wire::mend_ipv4;

/// The packet with more header.
pub(super) fn dress(packet: &[u8], dice: &mut Dice) -> Vec<u8> {
    match packet.first().map(|first| first >> 4) {
        Some(4) if packet.len() >= 20 => options(packet, dice),
        Some(6) if packet.len() >= 40 => extensions(packet, dice),
        _ => packet.to_vec(),
    }
}

fn options(packet: &[u8], dice: &mut Dice) -> Vec<u8> {
    let options: Vec<u8> = match dice.below(4) {
        0 => vec![1, 1, 1, 0],
        1 => vec![7, 7, 4, 0, 0, 0, 0, 0],
        2 => vec![148, 4, 0, 0],
        _ => vec![1; 4 * (1 + dice.below(5))],
    };
    let mut out = packet[..20].to_vec();
    out[0] = 0x40 | (5 + options.len() / 4) as u8;
    out[2..4].copy_from_slice(&((packet.len() + options.len()) as u16).to_be_bytes());
    out.extend(options);
    mend_ipv4(&mut out);
    out.extend(&packet[20..]);
    out
}

fn extensions(packet: &[u8], dice: &mut Dice) -> Vec<u8> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const DESTINATION: u8 = 60;
    let mut next = packet[6];
    let mut chain: Vec<u8> = Vec::new();
    let count = 1 + dice.below(3);
    for i in 0..count {
        // Headers are put before those there are: only the last one made can be the first, where hop-by-hop belongs.
        let (kind, mut header): (u8, Vec<u8>) = match dice.below(5) {
            0 if i == count - 1 => (HOP_BY_HOP, vec![next, 0, 1, 4, 0, 0, 0, 0]),
            1 => (ROUTING, vec![next, 0, 4, 0, 0, 0, 0, 0]),
            2 => (FRAGMENT, vec![next, 0, 0, 0, 0, 0, 0, dice.below(9) as u8]),
            3 => (
                DESTINATION,
                vec![next, 1, 1, 4, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0],
            ),
            _ => (DESTINATION, vec![next, 0, 1, 4, 0, 0, 0, 0]),
        };
        if dice.chance(3) {
            header[1] = dice.byte();
        }
        header.extend(chain);
        chain = header;
        next = kind;
    }
    let mut out = packet[..40].to_vec();
    out[6] = next;
    out[4..6].copy_from_slice(&((packet.len() - 40 + chain.len()) as u16).to_be_bytes());
    out.extend(chain);
    out.extend(&packet[40..]);
    out
}
