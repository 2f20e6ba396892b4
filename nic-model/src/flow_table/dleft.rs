//! d-left hashing: of a key's buckets, one in each memory, the emptiest takes it, the leftmost of several; nothing ever moves
//! (Vöcking 1999; Broder, Mitzenmacher: "Using Multiple Hash Functions to Improve IP Lookups", 2001).

use super::Place;
use super::hash::Hashes;
use super::slots::SlotMemory;

/// A free slot for a key.
pub fn make_room(slots: &SlotMemory, hashes: Hashes) -> Place {
    let shape = slots.shape();
    // The first of several equal ones is the minimum.
    let emptiest = shape.homes(hashes).min_by_key(|bucket| slots.load(*bucket));
    Place {
        slot: emptiest.and_then(|bucket| slots.free(bucket)),
        visited_buckets: shape.choices,
    }
}
