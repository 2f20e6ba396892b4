//! What identifies one direction of a connection.

use packet::Protocol;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Direction of a packet relative to the one that made the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Direction {
    /// As the first packet.
    Original = 0,
    /// Against it.
    Reply = 1,
}

impl Direction {
    /// Both, by their indices.
    pub const ALL: [Self; 2] = [Self::Original, Self::Reply];

    /// 0 or 1, to index per-direction arrays.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The direction of this index; anything but 0 is the reply.
    #[inline]
    pub(crate) const fn from_index(index: usize) -> Self {
        [Self::Original, Self::Reply][(index != 0) as usize]
    }

    /// The other direction.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }
}

/// Directions of a connection in which its zone counts; in the other one it is in zone 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ZoneScope {
    /// Both.
    #[default]
    Both,
    /// The original one.
    Original,
    /// The reply.
    Reply,
}

/// A conntrack zone: equal tuples in different zones are different connections. 0 is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Zone {
    /// Its number.
    pub id: u16,
    /// The directions it counts in.
    pub scope: ZoneScope,
}

impl Zone {
    /// Zone 0.
    pub const DEFAULT: Self = Self::new(0);

    /// A zone for both directions.
    pub const fn new(id: u16) -> Self {
        Self {
            id,
            scope: ZoneScope::Both,
        }
    }

    /// The zone's number as packets in this direction of a connection see it.
    #[inline]
    pub const fn effective(self, direction: Direction) -> u16 {
        match (self.scope, direction) {
            (ZoneScope::Both, _)
            | (ZoneScope::Original, Direction::Original)
            | (ZoneScope::Reply, Direction::Reply) => self.id,
            _ => 0,
        }
    }
}

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Tuple {
    /// Source address; an IPv4 address fills the first 4 bytes, the rest is zero.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// Source port; ICMP identifier; GRE key of the source.
    pub source_id: u16,
    /// Destination port; ICMP type (high byte) and code (low byte); GRE key of the destination.
    pub destination_id: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// 4 or 6.
    pub family: u8,
}

impl Tuple {
    /// The protocol as a name.
    pub const fn protocol(&self) -> Protocol {
        Protocol(self.protocol)
    }

    /// The tuple of packets in the other direction; `None` for an ICMP type that has no counterpart.
    pub fn inverted(&self) -> Option<Self> {
        let mut inverted = Self {
            source: self.destination,
            destination: self.source,
            source_id: self.destination_id,
            destination_id: self.source_id,
            ..*self
        };
        if self.protocol() == Protocol::ICMP || self.protocol() == Protocol::ICMPV6 {
            let [icmp_type, code] = self.destination_id.to_be_bytes();
            let counterpart = if self.protocol() == Protocol::ICMP {
                crate::protocol::icmp::counterpart(icmp_type)
            } else {
                crate::protocol::icmpv6::counterpart(icmp_type)
            };
            inverted.source_id = self.source_id;
            inverted.destination_id = u16::from_be_bytes([counterpart?, code]);
        }
        Some(inverted)
    }

    /// In which direction of a connection a packet travels whose own tuple is `packet`, if it is this tuple's or its
    /// mirror image's. Which of both is a matter of chance, so there is no branch on it. To a host that talks to itself
    /// from one port, all packets but the first are replies, as the kernel finds them.
    #[inline]
    pub(crate) fn direction_of(&self, packet: &Self) -> Option<Direction> {
        let mirror_words = if self.is_icmp() {
            packet.inverted()?.words()
        } else {
            packet.swapped_words()
        };
        let same = differences(self.source, packet.source)
            | differences(self.destination, packet.destination)
            | (self.words() ^ packet.words());
        let mirrored = differences(self.source, packet.destination)
            | differences(self.destination, packet.source)
            | (self.words() ^ mirror_words);
        (same.min(mirrored) == 0).then(|| Direction::from_index(usize::from(mirrored == 0)))
    }

    /// Everything but the addresses.
    #[inline]
    const fn words(&self) -> u64 {
        (self.source_id as u64)
            | (self.destination_id as u64) << 16
            | (self.protocol as u64) << 32
            | (self.family as u64) << 40
    }

    /// The same with the ids exchanged.
    #[inline]
    const fn swapped_words(&self) -> u64 {
        (self.destination_id as u64)
            | (self.source_id as u64) << 16
            | (self.protocol as u64) << 32
            | (self.family as u64) << 40
    }

    #[inline]
    pub(crate) const fn is_icmp(&self) -> bool {
        self.protocol == Protocol::ICMP.0 || self.protocol == Protocol::ICMPV6.0
    }

    /// Whether its ids are ports. Those of DCCP are 0 unless it is tracked.
    pub(crate) fn has_ports(&self) -> bool {
        match self.protocol() {
            Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP => true,
            Protocol::DCCP => self.source_id != 0 || self.destination_id != 0,
            _ => false,
        }
    }

    /// Source address.
    pub fn source_ip(&self) -> IpAddr {
        ip(self.family, self.source)
    }

    /// Destination address.
    pub fn destination_ip(&self) -> IpAddr {
        ip(self.family, self.destination)
    }
}

/// An IPv4 address as tuples hold it.
#[inline]
pub(crate) fn widen(address: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[..4].copy_from_slice(&address);
    wide
}

#[inline]
const fn differences(a: [u8; 16], b: [u8; 16]) -> u64 {
    let differences = u128::from_ne_bytes(a) ^ u128::from_ne_bytes(b);
    (differences >> 64) as u64 | differences as u64
}

fn ip(family: u8, bytes: [u8; 16]) -> IpAddr {
    if family == 4 {
        IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    } else {
        IpAddr::V6(Ipv6Addr::from(bytes))
    }
}

impl fmt::Display for Tuple {
    /// `tcp 192.0.2.1:4000>198.51.100.1:80`, `icmp 192.0.2.1>198.51.100.1 type=8 code=0 id=7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol().name() {
            Some(name) => write!(f, "{name} ")?,
            None => write!(f, "{} ", self.protocol)?,
        }
        let (source, destination) = (self.source_ip(), self.destination_ip());
        match self.protocol() {
            Protocol::ICMP | Protocol::ICMPV6 => {
                let [icmp_type, code] = self.destination_id.to_be_bytes();
                write!(
                    f,
                    "{source}>{destination} type={icmp_type} code={code} id={}",
                    self.source_id
                )
            }
            _ if self.source_id == 0 && self.destination_id == 0 => {
                write!(f, "{source}>{destination}")
            }
            _ if self.family == 4 => {
                write!(
                    f,
                    "{source}:{}>{destination}:{}",
                    self.source_id, self.destination_id
                )
            }
            _ => write!(
                f,
                "[{source}]:{}>[{destination}]:{}",
                self.source_id, self.destination_id
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, CtInfo, HashKey, Packet, Time, Tracker};

    #[test]
    fn a_host_that_talks_to_itself_replies() {
        // As Linux 6.18 has it: from an address and port to itself, twice.
        let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 1, 0, 7, 0, 7, 0, 8, 0, 0]);
        let sum = packet::checksum::checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        let track = |tracker: &mut Tracker| tracker.track(&Packet::whole(&packet), Time(0)).ctinfo;
        assert_eq!(track(&mut tracker), CtInfo::New);
        assert_eq!(track(&mut tracker), CtInfo::EstablishedReply);
    }
}
