//! What a flow is told by: 48 bytes, the two endpoints and which way their packets come.

use crate::config::KeyConfig;
use crate::layout::{FieldLayout, field};
use std::net::{IpAddr, SocketAddr};

/// The key: six 64-bit words.
pub const KEY_FIELDS: &[FieldLayout] = &[
    field(
        "lower_address",
        128,
        "Address of the lower endpoint (of the source, on a card with an entry for each direction) in network order; IPv4: the first 4 bytes, the rest zero.",
    ),
    field(
        "higher_address",
        128,
        "Address of the higher endpoint (of the destination).",
    ),
    field("lower_port", 16, "Port of the lower endpoint."),
    field("higher_port", 16, "Port of the higher endpoint."),
    field("protocol", 8, "IP protocol number."),
    field("ip_version", 8, "4 or 6; 0 in a slot that is free."),
    field(
        "zone",
        16,
        "Conntrack zone; 0 where the card's keys have none.",
    ),
    field(
        "ingress_port",
        8,
        "Port the packets come in by; 0 where the card's keys have none.",
    ),
    field(
        "tunnel",
        8,
        "What the packets are carried in: 0 nothing, 1 VXLAN, 2 Geneve, 3 GRE.",
    ),
    field(
        "vlan",
        16,
        "Identifier of the outermost VLAN tag, and bit 12 set; 0 without one.",
    ),
    field("tunnel_id", 32, "VXLAN or Geneve VNI, GRE key."),
];

/// Which of the key's two endpoints sent the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KeyDirection {
    /// The lower endpoint did.
    LowerToHigher = 0,
    /// The higher endpoint did.
    HigherToLower = 1,
}

impl KeyDirection {
    /// The other direction.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::LowerToHigher => Self::HigherToLower,
            Self::HigherToLower => Self::LowerToHigher,
        }
    }

    /// 0 or 1, to index per-direction arrays.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// One end of a connection as the parser sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Address; an IPv4 address fills the first 4 bytes, the rest is zero.
    pub address: [u8; 16],
    /// Port.
    pub port: u16,
}

impl Endpoint {
    /// An address as a key holds it.
    pub fn wide(address: IpAddr) -> [u8; 16] {
        match address {
            IpAddr::V4(address) => Self::wide_v4(address.octets()),
            IpAddr::V6(address) => address.octets(),
        }
    }

    /// An IPv4 address as a key holds it.
    #[inline]
    pub fn wide_v4(address: [u8; 4]) -> [u8; 16] {
        let mut wide = [0; 16];
        wide[..4].copy_from_slice(&address);
        wide
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(end: SocketAddr) -> Self {
        Self {
            address: Self::wide(end.ip()),
            port: end.port(),
        }
    }
}

/// What carries the packets of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Tunnel {
    /// Nothing but Ethernet.
    #[default]
    None = 0,
    /// VXLAN (RFC 7348).
    Vxlan = 1,
    /// Geneve (RFC 8926).
    Geneve = 2,
    /// GRE (RFC 2784, RFC 2890).
    Gre = 3,
}

impl Tunnel {
    /// All kinds in order of their codes.
    pub const ALL: [Self; 4] = [Self::None, Self::Vxlan, Self::Geneve, Self::Gre];
}

/// Which way packets come: what a key may hold beside endpoints and zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Way {
    /// Port they come in by.
    pub ingress_port: u8,
    /// What carries them.
    pub tunnel: Tunnel,
    /// Identifier of the outermost VLAN tag with [`Way::TAGGED`]; 0 without a tag.
    pub vlan: u16,
    /// VXLAN or Geneve VNI, GRE key; 0 without.
    pub tunnel_id: u32,
}

impl Way {
    /// Set in [`Way::vlan`] where there is a tag: identifier 0 is one too (802.1p).
    pub const TAGGED: u16 = 1 << 12;

    /// What the keys of a card hold of it.
    #[inline]
    #[must_use]
    pub fn seen_by(self, key: &KeyConfig) -> Self {
        Self {
            ingress_port: if key.ingress_port {
                self.ingress_port
            } else {
                0
            },
            tunnel: if key.tunnel {
                self.tunnel
            } else {
                Tunnel::None
            },
            vlan: if key.vlan { self.vlan } else { 0 },
            tunnel_id: if key.tunnel { self.tunnel_id } else { 0 },
        }
    }
}

/// The 48-byte key; 48 zero bytes are no key (an IP version of 0 does not exist).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct FlowKey(pub [u64; 6]);

impl FlowKey {
    /// Size in bytes.
    pub const BYTES: usize = 48;

