//! The driver alone: rings, parsing, tracking, policy, commands and counters, on a card that takes no time.

use super::{Also, Measurement, ROUNDS, median, per_connection, resident_bytes, source};
use crate::frame::Burst;
use conntrack_core::{Config, HashKey};
use driver::observer::Blind;
use driver::plain_board::{PlainBoard, ToHost};
use driver::{Driver, DriverConfig, Progress, TwoPort, device::Layout, policy};
use nic_model::clock::Picos;
use nic_model::config::{KeyConfig, RingConfig};
use nic_model::datapath::trap::Reason;
use nic_model::flow_table::FlowKey;
use nic_model::flow_table::entry::KeyDirection;
use std::time::{Duration, Instant};

/// Frames given to the host before it looks.
const BATCH: usize = 512;
/// The last frame of each connection's handshake: an ACK, which may come again any number of times.
const FRAME: usize = 64;

struct Bench {
    board: PlainBoard,
    driver: Driver,
    frames: Vec<([u8; FRAME], u8)>,
    /// The next connection to be visited, and the steps between two.
    next: usize,
    stride: usize,
}

impl Bench {
    fn new(connections: u32, seed: u64) -> Result<Self, String> {
        let rings = RingConfig {
            receive_entries: 1_024,
            transmit_entries: 1_024,
            command_entries: 1_024,
            event_entries: 1_024,
            counter_entries: 4_096,
        };
        let config = DriverConfig {
            conntrack: Config {
                max: 0,
                ..Config::default()
            },
            hash_key: HashKey([seed, !seed]),
            rings,
            buffer_bytes: 2_048,
            ..DriverConfig::default()
        };
        let bytes = Layout::memory_bytes(&config.rings, config.buffer_bytes);
        let key = KeyConfig::default();
        let mut board = PlainBoard::new(connections, &key, bytes);
        let policy = policy::by_name("assured").ok_or("no such policy")?;
        let driver = Driver::start(&mut board, config, policy).map_err(|e| e.to_string())?;
        let count = connections as usize;
        Ok(Self {
            board,
            driver,
            frames: vec![([0; FRAME], 0); count],
            next: 0,
            stride: stride(count),
        })
    }

    /// The host works until it has nothing to do; how long that took.
    fn work(&mut self) -> Result<Duration, String> {
        let start = Instant::now();
        while self
            .driver
            .poll(&mut self.board, &mut TwoPort, &mut Blind)
            .map_err(|error| error.to_string())?
            == Progress::Worked
        {}
        let taken = start.elapsed();
        self.board.send();
        Ok(taken)
    }

    fn give(&mut self, port: u8, frame: &[u8], tag: u64) {
        let reason = Reason::Miss;
        let to_host = ToHost {
            port,
            frame,
            reason,
            hit: None,
        };
        self.board.give(&to_host, tag);
    }

    /// Opens all connections; they stay in software.
    fn establish(&mut self, seed: u64) -> Result<(), String> {
        self.driver.set_stopped(true);
        let mut traffic = source(self.frames.len() as u32, seed)?;
        let (mut burst, mut left) = (Burst::default(), self.frames.len() * 3);
        while left > 0 {
            burst.clear();
            traffic.fill(&mut burst);
            for (meta, bytes) in (0..burst.len().min(left)).map(|i| burst.frame(i)) {
                let Some((kept, port)) = self.frames.get_mut(meta.flow as usize) else {
                    continue;
                };
                let length = bytes.len().min(FRAME);
                kept[..length].copy_from_slice(&bytes[..length]);
                *port = meta.port;
                self.board.now = self.board.now.max(meta.arrival);
                self.give(meta.port, bytes, meta.number);
            }
            left = left.saturating_sub(burst.len());
            self.work()?;
        }
        let live = self.driver.tracker().len();
        if live != self.frames.len() {
            return Err(format!("{live} connections of {} live", self.frames.len()));
        }
        Ok(())
    }

