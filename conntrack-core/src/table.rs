//! The connection table: from tuples to connections.
//!
//! A tuple and its mirror image have the same hash, so that one node finds a connection from both sides; only a
//! connection whose reply tuple is not the mirror image of its original one (NAT, a zone for one direction) has two. Nodes
//! lie in buckets of one cache line each; beside each stands its hash, so that growing and removing never touch the
//! connections. The hash is SipHash-1-3 with a secret key (Aumasson, Bernstein 2012), so that nobody
//! can choose tuples that collide.

use crate::tuple::Tuple;
use packet::prefetch;

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

/// Which tuples of a connection a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Original,
    Reply,
    /// The original tuple and its mirror image.
    Both,
}

/// A connection's index, and which of its tuples is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(u32);

impl Node {
    const EMPTY: Self = Self(u32::MAX);
    /// Connections there can be, so that indices and kinds fit a node.
    pub(crate) const MAX_CONNECTIONS: usize = (1 << 30) - 1;

    pub(crate) const fn new(index: u32, kind: NodeKind) -> Self {
        Self(index << 2 | kind as u32)
    }

    pub(crate) const fn index(self) -> u32 {
        self.0 >> 2
    }

    pub(crate) const fn kind(self) -> NodeKind {
        match self.0 & 3 {
            0 => NodeKind::Original,
            1 => NodeKind::Reply,
            _ => NodeKind::Both,
        }
    }
}

/// Nodes a bucket holds.
const WIDTH: usize = 7;

/// A line of the cache: nodes, and for each the hash it was put in with.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    /// The last one is not a hash but the number of nodes that would be here or before and lie further on, because there
    /// was no room.
    hashes: [u32; WIDTH + 1],
    nodes: [Node; WIDTH + 1],
}

impl Bucket {
    const EMPTY: Self = Self {
        hashes: [0; WIDTH + 1],
        nodes: [Node::EMPTY; WIDTH + 1],
    };

    /// Bit i is set if node i was put in with `hash`; all hashes are compared at once, because where a node lies is a
    /// matter of chance.
    #[inline]
    fn matching(&self, hash: u32) -> u32 {
        let equal = |i: usize| u32::from(self.hashes[i] == hash) << i;
        let low = equal(0) | equal(1) | equal(2) | equal(3);
        low | equal(4) | equal(5) | equal(6)
    }

    fn passed_by(&mut self) -> &mut u32 {
        &mut self.hashes[WIDTH]
    }

    fn position(&self, node: Node) -> Option<usize> {
        self.nodes[..WIDTH].iter().position(|there| *there == node)
    }
}

/// The array of buckets. A node lies in the bucket its hash points to, or in the first after it with room.
#[derive(Debug)]
pub(crate) struct NodeTable {
    buckets: Vec<Bucket>,
    bits: u32,
    used: usize,
}

impl NodeTable {
    pub(crate) fn new() -> Self {
        const BITS: u32 = 7;
        Self {
            buckets: vec![Bucket::EMPTY; 1 << BITS],
            bits: BITS,
            used: 0,
        }
    }

    /// What nodes are marked with: never that of an empty place.
    #[inline]
    const fn mark(hash: u32) -> u32 {
        hash | 1
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        (hash >> (32 - self.bits)) as usize
    }

    #[inline]
    fn next(&self, bucket: usize) -> usize {
        (bucket + 1) & (self.buckets.len() - 1)
    }

