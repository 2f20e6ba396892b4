//! The bit layout of a flow: 48 bytes of key, 32 bytes of state, 48 bytes of rewrite.
//!
//! One entry can serve both directions of a connection. The key holds the two endpoints in ascending order then,
//! so that both directions give the same key; which endpoint sent a packet is its [`KeyDirection`]. On a card with
//! an entry for each direction the source comes first, and every packet goes from "lower" to "higher".
//!
//! [`KEY_FIELDS`], [`STATE_FIELDS`] and [`REWRITE_FIELDS`] list the fields.
//! The first field named lies in the low bits. Bytes are IP packet lengths, as conntrack counts them.

use crate::clock::Picos;
use crate::config::KeyConfig;
use crate::datapath::counter::CounterFormat;
use crate::layout::FieldLayout;
use std::net::{IpAddr, SocketAddr};

const fn field(name: &'static str, bits: usize, meaning: &'static str) -> FieldLayout {
    FieldLayout {
        name,
        meaning,
        bits,
    }
}

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

/// The state: four 64-bit words.
pub const STATE_FIELDS: &[FieldLayout] = &[
    field("packets_0", 32, "Packets lower to higher, modulo 2^32."),
    field("packets_1", 32, "Packets higher to lower, modulo 2^32."),
    field("bytes_0", 48, "Bytes lower to higher, modulo 2^48."),
    field("flags", 16, "See below."),
    field("bytes_1", 48, "Bytes higher to lower, modulo 2^48."),
    field(
        "egress_0",
        8,
        "Port by which packets leave, lower to higher.",
    ),
    field(
        "egress_1",
        8,
        "Port by which packets leave, higher to lower.",
    ),
    field(
        "last_seen",
        32,
        "Last hit, ticks of 2^27 ps (about 134 us).",
    ),
    field("cookie", 32, "The driver's name for the entry."),
];

/// What the window checker knows of an entry, on a card that has one: four 64-bit words.
pub const WINDOW_FIELDS: &[FieldLayout] = &[
    field(
        "end_0",
        32,
        "Number behind the last byte that the lower endpoint has sent.",
    ),
    field(
        "max_end_0",
        32,
        "Number behind the last byte that it may send.",
    ),
    field(
        "max_window_0",
        32,
        "The largest window it has offered; 0 if nothing of it was seen.",
    ),
    field("scale_0", 8, "Its window scale."),
    field("", 24, "reserved"),
    field("end_1", 32, "The same of the higher endpoint."),
    field("max_end_1", 32, ""),
    field("max_window_1", 32, ""),
    field("scale_1", 8, ""),
    field("", 24, "reserved"),
];

