//! The aging engine.

use super::field::section;

section! {
    /// The aging engine: scans the table block by block and reports idle entries.
    AgingConfig, "aging" {
        /// Idle time after which a TCP entry is reported.
        tcp_timeout_ms: u32 = 30_000, Range(10, 7 * 86_400_000), "ms", "Linux nf_flowtable_tcp_timeout, 30 s";
        /// Idle time after which any other entry is reported.
        udp_timeout_ms: u32 = 30_000, Range(10, 7 * 86_400_000), "ms", "Linux nf_flowtable_udp_timeout, 30 s";
        /// Time for one pass over the whole table.
        scan_period_ms: u32 = 1_000, Range(1, 600_000), "ms", "assumed";
        /// Entries examined in one step.
        entries_per_step: u32 = 1_024, Range(1, 1 << 20), "entries", "assumed";
    }
}
