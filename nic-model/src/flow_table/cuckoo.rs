//! Cuckoo hashing: two buckets per key, several slots per bucket, a stash CAM beside it.
//!
//! Lookup reads both buckets and the stash in parallel: always one memory access time. Insertion looks for
//! the shortest chain of moves that frees a slot (breadth-first, bounded) and carries it out from its far end,
//! each entry copied before its old place is freed, so that a present key is found at every moment.
//! Removal gives stashed entries a chance to return to the slot it frees.
//!
//! Memory is laid out for look-ups in bursts: the tags of a bucket lie together, an entry's state is half a
//! cache line, and [`CuckooTable::prefetch_tags`] brings both buckets' tags in before they are needed.

use super::cam::Cam;
use super::entry::{EntryState, FlowKey, flag};
use super::hash::{Hasher, Hashes};
use super::{InsertError, Inserted, Slot};
use crate::config::TableConfig;
use packet::prefetch;

/// The table. Slots are numbered bucket by bucket; stash cells follow.
#[derive(Debug)]
pub struct CuckooTable {
    hasher: Hasher,
    bucket_mask: u32,
    slots_per_bucket: u32,
    search_limit_buckets: u32,
    tags: Vec<u16>,
    keys: Vec<[u64; 5]>,
    states: Vec<[u64; 4]>,
    stash: Cam,
    occupied: u32,
    moves: u64,
    moved: Vec<Slot>,
    search: Vec<SearchNode>,
}

/// A bucket on the search's frontier and the slot whose entry would move into it.
#[derive(Debug, Clone, Copy)]
struct SearchNode {
    bucket: u32,
    parent: u32,
    parent_slot: u32,
}

const NO_PARENT: u32 = u32::MAX;

impl CuckooTable {
    /// An empty table.
    pub fn new(config: &TableConfig) -> Self {
        let slots = config.buckets as usize * config.slots_per_bucket as usize;
        Self {
            hasher: Hasher::new(config.hash_seed_1, config.hash_seed_2),
            bucket_mask: config.buckets - 1,
            slots_per_bucket: config.slots_per_bucket,
            search_limit_buckets: config.search_limit_buckets,
            tags: vec![0; slots],
            keys: vec![[0; 5]; slots],
            states: vec![[0; 4]; slots],
            stash: Cam::new(config.stash_entries as usize),
            occupied: 0,
            moves: 0,
            moved: Vec::new(),
            search: Vec::new(),
        }
    }

    /// Slots of the main table.
    pub fn main_slots(&self) -> u32 {
        self.tags.len() as u32
    }

    /// Slots of the main table and the stash.
    pub fn capacity(&self) -> u32 {
        self.main_slots() + self.stash.capacity() as u32
    }

    /// Entries in the main table and the stash.
    pub fn occupied(&self) -> u32 {
        self.occupied + self.stash.occupied() as u32
    }

    /// Entries in the stash.
    pub fn stash_occupied(&self) -> u32 {
        self.stash.occupied() as u32
    }

    /// Entries moved so far.
    pub const fn moves(&self) -> u64 {
        self.moves
    }

