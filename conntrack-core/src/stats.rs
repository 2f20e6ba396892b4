//! Counters under the names `conntrack -S` gives them, each counted where the kernel counts it.

use serde::Serialize;

/// The counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// NAT found a candidate tuple in use.
    pub found: u64,
    /// Packets that could not be tracked or that a protocol refused.
    pub invalid: u64,
    /// Connections inserted by request rather than by a packet.
    pub insert: u64,
    /// Confirmations that failed.
    pub insert_failed: u64,
    /// Packets dropped because no connection could be made or confirmed.
    pub drop: u64,
    /// Connections removed early to make room.
    pub early_drop: u64,
    /// ICMP errors and ICMP messages that could not be handled.
    pub error: u64,
    /// Clashes at confirmation that were resolved.
    pub clash_resolve: u64,
    /// Look-ups begun again (never here: there is no concurrent resize).
    pub search_restart: u64,
}
