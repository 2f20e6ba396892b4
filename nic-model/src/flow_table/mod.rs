//! Flow tables: where the chip keeps connections, and how it finds them.
//!
//! One organisation is one file, which says where a new entry goes: [`cuckoo`], [`dleft`], [`set_associative`], [`chained`]. What
//! they have in common, the memory with its slots, is in [`slots`]; [`cam`] is the stash beside any of them, or a table by
//! itself. The layout of an entry is in [`entry`], the hash functions are in [`hash`].

pub mod cam;
pub mod chained;
pub mod cuckoo;
pub mod dleft;
pub mod entry;
pub mod hash;
pub mod key;
pub mod marking;
pub mod rewrite;
pub mod set_associative;
pub mod slots;
pub mod tcam;
pub mod toeplitz;

pub use entry::{EntryAction, EntryCounters, EntryState, FlowKey, KeyDirection, RewriteWords};
pub use hash::Hashes;
pub use marking::Marking;
pub use rewrite::Rewrite;

use crate::config::{Organisation, TableConfig};
use crate::datapath::window::WindowWords;
use cam::Cam;
use chained::Chained;
use cuckoo::Cuckoo;
use hash::Hasher;
use set_associative::SetAssociative;
use slots::{Shape, SlotMemory};

/// Where an entry lies: a slot of the main table, or a cell of the stash counted after the last slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// A successful insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inserted {
    /// Where the new entry lies.
    pub slot: Slot,
    /// Entries moved to make room.
    pub moves: u32,
    /// Buckets visited in the search.
    pub visited_buckets: u32,
    /// The entry that gave way, with its final counters.
    pub evicted: Option<(FlowKey, EntryState)>,
}

/// Why an insertion did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The key is there already.
    #[error("the key is in the table already, at slot {}", .slot.0)]
    Duplicate {
        /// Where it lies.
        slot: Slot,
    },
    /// No free slot within the search limit and no free stash cell.
    #[error("no free slot after visiting {visited_buckets} buckets")]
    Full {
        /// Buckets visited in the search.
        visited_buckets: u32,
    },
}

/// What an organisation found for a new entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// A free slot.
    pub slot: Option<u32>,
    /// Buckets visited in the search.
    pub visited_buckets: u32,
}

/// Where new entries go.
#[derive(Debug)]
enum Placement {
    Cuckoo(Box<Cuckoo>),
    DLeft,
    SetAssociative(SetAssociative),
    Chained(Chained),
    Cam,
}

/// A flow table. Slots are numbered bucket by bucket; cells of the stash follow.
#[derive(Debug)]
pub struct FlowTable {
    hasher: Hasher,
    slots: SlotMemory,
    placement: Placement,
    stash: Cam,
    moves: u64,
    moved: Vec<(Slot, Slot)>,
}

impl FlowTable {
    /// An empty table. The configuration must be valid.
    pub fn new(config: &TableConfig) -> Self {
        let placement = match config.organisation {
            Organisation::Cuckoo => Placement::Cuckoo(Box::new(Cuckoo::new(config))),
            Organisation::DLeft => Placement::DLeft,
            Organisation::SetAssociative => Placement::SetAssociative(SetAssociative::new(config)),
            Organisation::Chained => Placement::Chained(Chained::new(config)),
            Organisation::Cam => Placement::Cam,
        };
        Self {
            hasher: Hasher::new(config),
            slots: SlotMemory::new(Shape::new(config)),
            placement,
            stash: Cam::new(config.stash_entries as usize),
            moves: 0,
            moved: Vec::new(),
        }
    }

    /// Where keys may lie.
    pub const fn shape(&self) -> Shape {
        self.slots.shape()
    }

    /// Slots of the main table.
    pub const fn main_slots(&self) -> u32 {
        self.slots.shape().slots()
    }

    /// What searches of the stash, or of the CAM that is the table, cost.
    pub const fn cam_activity(&self) -> &cam::CamActivity {
        self.stash.activity()
    }

    /// Slots of the main table and the stash.
    pub fn capacity(&self) -> u32 {
        self.main_slots() + self.stash.capacity() as u32
    }