    /// The key of packets between two endpoints, and which of them is `source`.
    #[inline]
    pub fn new(
        source: Endpoint,
        destination: Endpoint,
        protocol: u8,
        ip_version: u8,
        zone: u16,
    ) -> (Self, KeyDirection) {
        // The order of bytes is that of the numbers they are in network order. Either end sends as often as the other: no branch,
        // because it could not be predicted.
        let order = |end: &Endpoint| (u128::from_be_bytes(end.address), end.port);
        Self::in_order(
            source,
            destination,
            protocol,
            ip_version,
            zone,
            order(&source) > order(&destination),
        )
    }

    /// The key of IPv4 packets, as [`FlowKey::new`] or, for one direction alone, [`FlowKey::one_way`] gives it; ends are address
    /// and port.
    #[inline]
    pub fn of_v4(
        source: ([u8; 4], u16),
        destination: ([u8; 4], u16),
        protocol: u8,
        one_way: bool,
    ) -> (Self, KeyDirection) {
        let order = |(address, port): ([u8; 4], u16)| {
            u64::from(u32::from_be_bytes(address)) << 16 | u64::from(port)
        };
        let swapped = !one_way & (order(source) > order(destination));
        let mask = u64::from(swapped).wrapping_neg();
        let word = |address: [u8; 4]| u64::from(u32::from_le_bytes(address));
        let (s, d) = (word(source.0), word(destination.0));
        let change = (s ^ d) & mask;
        let ports = u64::from(source.1 ^ destination.1) & mask;
        let (lower, higher) = (
            u64::from(source.1) ^ ports,
            u64::from(destination.1) ^ ports,
        );
        let last = lower | higher << 16 | u64::from(protocol) << 32 | 4 << 40;
        let direction = if swapped {
            KeyDirection::HigherToLower
        } else {
            KeyDirection::LowerToHigher
        };
        (Self([s ^ change, 0, d ^ change, 0, last, 0]), direction)
    }

    /// The key of packets from `source` to `destination` alone.
    pub fn one_way(
        source: Endpoint,
        destination: Endpoint,
        protocol: u8,
        ip_version: u8,
        zone: u16,
    ) -> Self {
        Self::in_order(source, destination, protocol, ip_version, zone, false).0
    }

    #[inline]
    fn in_order(
        source: Endpoint,
        destination: Endpoint,
        protocol: u8,
        ip_version: u8,
        zone: u16,
        swapped: bool,
    ) -> (Self, KeyDirection) {
        let mask = u64::from(swapped).wrapping_neg();
        let pick = |one: u64, other: u64| {
            let change = (one ^ other) & mask;
            [one ^ change, other ^ change]
        };
        let ([s0, s1], [d0, d1]) = (halves(source.address), halves(destination.address));
        let ([a0, b0], [a1, b1]) = (pick(s0, d0), pick(s1, d1));
        let [lower, higher] = pick(source.port.into(), destination.port.into());
        let last = lower
            | higher << 16
            | u64::from(protocol) << 32
            | u64::from(ip_version) << 40
            | u64::from(zone) << 48;
        let direction = if swapped {
            KeyDirection::HigherToLower
        } else {
            KeyDirection::LowerToHigher
        };
        (Self([a0, a1, b0, b1, last, 0]), direction)
    }

    /// The key in a zone.
    #[inline]
    #[must_use]
    pub const fn in_zone(mut self, zone: u16) -> Self {
        self.0[4] = self.0[4] & !(0xffff << 48) | (zone as u64) << 48;
        self
    }

    /// The key of packets that come this way.
    #[inline]
    #[must_use]
    pub const fn by_way_of(mut self, way: Way) -> Self {
        self.0[5] = way.ingress_port as u64
            | (way.tunnel as u64) << 8
            | (way.vlan as u64) << 16
            | (way.tunnel_id as u64) << 32;
        self
    }

