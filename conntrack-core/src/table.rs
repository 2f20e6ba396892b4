//! The connection table: from tuples to connections.
//!
//! A tuple and its mirror image have the same hash, so that one node finds a connection from both sides; only a
//! connection whose reply tuple is not the mirror image of its original one (NAT, a zone for one direction) has two. Nodes
//! lie in buckets of one cache line each; beside each stands its hash, so that growing and removing never touch the
//! connections.

use packet::prefetch;

/// Which tuples of a connection a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Original,
    Reply,
    /// The original tuple and its mirror image.
    Both,
}

/// A connection's index, and which of its tuples is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Node(u32);

impl Node {
    const EMPTY: Self = Self(0);
    /// Connections there can be, so that indices and kinds fit a node.
    pub(crate) const MAX_CONNECTIONS: usize = (1 << 30) - 2;

    pub(crate) const fn new(index: u32, kind: NodeKind) -> Self {
        Self((index + 1) << 2 | kind as u32)
    }

    pub(crate) const fn index(self) -> u32 {
        (self.0 >> 2).wrapping_sub(1)
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
    /// The last one is not a hash but twice the number of nodes that would be here or before and lie further on, because
    /// there was no room: an even number, which no node is marked with.
    hashes: [u32; WIDTH + 1],
    nodes: [Node; WIDTH + 1],
}

impl Bucket {
    const EMPTY: Self = Self {
        hashes: [0; WIDTH + 1],
        nodes: [Node::EMPTY; WIDTH + 1],
    };

    /// Byte i is 0xff if node i was put in with `hash`, or else 0; all hashes are compared at once, because where a
    /// node lies is a matter of chance.
    #[inline]
    fn matching(&self, hash: u32) -> u64 {
        let equal = |there| if there == hash { 0xff } else { 0 };
        u64::from_le_bytes(self.hashes.map(equal))
    }

    /// The node of the first byte in what [`Bucket::matching`] gave.
    #[inline]
    const fn node(&self, matching: u64) -> Node {
        self.nodes[(matching.trailing_zeros() / 8) as usize & WIDTH]
    }

    fn passed_by(&mut self) -> &mut u32 {
        &mut self.hashes[WIDTH]
    }

    fn position(&self, node: Node) -> Option<usize> {
        self.nodes[..WIDTH].iter().position(|there| *there == node)
    }
}

/// Buckets of a segment, if there are so many.
const SEGMENT: usize = 2_048;

/// An array of buckets. A node lies in the bucket its hash points to, or in the first after it with room.
///
/// It is made of segments, each allocated when the first node comes into it and freed when the last one has moved to a larger
/// array: allocating all at once would hold a packet up.
#[derive(Debug)]
struct Buckets {
    segments: Vec<Vec<Bucket>>,
    bits: u32,
}

impl Buckets {
    fn new(bits: u32) -> Self {
        Self {
            segments: vec![Vec::new(); (1_usize << bits).div_ceil(SEGMENT)],
            bits,
        }
    }

    /// Number of buckets.
    const fn len(&self) -> usize {
        1 << self.bits
    }

    /// A bucket; none if its segment is empty.
    #[inline]
    fn line(&self, at: usize) -> Option<&Bucket> {
        self.segments.get(at / SEGMENT)?.get(at % SEGMENT)
    }