/// What is written into packets, by the flags of the state: six 64-bit words.
pub const REWRITE_FIELDS: &[FieldLayout] = &[
    field(
        "source_address",
        128,
        "New source address in network order; IPv4: the first 4 bytes.",
    ),
    field("destination_address", 128, "New destination address."),
    field("source_port", 16, "New source port."),
    field("destination_port", 16, "New destination port."),
    field(
        "vlan",
        12,
        "Identifier of the tag that is pushed or changed.",
    ),
    field("", 4, "reserved"),
    field(
        "destination_mac",
        48,
        "New destination MAC address, its first byte in the low bits; the source becomes that of the port.",
    ),
    field("", 32, "reserved"),
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
fn halves(address: [u8; 16]) -> [u64; 2] {
    let value = u128::from_le_bytes(address);
    [value as u64, (value >> 64) as u64]
}

/// Flags of an entry's state.
pub mod flag {
    macro_rules! flags {
        ($($name:ident = $bit:literal $meaning:literal;)*) => {
            $(#[doc = $meaning] pub const $name: u16 = 1 << $bit;)*
            /// Bit, name, meaning.
            pub const ALL: &[(u8, &str, &str)] = &[$(($bit, stringify!($name), $meaning),)*];
        };
    }
    flags! {
        VALID = 0 "The slot holds an entry.";
        CLOSING = 1 "A FIN or RST was trapped: every later packet goes to the host too.";
        AGE_REPORTED = 2 "The aging engine has reported the entry and no packet has hit it since.";
        DECREMENT_TTL = 3 "TTL or hop limit is decremented.";
        ORIGINATOR_IS_LOWER = 4 "The connection's originator is the key's lower endpoint.";
        DIRTY = 5 "Hit since the counter service last read it.";
        ONE_WAY = 6 "Only packets of one direction are forwarded: from the key's lower endpoint, or with FROM_HIGHER from the higher.";
        FROM_HIGHER = 7 "See ONE_WAY.";
        SOURCE = 8 "Source address and port are rewritten.";
        DESTINATION = 9 "Destination address and port are rewritten.";
        MAC = 10 "MAC addresses are rewritten.";
        VLAN_POP = 11 "The outermost VLAN tag is taken off; with VLAN_PUSH, its identifier changes.";
        VLAN_PUSH = 12 "A VLAN tag is put on; with VLAN_POP, the identifier of the tag there is changes.";
        WINDOW = 13 "Segments outside the windows go to the host.";
    }
}

/// Length of one tick of the last-seen clock: 2^27 ps, about 134 us; 32 bits wrap after 6.7 days.
pub const LAST_SEEN_TICK: Picos = Picos(1 << 27);

const BYTES_MASK: u64 = (1 << 48) - 1;

/// The 32-byte state of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct EntryState(pub [u64; 4]);

/// What the host decides about an entry when it is inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EntryAction {
    /// Egress port by [`KeyDirection`].
    pub egress: [u8; 2],
    /// Name the driver gives the entry; comes back in every report about it.
    pub cookie: u32,
    /// Whether TTL or hop limit is decremented.
    pub decrement_ttl: bool,
    /// Whether the originator is the key's lower endpoint.
    pub originator_is_lower: bool,
    /// The only direction whose packets are forwarded, if it is not both.
    pub only: Option<KeyDirection>,
    /// What is written into packets.
    pub rewrite: Rewrite,
    /// Whether windows are checked: the window scales of both sides, by [`KeyDirection`].
    pub window_scales: Option<[u8; 2]>,
}

/// What is written into the packets of an entry, as the host says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// New source.
    pub source: Option<Endpoint>,
    /// New destination.
    pub destination: Option<Endpoint>,
    /// New destination MAC address; the source becomes that of the port the packet leaves by.
    pub mac: Option<[u8; 6]>,
    /// What happens to the outermost VLAN tag.
    pub vlan: VlanAction,
}

/// What happens to the outermost VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VlanAction {
    /// Nothing.
    #[default]
    Keep,
    /// It is taken off, if there is one.
    Pop,
    /// One with this identifier is put on.
    Push(u16),
    /// Its identifier becomes this, if there is one.
    Set(u16),
}

impl Rewrite {
    /// The flags of the state that say what is rewritten.
    pub const fn flags(&self) -> u16 {
        let mut flags = match self.vlan {
            VlanAction::Keep => 0,
            VlanAction::Pop => flag::VLAN_POP,
            VlanAction::Push(_) => flag::VLAN_PUSH,
            VlanAction::Set(_) => flag::VLAN_POP | flag::VLAN_PUSH,
        };
        if self.source.is_some() {
            flags |= flag::SOURCE;
        }
        if self.destination.is_some() {
            flags |= flag::DESTINATION;
        }
        if self.mac.is_some() {
            flags |= flag::MAC;
        }
        flags
    }

    /// What an entry holds of it.
    pub fn words(&self) -> RewriteWords {
        let none = Endpoint {
            address: [0; 16],
            port: 0,
        };
        let source = self.source.unwrap_or(none);
        let destination = self.destination.unwrap_or(none);
        let [s0, s1] = halves(source.address);
        let [d0, d1] = halves(destination.address);
        let vlan = match self.vlan {
            VlanAction::Push(id) | VlanAction::Set(id) => id & 0xfff,
            VlanAction::Keep | VlanAction::Pop => 0,
        };
        let mac = self.mac.unwrap_or_default();
        let mac = (mac.iter().rev()).fold(0, |word, byte| word << 8 | u64::from(*byte));
        RewriteWords([
            s0,
            s1,
            d0,
            d1,
            u64::from(source.port)
                | u64::from(destination.port) << 16
                | u64::from(vlan) << 32
                | mac << 48,
            mac >> 16,
        ])
    }
}

