//! Descriptor rings in host memory: where the n-th descriptor lies, and its phase.
//!
//! Both sides count descriptors from zero, modulo 2^32, and never count back; the place in the ring is the
//! count modulo the number of entries.

use super::memory::DmaAddress;

/// A ring of equal descriptors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ring {
    base: DmaAddress,
    entries: u32,
    descriptor_bytes: u32,
}

impl Ring {
    /// A ring of `entries` descriptors, a power of two, at `base`. Other numbers, which only a mistaken driver writes, are
    /// taken as the next smaller power of two, and 0 as 1.
    pub const fn new(base: DmaAddress, entries: u32, descriptor_bytes: u32) -> Self {
        let entries = match entries.checked_ilog2() {
            Some(bits) => 1 << bits,
            None => 1,
        };
        Self {
            base,
            entries,
            descriptor_bytes,
        }
    }

    /// Number of descriptors.
    pub const fn entries(&self) -> u32 {
        self.entries
    }

    /// Bytes the ring takes in host memory.
    pub const fn size_bytes(&self) -> usize {
        self.entries as usize * self.descriptor_bytes as usize
    }

    /// Where descriptor number `count` lies.
    #[inline]
    pub const fn address(&self, count: u32) -> DmaAddress {
        let place = count & self.entries.wrapping_sub(1);
        self.base
            .offset(place as u64 * self.descriptor_bytes as u64)
    }

    /// The phase bit of descriptor number `count`: 1 on the first way round.
    #[inline]
    pub const fn phase(&self, count: u32) -> bool {
        (count & self.entries) == 0
    }

    /// How many of `wanted` descriptors from number `count` on lie in one piece.
    pub const fn contiguous(&self, count: u32, wanted: u32) -> u32 {
        let to_end = self.entries - (count & self.entries.wrapping_sub(1));
        if wanted < to_end { wanted } else { to_end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_wrap_and_the_phase_turns_with_each_way_round() {
        let ring = Ring::new(DmaAddress(0x1000), 4, 16);
        assert_eq!(ring.address(0), DmaAddress(0x1000));
        assert_eq!(ring.address(5), DmaAddress(0x1010));
        assert!(ring.phase(3) && !ring.phase(4) && ring.phase(8));
        assert_eq!(ring.contiguous(2, 10), 2);
        assert_eq!(Ring::new(DmaAddress(0), 0, 16).contiguous(7, 3), 1);
        assert_eq!(Ring::new(DmaAddress(0), 5, 16).contiguous(7, 3), 1);
        assert!(
            ring.phase(u32::MAX.wrapping_add(1)),
            "counts wrap without a seam"
        );
    }
}
