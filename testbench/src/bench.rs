//! Measuring this build on this machine: the `ctnic bench` command and the benchmarks share this code.
//!
//! Speeds are of simulated packets in real time. Every figure is the median of several rounds over the same state, so that
//! a busy machine shows in the spread and not in the result.

use crate::frame::{Burst, FrameMeta, Traffic};
use crate::simulation::{RunConfig, Simulation};
use crate::traffic::{self, TrafficConfig, UniformConfig};
use conntrack_core::{ChecksumStatus, Config, HashKey, Packet, Time, Tracker, Zone};
use nic_model::chip::{Chip, ChipEvent, Fate};
use nic_model::clock::Picos;
use nic_model::config::NicConfig;
use nic_model::event::EventQueue;
use nic_model::flow_table::entry::{EntryAction, EntryState};
use std::time::{Duration, Instant};

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

/// Measures the whole path: frames made, chip, firmware, driver, monitors; connections all installed.
///
/// # Errors
/// The system cannot be built, or an invariant did not hold.
pub fn system(
    config: RunConfig,
    connections: u32,
    packets: u64,
    seed: u64,
) -> Result<Measurement, String> {
    let before = resident_bytes();
    let mut traffic = source(connections, seed)?;
    let mut simulation = Simulation::new(config).map_err(|error| error.to_string())?;
    let mut burst = Burst::default();
    let mut step = |simulation: &mut Simulation| -> Result<(), String> {
        match simulation.step(traffic.as_mut(), &mut burst) {
            Ok(true) => Ok(()),
            Ok(false) => Err("the traffic ended early".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    // Three frames open a connection; the first packets after that are not measured.
    let warm_up = u64::from(connections) * 4;
    while simulation.frames() < warm_up {
        step(&mut simulation)?;
    }
    let installed = simulation.driver().installed();
    let after = resident_bytes();
    let (per_round, mut times) = ((packets / ROUNDS).max(1), Vec::new());
    for _ in 0..ROUNDS {
        let until = simulation.frames() + per_round;
        let start = Instant::now();
        while simulation.frames() < until {
            step(&mut simulation)?;
        }
        times.push(start.elapsed());
    }
    simulation.finish().map_err(|error| error.to_string())?;
    let summary = simulation.summary(crate::summary::RunInfo::default());
    if let Some(violation) = summary
        .monitors
        .iter()
        .flat_map(|monitor| &monitor.first)
        .next()
    {
        return Err(format!("invariant violated: {violation}"));
    }
    let (ns_per_packet, spread_ns) = median(times, per_round);
    let hardware = summary.packets.hit_rate_packets * 100.0;
    Ok(Measurement {
        what: "system",
        how: format!(
            "64-byte frames made, simulated and monitored; {installed} connections installed, visited at random; \
             {hardware:.1} % of all packets in hardware; median of {ROUNDS} rounds; memory is resident memory, generator \
             and card included"
        ),
        connections: installed,
        packets: per_round * ROUNDS,
        ns_per_packet,
        spread_ns,
        bytes_per_connection: per_connection(before, after, installed),
    })
}

fn per_connection(before: Option<u64>, after: Option<u64>, connections: u64) -> Option<f64> {
    Some(after?.saturating_sub(before?) as f64 / connections.max(1) as f64)
}

/// Measures the chip alone, without firmware, driver and monitors: an entry for every connection, all packets hit.
///
/// # Errors
/// The traffic cannot be built, or an entry finds no place.
pub fn chip(
    config: &NicConfig,
    connections: u32,
    packets: u64,
    seed: u64,
) -> Result<Measurement, String> {
    let before = resident_bytes();
    let mut traffic = source(connections, seed)?;
    let mut chip = Chip::new(config);
    let mut events = EventQueue::<ChipEvent>::default();
    let (mut burst, mut parsed) = (Burst::default(), Vec::new());
    let (mut frames, mut hits) = (0u64, 0u64);
    let mut step =
        |chip: &mut Chip, install: bool, frames: &mut u64, hits: &mut u64| -> Result<(), String> {
            burst.clear();
            traffic.fill(&mut burst);
            if burst.is_empty() {
                return Err("the traffic ended early".to_owned());
            }
            let view = (0..burst.len())
                .map(|i| burst.frame(i))
                .map(|(meta, bytes)| (bytes, meta.wire_len));
            chip.prepare(view, &mut parsed);
            for (i, parsed) in parsed.iter().enumerate() {
                let (meta, bytes) = burst.frame_mut(i);
                if install && parsed.tcp_flags & 0x12 == 0x02 {
                    let action = EntryAction {
                        egress: [0, 1],
                        cookie: meta.flow,
                        ..EntryAction::default()
                    };
                    let state = EntryState::new(action, meta.arrival);
                    chip.insert(meta.arrival, parsed.key, state, &mut events)
                        .map_err(|error| error.to_string())?;
                }
                if let Ok(front) = chip.arrive(meta.port, meta.arrival, meta.wire_len, parsed) {
                    let fate = chip.finish(
                        &front,
                        parsed,
                        meta.port,
                        bytes,
                        meta.wire_len,
                        meta.number,
                        &mut events,
                    );
                    *hits += u64::from(matches!(fate, Fate::Forwarded { .. }));
                }
                *frames += 1;
            }
            Ok(())
        };
    while frames < u64::from(connections) * 4 {
        step(&mut chip, true, &mut frames, &mut hits)?;
    }
    let after = resident_bytes();
    let (per_round, mut times) = ((packets / ROUNDS).max(1), Vec::new());
    let before_rounds = (frames, hits);
    for _ in 0..ROUNDS {
        let until = frames + per_round;
        let start = Instant::now();
        while frames < until {
            step(&mut chip, false, &mut frames, &mut hits)?;
        }
        times.push(start.elapsed());
    }
    let (measured, hit) = (frames - before_rounds.0, hits - before_rounds.1);
    let installed = u64::from(chip.table().occupied());
    let (ns_per_packet, spread_ns) = median(times, per_round);
    Ok(Measurement {
        what: "chip",
        how: format!(
            "64-byte frames made, parsed, checksums verified, looked up among {installed} entries at random, counted, sent; \
             {:.1} % hit; median of {ROUNDS} rounds",
            hit as f64 * 100.0 / measured.max(1) as f64
        ),
        connections: installed,
        packets: per_round * ROUNDS,
        ns_per_packet,
        spread_ns,
        bytes_per_connection: per_connection(before, after, installed),
    })
}

/// Measures connection tracking alone: established connections visited at random, in batches of 32.
///
/// # Errors
/// The traffic cannot be built.
pub fn tracker(connections: u32, packets: u64, seed: u64) -> Result<Measurement, String> {
    let mut traffic = source(connections, seed)?;
    let before = resident_bytes();
    let config = Config {
        max: 0,
        ..Config::default()
    };
    let mut tracker = Tracker::new(config, HashKey([seed, !seed]));
    let mut burst = Burst::default();
    let mut verdicts = Vec::with_capacity(Burst::CAPACITY);
    let mut frames = 0u64;
    let mut track = |time: &mut Duration, frames: &mut u64| -> Result<(), String> {
        burst.clear();
        traffic.fill(&mut burst);
        if burst.is_empty() {
            return Err("the traffic ended early".to_owned());
        }
        let batch: Vec<(Packet<'_>, Time)> =
            (0..burst.len()).map(|i| packet(burst.frame(i))).collect();
        verdicts.clear();
        let start = Instant::now();
        tracker.track_batch(&batch, &mut verdicts);
        *time += start.elapsed();
        *frames += batch.len() as u64;
        Ok(())
    };
    let mut ignored = Duration::ZERO;
    while frames < u64::from(connections) * 4 {
        track(&mut ignored, &mut frames)?;
    }
    let after = resident_bytes();
    let (per_round, mut times) = ((packets / ROUNDS).max(1), Vec::new());
    for _ in 0..ROUNDS {
        let (mut time, until) = (Duration::ZERO, frames + per_round);
        while frames < until {
            track(&mut time, &mut frames)?;
        }
        times.push(time);
    }
    let live = tracker.len() as u64;
    let (ns_per_packet, spread_ns) = median(times, per_round);
    Ok(Measurement {
        what: "tracker",
        how: format!(
            "64-byte TCP packets, checksums verified, batches of 32, established connections at random; median of {ROUNDS} rounds"
        ),
        connections: live,
        packets: per_round * ROUNDS,
        ns_per_packet,
        spread_ns,
        bytes_per_connection: per_connection(before, after, live),
    })
}

/// The IP packet in an Ethernet frame without VLAN tags, as the generators make them.
fn packet<'a>((meta, frame): (&FrameMeta, &'a [u8])) -> (Packet<'a>, Time) {
    let packet = Packet {
        bytes: frame.get(14..).unwrap_or(&[]),
        wire_len: (meta.wire_len as usize).saturating_sub(14),
        zone: Zone(0),
        checksum: ChecksumStatus::Unknown,
    };
    (packet, Time(Picos(meta.arrival.0).as_nanos()))
}
