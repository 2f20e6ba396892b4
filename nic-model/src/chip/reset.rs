//! A reset: what is lost, what stays. While traffic goes on, entries that stay go on forwarding.

use super::*;

impl Chip {
    /// A frame that waits for its DMA is lost (the owner of the event queue has dropped its event).
    pub fn lose_frame(&mut self, now: Picos, held: u32, outside: &mut impl Outside) {
        if let Some(tag) = self.receive.lose(held) {
            self.stats.count_drop(DropReason::Reset);
            outside.frame_lost(tag, now);
        }
    }

    /// Registers, rings, DMA and the interrupt as after power-on; with [`Reset::Full`] the table and what belongs to it too.
    /// The owner of the event queue drops all events of the chip but the steps of the aging engine, and those too if the reset
    /// is full.
    pub fn reset(&mut self, now: Picos, reset: Reset, schedule: &mut impl Schedule<ChipEvent>) {
        self.registers.clear();
        self.barriers.clear();
        self.receive.clear();
        self.transmit = TransmitPath::default();
        self.interrupt = Interrupt::new(&self.config.pcie);
        self.idle.clear();
        match reset {
            Reset::Function => {
                let next = self.aging.allow(true, now);
                self.schedule_aging(next, schedule);
                self.watch_all_again(now, schedule);
            }
            Reset::Full => {
                self.table = FlowTable::new(&self.config.table);
                self.memory = TableMemory::new(&self.config, self.table.shape());
                let enabled = self.aging.is_enabled();
                self.aging = AgingEngine::new(&self.config.aging, self.table.capacity());
                self.aging.set_enabled(enabled);
            }
        }
        let (occupied, stash) = (self.table.occupied(), self.table.stash_occupied());
        self.probe.table(now, occupied, stash, self.table.moves());
    }

    /// Reports on their way were lost: whatever is idle is reported anew, and all counters that are not zero are.
    fn watch_all_again(&mut self, now: Picos, schedule: &mut impl Schedule<ChipEvent>) {
        let slots: Vec<Slot> = self.table.slots_in_use().collect();
        for slot in slots {
            let Some(protocol) = self.table.key(slot).map(|key| key.protocol()) else {
                continue;
            };
            self.table.with_state(slot, |state| {
                state.clear(flag::AGE_REPORTED);
                state.set(flag::DIRTY);
            });
            self.watch_age(slot, protocol, now, schedule);
        }
    }

    /// An entry's counters without marking or clearing anything (firmware only).
    pub fn peek(&self, now: Picos, slot: Slot) -> Option<(FlowKey, EntryState, EntryCounters)> {
        let (key, state) = (self.table.key(slot)?, self.table.state(slot)?);
        Some((key, state, self.aging.counters(slot, &state, now)))
    }

    /// The next so many TLPs on PCIe come damaged and are sent again.
    pub fn damage_link(&mut self, tlps: u32) {
        self.pcie.damage(tlps);
    }

    /// Nothing crosses PCIe until `until`: the link is retrained, or the other side gives no credits.
    pub fn stall_link(&mut self, until: Picos) {
        self.pcie.stall(until);
    }
}