/// The flags that make a packet be rewritten in more than its TTL.
pub const REWRITES: u16 =
    flag::SOURCE | flag::DESTINATION | flag::MAC | flag::VLAN_POP | flag::VLAN_PUSH;

/// The 48 bytes of rewrite in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct RewriteWords(pub [u64; 6]);

impl RewriteWords {
    /// What the flags of a state make of the words.
    pub fn read(&self, flags: u16) -> Rewrite {
        let address = |first: usize| {
            let mut address = [0; 16];
            address[..8].copy_from_slice(&self.0[first].to_le_bytes());
            address[8..].copy_from_slice(&self.0[first + 1].to_le_bytes());
            address
        };
        let end = |mask: u16, first: usize, shift: u32| {
            (flags & mask != 0).then(|| Endpoint {
                address: address(first),
                port: (self.0[4] >> shift) as u16,
            })
        };
        let vlan = (self.0[4] >> 32) as u16 & 0xfff;
        let mac = (self.0[4] >> 48 | self.0[5] << 16).to_le_bytes();
        Rewrite {
            source: end(flag::SOURCE, 0, 0),
            destination: end(flag::DESTINATION, 2, 16),
            mac: (flags & flag::MAC != 0).then(|| [mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]]),
            vlan: match (flags & flag::VLAN_POP != 0, flags & flag::VLAN_PUSH != 0) {
                (false, false) => VlanAction::Keep,
                (true, false) => VlanAction::Pop,
                (false, true) => VlanAction::Push(vlan),
                (true, true) => VlanAction::Set(vlan),
            },
        }
    }
}

/// Counters of an entry as they are read: both directions by [`KeyDirection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EntryCounters {
    /// Packets modulo 2^32.
    pub packets: [u32; 2],
    /// Bytes modulo 2^48.
    pub bytes: [u64; 2],
    /// No packet hit the entry after this time.
    pub last_seen: Picos,
}

impl EntryState {
    /// The state of an entry inserted at `now`.
    pub fn new(action: EntryAction, now: Picos) -> Self {
        let mut flags = flag::VALID;
        if action.decrement_ttl {
            flags |= flag::DECREMENT_TTL;
        }
        if action.originator_is_lower {
            flags |= flag::ORIGINATOR_IS_LOWER;
        }
        flags |= match action.only {
            None => 0,
            Some(KeyDirection::LowerToHigher) => flag::ONE_WAY,
            Some(KeyDirection::HigherToLower) => flag::ONE_WAY | flag::FROM_HIGHER,
        };
        flags |= action.rewrite.flags();
        if action.window_scales.is_some() {
            flags |= flag::WINDOW;
        }
        Self([
            0,
            u64::from(flags) << 48,
            u64::from(action.egress[0]) << 48 | u64::from(action.egress[1]) << 56,
            u64::from(ticks(now)) | u64::from(action.cookie) << 32,
        ])
    }

    /// All flags.
    #[inline]
    pub const fn flags(&self) -> u16 {
        (self.0[1] >> 48) as u16
    }

    /// Whether all bits of `mask` are set.
    #[inline]
    pub const fn has(&self, mask: u16) -> bool {
        self.flags() & mask == mask
    }

    /// Sets the bits of `mask`.
    #[inline]
    pub const fn set(&mut self, mask: u16) {
        self.0[1] |= (mask as u64) << 48;
    }

    /// Clears the bits of `mask`.
    #[inline]
    pub const fn clear(&mut self, mask: u16) {
        self.0[1] &= !((mask as u64) << 48);
    }

    /// Whether packets are rewritten in more than their TTL.
    #[inline]
    pub const fn rewrites(&self) -> bool {
        self.flags() & REWRITES != 0
    }

