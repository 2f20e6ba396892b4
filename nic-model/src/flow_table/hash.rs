//! The hash functions that choose buckets.
//!
//! CRCs and Toeplitz are what hardware uses, because they are a handful of XOR gates deep. They are linear: who knows the
//! polynomials and seeds can craft colliding flows, and two CRCs of the same polynomial are the same hash whatever their
//! seeds. That is a property of the cards modelled, not an oversight. SipHash is there to compare.
//!
//! Being linear, any of them is the XOR of one number per byte of the key (`LinearHash`): all choices of a table are computed
//! in one go that way, from what the definition says of each single bit.

use super::entry::FlowKey;
use super::toeplitz;
use crate::config::{HashFunction, TableConfig};
use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_ECMA_182, Crc};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// Most choices a table can have.
pub const MAX_CHOICES: usize = 4;

static CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
static CRC_32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
static CRC_64: Crc<u64> = Crc::<u64>::new(&CRC_64_ECMA_182);

/// The hashes of a key, one for each choice; those that are not used are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hashes(pub [u32; MAX_CHOICES]);

impl Hashes {
    /// The tag stored beside an entry: the top 16 bits of the first. 0 means "empty slot", so a computed 0 becomes 1.
    #[inline]
    pub const fn tag(self) -> u16 {
        let tag = (self.0[0] >> 16) as u16;
        if tag == 0 { 1 } else { tag }
    }
}

/// A hash function of a key as its definition has it, byte after byte.
pub fn by_definition(function: HashFunction, seed: u32, key: &FlowKey) -> u32 {
    let bytes = key.to_bytes();
    match function {
        HashFunction::Crc32c => {
            let mut digest = CRC_32C.digest_with_initial(seed);
            digest.update(&bytes);
            digest.finalize()
        }
        HashFunction::Crc32 => {
            let mut digest = CRC_32.digest_with_initial(seed);
            digest.update(&bytes);
            digest.finalize()
        }
        HashFunction::Crc64 => {
            let mut digest = CRC_64.digest_with_initial(u64::from(seed) << 32);
            digest.update(&bytes);
            (digest.finalize() >> 32) as u32
        }
        HashFunction::Toeplitz => toeplitz::hash(&toeplitz::secret(seed), &bytes),
        HashFunction::SipHash => {
            let mut hasher = SipHasher13::new_with_keys(seed.into(), !u64::from(seed));
            hasher.write(&bytes);
            hasher.finish() as u32
        }
    }
}

const fn is_linear(function: HashFunction) -> bool {
    !matches!(function, HashFunction::SipHash)
}

/// Two linear hash functions in one table: one row per byte of the key, the XOR of which is both hashes.
#[derive(Debug, Clone)]
struct LinearHash {
    /// What the key of zeros gives: the first function's hash in the low half.
    zero: u64,
    /// For each of the 48 bytes, what each of its 256 values adds.
    rows: Vec<[u64; 256]>,
}

impl LinearHash {
    fn new(functions: [Option<(HashFunction, u32)>; 2]) -> Self {
        let both = |key: &FlowKey| {
            let [low, high] = functions.map(|function| {
                function.map_or(0, |(function, seed)| by_definition(function, seed, key))
            });
            u64::from(low) | u64::from(high) << 32
        };
        let zero = both(&FlowKey::default());
        let rows = (0..FlowKey::BYTES).map(|byte| {
            let bits: [u64; 8] = std::array::from_fn(|bit| {
                let mut key = FlowKey::default();
                key.0[byte / 8] = 1 << (8 * (byte % 8) + bit);
                both(&key) ^ zero
            });
            std::array::from_fn(|value| {
                let set = (0..8).filter(|bit| value >> bit & 1 == 1);
                set.fold(0, |sum, bit| sum ^ bits[bit])
            })
        });
        Self {
            zero,
            rows: rows.collect(),
        }
    }

    #[inline]
    fn hash(&self, key: &FlowKey) -> u64 {
        let mut sum = self.zero;
        for (word, rows) in key.0.iter().zip(self.rows.chunks_exact(8)) {
            let mut left = *word;
            // Most of an IPv4 key is zeros, which add nothing.
            for row in rows {
                if left == 0 {
                    break;
                }
                sum ^= row[(left & 0xff) as usize];
                left >>= 8;
            }
        }
        sum
    }
}

