//! Cuckoo hashing: several choices of bucket, and entries move between theirs to make room (Pagh, Rodler 2004; several slots per
//! bucket: Dietzfelbinger, Weidling 2007).
//!
//! A look-up reads one bucket of each memory at once: always one memory access time. An insertion finds a way that ends at a
//! free slot before it moves anything, and carries it out from that end, each entry copied before its old place is freed: a
//! present key is found at every moment, and an insertion that fails leaves the table as it was.

use super::entry::FlowKey;
use super::hash::{Hasher, Hashes};
use super::slots::SlotMemory;
use super::{Place, Slot};
use crate::config::{Insertion, TableConfig};

/// What an insertion needs beside the slots.
#[derive(Debug)]
pub struct Cuckoo {
    insertion: Insertion,
    search_limit_buckets: u32,
    nodes: Vec<Node>,
    /// For each bucket, the number of the search that came upon it last.
    seen: Vec<u32>,
    searches: u32,
    random: Lfsr,
    way: Vec<u32>,
}

/// A bucket on the search's frontier and the slot whose entry would move into it.
#[derive(Debug, Clone, Copy)]
struct Node {
    bucket: u32,
    parent: u32,
    slot: u32,
}

const ROOT: u32 = u32::MAX;

/// A 32-bit shift register with linear feedback, taps 32, 22, 2 and 1 (Xilinx XAPP 052): what hardware has for chance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lfsr(u32);

impl Lfsr {
    pub(super) const fn new(seed: u32) -> Self {
        Self(if seed == 0 { 1 } else { seed })
    }

    /// 32 steps.
    fn next(&mut self) -> u32 {
        for _ in 0..32 {
            let bit = self.0 & 1;
            self.0 >>= 1;
            self.0 ^= bit * 0x8020_0003;
        }
        self.0
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.next()) * u64::from(end)) >> 32) as u32
    }
}

impl Cuckoo {
    /// An engine for a table of this configuration.
    pub fn new(config: &TableConfig) -> Self {
        Self {
            insertion: config.insertion,
            search_limit_buckets: config.search_limit_buckets,
            nodes: Vec::new(),
            seen: vec![0; config.buckets as usize],
            searches: 0,
            random: Lfsr::new(config.hash_seed_1 ^ config.hash_seed_2),
            way: Vec::new(),
        }
    }

    /// Makes a free slot for a key and its hashes; entries that moved are added to `moved`.
    pub fn make_room(
        &mut self,
        slots: &mut SlotMemory,
        hasher: &Hasher,
        hashes: Hashes,
        moved: &mut Vec<(Slot, Slot)>,
    ) -> Place {
        self.way.clear();
        let (free, visited_buckets) = match self.insertion {
            Insertion::BreadthFirst => self.breadth_first(slots, hasher, hashes, u32::MAX),
            Insertion::OneStep => self.breadth_first(slots, hasher, hashes, slots.shape().choices),
            Insertion::RandomWalk => self.random_walk(slots, hasher, hashes),
        };
        let Some(mut free) = free else {
            return Place {
                slot: None,
                visited_buckets,
            };
        };
        for from in self.way.iter().rev() {
            slots.relocate(*from, free);
            moved.push((Slot(*from), Slot(free)));
            free = *from;
        }
        Place {
            slot: Some(free),
            visited_buckets,
        }
    }

    /// Visits buckets in order of the moves it takes to free a slot of the key's, and expands the first `expanded` of them;
    /// the free slot at the end of the way and how many buckets were visited.
    fn breadth_first(
        &mut self,
        slots: &SlotMemory,
        hasher: &Hasher,
        hashes: Hashes,
        expanded: u32,
    ) -> (Option<u32>, u32) {
        self.nodes.clear();
        self.searches = self.searches.wrapping_add(1);
        for bucket in slots.shape().homes(hashes) {
            self.push(bucket, ROOT, 0);
        }
        let mut at = 0;
        while at < self.nodes.len() {
            let Node { bucket, .. } = self.nodes[at];
            if let Some(free) = slots.free(bucket) {
                self.trace(at);
                return (Some(free), at as u32 + 1);
            }
            if (at as u32) < expanded {
                self.expand(slots, hasher, at);
            }
            at += 1;
        }
        (None, at as u32)
    }

    /// Appends the other buckets of every entry in a node's bucket.
    fn expand(&mut self, slots: &SlotMemory, hasher: &Hasher, at: usize) {
        let shape = slots.shape();
        let bucket = self.nodes[at].bucket;
        for slot in shape.slots_of(bucket) {
            let Some(key) = slots.key(slot) else { continue };
            for other in shape.homes(hasher.hash(&key)) {
                if self.nodes.len() as u32 >= self.search_limit_buckets {
                    return;
                }
                self.push(other, at as u32, slot);
            }
        }
    }

    /// Appends a bucket that this search has not come upon yet.
    fn push(&mut self, bucket: u32, parent: u32, slot: u32) {
        let seen = &mut self.seen[bucket as usize];
        if *seen != self.searches {
            *seen = self.searches;
            self.nodes.push(Node {
                bucket,
                parent,
                slot,
            });
        }
    }

    /// The slots whose entries move, from the root to a node.
    fn trace(&mut self, node: usize) {
        let mut at = self.nodes[node];
        while at.parent != ROOT {
            self.way.push(at.slot);
            at = self.nodes[at.parent as usize];
        }
        self.way.reverse();
    }

    /// Takes an entry of one of the key's buckets at random, then one of where that could go, and so on, until one of the buckets
    /// it comes to has a free slot. It does not come upon a slot twice.
    fn random_walk(
        &mut self,
        slots: &SlotMemory,
        hasher: &Hasher,
        hashes: Hashes,
    ) -> (Option<u32>, u32) {
        let shape = slots.shape();
        let (mut hashes, mut from, mut visited) = (hashes, None, 0);
        loop {
            let others = shape.homes(hashes).filter(|bucket| Some(*bucket) != from);
            for bucket in others.clone() {
                visited += 1;
                if let Some(free) = slots.free(bucket) {
                    return (Some(free), visited);
                }
            }
            if visited >= self.search_limit_buckets {
                return (None, visited);
            }
            let count = others.clone().count() as u32;
            let Some(bucket) = others.clone().nth(self.random.below(count) as usize) else {
                return (None, visited);
            };
            let at = self.random.below(shape.slots_per_bucket);
            let first = shape.slots_of(bucket).start;
            let turned = (0..shape.slots_per_bucket)
                .map(|i| first + (at + i) % shape.slots_per_bucket)
                .find(|slot| !self.way.contains(slot));
            let Some((slot, key)) = turned.and_then(|slot| Some((slot, slots.key(slot)?))) else {
                return (None, visited);
            };
            self.way.push(slot);
            from = Some(bucket);
            hashes = hasher.hash(&key);
        }
    }
}

/// Whether a key could lie in a bucket.
pub(super) fn may_lie_in(slots: &SlotMemory, hasher: &Hasher, key: &FlowKey, bucket: u32) -> bool {
    let hashes = hasher.hash(key);
    slots.shape().homes(hashes).any(|home| home == bucket)
}
