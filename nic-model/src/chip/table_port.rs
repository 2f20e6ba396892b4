//! The flow table as the firmware and the aging engine reach it.

use super::*;
use crate::datapath::window::WindowWords;
use crate::flow_table::Marking;

impl Chip {
    /// Puts an entry into the table (firmware only).
    pub fn insert(
        &mut self,
        now: Picos,
        key: FlowKey,
        action: &EntryAction,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Result<Inserted, InsertError> {
        let state = EntryState::new(*action, now);
        let inserted = self.table.insert(key, state)?;
        if state.rewrites() {
            self.table
                .set_rewrite(inserted.slot, action.rewrite.words());
        }
        if !action.marking.is_none() {
            self.table.set_marking(inserted.slot, action.marking);
        }
        if let Some(scales) = action.window_scales {
            self.table.with_window(inserted.slot, |window| {
                *window = WindowWords::unknown(scales)
            });
        }
        self.stats.table_inserted += 1;
        if let Some((_, gone)) = &inserted.evicted {
            self.barriers.end(gone.cookie());
            self.stats.table_evicted += 1;
            self.memory
                .flush_counters(now, inserted.slot, &mut self.pcie);
        }
        self.stats
            .note_occupancy(self.table.occupied(), self.table.stash_occupied());
        self.memory.written(now, inserted.slot, &mut self.pcie);
        self.watch_moved(now, schedule);
        self.watch_age(inserted.slot, key.protocol(), now, schedule);
        self.probe.table(
            now,
            self.table.occupied(),
            self.table.stash_occupied(),
            self.table.moves(),
        );
        Ok(inserted)
    }

    /// The control processor reaches for the entry of a key, in this slot if it is there (firmware only): when it has it. On the
    /// chip that is part of its own cycles.
    pub fn reach(&mut self, now: Picos, key: &FlowKey, slot: Option<Slot>) -> Picos {
        let hashes = self.table.hash(key);
        self.memory
            .reach(now, &self.table, hashes, slot, &mut self.pcie)
    }

    /// Changes what an entry does (firmware only): its counters and its age stay.
    pub fn update(&mut self, now: Picos, slot: Slot, action: &EntryAction) {
        let fresh = EntryState::new(*action, now);
        self.table
            .with_state(slot, |state| state.take_action(&fresh));
        self.table.set_rewrite(slot, action.rewrite.words());
        self.memory.written(now, slot, &mut self.pcie);
    }

    /// Gives the entry in a slot another mark and other labels (firmware only).
    pub fn mark(&mut self, now: Picos, slot: Slot, marking: Marking) {
        self.table.set_marking(slot, marking);
        self.memory.written(now, slot, &mut self.pcie);
    }

    /// Takes an entry out of the table (firmware only); its key, final counters and cookie.
    pub fn remove(
        &mut self,
        now: Picos,
        slot: Slot,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Option<(FlowKey, EntryState)> {
        let removed = self.table.remove(slot)?;
        self.barriers.end(removed.1.cookie());
        self.memory.written(now, slot, &mut self.pcie);
        self.memory.flush_counters(now, slot, &mut self.pcie);
        self.stats.table_removed += 1;
        self.watch_moved(now, schedule);
        self.probe.table(
            now,
            self.table.occupied(),
            self.table.stash_occupied(),
            self.table.moves(),
        );
        Some(removed)
    }

    /// Reads an entry's counters and marks it clean (firmware only).
    pub fn read_counters(&mut self, now: Picos, slot: Slot) -> Option<(EntryCounters, u32)> {
        let (aging, clear) = (&self.aging, self.config.counter.clear_on_read);
        self.memory.flush_counters(now, slot, &mut self.pcie);
        self.table.with_state(slot, |state| {
            state.clear(flag::DIRTY);
            let counters = aging.counters(slot, state, now);
            if clear {
                state.clear_counters();
            }
            (counters, state.cookie())
        })
    }

    /// The idle entries the aging engine found since the last call (firmware only).
    pub fn take_idle(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.idle)
    }

    /// Whether an entry is idle and was not reported before.
    fn is_idle(&self, now: Picos, slot: Slot) -> bool {
        let (Some(key), Some(state)) = (self.table.key(slot), self.table.state(slot)) else {
            return false;
        };
        let due = self.aging.due(slot, key.protocol(), &state, now);
        due <= now && !state.has(flag::AGE_REPORTED)
    }

    /// The report of an idle entry is on its way (firmware only): it is not reported again until it is hit.
    /// Gives its cookie and last-seen time; `None` if it is idle no longer.
    pub fn mark_reported(&mut self, now: Picos, slot: Slot) -> Option<(u32, Picos)> {
        if !self.is_idle(now, slot) {
            return None;
        }
        let aging = &self.aging;
        self.table.with_state(slot, |state| {
            state.set(flag::AGE_REPORTED);
            (state.cookie(), aging.last_seen(slot, state, now))
        })
    }

    /// Takes an idle entry out (firmware only): its cookie and final counters; `None` if it is idle no longer.
    pub fn evict_idle(
        &mut self,
        now: Picos,
        slot: Slot,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Option<(u32, EntryCounters)> {
        if !self.is_idle(now, slot) {
            return None;
        }
        let (_, state) = self.remove(now, slot, schedule)?;
        Some((state.cookie(), self.final_counters(now, slot, &state)))
    }

    /// Restarts the idle time of an entry (firmware only); whether there is one.
    pub fn touch(
        &mut self,
        now: Picos,
        slot: Slot,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> bool {
        let Some(protocol) = self.table.key(slot).map(|key| key.protocol()) else {
            return false;
        };
        let touched = self.table.with_state(slot, |state| {
            state.clear(flag::AGE_REPORTED);
            state.touch(now);
        });
        self.watch_age(slot, protocol, now, schedule);
        touched.is_some()
    }

    /// An idle entry could not be reported (firmware only): look at it again in the next pass.
    pub fn retry_report(
        &mut self,
        now: Picos,
        slot: Slot,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        let at = self.aging.retry(slot, now);
        self.schedule_aging(at, schedule);
    }

    /// The counters of an entry that is not in its slot any more.
    pub fn final_counters(&self, now: Picos, slot: Slot, state: &EntryState) -> EntryCounters {
        self.aging.counters(slot, state, now)
    }

    pub(super) fn watch_age(
        &mut self,
        slot: Slot,
        protocol: u8,
        now: Picos,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        let at = self.aging.watch(slot, protocol, now);
        self.schedule_aging(at, schedule);
    }

    /// Counters on the chip stay where entries move: they are written back. A moved entry may lie in a block that was not
    /// watched for it: watch where it went.
    fn watch_moved(&mut self, now: Picos, schedule: &mut impl Schedule<ChipEvent>) {
        for at in 0..self.table.moved().len() {
            let (old, new) = self.table.moved()[at];
            self.memory.flush_counters(now, old, &mut self.pcie);
            self.memory.written(now, new, &mut self.pcie);
            let at = self.aging.retry(new, now);
            self.schedule_aging(at, schedule);
        }
    }

    pub(super) fn schedule_aging(
        &mut self,
        at: Option<Picos>,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        if let Some(at) = at {
            schedule.schedule(at, ChipEvent::AgingStep);
        }
    }

    pub(super) fn aging_step(
        &mut self,
        now: Picos,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Notice {
        let found = self.idle.len();
        let next = self.aging.step(now, &self.table, &mut self.idle);
        self.schedule_aging(next, schedule);
        let block = self.aging.block_at(now);
        self.probe.aging(now, block, self.idle.len() - found);
        if self.idle.len() > found {
            Notice::Idle
        } else {
            Notice::None
        }
    }
}
