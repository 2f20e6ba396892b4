//! Packets byte by byte: right by default, wrong where a generator wants them wrong.

use packet::Protocol;
use packet::checksum::{checksum, finish, pseudo_header_v4, pseudo_header_v6, sum};

/// An address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

impl Address {
    /// Whether it is IPv6.
    pub(super) const fn is_v6(self) -> bool {
        matches!(self, Self::V6(_))
    }

    /// As tuples hold it.
    pub(super) fn wide(self) -> [u8; 16] {
        match self {
            Self::V4([a, b, c, d]) => [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            Self::V6(address) => address,
        }
    }
}

/// Partial sum of a pseudo header.
pub(super) fn pseudo(
    source: Address,
    destination: Address,
    protocol: Protocol,
    length: usize,
) -> u32 {
    match (source, destination) {
        (Address::V4(source), Address::V4(destination)) => {
            pseudo_header_v4(source, destination, protocol, length as u32)
        }
        (source, destination) => {
            pseudo_header_v6(source.wide(), destination.wide(), protocol, length as u32)
        }
    }
}

/// An IP packet around `payload`.
pub(super) fn ip(
    source: Address,
    destination: Address,
    protocol: Protocol,
    payload: &[u8],
) -> Vec<u8> {
    const HOPS: u8 = 64;
    let mut packet;
    match (source, destination) {
        (Address::V4(source), Address::V4(destination)) => {
            packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, HOPS, protocol.0, 0, 0];
            packet.extend(source);
            packet.extend(destination);
            packet[2..4].copy_from_slice(&((20 + payload.len()) as u16).to_be_bytes());
            mend_ipv4(&mut packet);
        }
        (source, destination) => {
            packet = vec![0x60, 0, 0, 0, 0, 0, protocol.0, HOPS];
            packet[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
            packet.extend(source.wide());
            packet.extend(destination.wide());
        }
    }
    packet.extend(payload);
    packet
}

/// Makes the checksum of an IPv4 header right.
pub(super) fn mend_ipv4(packet: &mut [u8]) {
    let length = packet
        .first()
        .map_or(0, |first| usize::from(first & 15) * 4);
    if let Some(header) = packet.get_mut(..length).filter(|header| header.len() >= 20) {
        header[10..12].fill(0);
        let right = checksum(header);
        header[10..12].copy_from_slice(&right.to_be_bytes());
    }
}

/// Makes the transport checksum at `at` right.
pub(super) fn mend_transport(
    source: Address,
    destination: Address,
    protocol: Protocol,
    transport: &mut [u8],
    at: usize,
) {
    if let Some(field) = transport.get_mut(at..at + 2) {
        field.fill(0);
        let right = finish(pseudo(source, destination, protocol, transport.len()) + sum(transport));
        transport[at..at + 2].copy_from_slice(&right.to_be_bytes());
    }
}

/// The packet with another DSCP.
pub(super) fn with_dscp(mut packet: Vec<u8>, dscp: u8) -> Vec<u8> {
    if let [first, second, ..] = packet.as_mut_slice() {
        if *first >> 4 == 4 {
            *second = dscp << 2;
        } else {
            *first = 0x60 | dscp >> 2;
            *second = dscp << 6 | *second & 0xf;
        }
    }
    if packet.first().is_some_and(|first| first >> 4 == 4) {
        mend_ipv4(&mut packet);
    }
    packet
}
