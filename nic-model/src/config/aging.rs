//! The aging engine.

use super::ConfigError;
use super::field::{names, section};

names! {
    /// How the engine knows that an entry is idle.
    AgingMethod {
        Timestamp = "timestamp": "Each entry holds when it was hit last.",
        Clock = "clock": "Each entry holds a few bits: a hit clears them, each pass counts them up.",
    }
}

names! {
    /// What becomes of an idle entry.
    AgingAction {
        Report = "report": "The host is told, and takes it out.",
        Evict = "evict": "The card takes it out and tells the host with its final counters.",
        Ask = "ask": "The host is asked: it takes it out, or says that it is to stay, which restarts its idle time.",
    }
}

section! {
    /// The aging engine: scans the table block by block and reports idle entries.
    AgingConfig, "aging" {
        /// How the engine knows that an entry is idle.
        method: AgingMethod = AgingMethod::Timestamp, Names(AgingMethod::NAMES), "", "assumed";
        /// What becomes of an idle entry.
        action: AgingAction = AgingAction::Report, Names(AgingAction::NAMES), "", "assumed";
        /// Bits of an entry's clock (method clock).
        clock_bits: u32 = 6, Range(1, 32), "bits", "assumed";
        /// Idle time after which an entry is reported whose flow had a FIN or RST; 0 for that of its protocol.
        closing_timeout_ms: u32 = 0, Range(0, 7 * 86_400_000), "ms", "assumed";
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

impl AgingConfig {
    /// Passes without a hit after which the clock says that an entry was idle for `timeout_ms`: one more than fit in, because
    /// the first may come right after the hit.
    pub(crate) fn passes(&self, timeout_ms: u32) -> u32 {
        timeout_ms.div_ceil(self.scan_period_ms.max(1)) + 1
    }

    /// What no single parameter shows.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let longest = [
            self.tcp_timeout_ms,
            self.udp_timeout_ms,
            self.closing_timeout_ms,
        ];
        let passes = longest
            .map(|timeout| self.passes(timeout))
            .into_iter()
            .max()
            .unwrap_or(0);
        let most = (1u64 << self.clock_bits) - 1;
        if self.method == AgingMethod::Clock && u64::from(passes) > most {
            return Err(ConfigError::OutOfRange {
                key: "aging.clock_bits",
                value: self.clock_bits.to_string(),
                allowed: format!(
                    "enough to count {passes} passes, or longer passes (aging.scan_period_ms)"
                ),
            });
        }
        Ok(())
    }
}
