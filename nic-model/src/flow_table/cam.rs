//! The stash: a small content-addressable memory beside the cuckoo table.
//!
//! Every cell compares at once; the match lines and the valid bits are bit vectors, as in the hardware.
//! It takes the few keys for which the main table finds no place, so that one unlucky key does not have to
//! be refused (Kirsch, Mitzenmacher, Wieder: "More Robust Hashing: Cuckoo Hashing with a Stash", 2008).

use super::entry::{EntryState, FlowKey};
use bitvec::vec::BitVec;

/// A binary CAM of whole flow entries.
#[derive(Debug, Clone)]
pub struct Cam {
    valid: BitVec<u64>,
    keys: Vec<FlowKey>,
    states: Vec<EntryState>,
    occupied: usize,
}

impl Cam {
    /// An empty CAM of `entries` cells.
    pub fn new(entries: usize) -> Self {
        Self {
            valid: BitVec::repeat(false, entries),
            keys: vec![FlowKey::default(); entries],
            states: vec![EntryState::default(); entries],
            occupied: 0,
        }
    }

    /// Number of cells.
    pub fn capacity(&self) -> usize {
        self.keys.len()
    }

    /// Number of cells in use.
    pub const fn occupied(&self) -> usize {
        self.occupied
    }

    /// The cell that holds `key`.
    #[inline]
    pub fn find(&self, key: &FlowKey) -> Option<usize> {
        if self.occupied == 0 {
            return None;
        }
        self.valid.iter_ones().find(|&cell| self.keys[cell] == *key)
    }

    /// Writes an entry into the lowest free cell.
    pub fn insert(&mut self, key: FlowKey, state: EntryState) -> Option<usize> {
        let cell = self.valid.first_zero()?;
        self.valid.set(cell, true);
        self.keys[cell] = key;
        self.states[cell] = state;
        self.occupied += 1;
        Some(cell)
    }

    /// Empties a cell; what it held.
    pub fn remove(&mut self, cell: usize) -> Option<(FlowKey, EntryState)> {
        if !*self.valid.get(cell)? {
            return None;
        }
        self.valid.set(cell, false);
        self.occupied -= 1;
        Some((self.keys[cell], self.states[cell]))
    }

    /// The key in a cell in use.
    pub fn key(&self, cell: usize) -> Option<&FlowKey> {
        self.valid.get(cell).filter(|valid| **valid)?;
        self.keys.get(cell)
    }

    /// The state in a cell in use.
    pub fn state(&self, cell: usize) -> Option<&EntryState> {
        self.valid.get(cell).filter(|valid| **valid)?;
        self.states.get(cell)
    }

    /// The state in a cell in use, to change.
    pub fn state_mut(&mut self, cell: usize) -> Option<&mut EntryState> {
        self.valid.get(cell).filter(|valid| **valid)?;
        self.states.get_mut(cell)
    }

    /// Cells in use, in ascending order.
    pub fn cells_in_use(&self) -> impl Iterator<Item = usize> + '_ {
        self.valid.iter_ones()
    }

    /// Empties every cell.
    pub fn clear(&mut self) {
        self.valid.fill(false);
        self.occupied = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cam_refuses_and_a_freed_cell_is_used_again() {
        let mut cam = Cam::new(2);
        let key = |n| FlowKey([n, 0, 0, 0, 0]);
        assert_eq!(cam.insert(key(1), EntryState::default()), Some(0));
        assert_eq!(cam.insert(key(2), EntryState::default()), Some(1));
        assert_eq!(cam.insert(key(3), EntryState::default()), None);
        assert_eq!(cam.find(&key(2)), Some(1));
        assert!(cam.remove(0).is_some());
        assert!(cam.remove(0).is_none(), "a cell is freed once");
        assert_eq!(cam.find(&key(1)), None);
        assert_eq!(cam.insert(key(3), EntryState::default()), Some(0));
        assert_eq!(cam.occupied(), 2);
    }

    #[test]
    fn a_cam_of_no_cells_holds_nothing() {
        let mut cam = Cam::new(0);
        assert_eq!(cam.insert(FlowKey::default(), EntryState::default()), None);
        assert_eq!(cam.find(&FlowKey::default()), None);
    }
}
