//! The flow table.

use super::ConfigError;
use super::field::{names, section};

names! {
    /// How a flow table is organised.
    Organisation {
        Cuckoo = "cuckoo": "Several choices of bucket; entries move to make room.",
        DLeft = "d-left": "Several choices of bucket; an entry goes to the emptiest, the leftmost of several, and stays.",
        SetAssociative = "set-associative": "One choice of bucket.",
        Chained = "chained": "One choice of bucket, which goes on in further buckets elsewhere.",
        Cam = "cam": "Every entry is compared at once.",
    }
}

names! {
    /// How a cuckoo table looks for entries to move.
    Insertion {
        BreadthFirst = "breadth-first": "All shortest ways before longer ones.",
        RandomWalk = "random-walk": "An entry at random, and again for where that would go.",
        OneStep = "one-step": "Entries that can move to a free slot at once.",
    }
}

names! {
    /// Which entry of a full bucket gives way to a new one.
    Victim {
        None = "none": "None: the new one is refused.",
        Lru = "lru": "The one that was not hit for the longest time.",
        Random = "random": "Any.",
    }
}

names! {
    /// A hash function.
    HashFunction {
        Crc32c = "crc32c": "CRC-32C (Castagnoli); the seed is the register's start value.",
        Crc32 = "crc32": "CRC-32 (IEEE 802.3); the seed is the register's start value.",
        Crc64 = "crc64": "The upper half of CRC-64 (ECMA-182); the seed is the upper half of the register's start value.",
        Toeplitz = "toeplitz": "Toeplitz, as receive-side scaling has it; the seed makes the secret.",
        SipHash = "siphash": "SipHash-1-3, keyed with the seed: not linear, so nobody can make keys collide without knowing it.",
    }
}

section! {
    /// The flow table.
    TableConfig, "table" {
        /// How the table is organised.
        organisation: Organisation = Organisation::Cuckoo, Names(Organisation::NAMES), "", "assumed";
        /// Memories, each with a hash function of its own, that an entry may lie in (cuckoo and d-left).
        choices: u32 = 2, Range(1, 4), "", "assumed";
        /// Buckets, all choices together: a power of two for each.
        buckets: u32 = 32_768, Range(1, 1 << 26), "buckets", "assumed";
        /// Slots in a bucket.
        slots_per_bucket: u32 = 4, Range(1, 16), "slots", "assumed";
        /// Cells of the CAM: the stash beside the table, or with the organisation "cam" the table itself.
        stash_entries: u32 = 16, Range(0, 1 << 16), "entries", "assumed";
        /// How entries to move are looked for (cuckoo).
        insertion: Insertion = Insertion::BreadthFirst, Names(Insertion::NAMES), "", "assumed";
        /// Buckets an insertion may visit in its search for a free slot (cuckoo), or that a chain may have (chained).
        search_limit_buckets: u32 = 256, Range(2, 1 << 26), "buckets", "assumed";
        /// Which entry of a full bucket gives way to a new one (set-associative).
        victim: Victim = Victim::None, Names(Victim::NAMES), "", "assumed";
        /// Buckets that chains go on in (chained).
        overflow_buckets: u32 = 0, Range(0, 1 << 26), "buckets", "assumed";
        /// Whether entries have a mark and labels, which rules behind the flow table can ask for.
        marking: bool = true, Flag, "", "assumed";
        /// Hash function of the first choice; the stored tag is the top of its result.
        hash_1: HashFunction = HashFunction::Crc32c, Names(HashFunction::NAMES), "", "assumed";
        /// Hash function of the second choice.
        hash_2: HashFunction = HashFunction::Crc32, Names(HashFunction::NAMES), "", "assumed";
        /// Hash function of the third choice.
        hash_3: HashFunction = HashFunction::Crc64, Names(HashFunction::NAMES), "", "assumed";
        /// Hash function of the fourth choice.
        hash_4: HashFunction = HashFunction::Toeplitz, Names(HashFunction::NAMES), "", "assumed";
        /// Seed of the first hash function.
        hash_seed_1: u32 = 0x5bd1_e995, Range(0, u32::MAX as u64), "", "assumed";
        /// Seed of the second hash function.
        hash_seed_2: u32 = 0x9747_b28c, Range(0, u32::MAX as u64), "", "assumed";
        /// Seed of the third hash function.
        hash_seed_3: u32 = 0x27d4_eb2f, Range(0, u32::MAX as u64), "", "assumed";
        /// Seed of the fourth hash function.
        hash_seed_4: u32 = 0x1656_67b1, Range(0, u32::MAX as u64), "", "assumed";
    }
}

