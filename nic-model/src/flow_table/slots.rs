//! The memory that entries lie in, whatever the organisation: slots in buckets, with the tags of a bucket side by side.
//!
//! Memory is laid out for look-ups in bursts: the tags of a bucket lie in words that are compared four tags at a time, and an
//! entry, key and state together, in two lines of the cache that follow each other.

use super::entry::{EntryState, FlowKey, Marking, RewriteWords, flag};
use super::hash::{Hashes, MAX_CHOICES};
use crate::config::TableConfig;
use packet::prefetch;
use std::ops::Range;

/// An entry as it lies in a slot: six words of key, four of state. What it writes into packets lies elsewhere: few need it.
type Entry = [u64; 10];

fn entry(key: FlowKey, state: EntryState) -> Entry {
    let mut words = [0; 10];
    words[..6].copy_from_slice(&key.0);
    words[6..].copy_from_slice(&state.0);
    words
}

#[inline]
fn key_of(entry: &Entry) -> FlowKey {
    let [a, b, c, d, e, f, ..] = *entry;
    FlowKey([a, b, c, d, e, f])
}

#[inline]
fn state_of(entry: &Entry) -> EntryState {
    let [.., a, b, c, d] = *entry;
    EntryState([a, b, c, d])
}

/// Where a key may lie: in one bucket of each choice's memory. Buckets of all memories are numbered through, and after them
/// those that chains go on in; slots are numbered bucket by bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Memories.
    pub choices: u32,
    /// Buckets of each, a power of two.
    pub buckets_per_choice: u32,
    /// Slots of a bucket.
    pub slots_per_bucket: u32,
    /// Buckets that belong to no choice.
    pub overflow_buckets: u32,
}

impl Shape {
    /// The shape a configuration asks for.
    pub fn new(config: &TableConfig) -> Self {
        let chained = config.organisation == crate::config::Organisation::Chained;
        Self {
            choices: config.choices_used(),
            buckets_per_choice: config.buckets_per_choice(),
            slots_per_bucket: config.slots_per_bucket,
            overflow_buckets: if chained { config.overflow_buckets } else { 0 },
        }
    }

    /// Buckets that a hash leads to.
    pub const fn home_buckets(&self) -> u32 {
        self.choices * self.buckets_per_choice
    }

    /// All buckets.
    pub const fn buckets(&self) -> u32 {
        self.home_buckets() + self.overflow_buckets
    }

    /// All slots.
    pub const fn slots(&self) -> u32 {
        self.buckets() * self.slots_per_bucket
    }

    /// The bucket of a key in one choice's memory.
    #[inline]
    pub const fn bucket(&self, choice: u32, hashes: Hashes) -> u32 {
        let hash = hashes.0[choice as usize % MAX_CHOICES];
        choice * self.buckets_per_choice + (hash & self.buckets_per_choice.wrapping_sub(1))
    }

    /// The buckets of a key, in the order of choices.
    #[inline]
    pub fn homes(self, hashes: Hashes) -> impl Iterator<Item = u32> + Clone {
        (0..self.choices).map(move |choice| self.bucket(choice, hashes))
    }

    /// The slots of a bucket.
    #[inline]
    pub const fn slots_of(&self, bucket: u32) -> Range<u32> {
        let first = bucket * self.slots_per_bucket;
        first..first + self.slots_per_bucket
    }

    /// The bucket of a slot.
    #[inline]
    pub const fn bucket_of(&self, slot: u32) -> u32 {
        slot / self.slots_per_bucket
    }
}

/// Tags compared at once.
const TAGS_PER_WORD: u32 = 4;
/// The lowest bit of each lane, and the topmost.
const ONES: u64 = 0x0001_0001_0001_0001;
const TOPS: u64 = ONES << 15;

/// Tags and entries. Memory that was never used costs nothing: both begin as zeros that nobody has written.
#[derive(Debug)]
pub struct SlotMemory {
    shape: Shape,
    /// Four tags a word, the first in the low bits; a bucket begins with a word of its own.
    tags: Vec<u64>,
    words_per_bucket: u32,
    /// The lanes of a bucket's last word that are slots: their topmost bits.
    last_lanes: u64,
    entries: Vec<Entry>,
    rewrites: Vec<[u64; 6]>,
    markings: Vec<[u64; 3]>,
    windows: Vec<[u64; 4]>,
    /// One bit per slot: whether its counters have changed since they were read.
    dirty: Vec<u64>,
    occupied: u32,
}

impl SlotMemory {
    /// Empty slots.
    pub fn new(shape: Shape) -> Self {
        let slots = shape.slots() as usize;
        let words_per_bucket = shape.slots_per_bucket.div_ceil(TAGS_PER_WORD);
        let in_last = shape.slots_per_bucket - (words_per_bucket.max(1) - 1) * TAGS_PER_WORD;
        Self {
            shape,
            tags: vec![0; (shape.buckets() * words_per_bucket) as usize],
            words_per_bucket,
            last_lanes: TOPS >> (16 * (TAGS_PER_WORD - in_last.min(TAGS_PER_WORD))),
            entries: vec![[0; 10]; slots],
            rewrites: vec![[0; 6]; slots],
            markings: vec![[0; 3]; slots],
            windows: vec![[0; 4]; slots],
            dirty: vec![0; slots.div_ceil(64)],
            occupied: 0,
        }
    }

