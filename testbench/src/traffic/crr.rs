//! Connect, request, response, close: short connections at a set rate, as netperf's TCP_CRR and the
//! load generators of connection-rate tests make them.
//!
//! Every connection is the same handful of segments at the same distances, and clients use their ports in
//! order and start again, so tuples come back: a connection may find the entry of its predecessor still
//! in TIME_WAIT. A tuple is used again only after its last connection is over; new connections wait for
//! that if they must. Open loop and without losses, as all generators.

use super::PortRange;
use super::address;
use super::arrival::{ArrivalPattern, Arrivals};
use super::headers::{Ends, FrameWriter, Options, Segment, Side};
use super::random::{SourceRng, mix, stream, unit_of};
use crate::frame::{Burst, FrameMeta, Traffic};
use crate::scenario::{ScenarioError, share, within};
use nic_model::clock::Picos;
use packet::TcpFlags;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Keys of `kind = "crr"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrrConfig {
    /// New connections per second.
    pub connections_per_second: f64,
    /// How their beginnings are spread.
    pub arrivals: ArrivalPattern,
    /// Connections in all; without it they go on until the scenario stops.
    pub connections: Option<u64>,
    /// Segments of a connection, 6 to 9. 9: request and response, the request acknowledged on its own, FIN, FIN, ACK;
    /// 8: without that acknowledgment; 7: the response carries the server's FIN; 6: the client resets.
    pub segments_per_connection: u8,
    /// Client addresses, used in turn.
    pub clients: u32,
    /// Ports of each client, used in order.
    pub client_ports: PortRange,
    /// Server addresses.
    pub servers: u32,
    /// Port of the servers.
    pub server_port: u16,
    /// Server network (0 to 15); by default the number of the source in the scenario.
    pub server_network: Option<u8>,
    /// Share of tuples that are IPv6.
    pub ipv6_share: f64,
    /// Bytes of the request.
    pub request_bytes: u16,
    /// Bytes of the response.
    pub response_bytes: u16,
    /// Round-trip time, the same for all connections.
    pub rtt_us: f64,
    /// The part of it that lies between the NIC and the server.
    pub rtt_server_share: f64,
    /// Whether TCP timestamps are used.
    pub timestamps: bool,
}

impl Default for CrrConfig {
    fn default() -> Self {
        Self {
            connections_per_second: 100_000.0,
            arrivals: ArrivalPattern::Constant,
            connections: None,
            segments_per_connection: 8,
            clients: 16,
            client_ports: PortRange {
                first: 10_000,
                last: 19_999,
            },
            servers: 1,
            server_port: 12_865,
            server_network: None,
            ipv6_share: 0.0,
            request_bytes: 64,
            response_bytes: 256,
            rtt_us: 100.0,
            rtt_server_share: 0.5,
            timestamps: true,
        }
    }
}

/// Most connections alive at once.
const MAX_ALIVE: u64 = 1 << 20;
/// Largest request or response: one segment of an ordinary MTU.
const MAX_BYTES: u16 = 1_428;

impl CrrConfig {
    /// Checks every value.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        within(
            "connections_per_second",
            self.connections_per_second,
            0.001..=1e8,
        )?;
        if let Some(connections) = self.connections {
            within("connections", connections, 1..=1 << 48)?;
        }
        within(
            "segments_per_connection",
            self.segments_per_connection,
            6..=9,
        )?;
        within("clients", self.clients, 1..=address::MAX_CLIENTS)?;
        self.client_ports.validate("client_ports")?;
        let tuples = u64::from(self.clients) * u64::from(self.client_ports.count());
        if tuples >= u64::from(FrameMeta::NO_FLOW) {
            let most = "clients x client_ports must stay below 2^32 - 1";
            return Err(ScenarioError::value("clients", self.clients, most));
        }
        within("servers", self.servers, 1..=address::MAX_SERVERS)?;
        within("server_port", self.server_port, 1..=u16::MAX)?;
        if let Some(network) = self.server_network {
            within("server_network", network, 0..=address::SERVER_NETWORKS - 1)?;
        }
        share("ipv6_share", self.ipv6_share)?;
        within("request_bytes", self.request_bytes, 1..=MAX_BYTES)?;
        within("response_bytes", self.response_bytes, 1..=MAX_BYTES)?;
        within("rtt_us", self.rtt_us, 0.1..=1e7)?;
        share("rtt_server_share", self.rtt_server_share)
    }
}

/// One segment of the connection all connections are.
#[derive(Debug, Clone, Copy)]
struct Line {
    side: Side,
    flags: TcpFlags,
    payload_bytes: u16,
    /// From the SYN to this segment.
    offset: Picos,
    /// Relative to the initial numbers.
    sequence: u32,
    acknowledgment: u32,
    /// From the SYN to the segment whose timestamp this one echoes.
    echo: Option<Picos>,
}

/// The script of a connection.
fn script(config: &CrrConfig) -> Vec<Line> {
    const ACK: TcpFlags = TcpFlags::ACK;
    let fin = TcpFlags::FIN | ACK;
    let push = TcpFlags::PSH | ACK;
    let (client, server) = (Side::Client, Side::Server);
    let (request, response) = (config.request_bytes, config.response_bytes);
    let mut lines = vec![
        (client, TcpFlags::SYN, 0),
        (server, TcpFlags::SYN | ACK, 0),
        (client, ACK, 0),
        (client, push, request),
    ];
    match config.segments_per_connection {
        6 => lines.extend([(server, push, response), (client, TcpFlags::RST | ACK, 0)]),
        7 => lines.extend([
            (server, push | TcpFlags::FIN, response),
            (client, fin, 0),
            (server, ACK, 0),
        ]),
        8 => lines.extend([
            (server, push, response),
            (client, fin, 0),
            (server, fin, 0),
            (client, ACK, 0),
        ]),
        _ => lines.extend([
            (server, ACK, 0),
            (server, push, response),
            (client, fin, 0),
            (server, fin, 0),
            (client, ACK, 0),
        ]),
    }
    // A side answers its distance from the NIC later; two segments in a row of one side are a little apart.
    let distance = [1.0 - config.rtt_server_share, config.rtt_server_share]
        .map(|part| Picos((config.rtt_us * part * 1e6) as u64).max(Picos(1)));
    let between = Picos::from_nanos(500);
    let (mut at, mut turn, mut before) = (Picos::ZERO, Side::Client, [None, None]);
    let mut sent = [0_u32; 2];
    lines
        .into_iter()
        .enumerate()
        .map(|(index, (side, flags, payload_bytes))| {
            if side != turn {
                at += distance[side.index()];
                turn = side;
            } else if index > 0 {
                at += between;
            }
            let line = Line {
                side,
                flags,
                payload_bytes,
                offset: at,
                sequence: sent[side.index()],
                acknowledgment: sent[side.peer().index()],
                echo: before[side.peer().index()],
            };
            let takes_one = flags.intersects(TcpFlags::SYN | TcpFlags::FIN);
            sent[side.index()] += u32::from(payload_bytes) + u32::from(takes_one);
            before[side.index()] = Some(at);
            line
        })
        .collect()
}

/// The source.
#[derive(Debug)]
pub struct Crr {
    config: CrrConfig,
    network: u8,
    entropy: u64,
    script: Vec<Line>,
    tuples: u64,
    arrivals: Arrivals,
    rng: SourceRng,
    writer: FrameWriter,
    next_arrival: Picos,
    /// Beginnings of the connections alive, and the number of the first of them.
    starts: VecDeque<Picos>,
    first: u64,
    /// For every line of the script the connection it comes to next. As all connections are alike, lines need no
    /// agenda: each takes the connections in order, a fixed time after their beginning.
    cursors: Vec<u64>,
    /// When that is; never if the connection has not come so far.
    due: Vec<Picos>,
    frames: u64,
}

impl Crr {
    /// A source of a checked configuration; `source` is its number in the scenario.
    pub fn new(config: &CrrConfig, seed: u64, source: u8) -> Result<Self, ScenarioError> {
        config.validate()?;
        let script = script(config);
        let mut rng = stream(seed, u64::from(source));
        let mut arrivals = Arrivals::new(config.arrivals, config.connections_per_second);
        let mut source = Self {
            network: config.server_network.unwrap_or(source),
            entropy: mix(seed ^ mix(u64::from(source))),
            tuples: u64::from(config.clients) * u64::from(config.client_ports.count()),
            next_arrival: arrivals.gap(&mut rng),
            arrivals,
            rng,
            writer: FrameWriter::default(),
            starts: VecDeque::new(),
            first: 0,
            cursors: vec![0; script.len()],
            due: vec![Picos::NEVER; script.len()],
            script,
            frames: 0,
            config: config.clone(),
        };
        source.refresh(0);
        Ok(source)
    }

    /// Finds out when line `index` is due next.
    fn refresh(&mut self, index: usize) {
        let connection = self.cursors[index];
        self.due[index] = if index == 0 {
            let room = (self.starts.len() as u64) < self.tuples.min(MAX_ALIVE);
            let more = self
                .config
                .connections
                .is_none_or(|limit| connection < limit);
            if room && more {
                self.next_arrival
            } else {
                Picos::NEVER
            }
        } else if connection < self.cursors[index - 1] {
            let start = self.starts.get((connection - self.first) as usize);
            start.map_or(Picos::NEVER, |start| *start + self.script[index].offset)
        } else {
            Picos::NEVER
        };
    }

    /// The frame of line `index` for its next connection.
    fn step(&mut self, index: usize, burst: &mut Burst) {
        let arrival = self.due[index];
        let connection = self.cursors[index];
        if index == 0 {
            self.starts.push_back(arrival);
            self.next_arrival += self.arrivals.gap(&mut self.rng);
        }
        let tuple = connection % self.tuples;
        let line = self.script[index];
        let segment = self.segment(&line, tuple, arrival.saturating_sub(line.offset));
        let ends = self.ends(tuple);
        let frame = self.writer.tcp(&ends, &segment);
        self.frames += 1;
        let meta = FrameMeta {
            arrival,
            port: line.side.port(),
            wire_len: frame.len() as u32,
            flow: tuple as u32,
            number: self.frames,
        };
        burst.push(meta, frame);
        self.cursors[index] = connection + 1;
        if index + 1 < self.script.len() {
            self.refresh(index + 1);
        } else {
            self.starts.pop_front();
            self.first += 1;
            // Who waited for a tuple begins now.
            self.next_arrival = self.next_arrival.max(arrival);
            self.refresh(0);
        }
        self.refresh(index);
    }

    /// The addresses and ports of a tuple: clients in turn, each with its ports in order.
    fn ends(&self, tuple: u64) -> Ends {
        let clients = u64::from(self.config.clients);
        let v6 = self.config.ipv6_share > 0.0
            && unit_of(mix(self.entropy ^ tuple)) < self.config.ipv6_share;
        Ends {
            client: address::client((tuple % clients) as u32, v6),
            server: address::server(
                self.network,
                (tuple % u64::from(self.config.servers)) as u32,
                v6,
            ),
            client_port: self.config.client_ports.nth((tuple / clients) as u32),
            server_port: self.config.server_port,
        }
    }

    fn segment(&self, line: &Line, tuple: u64, start: Picos) -> Segment {
        // Initial numbers grow with time (RFC 6528), so that a tuple's next connection begins above its last.
        let ticks = (start.as_nanos() / 64) as u32;
        let numbers = mix(self.entropy.wrapping_add(tuple));
        let initial = [
            ticks.wrapping_add(numbers as u32),
            ticks.wrapping_add((numbers >> 32) as u32),
        ];
        let clock = |side: Side, at: Picos| {
            let offset = (numbers >> (16 * side.index())) as u32;
            offset.wrapping_add((at.0 / 1_000_000_000) as u32)
        };
        let echo = line
            .echo
            .map_or(0, |offset| clock(line.side.peer(), start + offset));
        let stamps = (clock(line.side, start + line.offset), echo);
        let (syn, reset) = (
            line.flags.contains(TcpFlags::SYN),
            line.flags.contains(TcpFlags::RST),
        );
        let stamped = self.config.timestamps && !reset;
        let acknowledged = initial[line.side.peer().index()].wrapping_add(line.acknowledgment);
        Segment {
            side: line.side,
            sequence: initial[line.side.index()].wrapping_add(line.sequence),
            acknowledgment: if line.flags.contains(TcpFlags::ACK) {
                acknowledged
            } else {
                0
            },
            flags: line.flags,
            window: match (syn, reset) {
                (true, _) => 64_240,
                (_, true) => 0,
                _ => 502,
            },
            options: match (syn, stamped) {
                (true, _) => Options::Syn {
                    mss: 1_460,
                    window_scale: 7,
                    timestamps: stamped.then_some(stamps),
                },
                (_, true) => Options::Timestamps(stamps.0, stamps.1),
                _ => Options::None,
            },
            payload_bytes: line.payload_bytes,
        }
    }
}

impl Traffic for Crr {
    fn fill(&mut self, burst: &mut Burst) {
        while burst.room() > 0 {
            // At most nine: looking at each is faster than a heap. Of two at the same time the older connection's.
            let due = self
                .due
                .iter()
                .enumerate()
                .rev()
                .min_by_key(|(_, due)| **due);
            match due {
                Some((index, due)) if *due != Picos::NEVER => self.step(index, burst),
                _ => return,
            }
        }
    }

    fn total_frames(&self) -> Option<u64> {
        let segments = self.script.len() as u64;
        self.config
            .connections
            .map(|connections| connections.saturating_mul(segments))
    }

    fn flow_count(&self) -> u32 {
        self.cursors[0].min(self.tuples) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Checker, digest, take};
    use super::*;
    use proptest::prelude::*;

    fn frames(config: &CrrConfig, seed: u64, most: usize) -> Vec<(FrameMeta, Vec<u8>)> {
        take(&mut Crr::new(config, seed, 0).unwrap(), most)
    }

    #[test]
    fn every_length_of_connection_is_well_formed_and_ends_as_described() {
        for segments in 6..=9 {
            let config = CrrConfig {
                segments_per_connection: segments,
                connections: Some(300),
                ipv6_share: 0.25,
                ..CrrConfig::default()
            };
            let mut source = Crr::new(&config, 9, 0).unwrap();
            let frames = take(&mut source, usize::MAX);
            assert_eq!(source.total_frames(), Some(frames.len() as u64));
            assert_eq!(frames.len(), 300 * usize::from(segments));
            let report = Checker::run(&frames);
            assert_eq!(
                (report.sessions, report.open, source.flow_count()),
                (300, 0, 300)
            );
            assert_eq!(report.payload_bytes, [300 * 64, 300 * 256]);
            let (client_fin, server_fin, reset) = match segments {
                6 => (0, 0, 300),
                7 => (0, 300, 0),
                _ => (300, 0, 0),
            };
            assert_eq!(
                (report.client_fin, report.server_fin, report.reset),
                (client_fin, server_fin, reset)
            );
            assert!((40..120).contains(&report.v6), "{} over IPv6", report.v6);
        }
    }

    #[test]
    fn tuples_come_back_with_their_flow_ids_once_they_are_free() {
        let config = CrrConfig {
            connections: Some(1_000),
            connections_per_second: 1e8,
            clients: 2,
            client_ports: PortRange { first: 7, last: 11 },
            ..CrrConfig::default()
        };
        let mut source = Crr::new(&config, 1, 0).unwrap();
        let report = Checker::run(&take(&mut source, usize::MAX));
        assert_eq!(
            (report.sessions, report.peak_alive, source.flow_count()),
            (1_000, 10, 10)
        );
    }

    #[test]
    fn the_rate_is_exact_and_the_seed_decides_every_byte() {
        let config = CrrConfig {
            connections: Some(5_000),
            ..CrrConfig::default()
        };
        let frames_of = |seed| frames(&config, seed, usize::MAX);
        let run = frames_of(4);
        let last_syn = run
            .iter()
            .filter(|(_, bytes)| bytes[47] == 0x02)
            .map(|(meta, _)| meta.arrival)
            .max()
            .unwrap();
        assert_eq!(last_syn, Picos::from_millis(50));
        assert_eq!(digest(&run), digest(&frames_of(4)));
        assert_ne!(digest(&run), digest(&frames_of(5)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_configuration_is_well_formed(
            rate in prop_oneof![Just(0.001), 1.0..1e6_f64, Just(1e8)],
            poisson: bool,
            segments_per_connection in 6_u8..=9,
            clients in prop_oneof![1_u32..4, Just(60_000)],
            ports in (1_u16..=65_535, 0_u16..100),
            servers in prop_oneof![1_u32..4, Just(65_534)],
            ipv6_share in 0.0..=1.0_f64,
            bytes in (1_u16..=MAX_BYTES, 1_u16..=MAX_BYTES),
            rtt_us in 0.1..1e7_f64,
            rtt_server_share in 0.0..=1.0_f64,
            timestamps: bool,
            seed: u64,
        ) {
            let config = CrrConfig {
                connections_per_second: rate,
                arrivals: if poisson { ArrivalPattern::Poisson } else { ArrivalPattern::Constant },
                segments_per_connection,
                clients,
                client_ports: PortRange { first: ports.0, last: ports.0.saturating_add(ports.1) },
                servers,
                ipv6_share,
                request_bytes: bytes.0,
                response_bytes: bytes.1,
                rtt_us,
                rtt_server_share,
                timestamps,
                ..CrrConfig::default()
            };
            let frames = frames(&config, seed, 1_500);
            prop_assert_eq!(frames.len(), 1_500);
            prop_assert!(Checker::run(&frames).sessions > 0);
        }
    }
}