    /// A bucket; its segment is there from now on.
    #[inline]
    fn line_mut(&mut self, at: usize) -> &mut Bucket {
        let len = self.len().min(SEGMENT);
        let segment = &mut self.segments[at / SEGMENT];
        if segment.is_empty() {
            segment.resize(len, Bucket::EMPTY);
        }
        &mut segment[at % SEGMENT]
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
    const fn next(&self, bucket: usize) -> usize {
        (bucket + 1) & (self.len() - 1)
    }

    #[inline]
    fn prefetch(&self, hash: u32) {
        if let Some(line) = self.line(self.home(hash)) {
            prefetch(line);
        }
    }

    #[inline]
    fn first(&self, hash: u32) -> Option<Node> {
        let bucket = self.line(self.home(hash))?;
        let candidates = bucket.matching(Self::mark(hash));
        (candidates != 0).then(|| bucket.node(candidates))
    }

    #[inline]
    fn find<T>(&self, hash: u32, matches: &mut impl FnMut(Node) -> Option<T>) -> Option<T> {
        let mut at = self.home(hash);
        loop {
            let bucket = self.line(at)?;
            let mut candidates = bucket.matching(Self::mark(hash));
            while candidates != 0 {
                let node = bucket.node(candidates);
                if let Some(found) = matches(node) {
                    return Some(found);
                }
                candidates &= !(0xff << (candidates.trailing_zeros() & !7));
            }
            if bucket.hashes[WIDTH] == 0 {
                return None;
            }
            at = self.next(at);
        }
    }

    /// Puts a node before those with the same hash: of several connections that match a packet (which zones for one
    /// direction make possible) the youngest is found, as in the kernel.
    #[inline]
    fn place_first(&mut self, hash: u32, node: Node) {
        let home = self.home(hash);
        let bucket = self.line_mut(home);
        let alone = bucket.matching(Self::mark(hash)) == 0 && *bucket.passed_by() == 0;
        if alone && let Some(free) = bucket.position(Node::EMPTY) {
            bucket.hashes[free] = Self::mark(hash);
            bucket.nodes[free] = node;
            return;
        }
        self.place_before_equals(hash, node);
    }

    fn place_before_equals(&mut self, hash: u32, node: Node) {
        let (end, free) = self.make_room(hash);
        let (mark, mut carried, mut at) = (Self::mark(hash), node, self.home(hash));
        loop {
            let places = if at == end { free } else { WIDTH };
            let bucket = self.line_mut(at);
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
        let bucket = self.line_mut(at);
        bucket.hashes[free] = Self::mark(hash);
        bucket.nodes[free] = node;
    }

    /// The first free place from the home of a hash on; the full buckets before it note that a node passes by.
    fn make_room(&mut self, hash: u32) -> (usize, usize) {
        let mut at = self.home(hash);
        loop {
            let bucket = self.line_mut(at);
            if let Some(free) = bucket.position(Node::EMPTY) {
                return (at, free);
            }
            *bucket.passed_by() += 2;
            at = self.next(at);
        }
    }

    /// Removes a node; whether it was there.
    fn remove(&mut self, hash: u32, node: Node) -> bool {
        let mut at = self.home(hash);
        let place = loop {
            let Some(bucket) = self.line(at) else {
                return false;
            };
            if let Some(place) = bucket.position(node) {
                break place;
            }
            if bucket.hashes[WIDTH] == 0 {
                return false;
            }
            at = self.next(at);
        };
        self.clear(at, place);
        true
    }

    /// Empties a place.
    fn clear(&mut self, at: usize, place: usize) {
        let bucket = self.line_mut(at);
        let hash = std::mem::take(&mut bucket.hashes[place]);
        bucket.nodes[place] = Node::EMPTY;
        let mut passed = self.home(hash);
        while passed != at {
            *self.line_mut(passed).passed_by() -= 2;
            passed = self.next(passed);
        }
    }

    /// The nodes in `count` places from the home of `hash` on.
    fn neighbourhood(&self, hash: u32, count: usize) -> impl Iterator<Item = Node> + '_ {
        let home = self.home(hash);
        (0..count.div_ceil(WIDTH).min(self.len()))
            .filter_map(move |i| self.line((home + i) & (self.len() - 1)))
            .flat_map(|bucket| bucket.nodes)
            .filter(|node| *node != Node::EMPTY)
    }
}

/// Buckets whose nodes move with every node that is put in: more than one, so that all have moved long before the larger array
/// is full.
const STEPS: usize = 4;

/// An array that is too small, and whose nodes move to the one twice as large.
#[derive(Debug)]
struct Leaving {
    from: Buckets,
    /// The bucket whose nodes move next.
    at: usize,
    /// Buckets whose nodes have not moved yet.
    left: usize,
}

/// The table. It grows step by step, so that no packet waits for it.
#[derive(Debug)]
pub(crate) struct NodeTable {
    buckets: Buckets,
    leaving: Option<Box<Leaving>>,
    used: usize,
    /// Counts what was put in and removed. Nodes move only while the table grows.
    changes: u32,
}

impl NodeTable {
    pub(crate) fn new() -> Self {
        /// 512 buckets at first.
        const BITS: u32 = 9;
        Self {
            buckets: Buckets::new(BITS),
            leaving: None,
            used: 0,
            changes: 0,
        }
    }

    /// Asks for the home bucket.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u32) {
        self.buckets.prefetch(hash);
        if let Some(leaving) = &self.leaving {
            leaving.from.prefetch(hash);
        }
    }

    /// A number that is another one after a node was put in or removed.
    #[inline]
    pub(crate) const fn changes(&self) -> u32 {
        self.changes
    }

    /// Whether nodes move to a larger array.
    #[inline]
    pub(crate) const fn is_growing(&self) -> bool {
        self.leaving.is_some()
    }

    /// The first node with this hash in the home bucket: if the table does not grow, the one [`NodeTable::find`] begins with.
    #[inline]
    pub(crate) fn first(&self, hash: u32) -> Option<Node> {
        let first = self.buckets.first(hash);
        match &self.leaving {
            Some(leaving) if first.is_none() => leaving.from.first(hash),
            _ => first,
        }
    }

    /// What `matches` makes of the first node with this hash that it accepts.
    #[inline]
    pub(crate) fn find<T>(
        &self,
        hash: u32,
        mut matches: impl FnMut(Node) -> Option<T>,
    ) -> Option<T> {
        let found = self.buckets.find(hash, &mut matches);
        match &self.leaving {
            Some(leaving) if found.is_none() => leaving.from.find(hash, &mut matches),
            _ => found,
        }
    }

