//! The bit layout of a flow: 48 bytes of key, 32 bytes of state, 48 bytes of rewrite, 24 bytes of marking.
//!
//! One entry can serve both directions of a connection. The key holds the two endpoints in ascending order then,
//! so that both directions give the same key; which endpoint sent a packet is its [`KeyDirection`]. On a card with
//! an entry for each direction the source comes first, and every packet goes from "lower" to "higher".
//!
//! [`KEY_FIELDS`], [`STATE_FIELDS`], [`REWRITE_FIELDS`] and [`MARKING_FIELDS`] list the fields.
//! The first field named lies in the low bits. Bytes are IP packet lengths, as conntrack counts them.

use super::rewrite::REWRITES;
use crate::clock::Picos;
use crate::datapath::counter::CounterFormat;
use crate::layout::{FieldLayout, field};

pub use super::key::{Endpoint, FlowKey, KEY_FIELDS, KeyDirection, Tunnel, Way};
pub use super::marking::{MARKING_FIELDS, Marking};
pub use super::rewrite::{REWRITE_FIELDS, Rewrite, RewriteWords, VlanAction};

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
        BARRIER = 14 "Packets go to the host until none of the flow is on its way through there.";
        MARKED = 15 "The connection has a mark or labels.";
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
    /// Mark and labels of its connection.
    pub marking: Marking,
    /// Packets go to the host until none of the flow is on its way through there.
    pub barrier: bool,
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
        if action.barrier {
            flags |= flag::BARRIER;
        }
        if !action.marking.is_none() {
            flags |= flag::MARKED;
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

    /// Whether the connection has a mark or labels.
    pub const fn note_marking(&mut self, marking: &Marking) {
        self.clear(flag::MARKED);
        if !marking.is_none() {
            self.set(flag::MARKED);
        }
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
        fn last_seen_is_never_early_and_at_most_one_tick_late(seen in 0u64..1 << 60, idle in 0u64..1 << 50) {
            let mut state = EntryState::new(EntryAction::default(), Picos::ZERO);
            state.count(KeyDirection::HigherToLower, 40, Picos(seen), &CounterFormat::default());
            let now = Picos(seen + idle);
            let reported = state.counters(now).last_seen;
            prop_assert!(reported >= Picos(seen));
            prop_assert!(reported - Picos(seen) <= LAST_SEEN_TICK);
            prop_assert!(reported <= now);
        }
    }
}
