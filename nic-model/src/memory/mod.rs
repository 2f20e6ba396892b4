//! Where the flow table lies, and how long it takes to get there.
//!
//! The table's contents are in [`crate::flow_table`]; here is only time. Bytes have addresses in lines: the tags of the buckets
//! first, one line or more for each bucket, and the entries behind them. A look-up reads the tags of its buckets, all
//! choices at once (the buckets of a chain one after the other), then the entry whose tag matched; the counters it changes are
//! written back. In between may be a [`cache`]; behind it is [`dram`], or the host's memory over PCIe.

pub mod cache;
pub mod dram;

use crate::clock::{ClockDomain, Picos};
use crate::config::{MemoryConfig, MemoryKind, NicConfig};
use crate::datapath::counter::CounterCache;
use crate::flow_table::slots::Shape;
use crate::flow_table::{FlowTable, Hashes, Slot};
use crate::host::last_level_cache::CARD_REGION;
use crate::host::memory::DmaAddress;
use crate::host::pcie::PcieLink;
use cache::Cache;
use dram::Dram;

/// Bytes of a tag.
const TAG_BYTES: u32 = 2;
/// Bytes of an entry: key, state and rewrite.
const ENTRY_BYTES: u32 = 128;

/// What the memory did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryStats {
    /// Lines read, tags and entries.
    pub reads: u64,
    /// Lines written: counters, and lines of the cache that had changed and gave way.
    pub writes: u64,
    /// Reads the cache answered.
    pub cache_hits: u64,
}

impl MemoryStats {
    /// Reads the cache did not answer, if there is one.
    pub const fn misses(&self) -> u64 {
        self.reads - self.cache_hits
    }
}

/// The memory of a flow table.
#[derive(Debug)]
pub struct TableMemory {
    kind: MemoryKind,
    tags_on_chip: bool,
    sram: Picos,
    cache: Option<Cache>,
    cache_latency: Picos,
    counter_cache: Option<CounterCache>,
    write_through: bool,
    dram: Dram,
    shape: Shape,
    line_bytes: u32,
    tag_lines: u32,
    entry_lines: u32,
    /// When each of the look-ups that may be on their way at once is done, as a ring.
    done: Vec<Picos>,
    at: usize,
    last: Picos,
    stats: MemoryStats,
}

impl TableMemory {
    /// An idle memory for a table of this shape.
    pub fn new(config: &NicConfig, shape: Shape) -> Self {
        let MemoryConfig { line_bytes, .. } = config.memory;
        let clock: ClockDomain = config.pipeline_clock();
        let memory = &config.memory;
        Self {
            kind: memory.kind,
            tags_on_chip: memory.tags_on_chip,
            sram: clock.cycles(config.pipeline.table_read_cycles.into()),
            cache: (memory.cache_sets > 0).then(|| Cache::new(memory)),
            cache_latency: clock.cycles(memory.cache_cycles.into()),
            counter_cache: CounterCache::new(&config.counter),
            write_through: memory.cache_write_through,
            dram: Dram::new(memory),
            shape,
            line_bytes,
            tag_lines: (shape.slots_per_bucket * TAG_BYTES).div_ceil(line_bytes),
            entry_lines: ENTRY_BYTES.div_ceil(line_bytes),
            done: vec![Picos::ZERO; memory.outstanding as usize],
            at: 0,
            last: Picos::ZERO,
            stats: MemoryStats::default(),
        }
    }

    /// What the memory did so far.
    pub const fn stats(&self) -> &MemoryStats {
        &self.stats
    }

    /// Whether look-ups take a time of their own, one by one.
    #[inline]
    pub fn is_on_chip(&self) -> bool {
        self.kind == MemoryKind::Sram
    }

    /// When the next look-up can begin, as far as those on their way allow.
    #[inline]
    pub fn room_at(&self) -> Picos {
        self.done[self.at]
    }

    /// A look-up begun at `now` that found this: when tags and entry have been read. Look-ups are done in the order in which they
    /// began.
    pub fn look_up(
        &mut self,
        now: Picos,
        table: &FlowTable,
        hashes: Hashes,
        found: Option<Slot>,
        link: &mut PcieLink,
    ) -> Picos {
        let begin = if self.tags_on_chip {
            now + self.sram
        } else {
            now
        };
        let done = self.fetch(begin, table, hashes, found, link).max(self.last);
        self.last = done;
        self.done[self.at] = done;
        self.at = (self.at + 1) % self.done.len();
        done
    }

