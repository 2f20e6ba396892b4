//! The ordered queue of everything that is not a packet on the fast path.
//!
//! Events are applied in the order (time, sequence number): two events at the same time happen in the
//! order in which they were scheduled, so a run repeats exactly.

use crate::clock::Picos;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Somebody who can be asked to make an event of type `E` happen later.
pub trait Schedule<E> {
    /// Makes `event` happen at `at`.
    fn schedule(&mut self, at: Picos, event: E);
}

#[derive(Debug)]
struct Entry<E> {
    at: Picos,
    sequence: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// Events ordered by (time, sequence number).
#[derive(Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    next_sequence: u64,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next_sequence: 0,
        }
    }
}

impl<E> EventQueue<E> {
    /// Time of the earliest event.
    #[inline]
    pub fn next_due(&self) -> Option<Picos> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes the earliest event if it is due at or before `now`.
    #[inline]
    pub fn pop_due(&mut self, now: Picos) -> Option<(Picos, E)> {
        if self.next_due()? > now {
            return None;
        }
        self.heap
            .pop()
            .map(|Reverse(entry)| (entry.at, entry.event))
    }

    /// Number of events waiting.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl<E, F: From<E>> Schedule<E> for EventQueue<F> {
    fn schedule(&mut self, at: Picos, event: E) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.heap.push(Reverse(Entry {
            at,
            sequence,
            event: F::from(event),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_by_time_and_then_by_order_of_scheduling() {
        let mut queue = EventQueue::<&str>::default();
        queue.schedule(Picos(20), "c");
        queue.schedule(Picos(10), "a");
        queue.schedule(Picos(10), "b");
        assert_eq!(queue.pop_due(Picos(9)), None);
        assert_eq!(queue.pop_due(Picos(10)), Some((Picos(10), "a")));
        assert_eq!(queue.pop_due(Picos(10)), Some((Picos(10), "b")));
        assert_eq!(queue.pop_due(Picos(10)), None);
        assert_eq!(queue.next_due(), Some(Picos(20)));
    }
}
