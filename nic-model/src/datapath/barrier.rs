//! Barriers: an entry that is new lets packets go to the host as before until none of its flow is on its way through there, so that the
//! first it forwards overtakes none.
//!
//! The first packet that hits such an entry goes to the host behind all that missed before it. From then on a counter holds how many of
//! its packets are there; the host's transmit descriptors give them back. When none is left, the next one is forwarded. If the host
//! drops one, or all counters are in use, the flow must be quiet for a while instead.

use crate::clock::Picos;
use crate::flow_table::Slot;
use crate::flow_table::entry::{EntryState, flag};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    /// Packets in the host.
    inside: u32,
    /// Where the entry was when the first of them came.
    slot: Slot,
}

/// The counters.
#[derive(Debug)]
pub(crate) struct Barriers {
    most: usize,
    /// A flow that was quiet for so long has nothing in the host.
    quiet: Picos,
    /// By the cookies of entries.
    inside: BTreeMap<u32, Counter>,
}

impl Barriers {
    /// So many counters; no barrier holds before it is known for how long.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most: most as usize,
            quiet: Picos::ZERO,
            inside: BTreeMap::new(),
        }
    }

    /// How long a flow must be quiet whose packets are not counted. Zero: barriers end.
    pub(crate) fn set_quiet(&mut self, quiet: Picos) {
        self.quiet = quiet;
    }

    /// As after a reset: barriers end.
    pub(crate) fn clear(&mut self) {
        self.quiet = Picos::ZERO;
        self.inside.clear();
    }

    /// Whether a packet that hits an entry at `now` must go to the host.
    #[inline]
    pub(crate) fn holds(&self, state: &EntryState, now: Picos) -> bool {
        if !state.has(flag::BARRIER) || now - state.last_seen_no_later_than(now) >= self.quiet {
            return false;
        }
        let counter = self.inside.get(&state.cookie());
        counter.is_none_or(|counter| counter.inside > 0)
    }

    /// A packet of the entry in `slot` goes to the host.
    pub(crate) fn enter(&mut self, cookie: u32, slot: Slot) {
        if self.inside.len() >= self.most && !self.inside.contains_key(&cookie) {
            // An entry that has moved waits for its flow's next packet; without a counter, that goes to the host too.
            let spare = self.inside.iter().find(|(_, counter)| counter.inside == 0);
            if let Some(spare) = spare.map(|(cookie, _)| *cookie) {
                self.inside.remove(&spare);
            }
        }
        let has_room = self.inside.len() < self.most;
        match self.inside.get_mut(&cookie) {
            Some(counter) => counter.inside = counter.inside.saturating_add(1),
            None if has_room => {
                let counter = Counter { inside: 1, slot };
                self.inside.insert(cookie, counter);
            }
            None => {}
        }
    }

    /// The host has sent one on; where the entry lay, if that was the last.
    pub(crate) fn leave(&mut self, cookie: u32) -> Option<Slot> {
        let counter = self.inside.get_mut(&cookie)?;
        counter.inside = counter.inside.saturating_sub(1);
        (counter.inside == 0).then_some(counter.slot)
    }

    /// An entry forwards, or is gone.
    #[inline]
    pub(crate) fn end(&mut self, cookie: u32) {
        if !self.inside.is_empty() {
            self.inside.remove(&cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_table::EntryAction;

    const QUIET: Picos = Picos::from_millis(10);

    fn state(cookie: u32) -> EntryState {
        let action = EntryAction {
            barrier: true,
            cookie,
            ..EntryAction::default()
        };
        EntryState::new(action, Picos::from_secs(1))
    }

    #[test]
    fn an_entry_forwards_when_the_host_has_sent_all_on() {
        let mut barriers = Barriers::new(4);
        barriers.set_quiet(QUIET);
        let now = Picos::from_secs(1);
        let state = state(7);
        // The first goes to the host whatever happens: others may be there that missed.
        assert!(barriers.holds(&state, now));
        barriers.enter(7, Slot(5));
        barriers.enter(7, Slot(5));
        assert_eq!(barriers.leave(7), None);
        assert!(barriers.holds(&state, now));
        assert_eq!(barriers.leave(7), Some(Slot(5)));
        assert!(!barriers.holds(&state, now));
        let open = EntryState::new(EntryAction::default(), now);
        assert!(!barriers.holds(&open, now));
    }

    #[test]
    fn a_flow_whose_packets_are_not_counted_must_be_quiet() {
        let mut barriers = Barriers::new(1);
        barriers.set_quiet(QUIET);
        let now = Picos::from_secs(1);
        barriers.enter(1, Slot(5));
        barriers.enter(2, Slot(5));
        barriers.leave(2);
        assert!(barriers.holds(&state(2), now));
        assert!(barriers.holds(&state(2), now + QUIET - Picos(1)));
        assert!(!barriers.holds(&state(2), now + QUIET + Picos::from_millis(1)));
        // A counter that holds nothing is taken by another flow.
        barriers.leave(1);
        barriers.enter(2, Slot(5));
        barriers.leave(2);
        assert!(!barriers.holds(&state(2), now) && barriers.holds(&state(1), now));
        barriers.clear();
        assert!(!barriers.holds(&state(3), now));
    }
}
