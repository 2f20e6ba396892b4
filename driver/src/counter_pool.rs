//! Counters as things of their own: an entry takes one and gives it back, and one that was given back rests until a reading of all
//! counters that began after that is over.

use crate::habits::CounterPoolConfig;

/// How many there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CounterPool {
    config: CounterPoolConfig,
    free: u32,
    /// Given back since the reading that is under way began, and before that.
    fresh: u32,
    resting: u32,
    /// Readings begun so far.
    cycle: u32,
}

impl CounterPool {
    /// All are free.
    pub(crate) fn new(config: CounterPoolConfig, entries: u32) -> Self {
        Self {
            free: config.counters.unwrap_or(entries),
            config,
            fresh: 0,
            resting: 0,
            cycle: 0,
        }
    }

    /// Time has come to `now_ms`: readings that were over until then let counters go.
    pub(crate) fn advance(&mut self, now_ms: u32) {
        let cycle = now_ms / self.config.cycle_ms.max(1);
        for _ in 0..cycle.saturating_sub(self.cycle).min(2) {
            self.free = self.free.saturating_add(self.resting);
            self.resting = std::mem::take(&mut self.fresh);
        }
        self.cycle = cycle;
    }

    /// Takes so many, if there are.
    pub(crate) const fn take(&mut self, count: u32) -> bool {
        if self.free < count {
            return false;
        }
        self.free -= count;
        true
    }

    /// Takes so many that are in use already, as far as there are.
    pub(crate) fn take_in_use(&mut self, count: u32) {
        self.free -= count.min(self.free);
    }

    /// So many are given back.
    pub(crate) const fn give_back(&mut self, count: u32) {
        self.fresh = self.fresh.saturating_add(count);
    }

    /// Counters that rest.
    pub(crate) const fn resting(&self) -> u32 {
        self.fresh.saturating_add(self.resting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_rests_until_a_reading_that_began_later_is_over() {
        let config = CounterPoolConfig {
            counters: Some(3),
            cycle_ms: 500,
        };
        let mut pool = CounterPool::new(config, 100);
        pool.advance(100);
        assert!(pool.take(2) && !pool.take(2) && pool.take(1));
        pool.advance(400);
        pool.give_back(1);
        // The reading that is under way may have passed its place; the next one ends at 1,000.
        for (now_ms, resting) in [(499, 1), (500, 1), (999, 1), (1_000, 0)] {
            pool.advance(now_ms);
            assert_eq!(
                (pool.resting(), pool.free),
                (resting, 1 - resting),
                "{now_ms}"
            );
        }
        pool.give_back(2);
        pool.advance(60_000);
        assert_eq!((pool.resting(), pool.free), (0, 3));
    }
}
