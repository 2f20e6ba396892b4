//! Descriptor rings.

use super::field::section;

section! {
    /// Descriptor rings.
    RingConfig, "ring" {
        /// Receive buffers and receive completions.
        receive_entries: u32 = 2_048, PowerOfTwo(64, 1 << 15), "entries", "assumed";
        /// Transmit descriptors.
        transmit_entries: u32 = 2_048, PowerOfTwo(64, 1 << 15), "entries", "assumed";
        /// Commands and their completions.
        command_entries: u32 = 512, PowerOfTwo(16, 1 << 15), "entries", "DOCA Flow CT: default queue depth 512";
        /// Aging reports.
        event_entries: u32 = 1_024, PowerOfTwo(16, 1 << 15), "entries", "assumed";
        /// Counter records.
        counter_entries: u32 = 4_096, PowerOfTwo(64, 1 << 15), "entries", "assumed";
    }
}
