//! The keyed hash of tuples: SipHash-1-3 (Aumasson, Bernstein 2012), so that nobody who does not know the key can choose
//! tuples that collide. A tuple and its mirror image have the same.

use crate::ends::Ends;
use crate::tuple::Tuple;

/// The secret of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashKey(pub [u64; 2]);

impl HashKey {
    /// The 32-bit hash of a tuple, or of its mirror image, in a zone.
    #[inline]
    pub(crate) fn hash(self, tuple: &Tuple, zone_id: u16) -> u32 {
        let (mut ids, kind) = if tuple.is_icmp() {
            ([tuple.source_id; 2], icmp_kind(tuple))
        } else {
            ([tuple.source_id, tuple.destination_id], 0)
        };
        if tuple.family == 4 {
            let end = |address: &[u8; 16], id: u16| {
                let [a, b, c, d, ..] = *address;
                u64::from(u32::from_be_bytes([a, b, c, d])) << 16 | u64::from(id)
            };
            let ends = [end(&tuple.source, ids[0]), end(&tuple.destination, ids[1])];
            return self.hash_v4(ends, tuple.protocol, zone_id ^ kind);
        }
        let mut sip = Sip13::new(self.0);
        let what = u64::from(tuple.protocol) | u64::from(tuple.family) << 8;
        let mut low = u128::from_be_bytes(tuple.source);
        let mut high = u128::from_be_bytes(tuple.destination);
        if (low, ids[0]) > (high, ids[1]) {
            std::mem::swap(&mut low, &mut high);
            ids.swap(0, 1);
        }
        for word in [low, high] {
            sip.word((word >> 64) as u64);
            sip.word(word as u64);
        }
        sip.word(
            what << 48
                | u64::from(zone_id ^ kind) << 32
                | u64::from(ids[0]) << 16
                | u64::from(ids[1]),
        );
        (sip.finish() >> 32) as u32
    }

    /// The hash of the connection a packet (from its IP header on) belongs to: the same in both directions, so that packets
    /// can be spread over trackers, one for each processor; that of an ICMP error is that of the connection it quotes.
    /// `None` for what is not tracked, and for fragments: they are to be put together first. Where addresses are translated,
    /// a connection has one hash on each side.
    ///
    /// ```
    /// use conntrack_core::HashKey;
    /// use packet::build::FrameBuilder;
    ///
    /// let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    /// let there = FrameBuilder::new().ipv4(a, b).tcp(4_000, 80).build();
    /// let back = FrameBuilder::new().ipv4(b, a).tcp(80, 4_000).build();
    /// let key = HashKey([1, 2]);
    /// assert!(key.hash_packet(&there).is_some());
    /// assert_eq!(key.hash_packet(&there), key.hash_packet(&back));
    /// ```
    pub fn hash_packet(self, packet: &[u8]) -> Option<u32> {
        let tuple = crate::parse::tuple_of_either_direction(packet)?;
        Some(self.hash(&tuple, 0))
    }

    /// The hash of an original tuple.
    #[inline]
    pub(crate) fn hash_ends(self, ends: &Ends, zone_id: u16) -> u32 {
        match ends.pair_v4() {
            Some(pair) if !ends.is_icmp() => self.hash_v4(pair, ends.protocol().0, zone_id),
            _ => self.hash(&ends.tuple(), zone_id),
        }
    }

    /// The hash of an IPv4 tuple: address and port of both ends (48 bits each), protocol, and what else tells it apart.
    #[inline]
    pub(crate) fn hash_v4(self, [a, b]: [u64; 2], protocol: u8, salt: u16) -> u32 {
        const FAMILY: u64 = 4 << 8;
        let mut sip = Sip13::new(self.0);
        sip.word(a.min(b) | (u64::from(protocol) | FAMILY) << 48);
        sip.word(a.max(b) | u64::from(salt) << 48);
        (sip.finish() >> 32) as u32
    }
}

/// Type and code of an ICMP tuple, the same for request and reply.
fn icmp_kind(tuple: &Tuple) -> u16 {
    tuple.inverted().map_or(tuple.destination_id, |inverted| {
        inverted.destination_id.min(tuple.destination_id)
    })
}

struct Sip13([u64; 4]);

impl Sip13 {
    #[inline]
    fn new([k0, k1]: [u64; 2]) -> Self {
        Self([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    #[inline]
    fn round(&mut self) {
        let [a, b, c, d] = &mut self.0;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }

    #[inline]
    fn word(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.0[0] ^= word;
    }

    #[inline]
    fn finish(mut self) -> u64 {
        self.0[2] ^= 0xff;
        for _ in 0..3 {
            self.round();
        }
        self.0[0] ^ self.0[1] ^ self.0[2] ^ self.0[3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siphash_13_of_the_standard_library_agrees() {
        // `DefaultHasher` is SipHash-1-3 with key 0; hashing eight bytes there appends the length as ours appends
        // nothing, so compare the primitive: one word, then the length block.
        use std::hash::Hasher;
        let mut theirs = std::collections::hash_map::DefaultHasher::new();
        theirs.write(&7u64.to_le_bytes());
        let mut ours = Sip13::new([0, 0]);
        ours.word(7);
        ours.word(8 << 56);
        assert_eq!(ours.finish(), theirs.finish());
    }
}
