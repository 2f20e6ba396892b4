//! The aging engine: passes over the table block by block and finds entries that were idle too long.
//!
//! Step number k happens at k times the step interval and examines block k modulo the number of blocks. Steps
//! that cannot find anything are skipped without changing any result: the engine keeps, for each block, a time
//! before which none of its entries can be idle long enough, and sleeps until the first step that may find one.

use crate::clock::Picos;
use crate::config::AgingConfig;
use crate::flow_table::entry::{EntryState, flag};
use crate::flow_table::{FlowTable, Slot};

const TCP: u8 = 6;

/// The engine.
#[derive(Debug)]
pub struct AgingEngine {
    tcp_timeout: Picos,
    udp_timeout: Picos,
    step_interval: Picos,
    entries_per_step: u32,
    /// For each block: no entry in it is due before this time.
    not_before: Vec<Picos>,
    next_step: u64,
    scheduled: Picos,
    enabled: bool,
}

impl AgingEngine {
    /// An engine for a table of `capacity` slots.
    pub fn new(config: &AgingConfig, capacity: u32) -> Self {
        let blocks = capacity.div_ceil(config.entries_per_step).max(1);
        let period = Picos::from_millis(config.scan_period_ms.into());
        Self {
            tcp_timeout: Picos::from_millis(config.tcp_timeout_ms.into()),
            udp_timeout: Picos::from_millis(config.udp_timeout_ms.into()),
            step_interval: Picos((period.0 / u64::from(blocks)).max(1)),
            entries_per_step: config.entries_per_step,
            not_before: vec![Picos::NEVER; blocks as usize],
            next_step: 1,
            scheduled: Picos::NEVER,
            enabled: true,
        }
    }

    /// Stops or allows reports.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// Idle time after which an entry of this protocol is reported.
    #[inline]
    pub const fn timeout(&self, protocol: u8) -> Picos {
        if protocol == TCP {
            self.tcp_timeout
        } else {
            self.udp_timeout
        }
    }

    /// An entry appeared in `slot`, or can age again, as of `now`. When the engine must step earlier than it
    /// meant to, that time.
    pub fn watch(&mut self, slot: Slot, protocol: u8, now: Picos) -> Option<Picos> {
        self.due_from(slot, now + self.timeout(protocol), now)
    }

    /// The idle entry in `slot` could not be reported: look at it again in the next pass. When the engine must
    /// step earlier than it meant to, that time.
    pub fn retry(&mut self, slot: Slot, now: Picos) -> Option<Picos> {
        self.due_from(slot, now, now)
    }

    fn due_from(&mut self, slot: Slot, due: Picos, now: Picos) -> Option<Picos> {
        let block = (slot.0 / self.entries_per_step) as usize;
        let not_before = self.not_before.get_mut(block)?;
        if due >= *not_before {
            return None;
        }
        *not_before = due;
        self.reschedule(now)
    }

    /// The step at `now` if one is due then: the slots of idle entries that were not reported before, and the
    /// time of the next step.
    pub fn step(&mut self, now: Picos, table: &FlowTable, found: &mut Vec<Slot>) -> Option<Picos> {
        if now != self.scheduled || !self.enabled {
            return None;
        }
        self.scheduled = Picos::NEVER;
        let step = now.0 / self.step_interval.0;
        let block = (step % self.not_before.len() as u64) as usize;
        self.not_before[block] = self.scan(block, now, table, found);
        self.next_step = step + 1;
        self.reschedule(now)
    }

    /// The block of entries that a step at `now` examines.
    pub fn block_at(&self, now: Picos) -> u64 {
        now.0 / self.step_interval.0 % self.not_before.len() as u64
    }

    fn scan(&self, block: usize, now: Picos, table: &FlowTable, found: &mut Vec<Slot>) -> Picos {
        let first = block as u32 * self.entries_per_step;
        let end = first
            .saturating_add(self.entries_per_step)
            .min(table.capacity());
        let mut not_before = Picos::NEVER;
        for slot in (first..end).map(Slot) {
            let Some(state) = table.state(slot) else {
                continue;
            };
            if state.has(flag::AGE_REPORTED) {
                continue;
            }
            match self.due(table, slot, &state, now) {
                due if due <= now => found.push(slot),
                due => not_before = not_before.min(due),
            }
        }
        not_before
    }

