//! The control processor.

use super::field::section;

section! {
    /// The control processor.
    FirmwareConfig, "firmware" {
        /// Clock.
        clock_khz: u64 = 800_000, Range(1_000, 10_000_000), "kHz", "assumed";
        /// Commands fetched in one DMA read.
        fetch_batch: u32 = 16, Range(1, 64), "commands", "assumed";
        /// Decoding one command.
        decode_cycles: u32 = 120, Range(1, 100_000_000), "cycles", "assumed";
        /// Writing one entry.
        insert_cycles: u32 = 200, Range(1, 100_000_000), "cycles", "assumed";
        /// Changing what one entry does.
        update_cycles: u32 = 160, Range(1, 100_000_000), "cycles", "assumed";
        /// Visiting one bucket in the search for a free slot.
        search_cycles: u32 = 24, Range(1, 100_000_000), "cycles", "assumed";
        /// Moving one entry to another of its buckets.
        move_cycles: u32 = 80, Range(1, 100_000_000), "cycles", "assumed";
        /// Removing one entry and reading its counters.
        delete_cycles: u32 = 160, Range(1, 100_000_000), "cycles", "assumed";
        /// Reading the counters of one entry.
        counter_read_cycles: u32 = 16, Range(1, 100_000_000), "cycles", "assumed";
        /// Handling one aging report.
        aging_report_cycles: u32 = 60, Range(1, 100_000_000), "cycles", "assumed";
        /// From a reset until the card is ready again.
        boot_us: u32 = 2_000, Range(1, 60_000_000), "us", "assumed";
        /// How long the firmware may stand still before its watchdog resets the card (0: there is none).
        watchdog_ms: u32 = 2_000, Range(0, 600_000), "ms", "assumed";
        /// Room of each of the two slots for images of the firmware.
        image_kib: u32 = 1_024, Range(1, 65_536), "KiB", "assumed";
        /// Writing an image into its slot; the processor has time for other things meanwhile.
        flash_write_us_per_kib: u32 = 500, Range(1, 10_000), "us/KiB", "assumed";
        /// Checking an image.
        image_check_cycles_per_kib: u32 = 2_000, Range(1, 100_000), "cycles/KiB", "assumed";
        /// Time between two passes of the counter service.
        counter_interval_ms: u32 = 500, Range(1, 600_000), "ms", "assumed";
    }
}
