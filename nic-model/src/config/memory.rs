//! Where the flow table lies.

use super::ConfigError;
use super::field::{names, section};

names! {
    /// What holds the flow table.
    MemoryKind {
        Sram = "sram": "On the chip: every access takes `pipeline.table_read_cycles`, and all of a packet's happen at once.",
        Dram = "dram": "DRAM beside the chip (DDR or HBM): channels, banks, open rows.",
        Host = "host": "Memory of the host, read over PCIe.",
    }
}

names! {
    /// Which line of a full set gives way.
    Replacement {
        Lru = "lru": "The one used least recently.",
        TreePlru = "tree-plru": "Nearly that: a tree of bits points away from what was used.",
        Random = "random": "Any.",
    }
}

names! {
    /// What guards the table against bits that turn over.
    Protection {
        Ecc = "ecc": "A code of distance four for each word: one error is corrected, two are found (Hsiao, IBM J. Res. Dev. 1970).",
        Parity = "parity": "A bit for each word: one error is found.",
        None = "none": "Nothing: nobody notices.",
    }
}

section! {
    /// Where the flow table lies, and the cache before it. The defaults of DRAM are those of one DDR4 channel.
    MemoryConfig, "memory" {
        /// What holds the flow table.
        kind: MemoryKind = MemoryKind::Sram, Names(MemoryKind::NAMES), "", "assumed";
        /// Whether the tags are on the chip all the same, so that only the entry is read.
        tags_on_chip: bool = false, Flag, "", "assumed";
        /// What guards it against bits that turn over. A damaged entry is taken out and reported.
        protection: Protection = Protection::Ecc, Names(Protection::NAMES), "", "assumed";
        /// Look-ups on their way to DRAM or the host's memory at once; further packets wait at the parser.
        outstanding: u32 = 64, Range(1, 4_096), "look-ups", "assumed";
        /// Bytes of one access.
        line_bytes: u32 = 64, PowerOfTwo(32, 256), "bytes", "DDR4: burst of 8 on 64 data lines (JEDEC JESD79-4)";
        /// Sets of the cache before DRAM or the host's memory; 0 for no cache.
        cache_sets: u32 = 0, OneOf(&[0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144]), "sets", "assumed";
        /// Lines of a set.
        cache_ways: u32 = 8, Range(1, 4_096), "ways", "assumed";
        /// Which line of a full set gives way.
        cache_replacement: Replacement = Replacement::Lru, Names(Replacement::NAMES), "", "assumed";
        /// Whether a counter that changes is written to the memory at once, and not when its line gives way.
        cache_write_through: bool = false, Flag, "", "assumed";
        /// Whether a look-up that misses the cache brings the entry of the other direction in too (key.entries = "two").
        prefetch_peer: bool = false, Flag, "", "assumed";
        /// Cache look-up.
        cache_cycles: u32 = 3, Range(1, 10_000), "cycles", "assumed: block RAM";
        /// DRAM channels.
        channels: u32 = 1, PowerOfTwo(1, 64), "channels", "one DDR4 channel of an Alveo U280 (Wang et al., Shuhai, FCCM 2020, has two)";
        /// Banks of a channel.
        banks: u32 = 16, PowerOfTwo(1, 128), "banks", "DDR4: 4 groups of 4 (JEDEC JESD79-4)";
        /// Bytes of a row.
        row_bytes: u32 = 8_192, PowerOfTwo(256, 65_536), "bytes", "DDR4 x8, 8 devices: 1 KB each (JEDEC JESD79-4)";
        /// Read of an open row.
        row_hit_ps: u32 = 73_300, Range(1, 100_000_000), "ps", "Shuhai (FCCM 2020), table of idle latencies, DDR4: to be verified";
        /// Read of a bank with no open row.
        row_closed_ps: u32 = 89_900, Range(1, 100_000_000), "ps", "Shuhai (FCCM 2020), table of idle latencies, DDR4: to be verified";
        /// Read of another row than the open one.
        row_miss_ps: u32 = 106_600, Range(1, 100_000_000), "ps", "Shuhai (FCCM 2020), table of idle latencies, DDR4: to be verified";
        /// From one opening of a row to the next in the same bank.
        row_cycle_ps: u32 = 45_750, Range(1, 100_000_000), "ps", "DDR4-2400: tRC 45.75 ns (JEDEC JESD79-4)";
        /// How long one access keeps a channel's data lines busy.
        burst_ps: u32 = 3_333, Range(1, 100_000_000), "ps", "64 bytes at 19.2 GB/s (Shuhai, FCCM 2020)";
    }
}

impl MemoryConfig {
    /// What no single parameter shows.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, value: u32, allowed: &str| {
            Err(ConfigError::OutOfRange {
                key,
                value: value.to_string(),
                allowed: allowed.to_owned(),
            })
        };
        if self.cache_replacement == Replacement::TreePlru
            && (self.cache_ways > 64 || !self.cache_ways.is_power_of_two())
        {
            return wrong(
                "memory.cache_ways",
                self.cache_ways,
                "a power of two, at most 64, with tree-plru",
            );
        }
        if u64::from(self.cache_sets) * u64::from(self.cache_ways) > 1 << 24 {
            let allowed = "at most 2^24 lines in all sets together";
            return wrong("memory.cache_ways", self.cache_ways, allowed);
        }
        if self.row_bytes < self.line_bytes {
            return wrong(
                "memory.row_bytes",
                self.row_bytes,
                "at least memory.line_bytes",
            );
        }
        Ok(())
    }
}
