//! Flow tables: where the chip keeps connections, and how it finds them.
//!
//! A table organisation is one file. Today: [`cuckoo`] with a stash ([`cam`]). The layout of an entry is in
//! [`entry`], the hash functions in [`hash`].

pub mod cam;
pub mod cuckoo;
pub mod entry;
pub mod hash;

pub use cuckoo::CuckooTable;
pub use entry::{EntryAction, EntryCounters, EntryState, FlowKey, KeyDirection};
pub use hash::Hashes;

/// Where an entry lies: a slot of the main table, or a cell of the stash counted after the last slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// A successful insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inserted {
    /// Where the new entry lies.
    pub slot: Slot,
    /// Entries moved to their other bucket to make room.
    pub moves: u32,
    /// Buckets visited in the search.
    pub visited_buckets: u32,
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