    /// Asks for the home bucket.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u32) {
        prefetch(&self.buckets[self.home(hash)]);
    }

    /// The first node with this hash in the home bucket.
    #[inline]
    pub(crate) fn first(&self, hash: u32) -> Option<Node> {
        let bucket = &self.buckets[self.home(hash)];
        let candidates = bucket.matching(Self::mark(hash));
        (candidates != 0).then(|| bucket.nodes[candidates.trailing_zeros() as usize & WIDTH])
    }

    /// What `matches` makes of the first node with this hash that it accepts.
    #[inline]
    pub(crate) fn find<T>(
        &self,
        hash: u32,
        mut matches: impl FnMut(Node) -> Option<T>,
    ) -> Option<T> {
        let mut at = self.home(hash);
        loop {
            let bucket = &self.buckets[at];
            let mut candidates = bucket.matching(Self::mark(hash));
            while candidates != 0 {
                let node = bucket.nodes[candidates.trailing_zeros() as usize & WIDTH];
                if let Some(found) = matches(node) {
                    return Some(found);
                }
                candidates &= candidates - 1;
            }
            if bucket.hashes[WIDTH] == 0 {
                return None;
            }
            at = self.next(at);
        }
    }

    pub(crate) fn insert(&mut self, hash: u32, node: Node) {
        // At most 80 % full: then one node in six lies outside its home bucket.
        if (self.used + 1) * 5 > self.buckets.len() * WIDTH * 4 {
            self.grow();
        }
        self.used += 1;
        self.place_first(hash, node);
    }

    /// Puts a node before those with the same hash: of several connections that match a packet (which zones for one
    /// direction make possible) the youngest is found, as in the kernel.
    fn place_first(&mut self, hash: u32, node: Node) {
        let (end, free) = self.make_room(hash);
        let (mark, mut carried, mut at) = (Self::mark(hash), node, self.home(hash));
        loop {
            let places = if at == end { free } else { WIDTH };
            let bucket = &mut self.buckets[at];
            for place in 0..places {
                if bucket.hashes[place] == mark {
                    std::mem::swap(&mut bucket.nodes[place], &mut carried);
                }
            }
            if at == end {
                bucket.hashes[free] = mark;
                bucket.nodes[free] = carried;
                return;
            }
            at = self.next(at);
        }
    }

    /// Puts a node behind those with the same hash.
    fn place_last(&mut self, hash: u32, node: Node) {
        let (at, free) = self.make_room(hash);
        self.buckets[at].hashes[free] = Self::mark(hash);
        self.buckets[at].nodes[free] = node;
    }

    /// The first free place from the home of a hash on; the full buckets before it note that a node passes by.
    fn make_room(&mut self, hash: u32) -> (usize, usize) {
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(free) = bucket.position(Node::EMPTY) {
                return (at, free);
            }
            *bucket.passed_by() += 1;
            at = self.next(at);
        }
    }

    /// Twice as many buckets. What the lowest bit of the hash was is forgotten, but a bucket number is made of the highest.
    fn grow(&mut self) {
        self.bits += 1;
        let bigger = vec![Bucket::EMPTY; 1 << self.bits];
        for bucket in std::mem::replace(&mut self.buckets, bigger) {
            for (hash, node) in bucket.hashes.into_iter().zip(bucket.nodes).take(WIDTH) {
                if node != Node::EMPTY {
                    self.place_last(hash, node);
                }
            }
        }
    }

    /// Removes a node; whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, node: Node) -> bool {
        let home = self.home(hash);
        let mut at = home;
        let place = loop {
            if let Some(place) = self.buckets[at].position(node) {
                break place;
            }
            if *self.buckets[at].passed_by() == 0 {
                return false;
            }
            at = self.next(at);
        };
        self.buckets[at].hashes[place] = 0;
        self.buckets[at].nodes[place] = Node::EMPTY;
        let mut passed = home;
        while passed != at {
            *self.buckets[passed].passed_by() -= 1;
            passed = self.next(passed);
        }
        self.used -= 1;
        true
    }

    /// The nodes in `count` places from the home of `hash` on.
    pub(crate) fn neighbourhood(&self, hash: u32, count: usize) -> impl Iterator<Item = Node> + '_ {
        let home = self.home(hash);
        let mask = self.buckets.len() - 1;
        (0..count.div_ceil(WIDTH).min(self.buckets.len()))
            .flat_map(move |i| self.buckets[(home + i) & mask].nodes)
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
                let node = Node::new(n, NodeKind::Both);
                if insert && model.insert(n) {
                    table.insert(hash(n), node);
                } else if !insert {
                    prop_assert_eq!(table.remove(hash(n), node), model.remove(&n));
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for n in 0..300 {
                let node = Node::new(n, NodeKind::Both);
                let found = table.find(hash(n), |candidate| (candidate == node).then_some(())).is_some();
                prop_assert_eq!(found, model.contains(&n));
            }
        }
    }
}
