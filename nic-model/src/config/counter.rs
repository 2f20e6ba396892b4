//! Counters of entries.

use super::field::{names, section};

names! {
    /// What a counter does that has no bits left.
    Overflow {
        Wrap = "wrap": "It goes on from zero: who reads it often enough loses nothing.",
        Saturate = "saturate": "It stays where it is: what comes on top is lost, but nobody takes it for little.",
    }
}

section! {
    /// Counters of entries.
    CounterConfig, "counter" {
        /// Width of packet counters.
        packet_bits: u32 = 32, Range(4, 32), "bits", "assumed";
        /// Width of byte counters.
        byte_bits: u32 = 48, Range(16, 48), "bits", "assumed";
        /// What a counter does that has no bits left.
        overflow: Overflow = Overflow::Wrap, Names(Overflow::NAMES), "", "assumed";
        /// Whether reading a counter clears it.
        clear_on_read: bool = false, Flag, "", "assumed";
        /// Entries whose counters are kept on the chip and written to the table's memory when they give way or are read; 0 for
        /// none. Of use to a table that is not on the chip.
        cache_entries: u32 = 0, OneOf(&[0, 64, 256, 1_024, 4_096, 16_384, 65_536]), "entries", "assumed";
        /// Records that the counter service writes in one DMA.
        batch_records: u32 = 16, Range(1, 64), "records", "assumed";
    }
}
