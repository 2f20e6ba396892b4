//! Header rewrite: addresses and ports, TTL or hop limit, MAC addresses, VLAN tag; checksums are updated incrementally
//! (RFC 1624), each by what changed of what it covers.

use super::parser::Parsed;
use crate::flow_table::entry::{Endpoint, Rewrite, VlanAction};
use crate::frame::FrameBuffer;
use packet::checksum::{udp_nonzero, update_bytes, update_u16};
use packet::{EtherType, Protocol, ethernet};

/// Bytes of destination and source address of an Ethernet frame.
const MACS: usize = 12;

/// Rewrites a frame as an entry says; whether it became longer or shorter, in bytes.
///
/// `station` is the address of the port the frame leaves by.
pub fn rewrite(
    frame: &mut FrameBuffer<'_>,
    parsed: &Parsed,
    rewrite: &Rewrite,
    station: [u8; 6],
) -> i32 {
    if rewrite.source.is_some() || rewrite.destination.is_some() {
        translate(frame.bytes_mut(), parsed, rewrite);
    }
    if let Some(destination) = rewrite.mac
        && let Some(macs) = frame.bytes_mut().first_chunk_mut::<MACS>()
    {
        macs[..6].copy_from_slice(&destination);
        macs[6..].copy_from_slice(&station);
    }
    retag(frame, rewrite.vlan)
}

/// Puts a VLAN tag on, takes the outermost off, or changes its identifier; by how much the frame grew.
fn retag(frame: &mut FrameBuffer<'_>, action: VlanAction) -> i32 {
    let is_tagged = |bytes: &[u8]| {
        let kind = bytes.get(MACS..).and_then(<[u8]>::first_chunk);
        kind.is_some_and(|kind| EtherType(u16::from_be_bytes(*kind)).is_vlan())
            && bytes.len() >= MACS + ethernet::VLAN_TAG_LEN
    };
    const TAG: i32 = ethernet::VLAN_TAG_LEN as i32;
    match action {
        VlanAction::Keep => 0,
        VlanAction::Pop if is_tagged(frame.bytes()) => {
            if frame.narrow(MACS, ethernet::VLAN_TAG_LEN) {
                -TAG
            } else {
                0
            }
        }
        VlanAction::Set(id) if is_tagged(frame.bytes()) => {
            let tci = &mut frame.bytes_mut()[MACS + 2..MACS + 4];
            let kept = u16::from_be_bytes([tci[0], tci[1]]) & 0xf000;
            tci.copy_from_slice(&(kept | id & 0xfff).to_be_bytes());
            0
        }
        VlanAction::Pop | VlanAction::Set(_) => 0,
        VlanAction::Push(id) => {
            if !frame.widen(MACS, ethernet::VLAN_TAG_LEN) {
                return 0;
            }
            let tag = &mut frame.bytes_mut()[MACS..MACS + ethernet::VLAN_TAG_LEN];
            tag[..2].copy_from_slice(&EtherType::VLAN.0.to_be_bytes());
            tag[2..].copy_from_slice(&(id & 0xfff).to_be_bytes());
            TAG
        }
    }
}

