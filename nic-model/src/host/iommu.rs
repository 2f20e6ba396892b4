//! The IOMMU in the host's root complex: DMA addresses are translated, and what its IOTLB does not hold costs a walk through the
//! page tables.
//!
//! A few walkers work at once; a request that finds all of them busy waits. Neugebauer and others, "Understanding PCIe
//! performance for end host networking", SIGCOMM 2018, section 6.5, found an IOTLB of about 64 pages.

use super::memory::DmaAddress;
use crate::clock::Picos;
use crate::config::{MemoryConfig, PcieConfig, Replacement};
use crate::memory::cache::Cache;

/// The IOMMU, or none.
#[derive(Debug)]
pub struct Iommu {
    /// Pages by number; the least recently used one gives way.
    tlb: Option<Cache>,
    page_shift: u32,
    walk: Picos,
    /// When each walker is free.
    walkers: Vec<Picos>,
}

/// When a request is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// When a walker took the last of its pages that had to be walked for, or when it came.
    pub taken: Picos,
    /// When it can go on.
    pub done: Picos,
}

impl Iommu {
    /// The IOMMU of a configuration, with an empty IOTLB.
    pub fn new(config: &PcieConfig) -> Self {
        let tlb = (config.iommu_entries > 0).then(|| {
            Cache::new(&MemoryConfig {
                cache_sets: 1,
                cache_ways: config.iommu_entries,
                cache_replacement: Replacement::Lru,
                ..MemoryConfig::default()
            })
        });
        Self {
            tlb,
            page_shift: config.iommu_page_bytes.ilog2(),
            walk: Picos::from_nanos(config.iommu_walk_ns.into()),
            walkers: vec![Picos::ZERO; config.iommu_walkers as usize],
        }
    }

    /// Translates a request for `bytes` bytes from `address` on that comes at `now`.
    pub fn translate(&mut self, now: Picos, address: DmaAddress, bytes: u64) -> Translation {
        let mut translation = Translation {
            taken: now,
            done: now,
        };
        let Some(tlb) = &mut self.tlb else {
            return translation;
        };
        let first = address.0 >> self.page_shift;
        let last = address.0.saturating_add(bytes.saturating_sub(1)) >> self.page_shift;
        for page in first..=last {
            if tlb.access(page, false).hit {
                continue;
            }
            let Some(walker) = self.walkers.iter_mut().min() else {
                continue;
            };
            let start = now.max(*walker);
            *walker = start + self.walk;
            translation.taken = translation.taken.max(start);
            translation.done = translation.done.max(*walker);
        }
        translation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iommu(entries: u32, walkers: u32) -> Iommu {
        Iommu::new(&PcieConfig {
            iommu_entries: entries,
            iommu_walkers: walkers,
            iommu_walk_ns: 100,
            ..PcieConfig::default()
        })
    }

    #[test]
    fn a_page_costs_a_walk_until_others_push_it_out() {
        let mut iommu = iommu(4, 8);
        let mut walk = |page: u64| {
            iommu
                .translate(Picos::ZERO, DmaAddress(page << 12), 64)
                .done
        };
        let long = Picos::from_nanos(100);
        assert_eq!([0, 1, 2, 3].map(&mut walk), [long; 4]);
        assert_eq!([0, 1, 2, 3].map(&mut walk), [Picos::ZERO; 4]);
        assert_eq!(walk(4), long);
        assert_eq!(walk(0), Picos::from_nanos(100), "the oldest was pushed out");
    }

    #[test]
    fn a_write_is_not_there_before_an_earlier_one_that_had_to_be_walked_for() {
        let mut link = crate::host::pcie::PcieLink::new(&PcieConfig {
            iommu_entries: 16,
            ..PcieConfig::default()
        });
        let done = [7, 8, 7].map(|page| link.write(Picos::ZERO, DmaAddress(page << 12), 64));
        assert!(done.is_sorted(), "{done:?}");
    }

    #[test]
    fn walkers_are_few_and_a_request_may_need_several() {
        let mut iommu = iommu(64, 2);
        let over_three_pages = iommu.translate(Picos::ZERO, DmaAddress(4_095), 4_098);
        assert_eq!(over_three_pages.taken, Picos::from_nanos(100));
        assert_eq!(over_three_pages.done, Picos::from_nanos(200));
        let none = Iommu::new(&PcieConfig::default()).translate(Picos(5), DmaAddress(0), 1 << 20);
        assert_eq!(none.done, Picos(5));
    }
}