    /// The control processor reaches for an entry at `now`, by its buckets and in its slot: when it has been read, beside the
    /// look-ups of packets and with the same memory.
    pub fn reach(
        &mut self,
        now: Picos,
        table: &FlowTable,
        hashes: Hashes,
        slot: Option<Slot>,
        link: &mut PcieLink,
    ) -> Picos {
        if self.is_on_chip() {
            return now;
        }
        self.fetch(now, table, hashes, slot, link)
    }

    /// Reads the tags of a key's buckets, unless they are on the chip, and the entry it has.
    fn fetch(
        &mut self,
        now: Picos,
        table: &FlowTable,
        hashes: Hashes,
        slot: Option<Slot>,
        link: &mut PcieLink,
    ) -> Picos {
        let mut done = now;
        if !self.tags_on_chip {
            let (chained, lines) = (table.is_chained(), u64::from(self.tag_lines));
            table.buckets_read(hashes, slot, |bucket| {
                let start = if chained { done } else { now };
                let first = u64::from(bucket) * lines;
                for line in first..first + lines {
                    done = done.max(self.read(start, line, link));
                }
            });
        }
        match slot.filter(|slot| !table.is_stash(*slot)) {
            Some(slot) => self.read_entry(done, slot, link),
            None => done,
        }
    }

    /// The control processor has written the entry in a slot at `now`, which its memory takes in passing.
    pub fn written(&mut self, now: Picos, slot: Slot, link: &mut PcieLink) {
        if self.is_on_chip() || slot.0 >= self.shape.slots() {
            return;
        }
        let first = self.entry(slot);
        for line in first..first + u64::from(self.entry_lines) {
            self.change(now, line, link);
        }
    }

    /// The counters of an entry change at `now`; those of the stash are on the chip.
    pub fn count(&mut self, now: Picos, slot: Slot, link: &mut PcieLink) {
        if self.is_on_chip() || slot.0 >= self.shape.slots() {
            return;
        }
        let Some(cache) = &mut self.counter_cache else {
            return self.write_counters(now, slot, link);
        };
        if let Some(gives_way) = cache.count(slot) {
            self.write_counters(now, gives_way, link);
        }
    }

    /// Somebody reads the counters of an entry: those on the chip go to memory first.
    pub fn flush_counters(&mut self, now: Picos, slot: Slot, link: &mut PcieLink) {
        if let Some(cache) = &mut self.counter_cache
            && cache.flush(slot)
        {
            self.write_counters(now, slot, link);
        }
    }

    fn write_counters(&mut self, now: Picos, slot: Slot, link: &mut PcieLink) {
        // The state is in the entry's last line.
        let line = self.entry(slot) + u64::from(self.entry_lines) - 1;
        self.change(now, line, link);
    }

    /// A line changes: in the cache, if there is one, and sooner or later behind it.
    fn change(&mut self, now: Picos, line: u64, link: &mut PcieLink) {
        if let Some(cache) = &mut self.cache {
            let access = cache.access(line, !self.write_through);
            if let Some(dirty) = access.written_back {
                self.write_behind(now, dirty, link);
            }
            if !self.write_through {
                return;
            }
        }
        self.write_behind(now, line, link);
    }

    fn read_entry(&mut self, now: Picos, slot: Slot, link: &mut PcieLink) -> Picos {
        let first = self.entry(slot);
        let lines = first..first + u64::from(self.entry_lines);
        lines
            .map(|line| self.read(now, line, link))
            .max()
            .unwrap_or(now)
    }

    fn entry(&self, slot: Slot) -> u64 {
        let tags = u64::from(self.shape.buckets()) * u64::from(self.tag_lines);
        tags + u64::from(slot.0) * u64::from(self.entry_lines)
    }

    /// Where a line lies in the host's memory: apart from everything that the driver allocates.
    const fn address(&self, line: u64) -> DmaAddress {
        DmaAddress(CARD_REGION.0 + line * self.line_bytes as u64)
    }

    fn read(&mut self, now: Picos, line: u64, link: &mut PcieLink) -> Picos {
        self.stats.reads += 1;
        let mut now = now;
        if let Some(cache) = &mut self.cache {
            now += self.cache_latency;
            let access = cache.access(line, false);
            if access.hit {
                self.stats.cache_hits += 1;
                return now;
            }
            if let Some(dirty) = access.written_back {
                self.write_behind(now, dirty, link);
            }
        }
        match self.kind {
            MemoryKind::Sram => now + self.sram,
            MemoryKind::Dram => self.dram.access(now, line),
            MemoryKind::Host => link.read(now, self.address(line), self.line_bytes as usize),
        }
    }

