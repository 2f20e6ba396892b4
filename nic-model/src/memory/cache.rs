//! A cache: sets of lines, of which one gives way when a set is full.

use crate::config::{MemoryConfig, Replacement};
use crate::random::Xorshift;

/// What an access did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    /// Whether the line was there.
    pub hit: bool,
    /// A line that had changed, gave way and must be written.
    pub written_back: Option<u64>,
}

/// A line's place in the cache.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    /// One more than the line; 0 if empty.
    line: u64,
    /// When it was used last, in accesses.
    used: u64,
    dirty: bool,
}

/// The cache.
#[derive(Debug)]
pub struct Cache {
    replacement: Replacement,
    set_mask: u64,
    ways: usize,
    places: Vec<Way>,
    /// For each set the bits of its tree: that of the root is bit 1, those below bit n are bits 2n and 2n+1. Bit set: the victim
    /// is on the right.
    trees: Vec<u64>,
    accesses: u64,
    random: Xorshift,
}

impl Cache {
    /// An empty cache; a tree has at most 64 ways.
    pub fn new(config: &MemoryConfig) -> Self {
        let (sets, ways) = (
            config.cache_sets.max(1) as usize,
            config.cache_ways as usize,
        );
        Self {
            replacement: config.cache_replacement,
            set_mask: sets as u64 - 1,
            ways,
            places: vec![Way::default(); sets * ways],
            trees: vec![0; sets],
            accesses: 0,
            random: Xorshift::new(0x2545_f491_4f6c_dd1d),
        }
    }

    /// Lines it can hold.
    pub const fn capacity(&self) -> usize {
        self.places.len()
    }

    /// The set of a line. Neighbouring lines are used together, and tables are powers of two: all bits choose.
    const fn set_of(&self, line: u64) -> usize {
        let spread = line.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (spread & self.set_mask) as usize
    }

    fn ways_of(&mut self, line: u64) -> &mut [Way] {
        let first = self.set_of(line) * self.ways;
        &mut self.places[first..first + self.ways]
    }

    /// Whether a line is in the cache; nobody uses it.
    pub fn holds(&mut self, line: u64) -> bool {
        self.ways_of(line).iter().any(|way| way.line == line + 1)
    }

    /// Takes a line out, whatever it holds.
    pub fn forget(&mut self, line: u64) {
        let ways = self.ways_of(line).iter_mut();
        for way in ways.filter(|way| way.line == line + 1) {
            *way = Way::default();
        }
    }

    /// A read, or a write, of a line, which is in the cache afterwards.
    pub fn access(&mut self, line: u64, write: bool) -> Access {
        self.accesses += 1;
        let set = self.set_of(line);
        let first = set * self.ways;
        let ways = &mut self.places[first..first + self.ways];
        let there = ways.iter().position(|way| way.line == line + 1);
        let mut access = Access {
            hit: there.is_some(),
            written_back: None,
        };
        let at = there.unwrap_or_else(|| {
            let empty = ways.iter().position(|way| way.line == 0);
            let at = empty.unwrap_or_else(|| match self.replacement {
                Replacement::Lru => oldest(ways),
                Replacement::TreePlru => pointed_at(self.trees[set], ways.len()),
                Replacement::Random => (self.random.draw() >> 33) as usize % ways.len(),
            });
            let old = std::mem::replace(
                &mut ways[at],
                Way {
                    line: line + 1,
                    ..Way::default()
                },
            );
            access.written_back = old.dirty.then(|| old.line - 1);
            at
        });
        ways[at].used = self.accesses;
        ways[at].dirty |= write;
        if self.replacement == Replacement::TreePlru {
            point_away(&mut self.trees[set], at, self.ways);
        }
        access
    }
}

fn oldest(ways: &[Way]) -> usize {
    let oldest = ways.iter().enumerate().min_by_key(|(_, way)| way.used);
    oldest.map_or(0, |(at, _)| at)
}

/// The way the bits of a tree lead to.
fn pointed_at(tree: u64, ways: usize) -> usize {
    let mut node = 1;
    while node < ways {
        node = 2 * node + (tree >> node & 1) as usize;
    }
    node - ways
}

/// Turns the bits on the way to a way to the other side.
fn point_away(tree: &mut u64, at: usize, ways: usize) {
    let mut node = at + ways;
    while node > 1 {
        let right = node & 1;
        node /= 2;
        *tree = *tree & !(1 << node) | u64::from(right == 0) << node;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn cache(cache_replacement: Replacement, cache_sets: u32, cache_ways: u32) -> Cache {
        Cache::new(&MemoryConfig {
            cache_replacement,
            cache_sets,
            cache_ways,
            ..MemoryConfig::default()
        })
    }

    #[test]
    fn a_changed_line_is_written_when_it_gives_way() {
        let mut cache = cache(Replacement::Lru, 1, 2);
        cache.access(1, true);
        cache.access(2, false);
        assert_eq!(cache.access(3, false).written_back, Some(1));
        assert_eq!(
            cache.access(4, false).written_back,
            None,
            "2 had not changed"
        );
        assert!(cache.access(3, true).hit && !cache.access(1, false).hit);
    }

    #[test]
    fn a_tree_never_gives_up_what_was_used_last() {
        let mut cache = cache(Replacement::TreePlru, 1, 8);
        for line in 0..1_000 {
            cache.access(line % 37, false);
            let before = line % 37;
            assert!(cache.access(before, false).hit);
        }
        // With as many lines as ways all stay.
        for line in 100..108 {
            cache.access(line, false);
        }
        assert!((0..8).all(|line| cache.access(line + 100, false).hit));
    }

    proptest! {
        #[test]
        fn one_set_that_forgets_the_least_recent_is_a_list(
            lines in proptest::collection::vec(0u64..12, 1..200),
        ) {
            let mut cache = cache(Replacement::Lru, 1, 4);
            let mut list: VecDeque<u64> = VecDeque::new();
            for line in lines {
                let there = list.iter().position(|known| *known == line);
                prop_assert_eq!(cache.access(line, false).hit, there.is_some());
                if let Some(at) = there {
                    list.remove(at);
                } else if list.len() == 4 {
                    list.pop_back();
                }
                list.push_front(line);
            }
        }
    }
}