/// Writes new ends into the packet that the key was made of. Its headers are there in whole, or it would have no key.
fn translate(frame: &mut [u8], parsed: &Parsed, rewrite: &Rewrite) -> Option<()> {
    let (ip, l4) = (usize::from(parsed.ip_offset), usize::from(parsed.l4_offset));
    let checksum_at = match Protocol(parsed.key.protocol()) {
        Protocol::TCP => l4 + 16,
        _ => l4 + 6,
    };
    let headers = ip..checksum_at + 2;
    // A checksum of the tunnel covers all of it.
    let tunnel = usize::from(parsed.tunnel_udp_offset);
    let before = (tunnel > 0).then(|| frame.get(headers.clone()).map(<[u8]>::to_vec));
    let is_v4 = parsed.key.ip_version() == 4;
    let (address_bytes, first_address) = if is_v4 { (4, ip + 12) } else { (16, ip + 8) };
    let ends = [&rewrite.source, &rewrite.destination];
    for (i, end) in ends.into_iter().enumerate() {
        let Some(Endpoint { address, port }) = end else {
            continue;
        };
        let at = first_address + i * address_bytes;
        let new = &address[..address_bytes];
        let mut old = [0; 16];
        old[..address_bytes].copy_from_slice(frame.get(at..at + address_bytes)?);
        let old = &old[..address_bytes];
        if is_v4 {
            patch(frame, ip + 10, |sum| update_bytes(sum, old, new))?;
        }
        let port_at = l4 + 2 * i;
        let old_port = word(frame, port_at)?;
        change_transport(frame, parsed, checksum_at, |sum| {
            update_u16(update_bytes(sum, old, new), old_port, *port)
        })?;
        frame[at..at + address_bytes].copy_from_slice(new);
        frame[port_at..port_at + 2].copy_from_slice(&port.to_be_bytes());
    }
    if let Some(before) = before.flatten() {
        let after = frame.get(headers)?.to_vec();
        let at = tunnel + 6;
        if word(frame, at)? != 0 {
            patch(frame, at, |sum| {
                udp_nonzero(update_bytes(sum, &before, &after))
            })?;
        }
    }
    Some(())
}

/// Updates the checksum of TCP or UDP; of UDP none stays none, and none does not arise.
fn change_transport(
    frame: &mut [u8],
    parsed: &Parsed,
    at: usize,
    update: impl FnOnce(u16) -> u16,
) -> Option<()> {
    if Protocol(parsed.key.protocol()) == Protocol::TCP {
        return patch(frame, at, update);
    }
    if word(frame, at)? == 0 {
        return Some(());
    }
    patch(frame, at, |sum| udp_nonzero(update(sum)))
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    frame
        .get(at..)?
        .first_chunk()
        .map(|word| u16::from_be_bytes(*word))
}

fn patch(frame: &mut [u8], at: usize, update: impl FnOnce(u16) -> u16) -> Option<()> {
    let field = frame.get_mut(at..)?.first_chunk_mut::<2>()?;
    *field = update(u16::from_be_bytes(*field)).to_be_bytes();
    Some(())
}

/// Decrements the TTL (and mends the header checksum) or the hop limit of the IP packet at `l3_offset`.
///
/// Gives `false`, and changes nothing, where there is no whole IP header or nothing left to decrement.
#[inline]
pub fn decrement_ttl(frame: &mut [u8], l3_offset: usize) -> bool {
    let Some(ip) = frame.get_mut(l3_offset..) else {
        return false;
    };
    match ip.first().map(|byte| byte >> 4) {
        Some(4) if ip.len() >= 20 => {
            if ip[8] == 0 {
                return false;
            }
            let old = u16::from_be_bytes([ip[8], ip[9]]);
            ip[8] -= 1;
            let new = u16::from_be_bytes([ip[8], ip[9]]);
            let sum = update_u16(u16::from_be_bytes([ip[10], ip[11]]), old, new);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            true
        }
        Some(6) if ip.len() >= 40 => {
            if ip[7] == 0 {
                return false;
            }
            ip[7] -= 1;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::{Ipv4, checksum};

    #[test]
    fn the_header_checksum_stays_right_down_to_zero() {
        let mut header = [
            0x45, 0, 0, 20, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        let sum = checksum::finish(checksum::sum(&header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        for ttl in (0..64).rev() {
            assert!(decrement_ttl(&mut header, 0));
            let ip = Ipv4::new(&header).expect("a header");
            assert_eq!(ip.ttl(), ttl);
            assert!(ip.header_checksum_ok());
        }
        assert!(!decrement_ttl(&mut header, 0));
        assert!(!decrement_ttl(&mut header, 19));
        assert!(!decrement_ttl(&mut header, 500));
    }

    #[test]
    fn the_hop_limit_counts_down() {
        let mut header = [0; 40];
        header[0] = 0x60;
        header[7] = 2;
        assert!(decrement_ttl(&mut header, 0) && decrement_ttl(&mut header, 0));
        assert!(!decrement_ttl(&mut header, 0));
    }
}
