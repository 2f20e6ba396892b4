//! Counters: how wide they are, what they do at the end of their range, and a cache of those that change often.

use crate::config::{CounterConfig, Overflow};
use crate::flow_table::Slot;

/// How counters count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterFormat {
    /// The largest packet count.
    pub most_packets: u32,
    /// The largest byte count.
    pub most_bytes: u64,
    /// Counters stay at the largest count; otherwise they go on from zero.
    pub saturates: bool,
}

impl Default for CounterFormat {
    fn default() -> Self {
        Self::new(&CounterConfig::default())
    }
}

impl CounterFormat {
    /// The format of a configuration.
    pub const fn new(config: &CounterConfig) -> Self {
        Self {
            most_packets: u32::MAX >> (32 - config.packet_bits),
            most_bytes: u64::MAX >> (64 - config.byte_bits),
            saturates: matches!(config.overflow, Overflow::Saturate),
        }
    }

    /// A packet more.
    #[inline]
    pub const fn count_packet(&self, packets: u32) -> u32 {
        if self.saturates && packets == self.most_packets {
            return packets;
        }
        packets.wrapping_add(1) & self.most_packets
    }

    /// Some bytes more.
    #[inline]
    pub const fn count_bytes(&self, bytes: u64, more: u32) -> u64 {
        let sum = bytes + more as u64;
        if self.saturates && sum > self.most_bytes {
            return self.most_bytes;
        }
        sum & self.most_bytes
    }
}

/// Which entries' counters are on the chip: direct-mapped by slot.
#[derive(Debug, Clone)]
pub struct CounterCache {
    held: Vec<Option<Slot>>,
}

impl CounterCache {
    /// An empty cache, if there is to be one.
    pub fn new(config: &CounterConfig) -> Option<Self> {
        (config.cache_entries > 0).then(|| Self {
            held: vec![None; config.cache_entries as usize],
        })
    }

    fn place(&self, slot: Slot) -> usize {
        slot.0 as usize % self.held.len()
    }

    /// The counters of an entry change; the entry whose counters must be written to memory to make room for them.
    pub fn count(&mut self, slot: Slot) -> Option<Slot> {
        let place = self.place(slot);
        let before = self.held[place].replace(slot);
        before.filter(|before| *before != slot)
    }

    /// The counters of an entry are needed in memory; whether they must be written there.
    pub fn flush(&mut self, slot: Slot) -> bool {
        let place = self.place(slot);
        self.held[place].take_if(|held| *held == slot).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format(overflow: Overflow) -> CounterFormat {
        CounterFormat::new(&CounterConfig {
            packet_bits: 4,
            byte_bits: 16,
            overflow,
            ..CounterConfig::default()
        })
    }

    #[test]
    fn a_counter_goes_on_from_zero_or_stays() {
        let (wrap, saturate) = (format(Overflow::Wrap), format(Overflow::Saturate));
        assert_eq!((wrap.count_packet(15), saturate.count_packet(15)), (0, 15));
        assert_eq!((wrap.count_packet(14), saturate.count_packet(14)), (15, 15));
        assert_eq!(wrap.count_bytes(65_000, 1_000), 464);
        assert_eq!(saturate.count_bytes(65_000, 1_000), 65_535);
        let whole = CounterFormat::default();
        assert_eq!(whole.count_packet(u32::MAX), 0);
    }

    proptest! {
        #[test]
        fn what_is_counted_reaches_memory_once(slots in proptest::collection::vec(0u32..300, 1..400)) {
            let config = CounterConfig { cache_entries: 64, ..CounterConfig::default() };
            let mut cache = CounterCache::new(&config).expect("there is one");
            // Counts that are not in memory yet.
            let mut ahead = [false; 300];
            for slot in slots {
                ahead[slot as usize] = true;
                if let Some(written) = cache.count(Slot(slot)) {
                    prop_assert!(std::mem::take(&mut ahead[written.0 as usize]));
                }
            }
            for (slot, ahead) in ahead.iter().enumerate() {
                prop_assert_eq!(cache.flush(Slot(slot as u32)), *ahead);
            }
        }
    }
}
