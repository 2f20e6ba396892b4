//! One bucket per key. When it is full the new entry is refused, or takes the place of another.

use super::Place;
use super::cuckoo::Lfsr;
use super::entry::{EntryState, FlowKey};
use super::hash::Hashes;
use super::slots::SlotMemory;
use crate::config::{TableConfig, Victim};

/// What an insertion needs beside the slots.
#[derive(Debug)]
pub struct SetAssociative {
    victim: Victim,
    random: Lfsr,
}

impl SetAssociative {
    /// An engine for a table of this configuration.
    pub const fn new(config: &TableConfig) -> Self {
        Self {
            victim: config.victim,
            random: Lfsr::new(config.hash_seed_1),
        }
    }

    /// A free slot for a key, and the entry that gave way.
    pub fn make_room(
        &mut self,
        slots: &mut SlotMemory,
        hashes: Hashes,
        new: &EntryState,
    ) -> (Place, Option<(FlowKey, EntryState)>) {
        let bucket = slots.shape().bucket(0, hashes);
        let mut slot = slots.free(bucket);
        let mut evicted = None;
        if slot.is_none() {
            slot = self.choose(slots, bucket, new);
            evicted = slot.and_then(|slot| slots.erase(slot));
        }
        let place = Place {
            slot,
            visited_buckets: 1,
        };
        (place, evicted)
    }

    fn choose(&mut self, slots: &SlotMemory, bucket: u32, new: &EntryState) -> Option<u32> {
        let mut all = slots.shape().slots_of(bucket);
        match self.victim {
            Victim::None => None,
            Victim::Random => {
                let at = self.random.below(slots.shape().slots_per_bucket);
                all.nth(at as usize)
            }
            // Ticks wrap around; the first of several that are equally old is the victim, as of comparators in a row.
            Victim::Lru => all.rev().max_by_key(|slot| {
                let state = slots.state(*slot).unwrap_or_default();
                new.ticks().wrapping_sub(state.ticks())
            }),
        }
    }
}
