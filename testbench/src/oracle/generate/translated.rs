//! Packets as they look on the other side of a router that translates: what servers send is addressed to what they see of
//! their clients, and errors quote that.

use super::dice::Dice;
use super::wire::mend_ipv4;
use crate::oracle::case::tuple_of;
use conntrack_core::nat::{Manip, rewrite::rewrite};
use conntrack_core::{Direction, Status, Tracker, Tuple};
use packet::Protocol;
use packet::checksum::{checksum, finish, pseudo_header_v6, sum};

/// The packet a server would send instead of one that it would send if nothing was translated.
pub(super) fn from_server(packet: &[u8], tracker: &Tracker, dice: &mut Dice) -> Vec<u8> {
    let translated: Vec<[Tuple; 2]> = tracker
        .iter()
        .filter(|(_, connection)| {
            let status = connection.status().0;
            status & (Status::SRC_NAT.0 | Status::DST_NAT.0) != 0
        })
        .map(|(_, connection)| Direction::ALL.map(|direction| connection.tuple(direction)))
        .collect();
    if translated.is_empty() {
        return packet.to_vec();
    }
    if let Some(error) = error(packet, &translated) {
        return error;
    }
    let Some(tuple) = tuple_of(packet) else {
        return packet.to_vec();
    };
    let own: Vec<&[Tuple; 2]> = translated
        .iter()
        .filter(|[original, _]| original.inverted() == Some(tuple))
        .collect();
    // A server does not know that its client meant another one: any connection's reply may be meant.
    let chosen = own.first().copied().or_else(|| {
        let same: Vec<&[Tuple; 2]> = translated
            .iter()
            .filter(|[original, _]| {
                original.protocol == tuple.protocol && original.family == tuple.family
            })
            .collect();
        (dice.chance(20) && !same.is_empty()).then(|| same[dice.below(same.len())])
    });
    let mut out = packet.to_vec();
    if let Some([_, reply]) = chosen {
        let done = rewrite(&mut out, 0, Manip::Source, reply)
            .and_then(|()| rewrite(&mut out, 0, Manip::Destination, reply));
        if done.is_err() {
            return packet.to_vec();
        }
    }
    out
}

/// An ICMP error that quotes a client's packet as the server saw it; its checksum is right if it was.
fn error(packet: &[u8], translated: &[[Tuple; 2]]) -> Option<Vec<u8>> {
    const ICMP_HEADER: usize = 8;
    let v4 = packet.first()? >> 4 == 4;
    let header = if v4 { 20 } else { 40 };
    let is_error = match (v4, tuple_of(packet)?.protocol()) {
        (true, Protocol::ICMP) => matches!(packet.get(header)?, 3 | 4 | 5 | 11 | 12),
        (false, Protocol::ICMPV6) => *packet.get(header)? < 128,
        _ => false,
    };
    let quoted = packet
        .get(header + ICMP_HEADER..)
        .filter(|_| is_error)
        .and_then(tuple_of)?;
    let [original, reply] = translated
        .iter()
        .find(|[original, _]| *original == quoted)?;
    let seen = reply.inverted()?;
    let mut out = packet.to_vec();
    for manip in [Manip::Source, Manip::Destination] {
        rewrite(&mut out, header + ICMP_HEADER, manip, &seen).ok()?;
    }
    let to = if v4 { 16..20 } else { 24..40 };
    if packet[to.clone()] == original.source[..to.len()] {
        out[to.clone()].copy_from_slice(&reply.destination[..to.len()]);
    }
    let was_right = message_sum(packet, header) == 0;
    out[header + 2..header + 4].fill(0);
    let right = message_sum(&out, header);
    out[header + 2..header + 4].copy_from_slice(&right.to_be_bytes());
    if !was_right {
        out[header + 3] ^= 1;
    }
    if v4 {
        mend_ipv4(&mut out);
    }
    Some(out)
}

fn message_sum(packet: &[u8], header: usize) -> u16 {
    let message = &packet[header..];
    if header == 20 {
        return checksum(message);
    }
    let address = |at: usize| std::array::from_fn(|i| packet[at + i]);
    let length = message.len() as u32;
    finish(pseudo_header_v6(address(8), address(24), Protocol::ICMPV6, length) + sum(message))
}
