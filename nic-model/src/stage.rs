//! A pipeline stage as a resource: no idle cycle is ever ticked.
//!
//! A packet that reaches a stage at `arrival` starts at `max(arrival, next_free)`, keeps the stage from
//! the next packet for one initiation interval, and leaves one latency after its start.

use crate::clock::Picos;

/// When a packet began and finished a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// When the stage took the packet.
    pub start: Picos,
    /// When the packet left the stage.
    pub done: Picos,
}

/// A stage that accepts one packet every initiation interval.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stage {
    latency: Picos,
    next_free: Picos,
}

impl Stage {
    /// A stage that is free from the start.
    pub const fn new(latency: Picos) -> Self {
        Self {
            latency,
            next_free: Picos::ZERO,
        }
    }

    /// Takes a packet that arrives at `arrival` and occupies the stage for `interval`.
    #[inline]
    pub fn admit(&mut self, arrival: Picos, interval: Picos) -> Passage {
        let start = arrival.max(self.next_free);
        self.next_free = start + interval;
        Passage {
            start,
            done: start + self.latency,
        }
    }

    /// When the stage can take the next packet.
    pub const fn next_free(&self) -> Picos {
        self.next_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_stage_holds_the_next_packet_back_for_one_interval() {
        let mut stage = Stage::new(Picos(100));
        let first = stage.admit(Picos(10), Picos(4));
        let second = stage.admit(Picos(11), Picos(4));
        assert_eq!((first.start, first.done), (Picos(10), Picos(110)));
        assert_eq!((second.start, second.done), (Picos(14), Picos(114)));
    }

    #[test]
    fn an_idle_stage_starts_at_once() {
        let mut stage = Stage::new(Picos(5));
        stage.admit(Picos(0), Picos(4));
        assert_eq!(stage.admit(Picos(1_000), Picos(4)).start, Picos(1_000));
    }
}