    /// Where keys may lie.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Slots in use.
    pub const fn occupied(&self) -> u32 {
        self.occupied
    }

    /// Asks for the tags of a bucket.
    #[inline]
    pub fn prefetch_tags(&self, bucket: u32) {
        if let Some(word) = self.tags.get((bucket * self.words_per_bucket) as usize) {
            prefetch(word);
        }
    }

    /// Asks for the first entry in a bucket whose tag is this; its slot.
    #[inline]
    pub fn prefetch_entry(&self, bucket: u32, tag: u16) -> Option<u32> {
        let slot = self.first_with_tag(bucket, tag, Some)?;
        // An entry lies in two lines that follow each other.
        let entry = &self.entries[slot as usize];
        prefetch(&entry[0]);
        prefetch(&entry[9]);
        Some(slot)
    }

    /// What `matches` makes of the first slot of a bucket whose tag is this and that it accepts.
    #[inline]
    fn first_with_tag<T>(
        &self,
        bucket: u32,
        tag: u16,
        mut matches: impl FnMut(u32) -> Option<T>,
    ) -> Option<T> {
        let mut first_slot = bucket * self.shape.slots_per_bucket;
        for number in 0..self.words_per_bucket {
            let mut lanes = self.lanes_with_tag(bucket, number, tag);
            while lanes != 0 {
                let found = matches(first_slot + lanes.trailing_zeros() / 16);
                if found.is_some() {
                    return found;
                }
                lanes &= lanes - 1;
            }
            first_slot += TAGS_PER_WORD;
        }
        None
    }

    /// The lanes of a bucket's word that hold a tag: their topmost bits.
    #[inline]
    fn lanes_with_tag(&self, bucket: u32, number: u32, tag: u16) -> u64 {
        let word = self.tags[(bucket * self.words_per_bucket + number) as usize];
        let differs = word ^ (u64::from(tag) * ONES);
        // A lane is zero if neither its lower bits carry into the topmost one nor that is set.
        let zero = !(((differs & !TOPS) + !TOPS) | differs) & TOPS;
        let is_last = number + 1 == self.words_per_bucket;
        zero & if is_last { self.last_lanes } else { TOPS }
    }

    fn set_tag(&mut self, slot: u32, tag: u16) {
        let (word, shift) = self.tag_place(slot);
        self.tags[word] = self.tags[word] & !(0xffff << shift) | u64::from(tag) << shift;
    }

    fn tag(&self, slot: u32) -> u16 {
        let (word, shift) = self.tag_place(slot);
        (self.tags[word] >> shift) as u16
    }

    /// The word of a slot's tag, and how far up it is there.
    const fn tag_place(&self, slot: u32) -> (usize, u32) {
        let bucket = self.shape.bucket_of(slot);
        let at = slot - bucket * self.shape.slots_per_bucket;
        let word = bucket * self.words_per_bucket + at / TAGS_PER_WORD;
        (word as usize, 16 * (at % TAGS_PER_WORD))
    }

    /// Whether a slot holds a key.
    #[inline]
    pub fn holds(&self, slot: u32, key: &FlowKey) -> bool {
        // A free slot holds the key of zeros, which is none.
        (self.entries.get(slot as usize)).is_some_and(|entry| key_of(entry).is(key))
    }

    /// The slot of a bucket that holds a key.
    #[inline]
    pub fn find(&self, bucket: u32, tag: u16, key: &FlowKey) -> Option<u32> {
        self.first_with_tag(bucket, tag, |slot| {
            key_of(&self.entries[slot as usize]).is(key).then_some(slot)
        })
    }

    /// The first free slot of a bucket.
    #[inline]
    pub fn free(&self, bucket: u32) -> Option<u32> {
        self.first_with_tag(bucket, 0, Some)
    }

    /// Slots of a bucket that are in use.
    pub fn load(&self, bucket: u32) -> u32 {
        let free = |number| self.lanes_with_tag(bucket, number, 0).count_ones();
        self.shape.slots_per_bucket - (0..self.words_per_bucket).map(free).sum::<u32>()
    }

    /// Whether a slot is in use.
    #[inline]
    pub fn in_use(&self, slot: u32) -> bool {
        self.entries
            .get(slot as usize)
            .is_some_and(|entry| state_of(entry).has(flag::VALID))
    }

    /// The key in a slot in use.
    #[inline]
    pub fn key(&self, slot: u32) -> Option<FlowKey> {
        self.in_use(slot)
            .then(|| key_of(&self.entries[slot as usize]))
    }

