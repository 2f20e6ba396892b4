//! Connection tracking alone.

use super::{Also, Measurement, ROUNDS, median, per_connection, resident_bytes, source, two_cores};
use crate::frame::{Burst, Traffic};
use crate::traffic::{self, SynFloodConfig, TrafficConfig};
use conntrack_core::{ChecksumStatus, Config, HashKey, Packet, Time, Tracker, Verdict, Zone};
use std::time::{Duration, Instant};

/// Packets tracked together.
pub(super) const BATCH: usize = 32;
/// Packets made before the clock runs: more memory than a core's caches.
const ARENA: usize = 1 << 19;
/// Room of one packet: a line of the cache.
const CELL: usize = 64;

/// Packets at their times, each in memory of its own.
pub(super) struct Arena {
    cells: Vec<[u8; CELL]>,
    packets: Vec<(u32, Time)>,
    burst: Burst,
}

impl Arena {
    pub(super) fn new() -> Self {
        Self {
            // Not zero, so that the pages are there before memory is measured.
            cells: vec![[0xff; CELL]; ARENA],
            packets: vec![(1, Time(1)); ARENA],
            burst: Burst::default(),
        }
    }

    /// Fills itself with `most` packets; whether there were any.
    pub(super) fn fill(&mut self, traffic: &mut dyn Traffic, most: usize) -> bool {
        self.packets.clear();
        while self.packets.len() + BATCH <= most.min(ARENA) {
            self.burst.clear();
            traffic.fill(&mut self.burst);
            if self.burst.is_empty() {
                break;
            }
            for (meta, frame) in (0..self.burst.len()).map(|i| self.burst.frame(i)) {
                // An IP packet after an Ethernet header without VLAN tags, as the generators make them.
                let packet = frame.get(14..).unwrap_or(&[]);
                let len = packet.len().min(CELL);
                self.cells[self.packets.len()][..len].copy_from_slice(&packet[..len]);
                let at = Time(meta.arrival.as_nanos());
                self.packets.push((len as u32, at));
            }
        }
        !self.packets.is_empty()
    }

    /// Packets in it.
    pub(super) const fn len(&self) -> usize {
        self.packets.len()
    }

    /// Takes those packets of another one that `which` says yes to.
    pub(super) fn take(&mut self, from: &Self, which: impl Fn(&[u8]) -> bool) {
        self.packets.clear();
        for ((len, at), cell) in from.packets.iter().zip(&from.cells) {
            if which(&cell[..*len as usize]) {
                self.cells[self.packets.len()] = *cell;
                self.packets.push((*len, *at));
            }
        }
    }