/// Computes [`Hashes`] with the functions and seeds of a configuration.
#[derive(Debug, Clone)]
pub struct Hasher {
    functions: Vec<(HashFunction, u32)>,
    /// For choices 1 and 2, and for choices 3 and 4 if there are as many.
    linear: Vec<LinearHash>,
    /// Whether some function is not linear.
    keyed: bool,
}

impl Hasher {
    /// A hasher for the choices of a table.
    pub fn new(config: &TableConfig) -> Self {
        let choices = (config.choices_used() as usize).min(MAX_CHOICES);
        let functions = config.hashes()[..choices].to_vec();
        let linear = functions.chunks(2).map(|pair| {
            let of = |at: usize| {
                pair.get(at)
                    .copied()
                    .filter(|(function, _)| is_linear(*function))
            };
            LinearHash::new([of(0), of(1)])
        });
        Self {
            linear: linear.collect(),
            keyed: functions.iter().any(|(function, _)| !is_linear(*function)),
            functions,
        }
    }

    /// The hashes of a key.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> Hashes {
        let mut hashes = Hashes::default();
        for (pair, linear) in hashes.0.chunks_exact_mut(2).zip(&self.linear) {
            let both = linear.hash(key);
            pair[0] = both as u32;
            pair[1] = (both >> 32) as u32;
        }
        if self.keyed {
            self.hash_keyed(key, &mut hashes);
        }
        hashes
    }

    fn hash_keyed(&self, key: &FlowKey, hashes: &mut Hashes) {
        for (hash, (function, seed)) in hashes.0.iter_mut().zip(&self.functions) {
            if !is_linear(*function) {
                *hash = by_definition(*function, *seed, key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_polynomials_are_the_published_ones() {
        // Check values of the CRC catalogue (reveng): CRC-32/ISCSI, CRC-32/ISO-HDLC and CRC-64/ECMA-182 of "123456789".
        assert_eq!(CRC_32C.checksum(b"123456789"), 0xe306_9283);
        assert_eq!(CRC_32.checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(CRC_64.checksum(b"123456789"), 0x6c40_df5f_0b49_7347);
    }

    #[test]
    fn two_seeds_of_one_crc_differ_by_a_constant() {
        let difference = |n: u64| {
            let key = FlowKey([n, n * n, 3, 4, 5, 6]);
            by_definition(HashFunction::Crc32, 1, &key)
                ^ by_definition(HashFunction::Crc32, 2, &key)
        };
        assert!((1..100).all(|n| difference(n) == difference(0)));
    }

    #[test]
    fn the_tag_is_never_the_empty_mark() {
        assert_eq!(Hashes([0x0000_ffff, 0, 0, 0]).tag(), 1);
        assert_eq!(Hashes([0xabcd_0000, 0, 0, 0]).tag(), 0xabcd);
    }

    fn function() -> impl Strategy<Value = HashFunction> {
        proptest::sample::select(HashFunction::ALL)
    }

    proptest! {
        #[test]
        fn rows_of_a_table_give_what_the_definitions_give(
            functions in [function(), function(), function(), function()],
            seeds in any::<[u32; 4]>(),
            choices in 1u32..=4,
            keys in proptest::collection::vec(any::<[u64; 6]>(), 1..20),
            zeros in any::<[bool; 6]>(),
        ) {
            let config = TableConfig {
                choices,
                hash_1: functions[0],
                hash_2: functions[1],
                hash_3: functions[2],
                hash_4: functions[3],
                hash_seed_1: seeds[0],
                hash_seed_2: seeds[1],
                hash_seed_3: seeds[2],
                hash_seed_4: seeds[3],
                ..TableConfig::default()
            };
            let hasher = Hasher::new(&config);
            for mut words in keys {
                for (word, zero) in words.iter_mut().zip(zeros) {
                    *word &= if zero { 0xffff } else { u64::MAX };
                }
                let key = FlowKey(words);
                let hashes = hasher.hash(&key);
                for (i, (function, seed)) in config.hashes().into_iter().enumerate() {
                    let used = i < choices as usize;
                    let expected = if used { by_definition(function, seed, &key) } else { 0 };
                    prop_assert_eq!(hashes.0[i], expected);
                }
            }
        }
    }
}