    fn write_behind(&mut self, now: Picos, line: u64, link: &mut PcieLink) {
        self.stats.writes += 1;
        match self.kind {
            MemoryKind::Sram => {}
            MemoryKind::Dram => {
                self.dram.access(now, line);
            }
            MemoryKind::Host => {
                link.write(now, self.address(line), self.line_bytes as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_table::entry::{EntryAction, EntryState, FlowKey};

    fn parts(set: impl FnOnce(&mut NicConfig)) -> (TableMemory, FlowTable, PcieLink) {
        let mut config = NicConfig::default();
        set(&mut config);
        config.validate().expect("valid");
        let table = FlowTable::new(&config.table);
        let memory = TableMemory::new(&config, table.shape());
        (memory, table, PcieLink::new(&config.pcie))
    }

    fn key(n: u64) -> FlowKey {
        FlowKey([n, n << 7, 0, 0, 6 << 32 | 4 << 40, 0])
    }

    #[test]
    fn a_look_up_in_dram_reads_tags_and_then_the_entry() {
        let (mut memory, mut table, mut link) =
            parts(|config| config.memory.kind = MemoryKind::Dram);
        let slot = table.insert(key(1), EntryState::new(EntryAction::default(), Picos::ZERO));
        let slot = slot.expect("room").slot;
        let hashes = table.hash(&key(1));
        let closed = Picos(u64::from(MemoryConfig::default().row_closed_ps));
        let done = memory.look_up(Picos::ZERO, &table, hashes, Some(slot), &mut link);
        assert!(done >= closed + closed, "{done}");
        assert_eq!(
            memory.stats().reads,
            2 + 2,
            "two buckets' tags, an entry of two lines"
        );
        let (mut memory, ..) = parts(|config| config.memory.kind = MemoryKind::Dram);
        let miss = memory.look_up(Picos::ZERO, &table, hashes, None, &mut link);
        assert!(miss < done && miss >= closed);
    }

    #[test]
    fn what_was_read_is_in_the_cache() {
        let (mut memory, mut table, mut link) = parts(|config| {
            config.memory.kind = MemoryKind::Host;
            config.memory.cache_sets = 64;
        });
        let slot = table.insert(key(1), EntryState::new(EntryAction::default(), Picos::ZERO));
        let slot = slot.expect("room").slot;
        let hashes = table.hash(&key(1));
        let cold = memory.look_up(Picos::ZERO, &table, hashes, Some(slot), &mut link);
        assert!(
            cold >= Picos::from_nanos(2 * 550),
            "two round trips: {cold}"
        );
        let start = Picos::from_micros(10);
        let warm = memory.look_up(start, &table, hashes, Some(slot), &mut link) - start;
        assert!(warm < Picos::from_nanos(30), "{warm}");
        assert_eq!(memory.stats().cache_hits, 4);
        memory.count(start, slot, &mut link);
        assert_eq!(memory.stats().writes, 0, "written when it gives way");
    }

    #[test]
    fn counters_of_the_stash_are_on_the_chip() {
        let (mut memory, table, mut link) = parts(|config| config.memory.kind = MemoryKind::Dram);
        memory.count(Picos::ZERO, Slot(table.main_slots()), &mut link);
        assert_eq!(memory.stats().writes, 0);
        memory.count(Picos::ZERO, Slot(table.main_slots() - 1), &mut link);
        assert_eq!(memory.stats().writes, 1);
    }

    #[test]
    fn only_so_many_look_ups_are_on_their_way() {
        let (mut memory, table, mut link) = parts(|config| {
            config.memory.kind = MemoryKind::Dram;
            config.memory.outstanding = 2;
        });
        let hashes = table.hash(&key(1));
        assert_eq!(memory.room_at(), Picos::ZERO);
        let first = memory.look_up(Picos::ZERO, &table, hashes, None, &mut link);
        assert_eq!(memory.room_at(), Picos::ZERO);
        let second = memory.look_up(Picos::ZERO, &table, hashes, None, &mut link);
        assert!(second >= first, "in order");
        assert_eq!(memory.room_at(), first);
    }
}