    /// Calls `track` with batches of at most `size` packets; how long that took in all.
    pub(super) fn track(
        &self,
        size: usize,
        mut track: impl FnMut(&[(Packet<'_>, Time)]),
    ) -> Duration {
        let none = Packet {
            bytes: &[],
            wire_len: 0,
            zone: Zone::DEFAULT,
            untracked: false,
            checksum: ChecksumStatus::Unknown,
        };
        let mut batch = [(none, Time(0)); BATCH];
        let start = Instant::now();
        for (packets, cells) in self.packets.chunks(size).zip(self.cells.chunks(size)) {
            for (slot, ((len, at), cell)) in batch.iter_mut().zip(packets.iter().zip(cells)) {
                let bytes = &cell[..*len as usize];
                *slot = (
                    Packet {
                        bytes,
                        wire_len: bytes.len(),
                        ..none
                    },
                    *at,
                );
            }
            track(&batch[..packets.len()]);
        }
        start.elapsed()
    }
}

/// Measures connection tracking alone: established connections visited at random, in batches of 32 and one by one,
/// new connections, and expiry.
///
/// # Errors
/// The traffic cannot be built, or connections were not tracked as they should be.
pub fn tracker(connections: u32, packets: u64, seed: u64) -> Result<Measurement, String> {
    let mut traffic = source(connections, seed)?;
    let mut arena = Arena::new();
    let before = resident_bytes();
    let mut tracker = empty(seed);
    let mut verdicts = Vec::with_capacity(BATCH);
    let mut left = connections as usize * 4;
    while left > 0 && arena.fill(traffic.as_mut(), left) {
        arena.track(BATCH, |batch| track(&mut tracker, batch, &mut verdicts));
        left = left.saturating_sub(arena.packets.len().max(BATCH));
    }
    let after = resident_bytes();
    let live = tracker.len() as u64;
    if live != u64::from(connections) {
        return Err(format!("{live} connections of {connections} were tracked"));
    }
    let per_round = (packets / ROUNDS).max(BATCH as u64);
    let batched = rounds(&mut arena, traffic.as_mut(), per_round, BATCH, |batch| {
        track(&mut tracker, batch, &mut verdicts);
    });
    let one_by_one = rounds(&mut arena, traffic.as_mut(), per_round, 1, |batch| {
        for (packet, at) in batch {
            std::hint::black_box(tracker.track(packet, *at));
        }
    });
    let also = vec![
        also("one packet at a time", median(one_by_one, per_round).0),
        new_connections(&mut arena, &mut tracker, seed)?,
        expiry(&mut tracker),
    ];
    let (ns_per_packet, spread_ns) = median(batched, per_round);
    Ok(Measurement {
        what: "tracker",
        how: format!(
            "64-byte TCP packets, each in its own memory, checksums verified, batches of {BATCH}, established connections at random; \
             median of {ROUNDS} rounds"
        ),
        connections: live,
        packets: per_round * ROUNDS,
        ns_per_packet,
        spread_ns,
        bytes_per_connection: per_connection(before, after, live),
        also,
        two_cores: two_cores::times_one(connections, seed)?,
    })
}

/// A tracker without limit.
pub(super) fn empty(seed: u64) -> Tracker {
    let config = Config {
        max: 0,
        ..Config::default()
    };
    Tracker::new(config, HashKey([seed, !seed]))
}

fn also(what: &str, ns: f64) -> Also {
    Also {
        what: what.to_owned(),
        ns,
    }
}

pub(super) fn track(
    tracker: &mut Tracker,
    batch: &[(Packet<'_>, Time)],
    verdicts: &mut Vec<Verdict>,
) {
    verdicts.clear();
    tracker.track_batch(batch, verdicts);
    std::hint::black_box(&verdicts);
}

/// The time of each round over `per_round` packets.
fn rounds(
    arena: &mut Arena,
    traffic: &mut dyn Traffic,
    per_round: u64,
    size: usize,
    mut track: impl FnMut(&[(Packet<'_>, Time)]),
) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let (mut time, mut left) = (Duration::ZERO, per_round as usize);
        while left >= BATCH && arena.fill(traffic, left) {
            time += arena.track(size, &mut track);
            left -= arena.packets.len();
        }
        times.push(time);
    }
    times
}

/// First packet to confirmed entry, beside those there are.
fn new_connections(arena: &mut Arena, tracker: &mut Tracker, seed: u64) -> Result<Also, String> {
    let flood = TrafficConfig::SynFlood(SynFloodConfig {
        answered_share: 0.0,
        ..SynFloodConfig::default()
    });
    let mut flood = traffic::build(&flood, seed).map_err(|error| error.to_string())?;
    let (mut times, mut verdicts) = (Vec::new(), Vec::with_capacity(BATCH));
    let each = 1 << 15;
    for _ in 0..ROUNDS {
        let before = tracker.len();
        arena.fill(flood.as_mut(), each);
        times.push(arena.track(BATCH, |batch| track(tracker, batch, &mut verdicts)));
        let made = tracker.len() - before;
        if made * 100 < arena.packets.len() * 99 {
            return Err(format!("{made} connections of {each} were made"));
        }
    }
    Ok(also("new connection", median(times, each as u64).0))
}

/// All connections expire and are collected in steps.
fn expiry(tracker: &mut Tracker) -> Also {
    let (all, start) = (tracker.len(), Instant::now());
    let late = Time::from_secs(10_000_000);
    let mut done = 0;
    while done < all {
        let collected = tracker.collect(late, 1_024);
        done += collected;
        if collected == 0 && tracker.is_empty() {
            break;
        }
    }
    also(
        "expiry of a connection",
        start.elapsed().as_nanos() as f64 / all.max(1) as f64,
    )
}