    /// The state in a slot in use.
    #[inline]
    pub fn state(&self, slot: u32) -> Option<EntryState> {
        self.in_use(slot)
            .then(|| state_of(&self.entries[slot as usize]))
    }

    /// Changes the state in a slot in use, and gives what `change` gives.
    #[inline]
    pub fn with_state<R>(
        &mut self,
        slot: u32,
        change: impl FnOnce(&mut EntryState) -> R,
    ) -> Option<R> {
        let entry = self.entries.get_mut(slot as usize)?;
        let mut state = state_of(entry);
        if !state.has(flag::VALID) {
            return None;
        }
        let was_dirty = state.has(flag::DIRTY);
        let result = change(&mut state);
        entry[6..].copy_from_slice(&state.0);
        if state.has(flag::DIRTY) != was_dirty {
            self.note_dirty(slot, !was_dirty);
        }
        Some(result)
    }

    fn note_dirty(&mut self, slot: u32, dirty: bool) {
        let bit = 1 << (slot % 64);
        let word = &mut self.dirty[slot as usize / 64];
        *word = *word & !bit | if dirty { bit } else { 0 };
    }

    /// The first slot from this one on whose counters have changed since they were read.
    pub fn next_dirty(&self, from: u32) -> Option<u32> {
        let first = from as usize / 64;
        let mut mask = u64::MAX << (from % 64);
        for (at, word) in self.dirty.iter().enumerate().skip(first) {
            let there = word & mask;
            if there != 0 {
                return Some(at as u32 * 64 + there.trailing_zeros());
            }
            mask = u64::MAX;
        }
        None
    }

    /// What the entry in a slot writes into packets.
    #[inline]
    pub fn rewrite(&self, slot: u32) -> RewriteWords {
        RewriteWords(self.rewrites[slot as usize])
    }

    /// Sets what the entry in a slot writes into packets.
    pub fn set_rewrite(&mut self, slot: u32, rewrite: RewriteWords) {
        self.rewrites[slot as usize] = rewrite.0;
    }

    /// Mark and labels of the entry in a slot; meaningful where its state says that there are any.
    #[inline]
    pub fn marking(&self, slot: u32) -> Marking {
        Marking::of_words(self.markings[slot as usize])
    }

    /// Sets mark and labels of the entry in a slot.
    pub fn set_marking(&mut self, slot: u32, marking: Marking) {
        self.markings[slot as usize] = marking.words();
    }

    /// The window checker's state of the entry in a slot.
    #[inline]
    pub fn window_mut(&mut self, slot: u32) -> &mut [u64; 4] {
        &mut self.windows[slot as usize]
    }

    /// Writes an entry into a free slot; it writes nothing into packets.
    pub fn write(&mut self, slot: u32, tag: u16, key: FlowKey, state: EntryState) {
        debug_assert!(!self.in_use(slot), "slot {slot} is in use");
        self.entries[slot as usize] = entry(key, state);
        self.set_tag(slot, tag);
        self.occupied += 1;
        if state.has(flag::DIRTY) {
            self.note_dirty(slot, true);
        }
    }

    /// Empties a slot; what it held.
    pub fn erase(&mut self, slot: u32) -> Option<(FlowKey, EntryState)> {
        if !self.in_use(slot) {
            return None;
        }
        self.set_tag(slot, 0);
        self.occupied -= 1;
        self.note_dirty(slot, false);
        let entry = std::mem::take(&mut self.entries[slot as usize]);
        Some((key_of(&entry), state_of(&entry)))
    }

    /// Moves an entry to a free slot: it is there before its old place is free.
    pub fn relocate(&mut self, from: u32, to: u32) {
        let entry = self.entries[from as usize];
        let state = state_of(&entry);
        self.write(to, self.tag(from), key_of(&entry), state);
        if state.rewrites() {
            self.rewrites[to as usize] = self.rewrites[from as usize];
        }
        if state.has(flag::MARKED) {
            self.markings[to as usize] = self.markings[from as usize];
        }
        if state.has(flag::WINDOW) {
            self.windows[to as usize] = self.windows[from as usize];
        }
        self.erase(from);
    }

    /// Slots in use, in ascending order.
    pub fn slots_in_use(&self) -> impl Iterator<Item = u32> + '_ {
        // Words of zeros are passed over without a look at their entries.
        let words = self.words_per_bucket;
        let used = self.tags.iter().enumerate().filter(|(_, word)| **word != 0);
        used.flat_map(move |(at, _)| {
            let (bucket, number) = (at as u32 / words, at as u32 % words);
            let slots = self.shape.slots_of(bucket);
            let first = slots.start + number * TAGS_PER_WORD;
            (first..slots.end.min(first + TAGS_PER_WORD)).filter(|slot| self.in_use(*slot))
        })
    }

    /// Empties every slot.
    pub fn clear(&mut self) {
        if self.occupied > 0 {
            self.tags.fill(0);
            self.entries.fill([0; 10]);
            self.dirty.fill(0);
            self.occupied = 0;
        }
    }
}