    /// Where the last insertion moved entries to.
    pub fn take_moved(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.moved)
    }

    /// Both hashes of `key`.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> Hashes {
        self.hasher.hash(key)
    }

    /// The two buckets of a key.
    #[inline]
    pub const fn buckets(&self, hashes: Hashes) -> [u32; 2] {
        [
            hashes.first & self.bucket_mask,
            hashes.second & self.bucket_mask,
        ]
    }

    /// Asks for the tags of both buckets.
    #[inline]
    pub fn prefetch_tags(&self, hashes: Hashes) {
        for bucket in self.buckets(hashes) {
            if let Some(tag) = self.tags.get((bucket * self.slots_per_bucket) as usize) {
                prefetch(tag);
            }
        }
    }

    /// Asks for the entry whose tag matches first: the one wanted, most likely.
    #[inline]
    pub fn prefetch_entry(&self, hashes: Hashes) {
        let tag = hashes.tag();
        for bucket in self.buckets(hashes) {
            let first = (bucket * self.slots_per_bucket) as usize;
            let tags = &self.tags[first..first + self.slots_per_bucket as usize];
            if let Some(i) = tags.iter().position(|t| *t == tag) {
                prefetch(&self.keys[first + i]);
                prefetch(&self.states[first + i]);
                return;
            }
        }
    }

    /// Where `key` lies.
    #[inline]
    pub fn find(&self, key: &FlowKey, hashes: Hashes) -> Option<Slot> {
        let tag = hashes.tag();
        for bucket in self.buckets(hashes) {
            let first = (bucket * self.slots_per_bucket) as usize;
            let tags = &self.tags[first..first + self.slots_per_bucket as usize];
            for (i, stored) in tags.iter().enumerate() {
                if *stored == tag && self.keys[first + i] == key.0 {
                    return Some(Slot((first + i) as u32));
                }
            }
        }
        let cell = self.stash.find(key)?;
        Some(Slot(self.main_slots() + cell as u32))
    }

    /// The key in a slot in use.
    pub fn key(&self, slot: Slot) -> Option<FlowKey> {
        match self.stash_cell(slot) {
            Some(cell) => self.stash.key(cell).copied(),
            None if self.tags[slot.0 as usize] != 0 => Some(FlowKey(self.keys[slot.0 as usize])),
            None => None,
        }
    }

    /// The state in a slot in use.
    pub fn state(&self, slot: Slot) -> Option<EntryState> {
        match self.stash_cell(slot) {
            Some(cell) => self.stash.state(cell).copied(),
            None => {
                let state = EntryState(*self.states.get(slot.0 as usize)?);
                state.has(flag::VALID).then_some(state)
            }
        }
    }

    /// Changes the state in a slot in use, and gives what `change` gives.
    #[inline]
    pub fn with_state<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut EntryState) -> R,
    ) -> Option<R> {
        if let Some(cell) = self.stash_cell(slot) {
            return self.stash.state_mut(cell).map(change);
        }
        let words = self.states.get_mut(slot.0 as usize)?;
        let mut state = EntryState(*words);
        if !state.has(flag::VALID) {
            return None;
        }
        let result = change(&mut state);
        *words = state.0;
        Some(result)
    }

    /// Puts a new entry into the table.
    ///
    /// # Errors
    /// [`InsertError::Duplicate`] if the key is there, [`InsertError::Full`] if no place was found; the
    /// table is as before then.
    pub fn insert(&mut self, key: FlowKey, state: EntryState) -> Result<Inserted, InsertError> {
        let hashes = self.hash(&key);
        if let Some(slot) = self.find(&key, hashes) {
            return Err(InsertError::Duplicate { slot });
        }
        let (path_end, visited_buckets) = self.search_free_slot(hashes);
        if let Some((node, free_slot)) = path_end {
            let (slot, moves) = self.make_room(node, free_slot);
            self.write(slot, key, state, hashes.tag());
            self.occupied += 1;
            return Ok(Inserted {
                slot: Slot(slot),
                moves,
                visited_buckets,
            });
        }
        match self.stash.insert(key, state) {
            Some(cell) => Ok(Inserted {
                slot: Slot(self.main_slots() + cell as u32),
                moves: 0,
                visited_buckets,
            }),
            None => Err(InsertError::Full { visited_buckets }),
        }
    }

    /// Takes an entry out. Stashed entries that fit the freed slot return to the main table;
    /// `returned` is called with the old and new slot of each.
    pub fn remove(
        &mut self,
        slot: Slot,
        mut returned: impl FnMut(Slot, Slot),
    ) -> Option<(FlowKey, EntryState)> {
        if let Some(cell) = self.stash_cell(slot) {
            return self.stash.remove(cell);
        }
        let index = slot.0 as usize;
        if *self.tags.get(index)? == 0 {
            return None;
        }
        let removed = (FlowKey(self.keys[index]), EntryState(self.states[index]));
        self.erase(slot.0);
        self.occupied -= 1;
        if let Some(old) = self.return_from_stash(slot.0) {
            returned(old, slot);
        }
        Some(removed)
    }

    /// Slots in use, main table first, in ascending order.
    pub fn slots_in_use(&self) -> impl Iterator<Item = Slot> + '_ {
        let main = self.tags.iter().enumerate().filter(|(_, tag)| **tag != 0);
        let stash = self.stash.cells_in_use();
        main.map(|(i, _)| Slot(i as u32))
            .chain(stash.map(|cell| Slot(self.main_slots() + cell as u32)))
    }

    /// Takes every entry out.
    pub fn clear(&mut self) {
        self.tags.fill(0);
        self.keys.fill([0; 5]);
        self.states.fill([0; 4]);
        self.stash.clear();
        self.occupied = 0;
    }

    /// Whether the slot lies in the stash.
    pub fn is_stash(&self, slot: Slot) -> bool {
        slot.0 >= self.main_slots()
    }

    #[inline]
    fn stash_cell(&self, slot: Slot) -> Option<usize> {
        slot.0
            .checked_sub(self.main_slots())
            .map(|cell| cell as usize)
    }

    fn free_slot_in(&self, bucket: u32) -> Option<u32> {
        let first = bucket * self.slots_per_bucket;
        (first..first + self.slots_per_bucket).find(|slot| self.tags[*slot as usize] == 0)
    }

    /// Breadth-first search over buckets: the node of the first bucket found with a free slot, that slot,
    /// and how many buckets were visited.
    fn search_free_slot(&mut self, hashes: Hashes) -> (Option<(usize, u32)>, u32) {
        self.search.clear();
        let [a, b] = self.buckets(hashes);
        self.search.push(SearchNode {
            bucket: a,
            parent: NO_PARENT,
            parent_slot: 0,
        });
        if b != a {
            self.search.push(SearchNode {
                bucket: b,
                parent: NO_PARENT,
                parent_slot: 0,
            });
        }
        let mut node = 0;
        while node < self.search.len() && (node as u32) < self.search_limit_buckets {
            let bucket = self.search[node].bucket;
            if let Some(free) = self.free_slot_in(bucket) {
                return (Some((node, free)), node as u32 + 1);
            }
            self.expand(node, bucket);
            node += 1;
        }
        (None, node as u32)
    }

    /// Appends the other bucket of every entry in `bucket` to the frontier.
    fn expand(&mut self, node: usize, bucket: u32) {
        for i in 0..self.slots_per_bucket {
            if self.search.len() as u32 >= self.search_limit_buckets {
                return;
            }
            let slot = bucket * self.slots_per_bucket + i;
            let other = self.other_bucket(slot, bucket);
            if other != bucket && !self.on_path(node, other) {
                self.search.push(SearchNode {
                    bucket: other,
                    parent: node as u32,
                    parent_slot: slot,
                });
            }
        }
    }

    /// Whether `bucket` is already on the way from the root to `node`: a chain must not bite its tail.
    fn on_path(&self, node: usize, bucket: u32) -> bool {
        let mut at = node as u32;
        while at != NO_PARENT {
            let visited = &self.search[at as usize];
            if visited.bucket == bucket {
                return true;
            }
            at = visited.parent;
        }
        false
    }

    fn other_bucket(&self, slot: u32, bucket: u32) -> u32 {
        let [a, b] = self.buckets(self.hash(&FlowKey(self.keys[slot as usize])));
        if a == bucket { b } else { a }
    }

    /// Moves entries along the path that ends at `node`, last first; the slot left free in a bucket of the
    /// new key, and the number of moves.
    fn make_room(&mut self, node: usize, free_slot: u32) -> (u32, u32) {
        let mut free = free_slot;
        let mut at = self.search[node];
        let mut moves = 0;
        self.moved.clear();
        while at.parent != NO_PARENT {
            let from = at.parent_slot as usize;
            self.keys[free as usize] = self.keys[from];
            self.states[free as usize] = self.states[from];
            self.tags[free as usize] = self.tags[from];
            self.erase(at.parent_slot);
            self.moved.push(Slot(free));
            free = at.parent_slot;
            moves += 1;
            at = self.search[at.parent as usize];
        }
        self.moves += u64::from(moves);
        (free, moves)
    }

    fn write(&mut self, slot: u32, key: FlowKey, state: EntryState, tag: u16) {
        self.keys[slot as usize] = key.0;
        self.states[slot as usize] = state.0;
        self.tags[slot as usize] = tag;
    }

    fn erase(&mut self, slot: u32) {
        self.tags[slot as usize] = 0;
        self.keys[slot as usize] = [0; 5];
        self.states[slot as usize] = [0; 4];
    }

    /// Moves the first stashed entry that has `slot`'s bucket among its two into `slot`; its old place.
    fn return_from_stash(&mut self, slot: u32) -> Option<Slot> {
        let bucket = slot / self.slots_per_bucket;
        let cell = self.stash.cells_in_use().find(|cell| {
            self.stash
                .key(*cell)
                .is_some_and(|key| self.buckets(self.hash(key)).contains(&bucket))
        })?;
        let (key, state) = self.stash.remove(cell)?;
        let tag = self.hash(&key).tag();
        self.write(slot, key, state, tag);
        self.occupied += 1;
        self.moves += 1;
        Some(Slot(self.main_slots() + cell as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Picos;
    use crate::flow_table::entry::EntryAction;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn config(buckets: u32, slots: u32, stash: u32) -> TableConfig {
        TableConfig {
            buckets,
            slots_per_bucket: slots,
            stash_entries: stash,
            ..TableConfig::default()
        }
    }

    fn key(n: u64) -> FlowKey {
        FlowKey([
            n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            n,
            0,
            0,
            6 << 32 | 4 << 40,
        ])
    }

    fn state(cookie: u32) -> EntryState {
        EntryState::new(
            EntryAction {
                cookie,
                ..EntryAction::default()
            },
            Picos::ZERO,
        )
    }

    fn find(table: &CuckooTable, key: &FlowKey) -> Option<Slot> {
        table.find(key, table.hash(key))
    }

    #[test]
    fn fills_to_ninety_five_percent_with_two_choices_of_four_slots() {
        // The threshold of (2,4) cuckoo hashing is 0.980 (Fountoulakis, Khosla, Panagiotou 2011); a bounded
        // search stays a little below it.
        let mut table = CuckooTable::new(&config(4_096, 4, 0));
        let mut n = 0;
        while table.insert(key(n), state(n as u32)).is_ok() {
            n += 1;
        }
        let load = f64::from(table.occupied()) / f64::from(table.capacity());
        assert!(load > 0.95, "load at the first failure is {load}");
        assert!((0..n).all(|i| find(&table, &key(i)).is_some()));
        assert!(table.moves() > 0);
    }

    #[test]
    fn a_refused_insertion_leaves_the_table_as_it_was() {
        let mut table = CuckooTable::new(&config(2, 1, 1));
        let mut inserted = Vec::new();
        let mut refused = 0;
        for n in 0..20 {
            match table.insert(key(n), state(n as u32)) {
                Ok(_) => inserted.push(n),
                Err(InsertError::Full { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(inserted.len(), table.occupied() as usize);
        assert!(refused > 0 && table.stash_occupied() == 1);
        for n in inserted {
            let slot = find(&table, &key(n)).expect("inserted keys stay");
            assert_eq!(table.state(slot).map(|s| s.cookie()), Some(n as u32));
        }
    }

    #[test]
    fn a_stashed_entry_returns_to_a_freed_slot_with_its_state() {
        let mut table = CuckooTable::new(&config(2, 1, 4));
        for n in 0..6 {
            table.insert(key(n), state(n as u32)).ok();
        }
        assert!(table.stash_occupied() >= 1);
        let before = table.stash_occupied();
        let main = table
            .slots_in_use()
            .find(|slot| !table.is_stash(*slot))
            .expect("one in the main table");
        let mut came_back = None;
        table.remove(main, |old, new| came_back = Some((old, new)));
        let (old, new) = came_back.expect("with two buckets of one slot every stashed key fits");
        assert!(table.is_stash(old) && new == main);
        assert_eq!(table.stash_occupied(), before - 1);
        let key_there = table.key(new).expect("in use");
        assert_eq!(find(&table, &key_there), Some(new));
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_map(ops in proptest::collection::vec((0u8..3, 0u64..64), 1..400)) {
            let mut table = CuckooTable::new(&config(8, 2, 3));
            let mut model = BTreeMap::new();
            for (step, (op, n)) in ops.into_iter().enumerate() {
                let k = key(n);
                match op {
                    0 => match table.insert(k, state(step as u32)) {
                        Ok(_) => prop_assert!(model.insert(n, step as u32).is_none()),
                        Err(InsertError::Duplicate { .. }) => prop_assert!(model.contains_key(&n)),
                        Err(InsertError::Full { .. }) => prop_assert!(!model.contains_key(&n)),
                    },
                    1 => if let Some(slot) = find(&table, &k) {
                        let (removed, old) = table.remove(slot, |_, _| ()).expect("found");
                        prop_assert_eq!(removed, k);
                        prop_assert_eq!(model.remove(&n), Some(old.cookie()));
                    } else {
                        prop_assert!(!model.contains_key(&n));
                    },
                    _ => {
                        let cookie = find(&table, &k).and_then(|slot| table.state(slot)).map(|s| s.cookie());
                        prop_assert_eq!(cookie, model.get(&n).copied());
                    }
                }
                prop_assert_eq!(table.occupied() as usize, model.len());
                for (m, cookie) in &model {
                    let slot = find(&table, &key(*m));
                    prop_assert_eq!(slot.and_then(|s| table.state(s)).map(|s| s.cookie()), Some(*cookie));
                }
            }
        }
    }
}
