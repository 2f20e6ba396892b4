//! Measuring this build on this machine: the `ctnic bench` command and the benchmarks share this code.
//!
//! Speeds are of simulated packets in real time. Every figure is the median of several rounds over the same state, so that
//! a busy machine shows in the spread and not in the result.

mod chip;
mod driver;
mod system;
mod tracker;
mod two_cores;

pub use self::driver::driver;
pub use chip::chip;
pub use system::system;
pub use tracker::tracker;

use crate::frame::Traffic;
use crate::traffic::{self, TrafficConfig, UniformConfig};
use std::time::Duration;

/// Rounds of which the median is taken.
const ROUNDS: u64 = 5;

/// What was measured.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Measurement {
    /// What: `system`, `tracker`...
    pub what: &'static str,
    /// How, in a sentence.
    pub how: String,
    /// Connections established before measuring.
    pub connections: u64,
    /// Packets in all rounds.
    pub packets: u64,
    /// Median time per packet, nanoseconds.
    pub ns_per_packet: f64,
    /// Fastest and slowest round, nanoseconds per packet.
    pub spread_ns: (f64, f64),
    /// Resident memory the connections took, bytes each; `None` where the system does not tell.
    pub bytes_per_connection: Option<f64>,
    /// What else was measured on the way.
    pub also: Vec<Also>,
    /// How many times as much two processors do as one, where that was measured.
    pub two_cores: Option<TwoCores>,
}

/// How many times as much two processors do as one.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TwoCores {
    /// Of what is measured.
    pub times_one: f64,
    /// Of arithmetic that keeps a core busy and needs no memory: less than 2 if the two are threads of one core.
    pub arithmetic_times_one: f64,
}

/// A further figure.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Also {
    /// Of what.
    pub what: String,
    /// Median, nanoseconds each.
    pub ns: f64,
}

impl Measurement {
    /// Millions of packets per second.
    pub fn mpps(&self) -> f64 {
        1_000.0 / self.ns_per_packet
    }
}

/// Resident memory of this process, bytes (Linux).
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}

fn source(connections: u32, seed: u64) -> Result<Box<dyn Traffic>, String> {
    // Opened slowly enough for the host's processor and the firmware, then minimum frames at 20 million per second.
    let config = UniformConfig {
        connections,
        opened_per_second: 50_000.0,
        settle_ms: 50.0,
        packets_per_second: 20_000_000.0,
        ..UniformConfig::default()
    };
    traffic::build(&TrafficConfig::Uniform(config), seed).map_err(|error| error.to_string())
}

fn median(mut times: Vec<Duration>, packets_per_round: u64) -> (f64, (f64, f64)) {
    times.sort();
    let ns = |time: Duration| time.as_nanos() as f64 / packets_per_round as f64;
    let at = |i: usize| times.get(i).copied().map_or(0.0, ns);
    (
        at(times.len() / 2),
        (at(0), at(times.len().saturating_sub(1))),
    )
}

fn per_connection(before: Option<u64>, after: Option<u64>, connections: u64) -> Option<f64> {
    Some(after?.saturating_sub(before?) as f64 / connections.max(1) as f64)
}
