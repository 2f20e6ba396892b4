//! Link layers: where the network layer begins, and what the frame would be as Ethernet.

use packet::{EtherType, Ethernet};

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkLayer<'a> {
    /// An IP packet: its captured bytes and its length on the wire.
    Ip {
        /// Captured bytes from the IP header on.
        bytes: &'a [u8],
        /// Bytes on the wire from the IP header on.
        wire_len: usize,
    },
    /// Something else.
    NotIp(&'static str),
}

/// Strips the link layer of a frame. Link types are those of the pcap registry: Ethernet (1), raw IP (12, 14, 101, 228,
/// 229), null and loop (0, 108), Linux SLL (113) and SLL2 (276).
pub fn strip(link_type: i32, frame: &[u8], wire_len: u32) -> LinkLayer<'_> {
    let offset = match link_type {
        1 => match Ethernet::new(frame) {
            Ok(ethernet) if is_ip(ethernet.ethertype()) => ethernet.header_len(),
            Ok(_) => return LinkLayer::NotIp("not-ip"),
            Err(_) => return LinkLayer::NotIp("truncated"),
        },
        12 | 14 | 101 | 228 | 229 => 0,
        0 | 108 => match frame.first_chunk::<4>() {
            Some(family) if is_ip_family(*family) => 4,
            Some(_) => return LinkLayer::NotIp("not-ip"),
            None => return LinkLayer::NotIp("truncated"),
        },
        113 => match ethertype_at(frame, 14) {
            Some(ethertype) if is_ip(ethertype) => 16,
            Some(_) => return LinkLayer::NotIp("not-ip"),
            None => return LinkLayer::NotIp("truncated"),
        },
        276 => match ethertype_at(frame, 0) {
            Some(ethertype) if is_ip(ethertype) => 20,
            Some(_) => return LinkLayer::NotIp("not-ip"),
            None => return LinkLayer::NotIp("truncated"),
        },
        _ => return LinkLayer::NotIp("unsupported-link-type"),
    };
    match frame.get(offset..) {
        Some(bytes) => LinkLayer::Ip {
            bytes,
            wire_len: (wire_len as usize).saturating_sub(offset),
        },
        None => LinkLayer::NotIp("truncated"),
    }
}

/// Appends to `out` the frame as a NIC's port would see it, and gives its length on the wire. Ethernet frames stay as
/// they are; IP packets of other link types get an Ethernet header with locally administered addresses; everything else
/// becomes a frame of the local experimental EtherType (IEEE 802 0x88b5).
pub fn to_ethernet(link_type: i32, frame: &[u8], wire_len: u32, out: &mut Vec<u8>) -> u32 {
    if link_type == 1 {
        out.extend_from_slice(frame);
        return wire_len;
    }
    let (bytes, inner_len, ethertype) = match strip(link_type, frame, wire_len) {
        LinkLayer::Ip { bytes, wire_len } => {
            let v6 = bytes.first().is_some_and(|byte| byte >> 4 == 6);
            (
                bytes,
                wire_len as u32,
                if v6 { EtherType::IPV6 } else { EtherType::IPV4 },
            )
        }
        LinkLayer::NotIp(_) => (frame, wire_len, EtherType(0x88b5)),
    };
    out.extend_from_slice(&[0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1]);
    out.extend_from_slice(&ethertype.0.to_be_bytes());
    out.extend_from_slice(bytes);
    inner_len + 14
}

fn is_ip(ethertype: EtherType) -> bool {
    matches!(ethertype, EtherType::IPV4 | EtherType::IPV6)
}

fn ethertype_at(frame: &[u8], at: usize) -> Option<EtherType> {
    let bytes = frame.get(at..at + 2)?;
    Some(EtherType(u16::from_be_bytes([bytes[0], bytes[1]])))
}

/// Address families of the null and loop headers, in either byte order: AF_INET, and AF_INET6 as the BSDs, macOS and
/// Linux number it.
fn is_ip_family(bytes: [u8; 4]) -> bool {
    let known = |family: u32| matches!(family, 2 | 10 | 24 | 28 | 30);
    known(u32::from_le_bytes(bytes)) || known(u32::from_be_bytes(bytes))
}
