//! The packet pipeline.

use super::field::section;

section! {
    /// The packet pipeline: one clock, one packet per initiation interval.
    PipelineConfig, "pipeline" {
        /// Clock.
        clock_khz: u64 = 322_266, Range(1_000, 10_000_000), "kHz", "AMD PG203: user clock of a 100G MAC with a 512-bit bus";
        /// Width of the data bus, per cycle.
        bus_bytes: u32 = 64, Range(1, 1_024), "bytes", "AMD PG203: 512 bits";
        /// What the parser may look at of a frame; headers beyond are "too deep".
        header_budget_bytes: u32 = 128, Range(64, 1_024), "bytes", "assumed";
        /// Parser latency.
        parser_latency_cycles: u32 = 8, Range(1, 10_000), "cycles", "assumed";
        /// One search of the classifier's TCAM, on a card that has rules (`classifier.rule`); each chain is another search.
        classifier_search_cycles: u32 = 2, Range(1, 10_000), "cycles", "assumed";
        /// Key extraction and hashing latency.
        hash_latency_cycles: u32 = 3, Range(1, 10_000), "cycles", "assumed";
        /// One read of the table's SRAM. All choices are read in parallel, from memories of their own.
        table_read_cycles: u32 = 3, Range(1, 10_000), "cycles", "1 to 3 cycles of block RAM (AMD UG573, to be verified)";
        /// Key comparison and selection.
        compare_cycles: u32 = 2, Range(1, 10_000), "cycles", "assumed";
        /// Trap decision.
        trap_latency_cycles: u32 = 1, Range(1, 10_000), "cycles", "assumed";
        /// Header rewrite.
        rewrite_latency_cycles: u32 = 4, Range(1, 10_000), "cycles", "assumed";
        /// Counter read-modify-write (hidden behind forwarding, but it keeps the counter stage busy).
        counter_interval_cycles: u32 = 1, Range(1, 10_000), "cycles", "assumed";
        /// Packet buffer for frames on their way to the host.
        host_buffer_frames: u32 = 2_048, Range(1, 1 << 16), "frames", "assumed";
    }
}