    /// Whether packets of `direction` are forwarded.
    #[inline]
    pub const fn serves(&self, direction: KeyDirection) -> bool {
        let other = match direction {
            KeyDirection::LowerToHigher => flag::ONE_WAY | flag::FROM_HIGHER,
            KeyDirection::HigherToLower => flag::ONE_WAY,
        };
        self.flags() & (flag::ONE_WAY | flag::FROM_HIGHER) != other
    }

    /// Port by which packets of `direction` leave.
    #[inline]
    pub const fn egress(&self, direction: KeyDirection) -> u8 {
        (self.0[2] >> (48 + 8 * direction as u8)) as u8
    }

    /// The driver's name for the entry.
    #[inline]
    pub const fn cookie(&self) -> u32 {
        (self.0[3] >> 32) as u32
    }

    /// Ticks of [`LAST_SEEN_TICK`] at which the last packet hit, modulo 2^32.
    #[inline]
    pub const fn ticks(&self) -> u32 {
        self.0[3] as u32
    }

    /// Counts a packet of `bytes` bytes seen at `now`.
    #[inline]
    pub fn count(
        &mut self,
        direction: KeyDirection,
        bytes: u32,
        now: Picos,
        format: &CounterFormat,
    ) {
        let i = direction.index();
        let shift = 32 * i as u32;
        let packets = format.count_packet((self.0[0] >> shift) as u32);
        self.0[0] = self.0[0] & !(0xffff_ffff << shift) | u64::from(packets) << shift;
        let word = &mut self.0[1 + i];
        *word = *word & !BYTES_MASK | format.count_bytes(*word & BYTES_MASK, bytes);
        self.0[3] = self.0[3] & !0xffff_ffff | u64::from(ticks(now));
    }

    /// Does what another state does, and keeps its own counters and age.
    pub const fn take_action(&mut self, other: &Self) {
        const ACTION: u64 = ((flag::DECREMENT_TTL
            | flag::ORIGINATOR_IS_LOWER
            | flag::ONE_WAY
            | flag::FROM_HIGHER
            | REWRITES) as u64)
            << 48;
        self.0[1] = self.0[1] & !ACTION | other.0[1] & ACTION;
        self.0[2] = self.0[2] & BYTES_MASK | other.0[2] & !BYTES_MASK;
        self.0[3] = self.0[3] & 0xffff_ffff | other.0[3] & !0xffff_ffff;
    }

    /// Sets all counters to zero.
    pub const fn clear_counters(&mut self) {
        self.0[0] = 0;
        self.0[1] &= !BYTES_MASK;
        self.0[2] &= !BYTES_MASK;
    }

    /// Restarts the idle time, as if a packet had hit at `now`.
    pub const fn touch(&mut self, now: Picos) {
        self.0[3] = self.0[3] & !0xffff_ffff | ticks(now) as u64;
    }

    /// The counters; last seen is rounded up to the end of its tick, but never beyond `now`.
    pub fn counters(&self, now: Picos) -> EntryCounters {
        EntryCounters {
            packets: [self.0[0] as u32, (self.0[0] >> 32) as u32],
            bytes: [self.0[1] & BYTES_MASK, self.0[2] & BYTES_MASK],
            last_seen: self.last_seen_no_later_than(now),
        }
    }

    /// The end of the tick in which the last packet hit, at most `now`.
    pub fn last_seen_no_later_than(&self, now: Picos) -> Picos {
        let idle_ticks = ticks(now).wrapping_sub(self.0[3] as u32);
        let tick_start = (now.0 / LAST_SEEN_TICK.0).saturating_sub(idle_ticks.into());
        Picos(
            tick_start
                .saturating_add(1)
                .saturating_mul(LAST_SEEN_TICK.0),
        )
        .min(now)
    }
}

