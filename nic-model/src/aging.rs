//! The aging engine: passes over the table block by block and finds entries that were idle too long.
//!
//! It knows that by the time of an entry's last hit, or by a clock of few bits that a hit clears and each pass counts up. The
//! clock is not counted here: how many passes have come by since a hit follows from when it was.
//!
//! Step number k happens at k times the step interval and examines block k modulo the number of blocks. Steps
//! that cannot find anything are skipped without changing any result: the engine keeps, for each block, a time
//! before which none of its entries can be idle long enough, and sleeps until the first step that may find one.

use crate::clock::Picos;
use crate::config::{AgingConfig, AgingMethod};
use crate::flow_table::entry::{EntryState, flag};
use crate::flow_table::{EntryCounters, FlowTable, Slot};

const TCP: u8 = 6;

/// How long the entries of a class may be idle.
#[derive(Debug, Clone, Copy)]
struct Limit {
    timeout: Picos,
    /// The same in passes of the engine.
    passes: u64,
}

/// The engine.
#[derive(Debug)]
pub struct AgingEngine {
    method: AgingMethod,
    tcp: Limit,
    other: Limit,
    closing: Option<Limit>,
    step_interval: Picos,
    entries_per_step: u32,
    /// For each block: no entry in it is due before this time.
    not_before: Vec<Picos>,
    next_step: u64,
    scheduled: Picos,
    enabled: bool,
    /// As the host says.
    allowed: bool,
}

impl AgingEngine {
    /// An engine for a table of `capacity` slots.
    pub fn new(config: &AgingConfig, capacity: u32) -> Self {
        let blocks = capacity.div_ceil(config.entries_per_step).max(1);
        let period = Picos::from_millis(config.scan_period_ms.into());
        let limit = |timeout_ms: u32| Limit {
            timeout: Picos::from_millis(timeout_ms.into()),
            passes: config.passes(timeout_ms).into(),
        };
        let closing = config.closing_timeout_ms;
        Self {
            method: config.method,
            tcp: limit(config.tcp_timeout_ms),
            other: limit(config.udp_timeout_ms),
            closing: (closing > 0).then(|| limit(closing)),
            step_interval: Picos((period.0 / u64::from(blocks)).max(1)),
            entries_per_step: config.entries_per_step,
            not_before: vec![Picos::NEVER; blocks as usize],
            next_step: 1,
            scheduled: Picos::NEVER,
            enabled: true,
            allowed: true,
        }
    }

    /// The host stops the engine or lets it run; when it must step next if it goes on now.
    pub fn allow(&mut self, allowed: bool, now: Picos) -> Option<Picos> {
        let was_allowed = std::mem::replace(&mut self.allowed, allowed);
        if was_allowed || !allowed {
            return None;
        }
        self.scheduled = Picos::NEVER;
        self.reschedule(now)
    }

    /// Whether it reports.
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Stops or allows reports.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    #[inline]
    const fn limit(&self, protocol: u8, closing: bool) -> Limit {
        match self.closing {
            Some(limit) if closing => limit,
            _ if protocol == TCP => self.tcp,
            _ => self.other,
        }
    }

    /// When the block of a slot is looked at for the first time after `time`, as a step's number.
    fn first_pass(&self, slot: Slot, time: Picos) -> u64 {
        let blocks = self.not_before.len() as u64;
        let block = u64::from(slot.0 / self.entries_per_step);
        let next = time.0 / self.step_interval.0 + 1;
        next + (block + blocks - next % blocks) % blocks
    }

    /// When the entry in `slot` was idle long enough, as of what is known of it at `now`.
    pub fn due(&self, slot: Slot, protocol: u8, state: &EntryState, now: Picos) -> Picos {
        let limit = self.limit(protocol, state.has(flag::CLOSING));
        let hit = state.last_seen_no_later_than(now);
        match self.method {
            AgingMethod::Timestamp => hit + limit.timeout,
            AgingMethod::Clock => {
                let more = (limit.passes - 1).saturating_mul(self.not_before.len() as u64);
                let step = self.first_pass(slot, hit).saturating_add(more);
                Picos(step.saturating_mul(self.step_interval.0))
            }
        }
    }

    /// The counters of the entry that is or was in `slot`, with what the engine can tell of its last hit.
    pub fn counters(&self, slot: Slot, state: &EntryState, now: Picos) -> EntryCounters {
        EntryCounters {
            last_seen: self.last_seen(slot, state, now),
            ..state.counters(now)
        }
    }

    /// A time after which no packet hit the entry, as far as the engine can tell.
    pub fn last_seen(&self, slot: Slot, state: &EntryState, now: Picos) -> Picos {
        let hit = state.last_seen_no_later_than(now);
        match self.method {
            AgingMethod::Timestamp => hit,
            AgingMethod::Clock => Picos(
                self.first_pass(slot, hit)
                    .saturating_mul(self.step_interval.0),
            )
            .min(now),
        }
    }