    /// Entries in the main table and the stash.
    pub const fn occupied(&self) -> u32 {
        self.slots.occupied() + self.stash.occupied() as u32
    }

    /// Entries in the stash.
    pub const fn stash_occupied(&self) -> u32 {
        self.stash.occupied() as u32
    }

    /// The stash, to look at.
    pub const fn stash(&self) -> &Cam {
        &self.stash
    }

    /// Counts what searching the stash for a key costs; it is searched beside the table, whatever that finds.
    #[inline]
    pub fn note_search(&mut self, key: &FlowKey, hit: bool) {
        self.stash.note_search(key, hit);
    }

    /// Entries moved so far.
    pub const fn moves(&self) -> u64 {
        self.moves
    }

    /// From where to where the last insertion or removal moved entries, in order.
    pub fn moved(&self) -> &[(Slot, Slot)] {
        &self.moved
    }

    /// The hashes of `key`.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> Hashes {
        self.hasher.hash(key)
    }

    /// Asks for the tags of the buckets of a key.
    #[inline]
    pub fn prefetch_tags(&self, hashes: Hashes) {
        for bucket in self.shape().homes(hashes) {
            self.slots.prefetch_tags(bucket);
        }
    }

    /// Asks for the entry whose tag matches first: the one wanted, most likely. Where it lies.
    #[inline]
    pub fn prefetch_entry(&self, hashes: Hashes) -> Option<Slot> {
        let tag = hashes.tag();
        let mut homes = self.shape().homes(hashes);
        homes
            .find_map(|bucket| self.slots.prefetch_entry(bucket, tag))
            .map(Slot)
    }

    /// Where `key` lies, which was in a slot a moment ago, most likely.
    #[inline]
    pub fn find_near(&self, key: &FlowKey, hashes: Hashes, hint: Option<Slot>) -> Option<Slot> {
        match hint {
            Some(slot) if self.slots.holds(slot.0, key) => hint,
            _ => self.find(key, hashes),
        }
    }

    /// Where `key` lies.
    #[inline]
    pub fn find(&self, key: &FlowKey, hashes: Hashes) -> Option<Slot> {
        let tag = hashes.tag();
        let mut homes = self.shape().homes(hashes);
        let found = match &self.placement {
            Placement::Chained(chained) => homes
                .flat_map(|home| chained.chain(home))
                .find_map(|bucket| self.slots.find(bucket, tag, key)),
            _ => homes.find_map(|bucket| self.slots.find(bucket, tag, key)),
        };
        if found.is_some() {
            return found.map(Slot);
        }
        let cell = self.stash.find(key)?;
        Some(Slot(self.main_slots() + cell as u32))
    }

    /// Whether a look-up reads the buckets of a key one after the other, and not all at once.
    pub const fn is_chained(&self) -> bool {
        matches!(self.placement, Placement::Chained(_))
    }

    /// Calls `visit` with every bucket that a look-up for a key reads; `found` is where it lies.
    pub fn buckets_read(&self, hashes: Hashes, found: Option<Slot>, mut visit: impl FnMut(u32)) {
        let shape = self.shape();
        let Placement::Chained(chained) = &self.placement else {
            return shape.homes(hashes).for_each(visit);
        };
        let there = found.filter(|slot| !self.is_stash(*slot));
        let there = there.map(|slot| shape.bucket_of(slot.0));
        for bucket in chained.chain(shape.bucket(0, hashes)) {
            visit(bucket);
            if Some(bucket) == there {
                return;
            }
        }
    }

    /// The key in a slot in use.
    pub fn key(&self, slot: Slot) -> Option<FlowKey> {
        match self.stash_cell(slot) {
            Some(cell) => self.stash.key(cell).copied(),
            None => self.slots.key(slot.0),
        }
    }

    /// The state in a slot in use.
    pub fn state(&self, slot: Slot) -> Option<EntryState> {
        match self.stash_cell(slot) {
            Some(cell) => self.stash.state(cell).copied(),
            None => self.slots.state(slot.0),
        }
    }

    /// What the entry in a slot in use writes into packets; meaningful where its state says that there is something.
    #[inline]
    pub fn rewrite(&self, slot: Slot) -> RewriteWords {
        match self.stash_cell(slot) {
            Some(cell) => self.stash.rewrite(cell),
            None => self.slots.rewrite(slot.0),
        }
    }

    /// Sets what the entry in a slot in use writes into packets.
    pub fn set_rewrite(&mut self, slot: Slot, rewrite: RewriteWords) {
        match self.stash_cell(slot) {
            Some(cell) => self.stash.set_rewrite(cell, rewrite),
            None => self.slots.set_rewrite(slot.0, rewrite),
        }
    }

    /// Mark and labels of the entry in a slot in use.
    #[inline]
    pub fn marking(&self, slot: Slot) -> Marking {
        let marked = |state: EntryState| state.has(entry::flag::MARKED);
        if !self.state(slot).is_some_and(marked) {
            return Marking::NONE;
        }
        match self.stash_cell(slot) {
            Some(cell) => self.stash.marking(cell),
            None => self.slots.marking(slot.0),
        }
    }

    /// Sets mark and labels of the entry in a slot in use.
    pub fn set_marking(&mut self, slot: Slot, marking: Marking) {
        self.with_state(slot, |state| state.note_marking(&marking));
        match self.stash_cell(slot) {
            Some(cell) => self.stash.set_marking(cell, marking),
            None => self.slots.set_marking(slot.0, marking),
        }
    }

    /// Changes the window checker's state of the entry in a slot in use, and gives what `change` gives.
    pub fn with_window<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut WindowWords) -> R,
    ) -> Option<R> {
        if let Some(cell) = self.stash_cell(slot) {
            return self.stash.window_mut(cell).map(change);
        }
        let words = self.slots.window_mut(slot.0);
        let mut window = WindowWords(*words);
        let result = change(&mut window);
        *words = window.0;
        Some(result)
    }

    /// Changes the state in a slot in use, and gives what `change` gives.
    #[inline]
    pub fn with_state<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut EntryState) -> R,
    ) -> Option<R> {
        match self.stash_cell(slot) {
            Some(cell) => self.stash.state_mut(cell).map(change),
            None => self.slots.with_state(slot.0, change),
        }
    }

    /// The first slot from this one on whose counters have changed since they were read.
    pub fn next_dirty(&self, from: Slot) -> Option<Slot> {
        let in_table = self.slots.next_dirty(from.0).map(Slot);
        in_table.or_else(|| {
            let mut cells = self.stash.cells_in_use();
            let first = from.0.saturating_sub(self.main_slots()) as usize;
            let dirty = |cell: &usize| {
                let state = self.stash.state(*cell);
                *cell >= first && state.is_some_and(|state| state.has(entry::flag::DIRTY))
            };
            let cell = cells.find(dirty)?;
            Some(Slot(self.main_slots() + cell as u32))
        })
    }

    /// Puts a new entry into the table. Entries that moved to make room are in [`FlowTable::moved`].
    ///
    /// # Errors
    /// [`InsertError::Duplicate`] if the key is there, [`InsertError::Full`] if no place was found; the
    /// table is as before then.
    pub fn insert(&mut self, key: FlowKey, state: EntryState) -> Result<Inserted, InsertError> {
        self.moved.clear();
        let hashes = self.hash(&key);
        if let Some(slot) = self.find(&key, hashes) {
            return Err(InsertError::Duplicate { slot });
        }
        let (place, evicted) = self.make_room(hashes, &state);
        let visited_buckets = place.visited_buckets;
        let slot = match place.slot {
            Some(slot) => {
                self.slots.write(slot, hashes.tag(), key, state);
                Some(slot)
            }
            None => self
                .stash
                .insert(key, state)
                .map(|cell| self.main_slots() + cell as u32),
        };
        self.moves += self.moved.len() as u64;
        match slot {
            Some(slot) => Ok(Inserted {
                slot: Slot(slot),
                moves: self.moved.len() as u32,
                visited_buckets,
                evicted,
            }),
            None => Err(InsertError::Full { visited_buckets }),
        }
    }

    fn make_room(
        &mut self,
        hashes: Hashes,
        new: &EntryState,
    ) -> (Place, Option<(FlowKey, EntryState)>) {
        let slots = &mut self.slots;
        let place = match &mut self.placement {
            Placement::Cuckoo(cuckoo) => {
                cuckoo.make_room(slots, &self.hasher, hashes, &mut self.moved)
            }
            Placement::DLeft => dleft::make_room(slots, hashes),
            Placement::SetAssociative(set) => return set.make_room(slots, hashes, new),
            Placement::Chained(chained) => chained.make_room(slots, hashes),
            Placement::Cam => Place {
                slot: None,
                visited_buckets: 0,
            },
        };
        (place, None)
    }

    /// Takes an entry out. A stashed entry that fits the freed slot returns to the main table; where it and others went is in
    /// [`FlowTable::moved`].
    pub fn remove(&mut self, slot: Slot) -> Option<(FlowKey, EntryState)> {
        self.moved.clear();
        if let Some(cell) = self.stash_cell(slot) {
            return self.stash.remove(cell);
        }
        let key = self.slots.key(slot.0)?;
        let removed = match &mut self.placement {
            Placement::Chained(chained) => {
                let home = self.slots.shape().bucket(0, self.hasher.hash(&key));
                chained.remove(&mut self.slots, slot.0, home, &mut self.moved)
            }
            _ => self.slots.erase(slot.0),
        };
        self.return_from_stash(&key, slot.0);
        self.moves += self.moved.len() as u64;
        removed
    }

    /// Moves the first stashed entry that may lie where an entry was taken out into the main table.
    fn return_from_stash(&mut self, removed: &FlowKey, slot: u32) {
        if self.stash.occupied() == 0 {
            return;
        }
        let shape = self.slots.shape();
        // A chain is one place, whichever of its slots became free.
        let bucket = match self.placement {
            Placement::Chained(_) => shape.bucket(0, self.hasher.hash(removed)),
            _ => shape.bucket_of(slot),
        };
        let fits = |cell: &usize| {
            let key = self.stash.key(*cell);
            key.is_some_and(|key| cuckoo::may_lie_in(&self.slots, &self.hasher, key, bucket))
        };
        let Some(cell) = self.stash.cells_in_use().find(fits) else {
            return;
        };
        let Some(hashes) = self.stash.key(cell).map(|key| self.hasher.hash(key)) else {
            return;
        };
        let free = match &mut self.placement {
            Placement::Chained(chained) => chained.make_room(&self.slots, hashes).slot,
            _ => self.slots.free(bucket),
        };
        if let Some(free) = free {
            let rewrite = self.stash.rewrite(cell);
            let marking = self.stash.marking(cell);
            let window = self.stash.window_mut(cell).map(|window| window.0);
            let Some((key, state)) = self.stash.remove(cell) else {
                return;
            };
            self.slots.write(free, hashes.tag(), key, state);
            if state.rewrites() {
                self.slots.set_rewrite(free, rewrite);
            }
            if state.has(entry::flag::MARKED) {
                self.slots.set_marking(free, marking);
            }
            if let Some(window) = window.filter(|_| state.has(entry::flag::WINDOW)) {
                *self.slots.window_mut(free) = window;
            }
            let old = Slot(self.main_slots() + cell as u32);
            self.moved.push((old, Slot(free)));
        }
    }

    /// Slots in use, main table first, in ascending order.
    pub fn slots_in_use(&self) -> impl Iterator<Item = Slot> + '_ {
        let stash = self.stash.cells_in_use();
        let stash = stash.map(|cell| self.main_slots() + cell as u32);
        self.slots.slots_in_use().chain(stash).map(Slot)
    }

    /// Takes every entry out.
    pub fn clear(&mut self) {
        self.moved.clear();
        self.slots.clear();
        self.stash.clear();
        if let Placement::Chained(chained) = &mut self.placement {
            chained.clear(self.slots.shape());
        }
    }

    /// Whether the slot lies in the stash.
    pub const fn is_stash(&self, slot: Slot) -> bool {
        slot.0 >= self.main_slots()
    }

    #[inline]
    fn stash_cell(&self, slot: Slot) -> Option<usize> {
        let cell = slot.0.checked_sub(self.main_slots())?;
        Some(cell as usize)
    }
}

#[cfg(test)]
mod tests;
