//! The two hash functions of the table: CRC-32C and CRC-32 over the 40 key bytes, each with a seed.
//!
//! CRCs are what hardware uses because they are a handful of XOR gates deep. They are linear: who knows
//! the polynomials and seeds can craft colliding flows. That is a property of the cards modelled, not an
//! oversight.

use super::entry::FlowKey;
use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, Crc, Table};

static CRC_32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
static CRC_32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// Both hashes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hashes {
    /// CRC-32C: chooses the first bucket; its top 16 bits are the tag.
    pub first: u32,
    /// CRC-32: chooses the second bucket.
    pub second: u32,
}

impl Hashes {
    /// The tag stored beside an entry; 0 means "empty slot", so a computed 0 becomes 1.
    #[inline]
    pub const fn tag(self) -> u16 {
        let tag = (self.first >> 16) as u16;
        if tag == 0 { 1 } else { tag }
    }
}

/// Computes [`Hashes`] with the seeds of a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Hasher {
    seeds: [u32; 2],
}

impl Hasher {
    /// A hasher whose CRC registers start at these values.
    pub const fn new(seed_1: u32, seed_2: u32) -> Self {
        Self {
            seeds: [seed_1, seed_2],
        }
    }

    /// Both hashes of `key`.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> Hashes {
        let bytes = key.to_bytes();
        let mut first = CRC_32C.digest_with_initial(self.seeds[0]);
        first.update(&bytes);
        let mut second = CRC_32.digest_with_initial(self.seeds[1]);
        second.update(&bytes);
        Hashes {
            first: first.finalize(),
            second: second.finalize(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_are_the_published_ones() {
        // Check values of the CRC catalogue (reveng): CRC-32/ISCSI and CRC-32/ISO-HDLC of "123456789".
        assert_eq!(CRC_32C.checksum(b"123456789"), 0xe306_9283);
        assert_eq!(CRC_32.checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_seed_changes_both_hashes() {
        let key = FlowKey([1, 2, 3, 4, 5]);
        let a = Hasher::new(1, 2).hash(&key);
        let b = Hasher::new(3, 4).hash(&key);
        assert_ne!(a.first, b.first);
        assert_ne!(a.second, b.second);
    }

    #[test]
    fn the_tag_is_never_the_empty_mark() {
        let hashes = Hashes {
            first: 0x0000_ffff,
            second: 0,
        };
        assert_eq!(hashes.tag(), 1);
    }
}