    /// Packets of `count` connections, here and there: how long the host took for these and what it decided, and for the
    /// completions of what it asked for.
    fn visit(&mut self, count: usize) -> Result<[Duration; 2], String> {
        let (mut taken, mut completed, mut left) = (Duration::ZERO, Duration::ZERO, count);
        while left > 0 {
            let batch = left.min(BATCH);
            for _ in 0..batch {
                let (frame, port) = self.frames[self.next];
                self.next = (self.next + self.stride) % self.frames.len();
                self.give(port, &frame[..60], 0);
            }
            self.board.now += Picos::from_micros(batch as u64);
            taken += self.work()?;
            left -= batch;
            let mut asked = false;
            while self.board.execute() {
                asked |= self.board.complete(false);
            }
            if asked {
                completed += self.work()?;
            }
        }
        Ok([taken, completed])
    }

    /// All installed entries are hit, and their counters are read; how long the host took for that.
    fn synchronise(&mut self) -> Result<Duration, String> {
        let keys: Vec<FlowKey> = self.board.entries().map(|entry| entry.key).collect();
        for key in &keys {
            self.board.hit(key, KeyDirection::LowerToHigher, 1_500);
        }
        let mut taken = Duration::ZERO;
        while self.board.report_counters(4_096) > 0 {
            taken += self.work()?;
        }
        Ok(taken)
    }
}

/// A number of steps that comes by every connection, and by none near the last.
fn stride(count: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let golden = (count as f64 * 0.618_034) as usize;
    (golden.max(1)..)
        .find(|stride| gcd(*stride, count) == 1)
        .unwrap_or(1)
}

/// Measures the driver alone.
///
/// # Errors
/// Connections could not be opened or installed.
pub fn driver(connections: u32, packets: u64, seed: u64) -> Result<Measurement, String> {
    let before = resident_bytes();
    let mut bench = Bench::new(connections, seed)?;
    bench.establish(seed)?;
    let after = resident_bytes();
    let per_round = (packets / ROUNDS).clamp(1, u64::from(connections));
    let rounds = (0..ROUNDS).map(|_| bench.visit(per_round as usize));
    let slow: Vec<[Duration; 2]> = rounds.collect::<Result<_, _>>()?;
    let slow = slow.iter().map(|[packets, _]| *packets).collect();
    let (ns_per_packet, spread_ns) = median(slow, per_round);
    bench.driver.set_stopped(false);
    // Every connection once: an insertion each, in as many parts as there are rounds.
    let part = connections as usize / ROUNDS as usize;
    let inserting = (0..ROUNDS).map(|_| bench.visit(part));
    let inserting: Vec<[Duration; 2]> = inserting.collect::<Result<_, _>>()?;
    let of = |which: usize| {
        let times = inserting.iter().map(|times| times[which]).collect();
        median(times, part as u64).0
    };
    let (with_insertion, completion) = (of(0), of(1));
    bench.visit(connections as usize % ROUNDS as usize)?;
    bench.work()?;
    let installed = bench.driver.installed();
    if installed != u64::from(connections) {
        return Err(format!(
            "{installed} of {connections} connections were installed"
        ));
    }
    let reading = (0..ROUNDS).map(|_| bench.synchronise());
    let reading: Vec<Duration> = reading.collect::<Result<_, _>>()?;
    let (each_reading, _) = median(reading, installed);
    let also = |what: &str, ns: f64| Also {
        what: what.to_owned(),
        ns,
    };
    Ok(Measurement {
        what: "driver",
        how: format!(
            "60-byte frames in the receive ring, {BATCH} at a time, of connections here and there: taken, tracked, the policy asked, \
             put into the transmit ring; the card takes no time; a decision and its command are what a packet costs more that \
             brings its connection into hardware; completions by themselves, as many as there are of {BATCH} packets; median of {ROUNDS} rounds"
        ),
        connections: connections.into(),
        packets: per_round * ROUNDS,
        ns_per_packet,
        spread_ns,
        bytes_per_connection: per_connection(before, after, connections.into()),
        also: vec![
            also(
                "decision and command, beyond the packet",
                with_insertion - ns_per_packet,
            ),
            also("completion of an insertion", completion),
            also("one counter record", each_reading),
            also(
                "counters of all connections (nanoseconds in all)",
                each_reading * installed as f64,
            ),
        ],
        two_cores: None,
    })
}