#[inline]
const fn ticks(now: Picos) -> u32 {
    (now.0 / LAST_SEEN_TICK.0) as u32
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

    /// The bits that a list of fields says are one field's.
    fn extract(words: &[u64], fields: &[FieldLayout], name: &str) -> u64 {
        let before = fields.iter().take_while(|field| field.name != name);
        let from: usize = before.map(|field| field.bits).sum();
        let bits = (fields.iter().find(|field| field.name == name)).map_or(0, |field| field.bits);
        words[from / 64] >> (from % 64) & (u64::MAX >> (64 - bits.clamp(1, 64)))
    }

    #[test]
    fn the_fields_lie_where_the_lists_say() {
        let size = |fields: &[FieldLayout]| fields.iter().map(|field| field.bits).sum::<usize>();
        assert_eq!(
            (size(KEY_FIELDS), size(STATE_FIELDS), size(REWRITE_FIELDS)),
            (6 * 64, 4 * 64, 6 * 64)
        );
        let (key, direction) = FlowKey::new(endpoint(9, 80), endpoint(1, 4_000), 17, 4, 7);
        assert_eq!(direction, KeyDirection::HigherToLower);
        let of = |name| extract(&key.0, KEY_FIELDS, name);
        let low = |last: u8| u64::from_le_bytes([10, 0, 0, last, 0, 0, 0, 0]);
        assert_eq!(
            (of("lower_address"), of("higher_address")),
            (low(1), low(9))
        );
        assert_eq!((of("lower_port"), of("higher_port")), (4_000, 80));
        assert_eq!((of("protocol"), of("ip_version"), of("zone")), (17, 4, 7));
        let action = EntryAction {
            egress: [3, 4],
            cookie: 5,
            ..EntryAction::default()
        };
        let now = LAST_SEEN_TICK.0 * 6;
        let mut state = EntryState::new(action, Picos::ZERO);
        let format = CounterFormat::default();
        state.count(KeyDirection::LowerToHigher, 100, Picos(now), &format);
        (0..2).for_each(|_| state.count(KeyDirection::HigherToLower, 200, Picos(now), &format));
        let of = |name| extract(&state.0, STATE_FIELDS, name);
        assert_eq!((of("packets_0"), of("packets_1")), (1, 2));
        assert_eq!((of("bytes_0"), of("bytes_1")), (100, 400));
        assert_eq!((of("egress_0"), of("egress_1")), (3, 4));
        assert_eq!((of("last_seen"), of("cookie")), (6, 5));
        assert_eq!(of("flags"), flag::VALID.into());
    }

    #[test]
    fn fields_do_not_touch_each_other() {
        let action = EntryAction {
            egress: [1, 2],
            cookie: 0xdead_beef,
            decrement_ttl: true,
            ..EntryAction::default()
        };
        let mut state = EntryState::new(action, Picos::ZERO);
        state.0[0] = u64::MAX;
        state.0[1] |= BYTES_MASK;
        let format = CounterFormat::default();
        state.count(KeyDirection::LowerToHigher, 1, Picos::from_secs(1), &format);
        let counters = state.counters(Picos::from_secs(2));
        assert_eq!(
            counters.packets,
            [0, u32::MAX],
            "32-bit packet counters wrap alone"
        );
        assert_eq!(counters.bytes, [0, 0], "48-bit byte counters wrap alone");
        assert_eq!(state.cookie(), 0xdead_beef);
        assert_eq!(state.egress(KeyDirection::LowerToHigher), 1);
        assert_eq!(state.egress(KeyDirection::HigherToLower), 2);
        assert!(state.has(flag::VALID | flag::DECREMENT_TTL));
        assert!(!state.has(flag::CLOSING));
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
        fn last_seen_is_never_early_and_at_most_one_tick_late(seen in 0u64..1 << 60, idle in 0u64..1 << 50) {
            let mut state = EntryState::new(EntryAction::default(), Picos::ZERO);
            state.count(KeyDirection::HigherToLower, 40, Picos(seen), &CounterFormat::default());
            let now = Picos(seen + idle);
            let reported = state.counters(now).last_seen;
            prop_assert!(reported >= Picos(seen));
            prop_assert!(reported - Picos(seen) <= LAST_SEEN_TICK);
            prop_assert!(reported <= now);
        }

        #[test]
        fn a_key_survives_its_bytes(words in any::<[u64; 6]>()) {
            let key = FlowKey(words);
            prop_assert_eq!(FlowKey::from_bytes(&key.to_bytes()), key);
        }
    }
}
