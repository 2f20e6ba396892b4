//! Flows that collide: crafted by somebody who knows which hash functions the card's table uses.
//!
//! Hardware hashes with CRCs and the like, which anybody can compute. The attackers try addresses and ports until every bucket
//! that an entry may lie in is one of a few: once those are full, no more of these flows can be put in, however empty
//! the rest of the table is, and every attempt costs the search for a place. The flows themselves are as harmless as can
//! be: a datagram there, a datagram back.

use super::address;
use super::arrival::{ArrivalPattern, Arrivals};
use super::headers::{Ends, FrameWriter, Side};
use super::random::{SourceRng, stream};
use crate::frame::{Burst, FrameMeta, Traffic};
use crate::scenario::{ScenarioError, within};
use nic_model::clock::Picos;
use nic_model::config::{Entries, NicConfig};
use nic_model::flow_table::FlowKey;
use nic_model::flow_table::entry::Endpoint;
use nic_model::flow_table::hash::Hasher;
use packet::Protocol;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Keys of `kind = "colliding"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollidingConfig {
    /// Preset of the card whose hash functions, seeds and table size the attackers know.
    pub card: String,
    /// Share of the buckets that all flows are to lie in.
    pub bucket_share: f64,
    /// New flows per second.
    pub flows_per_second: f64,
    /// How they are spread.
    pub arrivals: ArrivalPattern,
    /// Flows in all.
    pub flows: u32,
    /// When they begin.
    pub start_ms: f64,
    /// Addresses the attackers have.
    pub attackers: u32,
    /// Port attacked.
    pub server_port: u16,
    /// Network of the server (0 to 15); by default the number of the source in the scenario.
    pub server_network: Option<u8>,
    /// From a datagram to its answer at the NIC.
    pub answer_us: f64,
}

impl Default for CollidingConfig {
    fn default() -> Self {
        Self {
            card: NicConfig::DEFAULT_PRESET.to_owned(),
            bucket_share: 0.1,
            flows_per_second: 10_000.0,
            arrivals: ArrivalPattern::Poisson,
            flows: 10_000,
            start_ms: 0.0,
            attackers: 16,
            server_port: 53,
            server_network: None,
            answer_us: 100.0,
        }
    }
}

/// First port of an attacker.
const FIRST_PORT: u16 = 1_024;
/// Most addresses and ports tried for a flow: beyond that the share is too small to be found.
const MOST_TRIES: u64 = 1 << 24;

impl CollidingConfig {
    /// Checks every value.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        self.table()?;
        within("bucket_share", self.bucket_share, 0.001..=1.0)?;
        within("flows_per_second", self.flows_per_second, 0.001..=1e7)?;
        within("flows", self.flows, 1..=1_000_000)?;
        within("start_ms", self.start_ms, 0.0..=1e9)?;
        within("attackers", self.attackers, 1..=address::MAX_ATTACKERS)?;
        within("server_port", self.server_port, 1..=u16::MAX)?;
        if let Some(network) = self.server_network {
            within("server_network", network, 0..=address::SERVER_NETWORKS - 1)?;
        }
        within("answer_us", self.answer_us, 0.0..=1e7)
    }

    /// What they know of the card.
    fn table(&self) -> Result<Known, ScenarioError> {
        let wrong = |what: &str| ScenarioError::value("card", &self.card, what);
        let card = NicConfig::preset(&self.card).map_err(|error| wrong(&error.to_string()))?;
        let key = &card.key;
        if key.entries != Entries::Both || key.ingress_port {
            return Err(wrong("its entries serve one direction, or one port, alone"));
        }
        let known = Known {
            hasher: Hasher::new(&card.table),
            choices: card.table.choices_used() as usize,
            buckets: card.table.buckets_per_choice(),
        };
        if known.buckets < 2 {
            return Err(wrong("its table has no buckets that could collide"));
        }
        Ok(known)
    }
}

/// What the attackers know of a card.
#[derive(Debug)]
struct Known {
    hasher: Hasher,
    /// Memories an entry may lie in, and buckets of each.
    choices: usize,
    buckets: u32,
}

/// Finds flows that collide.
#[derive(Debug)]
struct Search {
    known: Known,
    /// Hashes must be below this, modulo the number of buckets.
    below: u32,
    attackers: u32,
    server: [u8; 4],
    server_port: u16,
    tried: u64,
}

impl Search {
    /// The next pair of attacker and port whose flow lies where it should; `None` once there is none.
    fn next(&mut self) -> Option<(u32, u16)> {
        let ports = u64::from(u16::MAX - FIRST_PORT);
        let last = (u64::from(self.attackers) * ports).min(self.tried + MOST_TRIES);
        while self.tried < last {
            let (attacker, port) = ((self.tried / ports) as u32, self.tried % ports);
            self.tried += 1;
            let port = FIRST_PORT + port as u16;
            if self.collides(attacker, port) {
                return Some((attacker, port));
            }
        }
        None
    }

    fn collides(&self, attacker: u32, port: u16) -> bool {
        let address::Address::V4(source) = address::attacker(attacker) else {
            return false;
        };
        let end = |address: [u8; 4], port| Endpoint {
            address: Endpoint::wide_v4(address),
            port,
        };
        let (source, server) = (end(source, port), end(self.server, self.server_port));
        let (key, _) = FlowKey::new(source, server, Protocol::UDP.0, 4, 0);
        let hashes = self.known.hasher.hash(&key).0;
        let mut used = hashes.iter().take(self.known.choices);
        used.all(|hash| hash & (self.known.buckets - 1) < self.below)
    }
}

/// The source.
#[derive(Debug)]
pub struct Colliding {
    search: Search,
    server: address::Address,
    arrivals: Arrivals,
    rng: SourceRng,
    writer: FrameWriter,
    answer_delay: Picos,
    next_flow: Picos,
    sent: u32,
    flows: u32,
    answers: VecDeque<(Picos, Ends, u32)>,
    frames: u64,
}

impl Colliding {
    /// A source of a checked configuration; `source` is its number in the scenario.
    pub fn new(config: &CollidingConfig, seed: u64, source: u8) -> Result<Self, ScenarioError> {
        config.validate()?;
        let known = config.table()?;
        let mut rng = stream(seed, u64::from(source));
        let mut arrivals = Arrivals::new(config.arrivals, config.flows_per_second);
        let server = address::server(config.server_network.unwrap_or(source), 0, false);
        let server_v4 = match server {
            address::Address::V4(address) => address,
            address::Address::V6(_) => [0; 4],
        };
        Ok(Self {
            search: Search {
                below: ((f64::from(known.buckets) * config.bucket_share) as u32).max(1),
                known,
                attackers: config.attackers,
                server: server_v4,
                server_port: config.server_port,
                tried: 0,
            },
            server,
            next_flow: Picos((config.start_ms * 1e9) as u64) + arrivals.gap(&mut rng),
            arrivals,
            rng,
            writer: FrameWriter::default(),
            answer_delay: Picos((config.answer_us * 1e6) as u64),
            sent: 0,
            flows: config.flows,
            answers: VecDeque::new(),
            frames: 0,
        })
    }

    /// Begins the next flow, if there is one.
    fn begin(&mut self, burst: &mut Burst) {
        let at = self.next_flow;
        self.next_flow += self.arrivals.gap(&mut self.rng);
        let Some((attacker, client_port)) = self.search.next() else {
            self.flows = self.sent;
            return;
        };
        let ends = Ends {
            client: address::attacker(attacker),
            server: self.server,
            client_port,
            server_port: self.search.server_port,
        };
        let flow = self.sent;
        self.sent += 1;
        self.push(burst, at, (&ends, flow), Side::Client);
        self.answers.push_back((at + self.answer_delay, ends, flow));
    }

    fn push(&mut self, burst: &mut Burst, arrival: Picos, (ends, flow): (&Ends, u32), side: Side) {
        let frame = self.writer.udp(ends, side, 40);
        self.frames += 1;
        let meta = FrameMeta {
            arrival,
            port: side.port(),
            wire_len: frame.len() as u32,
            flow,
            number: self.frames,
        };
        burst.push(meta, frame);
    }
}

impl Traffic for Colliding {
    fn fill(&mut self, burst: &mut Burst) {
        while burst.room() > 0 {
            let answer = self.answers.front().copied();
            match (self.sent < self.flows, answer) {
                (true, answer) if answer.is_none_or(|(at, ..)| self.next_flow <= at) => {
                    self.begin(burst);
                }
                (_, Some((at, ends, flow))) => {
                    self.answers.pop_front();
                    self.push(burst, at, (&ends, flow), Side::Server);
                }
                _ => return,
            }
        }
    }

    fn total_frames(&self) -> Option<u64> {
        None
    }

    fn flow_count(&self) -> u32 {
        self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Checker, digest, take};
    use super::*;
    use nic_model::flow_table::FlowTable;
    use std::collections::BTreeSet;

    #[test]
    fn all_flows_lie_in_a_tenth_of_the_buckets_of_the_table() {
        let config = CollidingConfig {
            card: "fpga-small".to_owned(),
            flows: 300,
            ..CollidingConfig::default()
        };
        let mut source = Colliding::new(&config, 1, 3).expect("it can be built");
        let frames = take(&mut source, usize::MAX);
        assert_eq!(Checker::run(&frames).datagrams, [300, 300]);
        let card = NicConfig::preset(&config.card).expect("a preset");
        let table = FlowTable::new(&card.table);
        let mut buckets = BTreeSet::new();
        for (_, bytes) in frames.iter().filter(|(meta, _)| meta.port == 0) {
            let end = |at: usize, port_at: usize| Endpoint {
                address: Endpoint::wide_v4(bytes[at..at + 4].try_into().expect("four bytes")),
                port: u16::from_be_bytes(bytes[port_at..port_at + 2].try_into().expect("two")),
            };
            let (key, _) = FlowKey::new(end(26, 34), end(30, 36), Protocol::UDP.0, 4, 0);
            table.buckets_read(table.hash(&key), None, |bucket| {
                buckets.insert(bucket);
            });
        }
        let most = card.table.buckets / 10;
        assert!(buckets.len() as u32 <= most, "{} buckets", buckets.len());
    }

    #[test]
    fn the_same_seed_gives_the_same_frames_and_flows_come_to_an_end() {
        let config = CollidingConfig {
            card: "fpga-small".to_owned(),
            bucket_share: 0.05,
            attackers: 1,
            flows: 1_000_000,
            ..CollidingConfig::default()
        };
        let run = || {
            take(
                &mut Colliding::new(&config, 9, 0).expect("built"),
                usize::MAX,
            )
        };
        let frames = run();
        assert!(!frames.is_empty() && frames.len() < 1_000);
        assert_eq!(digest(&frames), digest(&run()));
    }
}