    fn due(&self, table: &FlowTable, slot: Slot, state: &EntryState, now: Picos) -> Picos {
        let protocol = table.key(slot).map_or(0, |key| key.protocol());
        state.last_seen_no_later_than(now) + self.timeout(protocol)
    }

    /// The time of the first step that may find something, if it is earlier than the one scheduled.
    fn reschedule(&mut self, now: Picos) -> Option<Picos> {
        let blocks = self.not_before.len() as u64;
        let from = self.next_step.max(now.0 / self.step_interval.0 + 1);
        let step = self
            .not_before
            .iter()
            .enumerate()
            .filter(|(_, not_before)| **not_before != Picos::NEVER)
            .map(|(block, not_before)| {
                let earliest = from.max(not_before.0.div_ceil(self.step_interval.0));
                let ahead = (block as u64 + blocks - earliest % blocks) % blocks;
                earliest + ahead
            })
            .min()?;
        let at = Picos(step.saturating_mul(self.step_interval.0));
        if at >= self.scheduled {
            return None;
        }
        self.scheduled = at;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TableConfig;
    use crate::flow_table::entry::{EntryAction, FlowKey};

    fn table() -> FlowTable {
        FlowTable::new(&TableConfig {
            buckets: 64,
            ..TableConfig::default()
        })
    }

    fn key(n: u64) -> FlowKey {
        FlowKey([n, 0, 0, 0, 6 << 32 | 4 << 40])
    }

    fn config() -> AgingConfig {
        AgingConfig {
            tcp_timeout_ms: 1_000,
            scan_period_ms: 100,
            entries_per_step: 16,
            ..AgingConfig::default()
        }
    }

    #[test]
    fn an_idle_entry_is_found_within_its_timeout_and_one_scan_period() {
        let (mut table, config) = (table(), config());
        let mut engine = AgingEngine::new(&config, table.capacity());
        let mut found = Vec::new();
        let mut clock = Picos::ZERO;
        for n in 0..40 {
            let born = clock + Picos::from_millis(n * 7);
            let slot = table
                .insert(key(n), EntryState::new(EntryAction::default(), born))
                .expect("room")
                .slot;
            engine.watch(slot, TCP, born);
            let mut next = engine.scheduled;
            let mut steps = 0;
            while found.is_empty() {
                assert!(
                    steps < 4,
                    "every step of an idle engine is one that may find something"
                );
                let at = next;
                clock = at;
                next = engine.step(at, &table, &mut found).unwrap_or(Picos::NEVER);
                steps += 1;
                if !found.is_empty() {
                    assert!(at >= born + Picos::from_millis(1_000));
                    assert!(at <= born + Picos::from_millis(1_101), "{at}");
                }
            }
            assert_eq!(found, [slot]);
            found.clear();
            table.remove(slot);
        }
    }

    #[test]
    fn a_hit_puts_the_report_off() {
        let (mut table, config) = (table(), config());
        let mut engine = AgingEngine::new(&config, table.capacity());
        let slot = table
            .insert(key(1), EntryState::new(EntryAction::default(), Picos::ZERO))
            .expect("room")
            .slot;
        let mut next = engine.watch(slot, TCP, Picos::ZERO);
        let hit = Picos::from_millis(900);
        table.with_state(slot, |state| {
            state.count(crate::flow_table::KeyDirection::LowerToHigher, 40, hit)
        });
        let mut found = Vec::new();
        while let Some(at) = next {
            next = engine.step(at, &table, &mut found);
            if !found.is_empty() {
                assert!(at >= hit + Picos::from_millis(1_000));
            }
        }
        assert_eq!(found, [slot]);
    }

    #[test]
    fn an_empty_table_needs_no_step() {
        let table = table();
        let mut engine = AgingEngine::new(&config(), table.capacity());
        assert_eq!(engine.reschedule(Picos::ZERO), None);
    }
}
