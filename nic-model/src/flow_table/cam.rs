//! A content-addressable memory of whole flow entries: the stash beside a table, or a table by itself.
//!
//! Every cell compares at once; the valid bits and the match lines are bit vectors, as in the hardware. As a stash it takes the
//! few keys for which the main table finds no place, so that one unlucky key does not have to be refused (Kirsch,
//! Mitzenmacher, Wieder: "More Robust Hashing: Cuckoo Hashing with a Stash", 2008).

use super::entry::{EntryState, FlowKey, Marking, RewriteWords};
use crate::datapath::window::WindowWords;
use bitvec::vec::BitVec;
use serde::Serialize;

/// What searches cost, as far as a model of bits can tell: a proxy for power, not watts. Every valid cell's match line is charged
/// for a search and discharged by a mismatch; a search line that changes drives every cell it passes (Pagiamtzis, Sheikholeslami:
/// "Content-Addressable Memory (CAM) Circuits and Architectures", IEEE JSSC 41, 2006). An empty CAM is not searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CamActivity {
    /// Searches.
    pub searches: u64,
    /// Match lines discharged: valid cells that did not match.
    pub match_lines_discharged: u64,
    /// Search lines that changed, each once for every cell of the CAM.
    pub search_line_toggles: u64,
    /// Cells written or emptied.
    pub writes: u64,
}

/// A binary CAM.
#[derive(Debug, Clone)]
pub struct Cam {
    valid: BitVec<u64>,
    /// What is compared first, so that a search is no walk over all keys.
    folds: Vec<u16>,
    keys: Vec<FlowKey>,
    states: Vec<EntryState>,
    rewrites: Vec<RewriteWords>,
    markings: Vec<Marking>,
    windows: Vec<WindowWords>,
    occupied: usize,
    searched: FlowKey,
    activity: CamActivity,
}

fn fold(key: &FlowKey) -> u16 {
    let word = key.0.iter().fold(0, |sum, word| sum ^ word);
    let half = (word ^ word >> 32) as u32;
    (half ^ half >> 16) as u16
}

impl Cam {
    /// An empty CAM of `entries` cells.
    pub fn new(entries: usize) -> Self {
        Self {
            valid: BitVec::repeat(false, entries),
            folds: vec![0; entries],
            keys: vec![FlowKey::default(); entries],
            states: vec![EntryState::default(); entries],
            rewrites: vec![RewriteWords::default(); entries],
            markings: vec![Marking::NONE; entries],
            windows: vec![WindowWords::default(); entries],
            occupied: 0,
            searched: FlowKey::default(),
            activity: CamActivity::default(),
        }
    }

    /// Number of cells.
    pub const fn capacity(&self) -> usize {
        self.keys.len()
    }

    /// Number of cells in use.
    pub const fn occupied(&self) -> usize {
        self.occupied
    }

    /// What searches and writes have cost so far.
    pub const fn activity(&self) -> &CamActivity {
        &self.activity
    }

    /// The match lines of a search: one bit per cell.
    pub fn match_lines(&self, key: &FlowKey) -> BitVec<u64> {
        let cells = self.keys.iter().map(|there| there.is(key));
        let mut lines: BitVec<u64> = cells.collect();
        lines &= &self.valid;
        lines
    }

    /// The cell that holds `key`: a key is in one at most.
    #[inline]
    pub fn find(&self, key: &FlowKey) -> Option<usize> {
        if self.occupied == 0 {
            return None;
        }
        let sought = fold(key);
        let cells = self.folds.iter().enumerate();
        cells
            .filter(|(_, fold)| **fold == sought)
            .map(|(cell, _)| cell)
            .find(|cell| self.valid[*cell] && self.keys[*cell].is(key))
    }

    /// Counts what the search for a key costs.
    #[inline]
    pub fn note_search(&mut self, key: &FlowKey, hit: bool) {
        if self.occupied == 0 {
            return;
        }
        self.activity.searches += 1;
        self.activity.match_lines_discharged += self.occupied as u64 - u64::from(hit);
        let lines = u64::from(self.searched.distance_bits(key));
        self.activity.search_line_toggles += lines * self.keys.len() as u64;
        self.searched = *key;
    }

    /// Writes an entry into the lowest free cell.
    pub fn insert(&mut self, key: FlowKey, state: EntryState) -> Option<usize> {
        let cell = self.valid.first_zero()?;
        self.valid.set(cell, true);
        self.folds[cell] = fold(&key);
        self.keys[cell] = key;
        self.activity.writes += 1;
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
        self.activity.writes += 1;
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

    /// What the entry in a cell writes into packets.
    pub fn rewrite(&self, cell: usize) -> RewriteWords {
        self.rewrites.get(cell).copied().unwrap_or_default()
    }

    /// Sets what the entry in a cell writes into packets.
    pub fn set_rewrite(&mut self, cell: usize, rewrite: RewriteWords) {
        if let Some(there) = self.rewrites.get_mut(cell) {
            *there = rewrite;
        }
    }

    /// Mark and labels of the entry in a cell; meaningful where its state says that there are any.
    pub fn marking(&self, cell: usize) -> Marking {
        self.markings.get(cell).copied().unwrap_or_default()
    }

    /// Sets mark and labels of the entry in a cell.
    pub fn set_marking(&mut self, cell: usize, marking: Marking) {
        if let Some(there) = self.markings.get_mut(cell) {
            *there = marking;
        }
    }

    /// The window checker's state of the entry in a cell.
    pub fn window_mut(&mut self, cell: usize) -> Option<&mut WindowWords> {
        self.windows.get_mut(cell)
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
        let key = |n| FlowKey([n, 0, 0, 0, 0, 0]);
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
    fn a_search_costs_what_bits_change() {
        let mut cam = Cam::new(4);
        let key = |n| FlowKey([n, 0, 0, 0, 0, 0]);
        cam.note_search(&key(1), false);
        assert_eq!(cam.activity().searches, 0, "nothing to search in");
        cam.insert(key(1), EntryState::default());
        cam.insert(key(3), EntryState::default());
        cam.note_search(&key(1), true);
        cam.note_search(&key(2), false);
        let activity = *cam.activity();
        assert_eq!(activity.match_lines_discharged, 1 + 2);
        // One line changes from 0 to 1, two from 1 to 2, each past four cells.
        assert_eq!(activity.search_line_toggles, 4 * 3);
        assert_eq!(
            cam.match_lines(&key(3)).iter_ones().collect::<Vec<_>>(),
            [1]
        );
    }

    #[test]
    fn a_cam_of_no_cells_holds_nothing() {
        let mut cam = Cam::new(0);
        assert_eq!(cam.insert(FlowKey::default(), EntryState::default()), None);
        assert_eq!(cam.find(&FlowKey::default()), None);
    }
}
