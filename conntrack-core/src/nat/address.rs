//! Which address of a range a connection gets: always the same for the same two hosts.

use super::target::Bounds;
use super::{Manip, end_mut};
use crate::tuple::Tuple;

/// Sets the translated end of `tuple` to an address of the range: the only one, or one that a hash of both addresses leads
/// to (of the source alone if the range is persistent). The kernel hashes words as a little-endian machine reads them.
pub(super) fn choose(tuple: &mut Tuple, manip: Manip, bounds: &Bounds, zone_id: u16) {
    let Some((first, last)) = bounds.addresses else {
        return;
    };
    if first == last {
        *end_mut(tuple, manip) = first;
        return;
    }
    let words = if tuple.family == 4 { 1 } else { 4 };
    let (source, destination) = (words_of(&tuple.source), words_of(&tuple.destination));
    let seed = if bounds.persistent {
        0
    } else {
        destination[words - 1] ^ u32::from(zone_id)
    };
    let mut hash = lookup3(&source, seed);
    // Once a word lies below the last address's, the words after it may be anything.
    let mut anything = false;
    for at in 0..words {
        let bytes = at * 4..at * 4 + 4;
        let word = |address: &[u8; 16]| {
            let bytes = address[bytes.clone()].first_chunk();
            bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
        };
        let (low, count) = if anything {
            (0, u32::MAX)
        } else {
            let low = word(&first);
            (low, word(&last).wrapping_sub(low).wrapping_add(1))
        };
        let chosen = low.wrapping_add(scale(hash, count));
        end_mut(tuple, manip)[bytes.clone()].copy_from_slice(&chosen.to_be_bytes());
        anything |= chosen != word(&last);
        if !bounds.persistent {
            // The destination as it is by now: translated already, where that is what is translated.
            hash ^= words_of(&tuple.destination)[at];
        }
    }
}

fn words_of(address: &[u8; 16]) -> [u32; 4] {
    let (words, _) = address.as_chunks::<4>();
    std::array::from_fn(|at| u32::from_le_bytes(words[at]))
}

/// A number below `count`, in proportion to a number below 2³².
const fn scale(hash: u32, count: u32) -> u32 {
    ((hash as u64 * count as u64) >> 32) as u32
}

/// Bob Jenkins' `hashword` of four words (lookup3, 2006, public domain).
fn lookup3(words: &[u32; 4], seed: u32) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(4 << 2).wrapping_add(seed);
    let mut a = start.wrapping_add(words[0]);
    let mut b = start.wrapping_add(words[1]);
    let mut c = start.wrapping_add(words[2]);
    for (turn, step) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
        let (x, y, z) = match turn % 3 {
            0 => (&mut a, &mut c, &mut b),
            1 => (&mut b, &mut a, &mut c),
            _ => (&mut c, &mut b, &mut a),
        };
        // x -= y; x ^= rot(y, step); y += z
        *x = x.wrapping_sub(*y) ^ y.rotate_left(step);
        *y = y.wrapping_add(*z);
    }
    a = a.wrapping_add(words[3]);
    for (turn, step) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let (x, y) = match turn % 3 {
            0 => (&mut c, b),
            1 => (&mut a, c),
            _ => (&mut b, a),
        };
        *x = (*x ^ y).wrapping_sub(y.rotate_left(step));
    }
    c
}
