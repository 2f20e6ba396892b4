//! A SYN flood: connections that are asked for and never meant.
//!
//! Either from invented source addresses, one new per packet, or from a set of attackers that use their
//! own. The servers answer a share of the SYNs; nothing ever answers them. Merged with a source of
//! honest sessions towards the same server network this is what a table under attack looks like.

use super::address::{self, Address};
use super::arrival::{ArrivalPattern, Arrivals};
use super::headers::{Ends, FrameWriter, Options, Segment, Side};
use super::random::{SourceRng, below, chance, stream};
use crate::frame::{Burst, FrameMeta, Traffic};
use crate::scenario::{ScenarioError, share, within};
use nic_model::clock::Picos;
use packet::TcpFlags;
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Keys of `kind = "syn-flood"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SynFloodConfig {
    /// SYNs per second.
    pub syns_per_second: f64,
    /// How they are spread.
    pub arrivals: ArrivalPattern,
    /// SYNs in all; without it they go on until `duration_ms` or the scenario's stop.
    pub syns: Option<u64>,
    /// When the flood begins.
    pub start_ms: f64,
    /// How long it lasts.
    pub duration_ms: Option<f64>,
    /// Attackers that use their own addresses, each all its ports in order; 0: every SYN has an invented address and port.
    pub attackers: u32,
    /// Servers attacked.
    pub servers: u32,
    /// Port attacked.
    pub server_port: u16,
    /// Network of the servers (0 to 15); by default the number of the source in the scenario.
    pub server_network: Option<u8>,
    /// Share of SYNs the servers answer.
    pub answered_share: f64,
    /// From a SYN to its answer at the NIC.
    pub answer_us: f64,
}

impl Default for SynFloodConfig {
    fn default() -> Self {
        Self {
            syns_per_second: 100_000.0,
            arrivals: ArrivalPattern::Poisson,
            syns: None,
            start_ms: 0.0,
            duration_ms: None,
            attackers: 0,
            servers: 1,
            server_port: 443,
            server_network: None,
            answered_share: 1.0,
            answer_us: 50.0,
        }
    }
}

/// Most answers under way.
const MAX_ANSWERS: usize = 1 << 20;
/// First port of an attacker; all above follow.
const FIRST_PORT: u16 = 1_024;
const PORTS: u64 = 65_536 - FIRST_PORT as u64;

impl SynFloodConfig {
    /// Checks every value.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        within("syns_per_second", self.syns_per_second, 0.001..=1e9)?;
        if let Some(syns) = self.syns {
            within("syns", syns, 1..=u64::from(u32::MAX - 1))?;
        }
        within("start_ms", self.start_ms, 0.0..=1e9)?;
        if let Some(duration_ms) = self.duration_ms {
            within("duration_ms", duration_ms, 0.001..=1e9)?;
        }
        // As many tuples as there are flow ids.
        let most = ((u64::from(FrameMeta::NO_FLOW) - 1) / PORTS) as u32;
        within(
            "attackers",
            self.attackers,
            0..=most.min(address::MAX_ATTACKERS),
        )?;
        within("servers", self.servers, 1..=address::MAX_SERVERS)?;
        within("server_port", self.server_port, 1..=u16::MAX)?;
        if let Some(network) = self.server_network {
            within("server_network", network, 0..=address::SERVER_NETWORKS - 1)?;
        }
        share("answered_share", self.answered_share)?;
        within("answer_us", self.answer_us, 0.0..=1e7)
    }
}

/// A SYN that will be answered.
#[derive(Debug, Clone, Copy)]
struct Answer {
    at: Picos,
    ends: Ends,
    flow: u32,
    sequence: u32,
}

/// The source.
#[derive(Debug)]
pub struct SynFlood {
    config: SynFloodConfig,
    network: u8,
    arrivals: Arrivals,
    rng: SourceRng,
    writer: FrameWriter,
    answer_delay: Picos,
    end: Picos,
    next_syn: Picos,
    sent: u64,
    answers: VecDeque<Answer>,
    frames: u64,
}

impl SynFlood {
    /// A source of a checked configuration; `source` is its number in the scenario.
    pub fn new(config: &SynFloodConfig, seed: u64, source: u8) -> Result<Self, ScenarioError> {
        config.validate()?;
        let mut rng = stream(seed, u64::from(source));
        let mut arrivals = Arrivals::new(config.arrivals, config.syns_per_second);
        let from_ms = |ms: f64| Picos((ms * 1e9) as u64);
        let start = from_ms(config.start_ms);
        Ok(Self {
            network: config.server_network.unwrap_or(source),
            next_syn: start + arrivals.gap(&mut rng),
            arrivals,
            rng,
            writer: FrameWriter::default(),
            answer_delay: Picos((config.answer_us * 1e6) as u64),
            end: config
                .duration_ms
                .map_or(Picos::NEVER, |duration| start + from_ms(duration)),
            sent: 0,
            answers: VecDeque::new(),
            frames: 0,
            config: config.clone(),
        })
    }

    /// Different tuples there are.
    fn tuples(&self) -> u64 {
        match self.config.attackers {
            0 => u64::from(FrameMeta::NO_FLOW),
            attackers => u64::from(attackers) * PORTS,
        }
    }

    fn goes_on(&self) -> bool {
        // Invented tuples are new every time: they end when flow ids do.
        let most = if self.config.attackers == 0 {
            self.tuples()
        } else {
            u64::MAX
        };
        self.next_syn <= self.end && self.sent < self.config.syns.unwrap_or(most).min(most)
    }

    fn syn(&mut self, burst: &mut Burst) {
        let at = self.next_syn;
        self.next_syn += self.arrivals.gap(&mut self.rng);
        let flow = self.sent % self.tuples();
        self.sent += 1;
        let servers = self.config.servers;
        let (client, client_port, server) = match self.config.attackers {
            0 => {
                let bits = self.rng.next_u64();
                let port = FIRST_PORT + below(&mut self.rng, PORTS as u32) as u16;
                (
                    address::invented(bits as u32),
                    port,
                    (((bits >> 32) * u64::from(servers)) >> 32) as u32,
                )
            }
            attackers => {
                let (attacker, port) = (flow % u64::from(attackers), flow / u64::from(attackers));
                (
                    address::attacker(attacker as u32),
                    FIRST_PORT + port as u16,
                    (flow % u64::from(servers)) as u32,
                )
            }
        };
        let ends = self.ends(client, client_port, server);
        let sequence = self.rng.next_u32();
        let answer = Answer {
            at: at + self.answer_delay,
            ends,
            flow: flow as u32,
            sequence,
        };
        let segment = Segment {
            side: Side::Client,
            sequence,
            acknowledgment: 0,
            flags: TcpFlags::SYN,
            window: 1_024,
            // As attack tools send them.
            options: Options::None,
            payload_bytes: 0,
        };
        self.push(burst, at, &answer, &segment);
        if self.answers.len() < MAX_ANSWERS && chance(&mut self.rng, self.config.answered_share) {
            self.answers.push_back(answer);
        }
    }

    fn ends(&self, client: Address, client_port: u16, server: u32) -> Ends {
        let server = address::server(self.network, server, false);
        Ends {
            client,
            server,
            client_port,
            server_port: self.config.server_port,
        }
    }

    fn answer(&mut self, burst: &mut Burst) {
        let Some(answer) = self.answers.pop_front() else {
            return;
        };
        let segment = Segment {
            side: Side::Server,
            sequence: self.rng.next_u32(),
            acknowledgment: answer.sequence.wrapping_add(1),
            flags: TcpFlags::SYN | TcpFlags::ACK,
            window: 64_240,
            options: Options::None,
            payload_bytes: 0,
        };
        self.push(burst, answer.at, &answer, &segment);
    }

    fn push(&mut self, burst: &mut Burst, arrival: Picos, of: &Answer, segment: &Segment) {
        let frame = self.writer.tcp(&of.ends, segment);
        self.frames += 1;
        let meta = FrameMeta {
            arrival,
            port: segment.side.port(),
            wire_len: frame.len() as u32,
            flow: of.flow,
            number: self.frames,
        };
        burst.push(meta, frame);
    }
}

impl Traffic for SynFlood {
    fn fill(&mut self, burst: &mut Burst) {
        while burst.room() > 0 {
            let answer = self.answers.front().map(|answer| answer.at);
            match (self.goes_on(), answer) {
                (true, answer) if answer.is_none_or(|answer| self.next_syn <= answer) => {
                    self.syn(burst)
                }
                (_, Some(_)) => self.answer(burst),
                _ => return,
            }
        }
    }

    fn total_frames(&self) -> Option<u64> {
        match (self.config.syns, self.config.duration_ms) {
            (Some(syns), None) if self.config.answered_share == 0.0 => Some(syns),
            _ => None,
        }
    }

    fn flow_count(&self) -> u32 {
        self.sent.min(self.tuples()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Checker, digest, take};
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn nothing_but_syns_and_their_answers() {
        let config = SynFloodConfig {
            syns: Some(5_000),
            answered_share: 0.5,
            servers: 3,
            ..SynFloodConfig::default()
        };
        let mut source = SynFlood::new(&config, 3, 0).unwrap();
        let frames = take(&mut source, usize::MAX);
        let report = Checker::run(&frames);
        assert_eq!((report.sessions, report.half_open), (5_000, 5_000));
        let answers = frames.iter().filter(|(meta, _)| meta.port == 1).count();
        assert!((2_300..2_700).contains(&answers), "{answers} answers");
        assert_eq!(source.flow_count(), 5_000);
    }

    #[test]
    fn it_begins_and_ends_when_told() {
        let config = SynFloodConfig {
            start_ms: 10.0,
            duration_ms: Some(20.0),
            answered_share: 0.0,
            ..SynFloodConfig::default()
        };
        let frames = take(&mut SynFlood::new(&config, 3, 0).unwrap(), usize::MAX);
        // 100,000 per second for 20 ms: 2,000, five standard deviations each way.
        assert!(
            (1_776..2_224).contains(&frames.len()),
            "{} SYNs",
            frames.len()
        );
        assert!(frames[0].0.arrival >= Picos::from_millis(10));
        assert!(frames[frames.len() - 1].0.arrival <= Picos::from_millis(30));
    }

    #[test]
    fn attackers_use_their_own_addresses_and_come_back_to_their_tuples() {
        let config = SynFloodConfig {
            attackers: 2,
            syns: Some(2 * PORTS + 10),
            answered_share: 0.0,
            ..SynFloodConfig::default()
        };
        let mut source = SynFlood::new(&config, 3, 0).unwrap();
        assert_eq!(source.total_frames(), Some(2 * PORTS + 10));
        let frames = take(&mut source, usize::MAX);
        assert_eq!(u64::from(source.flow_count()), 2 * PORTS);
        let sources: HashSet<&[u8]> = frames.iter().map(|(_, bytes)| &bytes[26..30]).collect();
        assert_eq!(sources.len(), 2);
        let tuple = |(_, bytes): &(FrameMeta, Vec<u8>)| bytes[26..38].to_vec();
        assert_eq!(tuple(&frames[3]), tuple(&frames[2 * PORTS as usize + 3]));
        assert_eq!(frames[3].0.flow, frames[2 * PORTS as usize + 3].0.flow);
    }

    proptest! {
        #[test]
        fn every_configuration_gives_sound_frames(
            rate in prop_oneof![Just(0.001), 1.0..1e6_f64, Just(1e9)],
            attackers in prop_oneof![Just(0_u32), 1_u32..5, Just(66_000)],
            servers in 1_u32..=65_534,
            answered_share in 0.0..=1.0_f64,
            answer_us in 0.0..1e7_f64,
            seed: u64,
        ) {
            let config = SynFloodConfig {
                syns_per_second: rate,
                attackers,
                servers,
                answered_share,
                answer_us,
                ..SynFloodConfig::default()
            };
            let run = || take(&mut SynFlood::new(&config, seed, 2).unwrap(), 500);
            let frames = run();
            prop_assert_eq!(frames.len(), 500);
            prop_assert_eq!(Checker::run(&frames).client_fin, 0);
            prop_assert_eq!(digest(&frames), digest(&run()));
        }
    }
}
