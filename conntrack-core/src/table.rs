//! The connection table: two tuples, one connection.
//!
//! Nodes (a connection's index and the direction of one of its tuples) lie in one open-addressed array with linear
//! probing; beside each node stands its hash, so that growing and removing never touch the connections. The hash is
//! SipHash-1-3 with a secret key (Aumasson, Bernstein 2012), so that nobody can choose tuples that collide.

use crate::tuple::{Direction, Tuple, Zone};

/// The secret of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashKey(pub [u64; 2]);

impl HashKey {
    /// The 32-bit hash of a tuple in a zone.
    #[inline]
    pub(crate) fn hash(self, tuple: &Tuple, zone: Zone) -> u32 {
        let word = |bytes: &[u8; 16], half: usize| {
            let value = u128::from_le_bytes(*bytes);
            (value >> (64 * half)) as u64
        };
        let last = u64::from(tuple.source_id)
            | u64::from(tuple.destination_id) << 16
            | u64::from(tuple.protocol) << 32
            | u64::from(tuple.family) << 40
            | u64::from(zone.0) << 48;
        let mut sip = Sip13::new(self.0);
        if tuple.family == 4 {
            sip.word(word(&tuple.source, 0) | word(&tuple.destination, 0) << 32);
        } else {
            for half in 0..2 {
                sip.word(word(&tuple.source, half));
                sip.word(word(&tuple.destination, half));
            }
        }
        sip.word(last);
        (sip.finish() >> 32) as u32
    }
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

/// A tuple of a connection: the connection's index and which of its two tuples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(u32);

impl Node {
    const EMPTY: Self = Self(u32::MAX);

    pub(crate) const fn new(index: u32, direction: Direction) -> Self {
        Self(index << 1 | direction as u32)
    }

    pub(crate) const fn index(self) -> u32 {
        self.0 >> 1
    }

    pub(crate) const fn direction(self) -> Direction {
        if self.0 & 1 == 0 {
            Direction::Original
        } else {
            Direction::Reply
        }
    }
}

/// The array of nodes.
#[derive(Debug)]
pub(crate) struct NodeTable {
    slots: Vec<(u32, Node)>,
    bits: u32,
    used: usize,
}

impl NodeTable {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![(0, Node::EMPTY); 1 << 10],
            bits: 10,
            used: 0,
        }
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        (hash >> (32 - self.bits)) as usize
    }

    #[inline]
    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    /// Reads the home slot early.
    #[inline]
    pub(crate) fn touch(&self, hash: u32) -> (u32, Node) {
        self.slots[self.home(hash)]
    }

    /// Nodes with this hash, until `matches` accepts one.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut matches: impl FnMut(Node) -> bool) -> Option<Node> {
        let mut slot = self.home(hash);
        loop {
            let (stored, node) = self.slots[slot];
            if node == Node::EMPTY {
                return None;
            }
            if stored == hash && matches(node) {
                return Some(node);
            }
            slot = self.next(slot);
        }
    }

    pub(crate) fn insert(&mut self, hash: u32, node: Node) {
        // At most 3/4 full: a probe then visits 2.5 slots on average, 8.5 when it finds nothing.
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.used += 1;
        self.place(hash, node);
    }

    fn place(&mut self, hash: u32, node: Node) {
        let mut slot = self.home(hash);
        while self.slots[slot].1 != Node::EMPTY {
            slot = self.next(slot);
        }
        self.slots[slot] = (hash, node);
    }

    fn grow(&mut self) {
        self.bits += 1;
        let bigger = vec![(0, Node::EMPTY); 1 << self.bits];
        for (hash, node) in std::mem::replace(&mut self.slots, bigger) {
            if node != Node::EMPTY {
                self.place(hash, node);
            }
        }
    }

    /// Removes a node and closes the gap, so that no probe stops short.
    pub(crate) fn remove(&mut self, hash: u32, node: Node) -> bool {
        let mut gap = self.home(hash);
        while self.slots[gap].1 != node {
            if self.slots[gap].1 == Node::EMPTY {
                return false;
            }
            gap = self.next(gap);
        }
        let mask = self.slots.len() - 1;
        let mut slot = self.next(gap);
        while self.slots[slot].1 != Node::EMPTY {
            let home = self.home(self.slots[slot].0);
            let distance = slot.wrapping_sub(home) & mask;
            if distance >= slot.wrapping_sub(gap) & mask {
                self.slots[gap] = self.slots[slot];
                gap = slot;
            }
            slot = self.next(slot);
        }
        self.slots[gap].1 = Node::EMPTY;
        self.used -= 1;
        true
    }

    /// The nodes in `count` slots from the home of `hash` on.
    pub(crate) fn neighbourhood(&self, hash: u32, count: usize) -> impl Iterator<Item = Node> + '_ {
        let home = self.home(hash);
        let mask = self.slots.len() - 1;
        (0..count.min(self.slots.len()))
            .map(move |i| self.slots[(home + i) & mask].1)
            .filter(|node| *node != Node::EMPTY)
    }

    /// Number of nodes.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

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

    proptest! {
        #[test]
        fn agrees_with_a_set(ops in proptest::collection::vec((any::<bool>(), 0u32..300), 0..2_000)) {
            let mut table = NodeTable::new();
            let mut model = BTreeSet::new();
            // Few distinct hashes, so that probes collide.
            let hash = |n: u32| (n % 7).wrapping_mul(0x1100_0000);
            for (insert, n) in ops {
                let node = Node::new(n, Direction::Original);
                if insert && model.insert(n) {
                    table.insert(hash(n), node);
                } else if !insert {
                    prop_assert_eq!(table.remove(hash(n), node), model.remove(&n));
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for n in 0..300 {
                let node = Node::new(n, Direction::Original);
                let found = table.find(hash(n), |candidate| candidate == node).is_some();
                prop_assert_eq!(found, model.contains(&n));
            }
        }
    }
}
