//! The last-level cache of the host, as far as DMA sees it: a read that it answers saves the way to DRAM, and with DDIO what the
//! card writes is there for the next read.
//!
//! Rings and packet buffers count as cached: the driver has just written what the card reads there. What is looked up here is
//! the card's own region of memory, a flow table of millions of entries perhaps.

use super::memory::DmaAddress;
use crate::clock::Picos;
use crate::config::{MemoryConfig, PcieConfig, Replacement};
use crate::memory::cache::Cache;

/// Where the card's own region begins: apart from everything that the driver allocates.
pub const CARD_REGION: DmaAddress = DmaAddress(1 << 40);

const LINE_BYTES: u64 = 64;
const WAYS: u32 = 16;

/// The cache, if the configuration has one.
#[derive(Debug)]
pub struct LastLevelCache {
    cache: Option<Cache>,
    ddio: bool,
    dram: Picos,
}

impl LastLevelCache {
    /// An empty cache.
    pub fn new(config: &PcieConfig) -> Self {
        let lines = u64::from(config.host_cache_kib) * 1_024 / LINE_BYTES;
        let shape = MemoryConfig {
            cache_sets: (lines / u64::from(WAYS)) as u32,
            cache_ways: WAYS,
            cache_replacement: Replacement::Lru,
            ..MemoryConfig::default()
        };
        Self {
            cache: (lines > 0).then(|| Cache::new(&shape)),
            ddio: config.ddio,
            dram: Picos::from_nanos(config.host_dram_ns.into()),
        }
    }

    /// What a read takes longer because the cache does not hold all of it.
    pub fn read(&mut self, address: DmaAddress, bytes: u64) -> Picos {
        let Some(cache) = self.cache.as_mut().filter(|_| address >= CARD_REGION) else {
            return Picos::ZERO;
        };
        // A read by a device leaves nothing in the cache that was not there.
        let held = lines(address, bytes).all(|line| cache.holds(line));
        if held { Picos::ZERO } else { self.dram }
    }

    /// The card writes: into the cache, or past it.
    pub fn write(&mut self, address: DmaAddress, bytes: u64) {
        let (ddio, cache) = (self.ddio, self.cache.as_mut());
        let Some(cache) = cache.filter(|_| address >= CARD_REGION) else {
            return;
        };
        for line in lines(address, bytes) {
            if ddio {
                cache.access(line, true);
            } else {
                cache.forget(line);
            }
        }
    }
}

fn lines(address: DmaAddress, bytes: u64) -> std::ops::RangeInclusive<u64> {
    address.0 / LINE_BYTES..=address.0.saturating_add(bytes.max(1) - 1) / LINE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(ddio: bool) -> LastLevelCache {
        LastLevelCache::new(&PcieConfig {
            host_cache_kib: 1_024,
            ddio,
            host_dram_ns: 75,
            ..PcieConfig::default()
        })
    }

    #[test]
    fn what_the_card_wrote_is_near_with_ddio_and_far_without() {
        let at = DmaAddress(CARD_REGION.0 + 4_096);
        for ddio in [true, false] {
            let mut cache = cache(ddio);
            assert_eq!(cache.read(at, 64), Picos::from_nanos(75), "never written");
            cache.write(at, 64);
            let expected = if ddio { 0 } else { 75 };
            assert_eq!(cache.read(at, 64), Picos::from_nanos(expected));
            assert_eq!(cache.read(at, 128), Picos::from_nanos(75), "half of it");
        }
    }

    #[test]
    fn rings_are_near_and_without_a_cache_everything_is() {
        assert_eq!(cache(true).read(DmaAddress(0), 64), Picos::ZERO);
        let mut none = LastLevelCache::new(&PcieConfig::default());
        assert_eq!(none.read(CARD_REGION, 64), Picos::ZERO);
    }
}
