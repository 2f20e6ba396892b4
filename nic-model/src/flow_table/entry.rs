//! The bit layout of a flow: 40 bytes of key and 32 bytes of state.
//!
//! One entry serves both directions of a connection. The key holds the two endpoints in ascending order,
//! so that both directions give the same key; which endpoint sent a packet is its [`KeyDirection`].
//!
//! [`KEY_FIELDS`] and [`STATE_FIELDS`] list the fields.
//! The first field named lies in the low bits. Bytes are IP packet lengths, as conntrack counts them.

use crate::clock::Picos;
use crate::layout::FieldLayout;
use std::net::{IpAddr, SocketAddr};

const fn field(name: &'static str, bits: usize, meaning: &'static str) -> FieldLayout {
    FieldLayout {
        name,
        meaning,
        bits,
    }
}

/// The key: five 64-bit words.
pub const KEY_FIELDS: &[FieldLayout] = &[
    field(
        "lower_address",
        128,
        "Address of the lower endpoint in network order; IPv4: the first 4 bytes, the rest zero.",
    ),
    field("higher_address", 128, "Address of the higher endpoint."),
    field("lower_port", 16, "Port of the lower endpoint."),
    field("higher_port", 16, "Port of the higher endpoint."),
    field("protocol", 8, "IP protocol number."),
    field("ip_version", 8, "4 or 6; 0 in a slot that is free."),
    field("zone", 16, "Conntrack zone."),
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

/// The 40-byte key; 40 zero bytes are no key (an IP version of 0 does not exist).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct FlowKey(pub [u64; 5]);

impl FlowKey {
    /// Size in bytes.
    pub const BYTES: usize = 40;

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
        let swapped = order(&source) > order(&destination);
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
        (Self([a0, a1, b0, b1, last]), direction)
    }

    /// The 40 bytes in memory order (little-endian words).
    #[inline]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The key held in 40 bytes, as [`FlowKey::to_bytes`] gives them.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut words = [0; 5];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = chunk.try_into().map_or(0, u64::from_le_bytes);
        }
        Self(words)
    }

    /// Whether two keys are the same: like `==`, but without the call of a function that compares bytes.
    #[inline]
    pub const fn is(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) == 0
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
    pub fn count(&mut self, direction: KeyDirection, bytes: u32, now: Picos) {
        let i = direction.index();
        let shift = 32 * i as u32;
        let packets = ((self.0[0] >> shift) as u32).wrapping_add(1);
        self.0[0] = self.0[0] & !(0xffff_ffff << shift) | u64::from(packets) << shift;
        let word = &mut self.0[1 + i];
        *word = *word & !BYTES_MASK | (*word + u64::from(bytes)) & BYTES_MASK;
        self.0[3] = self.0[3] & !0xffff_ffff | u64::from(ticks(now));
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
        assert_eq!((size(KEY_FIELDS), size(STATE_FIELDS)), (5 * 64, 4 * 64));
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
        state.count(KeyDirection::LowerToHigher, 100, Picos(now));
        (0..2).for_each(|_| state.count(KeyDirection::HigherToLower, 200, Picos(now)));
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
            originator_is_lower: false,
        };
        let mut state = EntryState::new(action, Picos::ZERO);
        state.0[0] = u64::MAX;
        state.0[1] |= BYTES_MASK;
        state.count(KeyDirection::LowerToHigher, 1, Picos::from_secs(1));
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
        fn last_seen_is_never_early_and_at_most_one_tick_late(seen in 0u64..1 << 60, idle in 0u64..1 << 50) {
            let mut state = EntryState::new(EntryAction::default(), Picos::ZERO);
            state.count(KeyDirection::HigherToLower, 40, Picos(seen));
            let now = Picos(seen + idle);
            let reported = state.counters(now).last_seen;
            prop_assert!(reported >= Picos(seen));
            prop_assert!(reported - Picos(seen) <= LAST_SEEN_TICK);
            prop_assert!(reported <= now);
        }

        #[test]
        fn a_key_survives_its_bytes(words in any::<[u64; 5]>()) {
            let key = FlowKey(words);
            prop_assert_eq!(FlowKey::from_bytes(&key.to_bytes()), key);
        }
    }
}