impl TableConfig {
    /// How many memories an entry may lie in.
    pub const fn choices_used(&self) -> u32 {
        match self.organisation {
            Organisation::Cuckoo | Organisation::DLeft => self.choices,
            Organisation::SetAssociative | Organisation::Chained => 1,
            Organisation::Cam => 0,
        }
    }

    /// Buckets of each choice.
    pub const fn buckets_per_choice(&self) -> u32 {
        match self.choices_used() {
            0 => 0,
            choices => self.buckets / choices,
        }
    }

    /// Hash functions and seeds, in the order of choices.
    pub const fn hashes(&self) -> [(HashFunction, u32); 4] {
        [
            (self.hash_1, self.hash_seed_1),
            (self.hash_2, self.hash_seed_2),
            (self.hash_3, self.hash_seed_3),
            (self.hash_4, self.hash_seed_4),
        ]
    }

    /// What no single parameter shows.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let choices = self.choices_used();
        let each = self.buckets_per_choice();
        if choices > 0 && !(each.is_power_of_two() && each * choices == self.buckets) {
            return Err(ConfigError::OutOfRange {
                key: "table.buckets",
                value: self.buckets.to_string(),
                allowed: match choices {
                    1 => "a power of two".to_owned(),
                    _ => format!(
                        "{choices} times a power of two, because there are {choices} choices"
                    ),
                },
            });
        }
        // Slots are numbered in 32 bits, stash and chains included.
        let slots = (u64::from(self.buckets) + u64::from(self.overflow_buckets))
            * u64::from(self.slots_per_bucket);
        if slots > 1 << 28 {
            return Err(ConfigError::OutOfRange {
                key: "table.slots_per_bucket",
                value: self.slots_per_bucket.to_string(),
                allowed: "at most 2^28 slots in all buckets together".to_owned(),
            });
        }
        self.check_hashes(choices as usize)
    }

    /// Two CRCs with the same polynomial differ by a constant, whatever the key: every key that collides with another in one
    /// choice would collide in the other as well.
    fn check_hashes(&self, choices: usize) -> Result<(), ConfigError> {
        let used = &self.hashes()[..choices];
        for (i, (function, seed)) in used.iter().enumerate() {
            let is_crc = matches!(
                function,
                HashFunction::Crc32 | HashFunction::Crc32c | HashFunction::Crc64
            );
            let twice = |(other, other_seed): &(HashFunction, u32)| {
                other == function && (is_crc || other_seed == seed)
            };
            if used[..i].iter().any(twice) {
                return Err(ConfigError::SameHash {
                    choice: i + 1,
                    function: function.name(),
                });
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for TableConfig {
    /// `cuckoo 2x4, 65536 buckets, stash 16`, for people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (choices, slots) = (self.choices_used(), self.slots_per_bucket);
        write!(f, "{}", self.organisation.name())?;
        match self.organisation {
            Organisation::Cam => return write!(f, ", {} entries", self.stash_entries),
            Organisation::Cuckoo | Organisation::DLeft => write!(f, " {choices}x{slots}")?,
            Organisation::SetAssociative | Organisation::Chained => write!(f, " of {slots}")?,
        }
        write!(f, ", {} buckets", self.buckets)?;
        if self.organisation == Organisation::Chained {
            write!(f, " and {} for chains", self.overflow_buckets)?;
        }
        write!(f, ", stash {}", self.stash_entries)
    }
}