    /// The 48 bytes in memory order (little-endian words).
    #[inline]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The key held in 48 bytes, as [`FlowKey::to_bytes`] gives them.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut words = [0; 6];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = chunk.try_into().map_or(0, u64::from_le_bytes);
        }
        Self(words)
    }

    /// Whether two keys are the same: like `==`, but without the call of a function that compares bytes.
    #[inline]
    pub const fn is(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        (a[0] ^ b[0])
            | (a[1] ^ b[1])
            | (a[2] ^ b[2])
            | (a[3] ^ b[3])
            | (a[4] ^ b[4])
            | (a[5] ^ b[5])
            == 0
    }

    /// Bits in which two keys differ.
    pub fn distance_bits(&self, other: &Self) -> u32 {
        let words = self.0.iter().zip(other.0);
        words.map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// IP protocol number.
    pub const fn protocol(&self) -> u8 {
        (self.0[4] >> 32) as u8
    }

    /// 4 or 6; 0 in the key that is none.
    pub const fn ip_version(&self) -> u8 {
        (self.0[4] >> 40) as u8
    }

    /// Conntrack zone.
    pub const fn zone(&self) -> u16 {
        (self.0[4] >> 48) as u16
    }

    /// The key of packets from the destination to the source that come the same way.
    #[must_use]
    pub const fn reversed(&self) -> Self {
        let [a0, a1, b0, b1, last, way] = self.0;
        let ports = (last & 0xffff) << 16 | last >> 16 & 0xffff;
        Self([b0, b1, a0, a1, last & !0xffff_ffff | ports, way])
    }

    /// Which way the packets come.
    pub fn way(&self) -> Way {
        let word = self.0[5];
        let tunnel = Tunnel::ALL.get((word >> 8) as u8 as usize);
        Way {
            ingress_port: word as u8,
            tunnel: tunnel.copied().unwrap_or_default(),
            vlan: (word >> 16) as u16,
            tunnel_id: (word >> 32) as u32,
        }
    }

    /// The endpoint that sends in `direction`.
    pub fn sender(&self, direction: KeyDirection) -> Endpoint {
        let i = direction.index();
        let mut address = [0; 16];
        address[..8].copy_from_slice(&self.0[2 * i].to_le_bytes());
        address[8..].copy_from_slice(&self.0[2 * i + 1].to_le_bytes());
        Endpoint {
            address,
            port: (self.0[4] >> (16 * i)) as u16,
        }
    }
}

#[inline]
pub(super) fn halves(address: [u8; 16]) -> [u64; 2] {
    let value = u128::from_le_bytes(address);
    [value as u64, (value >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn endpoint(last: u8, port: u16) -> Endpoint {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[10, 0, 0, last]);
        Endpoint { address, port }
    }

    #[test]
    fn both_directions_share_a_key() {
        let (a, b) = (endpoint(1, 4_000), endpoint(2, 80));
        let (there, forward) = FlowKey::new(a, b, 6, 4, 7);
        let (back, backward) = FlowKey::new(b, a, 6, 4, 7);
        assert_eq!(there, back);
        assert_eq!(forward, backward.reverse());
        assert_eq!(there.sender(forward), a);
        assert_eq!(there.sender(backward), b);
        assert_eq!(
            (there.protocol(), there.ip_version(), there.zone()),
            (6, 4, 7)
        );
    }

    proptest! {
        #[test]
        fn the_lower_endpoint_comes_first(
            addresses in any::<[[u8; 16]; 2]>(),
            ports in any::<[u16; 2]>(),
            same in any::<bool>(),
        ) {
            let [a, mut b] = [0, 1].map(|i| Endpoint { address: addresses[i], port: ports[i] });
            if same {
                b.address = a.address;
            }
            let (key, direction) = FlowKey::new(a, b, 17, 6, 3);
            prop_assert_eq!(direction == KeyDirection::LowerToHigher, a <= b);
            prop_assert_eq!(key.sender(direction), a);
            prop_assert_eq!(key.sender(direction.reverse()), b);
            prop_assert_eq!((key.protocol(), key.ip_version(), key.zone()), (17, 6, 3));
        }

        #[test]
        fn an_ipv4_key_is_the_same_either_way(
            addresses in any::<[[u8; 4]; 2]>(),
            ports in any::<[u16; 2]>(),
            same in any::<bool>(),
            one_way in any::<bool>(),
        ) {
            let to = if same { addresses[0] } else { addresses[1] };
            let end = |address, port| Endpoint { address: Endpoint::wide_v4(address), port };
            let (source, destination) = (end(addresses[0], ports[0]), end(to, ports[1]));
            let expected = if one_way {
                (FlowKey::one_way(source, destination, 17, 4, 0), KeyDirection::LowerToHigher)
            } else {
                FlowKey::new(source, destination, 17, 4, 0)
            };
            let plain = FlowKey::of_v4((addresses[0], ports[0]), (to, ports[1]), 17, one_way);
            prop_assert_eq!(plain, expected);
        }

        #[test]
        fn a_key_survives_its_bytes(words in any::<[u64; 6]>()) {
            let key = FlowKey(words);
            prop_assert_eq!(FlowKey::from_bytes(&key.to_bytes()), key);
        }
    }
}