    /// Puts a node in, before those with the same hash.
    pub(crate) fn insert(&mut self, hash: u32, node: Node) {
        // At most 80 % full: then one node in six lies outside its home bucket.
        if (self.used + 1) * 5 > self.buckets.len() * WIDTH * 4 {
            self.grow();
        }
        self.used += 1;
        self.changes = self.changes.wrapping_add(1);
        self.move_some(STEPS);
        self.buckets.place_first(hash, node);
    }

    /// Begins to use twice as many buckets.
    fn grow(&mut self) {
        // The steps of insertions before were more than enough: this is for none.
        while self.leaving.is_some() {
            self.move_some(STEPS);
        }
        let bigger = Buckets::new(self.buckets.bits + 1);
        let from = std::mem::replace(&mut self.buckets, bigger);
        let left = from.len();
        // Behind one that no node passed by: so nodes with the same hash move in their order.
        let open = |at: &usize| from.line(*at).is_none_or(|line| line.hashes[WIDTH] == 0);
        let gap = (0..left).find(open);
        let at = gap.map_or(0, |gap| from.next(gap));
        self.leaving = Some(Box::new(Leaving { from, at, left }));
    }

    /// Moves the nodes of some buckets, if the table is growing. What the lowest bit of the hash was is forgotten, but a
    /// bucket number is made of the highest.
    pub(crate) fn move_some(&mut self, buckets: usize) {
        for _ in 0..buckets {
            let Some(leaving) = self.leaving.as_deref_mut() else {
                return;
            };
            let Leaving { from, at, left } = leaving;
            let nodes = from.line(*at).map(|line| (line.hashes, line.nodes));
            let (hashes, nodes) = nodes.unwrap_or_default();
            for place in 0..WIDTH {
                if nodes[place] != Node::EMPTY {
                    from.clear(*at, place);
                    self.buckets.place_last(hashes[place], nodes[place]);
                }
            }
            *at = from.next(*at);
            *left -= 1;
            // A segment is freed when all of it has been gone through, unless nodes that belong to it lie behind it.
            let segment_end = *at % SEGMENT == 0 && from.len() - *left >= SEGMENT;
            let last = at.checked_sub(1).unwrap_or(from.len() - 1);
            if segment_end && from.line(last).is_some_and(|line| line.hashes[WIDTH] == 0) {
                from.segments[last / SEGMENT] = Vec::new();
            }
            if *left == 0 {
                self.leaving = None;
            }
        }
    }

    /// Removes a node; whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, node: Node) -> bool {
        let mut there = self.buckets.remove(hash, node);
        if !there && let Some(leaving) = &mut self.leaving {
            there = leaving.from.remove(hash, node);
        }
        self.used -= usize::from(there);
        self.changes = self.changes.wrapping_add(1);
        there
    }

    /// The nodes in `count` places from the home of `hash` on.
    pub(crate) fn neighbourhood(&self, hash: u32, count: usize) -> impl Iterator<Item = Node> + '_ {
        let leaving = self.leaving.iter();
        let leaving = leaving.flat_map(move |leaving| leaving.from.neighbourhood(hash, count));
        self.buckets.neighbourhood(hash, count).chain(leaving)
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
    fn every_node_is_found_at_every_step_of_growing() {
        let mut table = NodeTable::new();
        let hash = |n: u32| n.wrapping_mul(0x9e37_79b1).rotate_left(n % 3);
        let there = |table: &NodeTable, n: u32| {
            let node = Node::new(n, NodeKind::Both);
            table
                .find(hash(n), |found| (found == node).then_some(()))
                .is_some()
        };
        const COUNT: u32 = 60_000;
        for n in 0..COUNT {
            table.insert(hash(n), Node::new(n, NodeKind::Both));
            assert!(there(&table, n) && there(&table, n / 2) && there(&table, n / 7 * 3));
            if n.is_multiple_of(1_000) {
                assert!((0..=n).all(|n| there(&table, n)));
            }
        }
        for n in 0..COUNT {
            assert!(table.remove(hash(n), Node::new(n, NodeKind::Both)), "{n}");
            table.move_some(1);
            assert!(!there(&table, n));
        }
        assert_eq!(table.len(), 0);
    }

    proptest! {
        #[test]
        fn nodes_with_the_same_hash_stay_in_order_while_the_table_grows(
            filler in 500u32..3_000,
            same in proptest::collection::vec(any::<bool>(), 1..40),
        ) {
            let mut table = NodeTable::new();
            let hash = 0xffff_fff0;
            let mut order = Vec::new();
            let (mut next, mut fill) = (1_000_000, 0..filler);
            for more in same {
                table.insert(hash, Node::new(next, NodeKind::Original));
                order.insert(0, next);
                next += 1;
                let count = if more { 200 } else { 3 };
                for n in fill.by_ref().take(count) {
                    table.insert(n.wrapping_mul(0x9e37_79b1), Node::new(n, NodeKind::Both));
                }
                let mut seen = Vec::new();
                let found = table.find(hash, |node| {
                    if node.index() >= 1_000_000 {
                        seen.push(node.index());
                    }
                    None::<()>
                });
                prop_assert_eq!(found, None);
                prop_assert_eq!(&seen, &order);
            }
        }

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
