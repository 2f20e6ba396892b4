//! One bucket per key that goes on, when it is full, in further buckets taken from a pool: what a table in DRAM looks like when
//! software lays it out. A look-up reads the buckets of a chain one after the other.

use super::entry::{EntryState, FlowKey};
use super::hash::Hashes;
use super::slots::{Shape, SlotMemory};
use super::{Place, Slot};
use crate::config::TableConfig;

const END: u32 = u32::MAX;

/// How buckets follow each other.
#[derive(Debug)]
pub struct Chained {
    /// For each bucket the next of its chain; of a free one the next free.
    next: Vec<u32>,
    free: u32,
    longest_buckets: u32,
}

impl Chained {
    /// An engine for a table of this configuration.
    pub fn new(config: &TableConfig) -> Self {
        let mut chained = Self {
            next: Vec::new(),
            free: END,
            longest_buckets: config.search_limit_buckets,
        };
        chained.clear(Shape::new(config));
        chained
    }

    /// All chains are one bucket again.
    pub fn clear(&mut self, shape: Shape) {
        self.next = vec![END; shape.buckets() as usize];
        self.free = END;
        for bucket in (shape.home_buckets()..shape.buckets()).rev() {
            self.next[bucket as usize] = std::mem::replace(&mut self.free, bucket);
        }
    }

    /// The buckets of a chain, its home first.
    #[inline]
    pub fn chain(&self, home: u32) -> impl Iterator<Item = u32> + '_ {
        let next = |bucket: &u32| Some(self.next[*bucket as usize]).filter(|next| *next != END);
        std::iter::successors(Some(home), next)
    }

    /// A free slot for a key: at the end of its chain, which may become longer.
    pub fn make_room(&mut self, slots: &SlotMemory, hashes: Hashes) -> Place {
        let home = slots.shape().bucket(0, hashes);
        let (mut last, mut visited_buckets) = (home, 0);
        for bucket in self.chain(home) {
            visited_buckets += 1;
            last = bucket;
        }
        let mut slot = slots.free(last);
        if slot.is_none() && visited_buckets < self.longest_buckets && self.free != END {
            let more = self.free;
            self.free = std::mem::replace(&mut self.next[more as usize], END);
            self.next[last as usize] = more;
            visited_buckets += 1;
            slot = slots.free(more);
        }
        Place {
            slot,
            visited_buckets,
        }
    }

    /// Takes an entry out. The last of its chain takes its place, so that chains have no holes.
    pub fn remove(
        &mut self,
        slots: &mut SlotMemory,
        slot: u32,
        home: u32,
        moved: &mut Vec<(Slot, Slot)>,
    ) -> Option<(FlowKey, EntryState)> {
        let removed = slots.erase(slot)?;
        let (mut before, mut last) = (home, home);
        for bucket in self.chain(home) {
            before = std::mem::replace(&mut last, bucket);
        }
        let shape = slots.shape();
        let end = shape.slots_of(last).rev().find(|slot| slots.in_use(*slot));
        if let Some(end) =
            end.filter(|end| shape.bucket_of(*end) != shape.bucket_of(slot) || *end > slot)
        {
            slots.relocate(end, slot);
            moved.push((Slot(end), Slot(slot)));
        }
        if last != home && slots.load(last) == 0 {
            self.next[before as usize] = END;
            self.next[last as usize] = std::mem::replace(&mut self.free, last);
        }
        Some(removed)
    }
}