    /// An entry appeared in `slot`, or can age again, as of `now`. When the engine must step earlier than it
    /// meant to, that time.
    pub fn watch(&mut self, slot: Slot, protocol: u8, now: Picos) -> Option<Picos> {
        // Whether its flow is closing does not matter: the first pass that looks at it knows.
        let shortest = self.closing.map_or(Picos::NEVER, |limit| limit.timeout);
        let timeout = self.limit(protocol, false).timeout.min(shortest);
        self.due_from(slot, now + timeout, now)
    }

    /// The flow in `slot` had a FIN or RST: it may be due earlier. When the engine must step earlier than it meant to, that
    /// time.
    pub fn watch_closing(&mut self, slot: Slot, now: Picos) -> Option<Picos> {
        self.closing?;
        self.due_from(slot, now, now)
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
        if now != self.scheduled || !self.enabled || !self.allowed {
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
            let protocol = table.key(slot).map_or(0, |key| key.protocol());
            match self.due(slot, protocol, &state, now) {
                due if due <= now => found.push(slot),
                due => not_before = not_before.min(due),
            }
        }
        not_before
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

    #[test]
    fn a_stopped_engine_finds_nothing_until_it_may_go_on() {
        let mut table = table();
        let config = AgingConfig {
            tcp_timeout_ms: 1_000,
            ..AgingConfig::default()
        };
        let mut engine = AgingEngine::new(&config, table.capacity());
        let state = EntryState::new(EntryAction::default(), Picos::ZERO);
        let slot = table.insert(key(1), state).expect("room").slot;
        let mut next = engine.watch(slot, 6, Picos::ZERO);
        assert_eq!(engine.allow(false, Picos::ZERO), None);
        let mut found = Vec::new();
        while let Some(now) = next {
            next = engine.step(now, &table, &mut found);
        }
        assert!(found.is_empty());
        let mut next = engine.allow(true, Picos::from_secs(5));
        assert!(next.is_some());
        while let Some(now) = next {
            next = engine.step(now, &table, &mut found);
        }
        assert_eq!(found, [slot]);
    }

    fn table() -> FlowTable {
        FlowTable::new(&TableConfig {
            buckets: 64,
            ..TableConfig::default()
        })
    }

    fn key(n: u64) -> FlowKey {
        FlowKey([n, 0, 0, 0, 6 << 32 | 4 << 40, 0])
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
        table.with_state(slot, |state| state.touch(hit));
        let mut found = Vec::new();
        while let Some(at) = next {
            next = engine.step(at, &table, &mut found);
            if !found.is_empty() {
                assert!(at >= hit + Picos::from_millis(1_000));
            }
        }
        assert_eq!(found, [slot]);
    }

    /// Runs until something is found; when that is.
    fn find_first(engine: &mut AgingEngine, table: &FlowTable, first: Option<Picos>) -> Picos {
        let (mut next, mut found) = (first, Vec::new());
        while let Some(at) = next {
            next = engine.step(at, table, &mut found);
            if !found.is_empty() {
                return at;
            }
        }
        Picos::NEVER
    }

    #[test]
    fn a_clock_is_never_early_and_at_most_a_pass_late() {
        let config = AgingConfig {
            method: AgingMethod::Clock,
            ..config()
        };
        for hit_ms in [0, 1, 37, 99, 100, 101, 950] {
            let mut table = table();
            let mut engine = AgingEngine::new(&config, table.capacity());
            let hit = Picos::from_millis(hit_ms);
            let state = EntryState::new(EntryAction::default(), hit);
            let slot = table.insert(key(hit_ms), state).expect("room").slot;
            let first = engine.watch(slot, TCP, hit);
            let at = find_first(&mut engine, &table, first);
            let idle = at - hit;
            assert!(idle >= Picos::from_millis(1_000), "{idle}");
            assert!(idle <= Picos::from_millis(1_101), "{idle}");
            let seen = engine.last_seen(slot, &state, at);
            assert!(
                seen >= hit && seen <= hit + Picos::from_millis(101),
                "{seen} of {hit}"
            );
        }
    }

    #[test]
    fn a_flow_that_closes_ages_faster() {
        let config = AgingConfig {
            closing_timeout_ms: 200,
            ..config()
        };
        for method in AgingMethod::ALL {
            let config = AgingConfig {
                method: *method,
                ..config.clone()
            };
            let mut table = table();
            let mut engine = AgingEngine::new(&config, table.capacity());
            let state = EntryState::new(EntryAction::default(), Picos::ZERO);
            let slot = table.insert(key(1), state).expect("room").slot;
            engine.watch(slot, TCP, Picos::ZERO);
            table.with_state(slot, |state| state.set(flag::CLOSING));
            let fin = Picos::from_millis(50);
            engine.watch_closing(slot, fin);
            let first = Some(engine.scheduled);
            let at = find_first(&mut engine, &table, first);
            assert!(
                at >= Picos::from_millis(200) && at <= Picos::from_millis(301),
                "{at}"
            );
        }
    }

    #[test]
    fn an_empty_table_needs_no_step() {
        let table = table();
        let mut engine = AgingEngine::new(&config(), table.capacity());
        assert_eq!(engine.reschedule(Picos::ZERO), None);
    }
}
