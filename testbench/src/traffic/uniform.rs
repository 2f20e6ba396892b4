//! Small packets over a fixed set of established connections: the source of the benchmark.
//!
//! First every connection is opened by a full handshake, at a set rate. Then packets are sent at a set
//! rate, each over a connection drawn evenly (or by Zipf's law) and in a random direction: a few bytes of
//! data and an acknowledgment of everything the other side has sent. Sequence numbers are those of a
//! real exchange, so connection tracking finds every packet in its window; where one side alone has
//! talked for half a window, the other one speaks next.
//!
//! Made to be fast: a frame is a template of its connection with some numbers changed and its checksum
//! kept up to date, and the connections of a whole burst are looked up before the first frame is made.
//! Open loop, as all generators.

use super::PortRange;
use super::address::{self, Address};
use super::arrival::{ArrivalPattern, Arrivals};
use super::headers::{Ends, FrameWriter, MIN_FRAME_BYTES, Options, Segment, Side, pseudo_header};
use super::random::{SourceRng, mix, stream, unit_of};
use super::zipf::Popularity;
use crate::frame::{Burst, FrameMeta, Traffic};
use crate::scenario::{ScenarioError, share, within};
use nic_model::clock::Picos;
use packet::checksum::{finish, pseudo_header_v4};
use packet::{Protocol, TcpFlags, prefetch};
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "uniform"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UniformConfig {
    /// Connections opened at the beginning and kept.
    pub connections: u32,
    /// Rate at which they are opened.
    pub opened_per_second: f64,
    /// From a SYN to its answer, and from that to the acknowledgment.
    pub handshake_us: f64,
    /// Pause between the last handshake and the first packet of data.
    pub settle_ms: f64,
    /// Packets per second over the open connections.
    pub packets_per_second: f64,
    /// How they are spread.
    pub arrivals: ArrivalPattern,
    /// Packets over the open connections in all; without it they go on until the scenario stops.
    pub packets: Option<u64>,
    /// Frame length without FCS; 60 is the shortest Ethernet frame. Frames that cannot be so short are as short as they can.
    pub frame_bytes: u16,
    /// Share of packets that carry no data.
    pub ack_share: f64,
    /// Share of packets sent by the server side.
    pub server_share: f64,
    /// Popularity of the connections: 0 is even.
    pub zipf_exponent: f64,
    /// Share of connections over IPv6.
    pub ipv6_share: f64,
    /// Client addresses.
    pub clients: u32,
    /// Ports of each client.
    pub client_ports: PortRange,
    /// Server addresses.
    pub servers: u32,
    /// Port of the servers.
    pub server_port: u16,
    /// Server network (0 to 15); by default the number of the source in the scenario.
    pub server_network: Option<u8>,
}

impl Default for UniformConfig {
    fn default() -> Self {
        Self {
            connections: 100_000,
            opened_per_second: 200_000.0,
            handshake_us: 50.0,
            settle_ms: 10.0,
            packets_per_second: 10_000_000.0,
            arrivals: ArrivalPattern::Poisson,
            packets: None,
            frame_bytes: MIN_FRAME_BYTES as u16,
            ack_share: 0.25,
            server_share: 0.5,
            zipf_exponent: 0.0,
            ipv6_share: 0.0,
            clients: 1_000,
            client_ports: PortRange {
                first: 1_024,
                last: u16::MAX,
            },
            servers: 16,
            server_port: 443,
            server_network: None,
        }
    }
}

/// Most connections: 32 bytes each.
const MAX_CONNECTIONS: u32 = 1 << 24;
/// Largest frame: an ordinary MTU.
const MAX_FRAME_BYTES: u16 = 1_514;
/// A side that has sent so much in a row lets the other one speak: half of an unscaled window.
const MAX_STREAK_BYTES: u32 = 32_000;
/// Window field of every segment; scaled by 128 once both SYNs have said so.
const WINDOW: u16 = 502;

impl UniformConfig {
    /// Checks every value.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        within("connections", self.connections, 1..=MAX_CONNECTIONS)?;
        within("opened_per_second", self.opened_per_second, 0.001..=1e9)?;
        within("handshake_us", self.handshake_us, 0.001..=1e7)?;
        within("settle_ms", self.settle_ms, 0.0..=1e7)?;
        within("packets_per_second", self.packets_per_second, 0.001..=1e9)?;
        if let Some(packets) = self.packets {
            within("packets", packets, 0..=1 << 48)?;
        }
        within(
            "frame_bytes",
            self.frame_bytes,
            MIN_FRAME_BYTES as u16..=MAX_FRAME_BYTES,
        )?;
        share("ack_share", self.ack_share)?;
        share("server_share", self.server_share)?;
        within("zipf_exponent", self.zipf_exponent, 0.0..=10.0)?;
        if self.zipf_exponent > 0.0 {
            within("connections", self.connections, 1..=Popularity::MAX_COUNT)
                .map_err(|error| error.inside("with a zipf_exponent"))?;
        }
        share("ipv6_share", self.ipv6_share)?;
        within("clients", self.clients, 1..=address::MAX_CLIENTS)?;
        self.client_ports.validate("client_ports")?;
        within("servers", self.servers, 1..=address::MAX_SERVERS)?;
        within("server_port", self.server_port, 1..=u16::MAX)?;
        if let Some(network) = self.server_network {
            within("server_network", network, 0..=address::SERVER_NETWORKS - 1)?;
        }
        let tuples = u64::from(self.clients) * u64::from(self.client_ports.count());
        if u64::from(self.connections) <= tuples {
            return Ok(());
        }
        let allowed = format!("clients x client_ports gives only {tuples} addresses and ports");
        Err(ScenarioError::value(
            "connections",
            self.connections,
            allowed,
        ))
    }
}

/// A connection: what changes from packet to packet, and what its frames are made of.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
struct Connection {
    /// Next sequence number of each side; each has acknowledged all of the other's.
    sequence: [u32; 2],
    /// Partial sum over everything the TCP checksum covers that does not change.
    sum: u32,
    /// Bytes the last speaker has sent in a row.
    streak_bytes: u32,
    client: u32,
    server: u16,
    client_port: u16,
    last_speaker: u8,
    v6: bool,
}

/// What a packet over an open connection will be, before its connection is looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Draw {
    connection: u32,
    bits: u32,
}

/// The source.
#[derive(Debug)]
pub struct Uniform {
    config: UniformConfig,
    network: u8,
    entropy: u64,
    connections: Vec<Connection>,
    arrivals: Arrivals,
    popularity: Popularity,
    rng: SourceRng,
    writer: FrameWriter,
    templates: [Template; 2],
    /// SYNs, SYN-ACKs and ACKs of handshakes sent.
    opened: [u32; 3],
    open_gap_ps: f64,
    handshake: Picos,
    next_packet: Picos,
    packets_left: u64,
    /// Shares as thresholds for 16 random bits each.
    server_below: u32,
    ack_below: u32,
    frames: u64,
}

impl Uniform {
    /// A source of a checked configuration; `source` is its number in the scenario.
    pub fn new(config: &UniformConfig, seed: u64, source: u8) -> Result<Self, ScenarioError> {
        config.validate()?;
        let open_gap_ps = 1e12 / config.opened_per_second;
        let handshake = Picos((config.handshake_us * 1e6) as u64);
        let opened =
            Picos((f64::from(config.connections) * open_gap_ps) as u64) + handshake + handshake;
        let network = config.server_network.unwrap_or(source);
        let threshold = |share: f64| (share * 65_536.0) as u32;
        Ok(Self {
            network,
            entropy: mix(seed ^ mix(u64::from(source))),
            connections: vec![Connection::default(); config.connections as usize],
            arrivals: Arrivals::new(config.arrivals, config.packets_per_second),
            popularity: Popularity::zipf(config.connections, config.zipf_exponent),
            rng: stream(seed, u64::from(source)),
            writer: FrameWriter::default(),
            templates: [false, true].map(|v6| Template::new(v6, config.frame_bytes)),
            opened: [0; 3],
            open_gap_ps,
            handshake,
            next_packet: opened + Picos((config.settle_ms * 1e9) as u64),
            packets_left: config.packets.unwrap_or(u64::MAX),
            server_below: threshold(config.server_share),
            ack_below: threshold(config.ack_share),
            frames: 0,
            config: config.clone(),
        })
    }

    fn ends(&self, connection: &Connection) -> Ends {
        Ends {
            client: address::client(connection.client, connection.v6),
            server: address::server(self.network, u32::from(connection.server), connection.v6),
            client_port: connection.client_port,
            server_port: self.config.server_port,
        }
    }

    fn begin(&mut self, index: u32) {
        let numbers = mix(self.entropy ^ u64::from(index));
        let v6 = self.config.ipv6_share > 0.0 && unit_of(mix(numbers)) < self.config.ipv6_share;
        let mut connection = Connection {
            sequence: [numbers as u32, (numbers >> 32) as u32],
            client: index % self.config.clients,
            server: (index % self.config.servers) as u16,
            client_port: self.config.client_ports.nth(index / self.config.clients),
            v6,
            ..Connection::default()
        };
        let ends = self.ends(&connection);
        connection.sum = pseudo_header(&ends, Protocol::TCP, 0)
            + u32::from(ends.client_port)
            + u32::from(ends.server_port)
            + 0x5000
            + u32::from(WINDOW);
        self.connections[index as usize] = connection;
    }

    /// When step `step` of the handshake of the next connection to take it is due.
    fn handshake_due(&self, step: usize) -> Option<Picos> {
        let index = self.opened[step];
        let taken = if step == 0 {
            self.config.connections
        } else {
            self.opened[step - 1]
        };
        let delay = Picos(self.handshake.0.saturating_mul(step as u64));
        (index < taken).then(|| Picos((f64::from(index) * self.open_gap_ps) as u64) + delay)
    }

    /// One segment of a handshake.
    fn open(&mut self, step: usize, arrival: Picos, burst: &mut Burst) {
        let index = self.opened[step];
        self.opened[step] += 1;
        if step == 0 {
            self.begin(index);
        }
        let connection = &mut self.connections[index as usize];
        let (side, flags) = match step {
            0 => (Side::Client, TcpFlags::SYN),
            1 => (Side::Server, TcpFlags::SYN | TcpFlags::ACK),
            _ => (Side::Client, TcpFlags::ACK),
        };
        let syn = Options::Syn {
            mss: 1_460,
            window_scale: 7,
            timestamps: None,
        };
        let segment = Segment {
            side,
            sequence: connection.sequence[side.index()],
            acknowledgment: if step == 0 {
                0
            } else {
                connection.sequence[side.peer().index()]
            },
            flags,
            window: if step < 2 { 64_240 } else { WINDOW },
            options: if step < 2 { syn } else { Options::None },
            payload_bytes: 0,
        };
        if step < 2 {
            connection.sequence[side.index()] = segment.sequence.wrapping_add(1);
        }
        let ends = self.ends(&self.connections[index as usize]);
        let frame = self.writer.tcp(&ends, &segment);
        self.frames += 1;
        let meta = FrameMeta {
            arrival,
            port: side.port(),
            wire_len: frame.len() as u32,
            flow: index,
            number: self.frames,
        };
        burst.push(meta, frame);
    }

    /// Handshakes until all connections are open; false when they are.
    fn open_some(&mut self, burst: &mut Burst) -> bool {
        while burst.room() > 0 {
            // Of steps at the same time the later one first: it belongs to the older connection.
            let due = (0..3)
                .rev()
                .filter_map(|step| Some((self.handshake_due(step)?, step)));
            match due.min_by_key(|(at, _)| *at) {
                Some((at, step)) => self.open(step, at, burst),
                None => return false,
            }
        }
        true
    }

    /// A packet over an open connection.
    #[inline]
    fn packet(&mut self, draw: Draw, burst: &mut Burst) {
        let arrival = self.next_packet;
        self.next_packet += self.arrivals.gap(&mut self.rng);
        let connection = &mut self.connections[draw.connection as usize];
        let drawn = if draw.bits & 0xffff < self.server_below {
            Side::Server
        } else {
            Side::Client
        };
        let in_a_row = connection.last_speaker == drawn.port();
        let too_long = in_a_row && connection.streak_bytes > MAX_STREAK_BYTES;
        let side = if too_long { drawn.peer() } else { drawn };
        let template = &mut self.templates[usize::from(connection.v6)];
        let data = draw.bits >> 16 >= self.ack_below;
        let payload_bytes = if data { template.payload_bytes } else { 0 };
        let frame = template.frame(
            connection,
            self.network,
            self.config.server_port,
            side,
            payload_bytes,
        );
        self.frames += 1;
        let meta = FrameMeta {
            arrival,
            port: side.port(),
            wire_len: frame.len() as u32,
            flow: draw.connection,
            number: self.frames,
        };
        burst.push(meta, frame);
        let sequence = &mut connection.sequence[side.index()];
        *sequence = sequence.wrapping_add(u32::from(payload_bytes));
        connection.streak_bytes = u32::from(payload_bytes)
            + if in_a_row && !too_long {
                connection.streak_bytes
            } else {
                0
            };
        connection.last_speaker = side.port();
    }
}

impl Traffic for Uniform {
    fn fill(&mut self, burst: &mut Burst) {
        if self.opened[2] < self.config.connections && self.open_some(burst) {
            return;
        }
        let wanted = (burst.room() as u64).min(self.packets_left) as usize;
        let mut draws = [Draw::default(); Burst::CAPACITY];
        let draws = &mut draws[..wanted.min(Burst::CAPACITY)];
        let even = self.popularity.is_even();
        for draw in draws.iter_mut() {
            let bits = self.rng.next_u64();
            *draw = Draw {
                connection: self.popularity.rank_of(bits),
                bits: if even {
                    bits as u32
                } else {
                    self.rng.next_u32()
                },
            };
            prefetch(&self.connections[draw.connection as usize]);
        }
        self.packets_left -= draws.len() as u64;
        for draw in draws.iter() {
            self.packet(*draw, burst);
        }
    }

    fn total_frames(&self) -> Option<u64> {
        let packets = self.config.packets?;
        Some(packets + 3 * u64::from(self.config.connections))
    }

    fn flow_count(&self) -> u32 {
        self.opened[0]
    }
}

/// A frame of one address family in which only the numbers of a packet are changed.
#[derive(Debug, Clone)]
struct Template {
    bytes: Box<[u8; MAX_FRAME_BYTES as usize]>,
    /// Payload of a packet with data.
    payload_bytes: u16,
}

impl Template {
    fn new(v6: bool, frame_bytes: u16) -> Self {
        let mut bytes = Box::new([0; MAX_FRAME_BYTES as usize]);
        let tcp = if v6 {
            bytes[12..22].copy_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 6, 64]);
            54
        } else {
            bytes[12..24].copy_from_slice(&[0x08, 0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6]);
            34
        };
        bytes[tcp + 12] = 0x50;
        bytes[tcp + 14..tcp + 16].copy_from_slice(&WINDOW.to_be_bytes());
        let headers = tcp as u16 + 20;
        // Some data even where the headers alone are longer than asked for.
        Self {
            bytes,
            payload_bytes: frame_bytes.saturating_sub(headers).max(6),
        }
    }

    /// The connection's frame from `side` with so much payload, acknowledging all of the other side's.
    #[inline]
    fn frame(
        &mut self,
        connection: &Connection,
        network: u8,
        server_port: u16,
        side: Side,
        payload_bytes: u16,
    ) -> &[u8] {
        let bytes = &mut self.bytes;
        bytes[0..12].copy_from_slice(side.macs());
        let client = address::client(connection.client, connection.v6);
        let server = address::server(network, u32::from(connection.server), connection.v6);
        let l4_len = 20 + payload_bytes;
        let (from, to) = match side {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        let tcp = match (from, to) {
            (Address::V4(from), Address::V4(to)) => {
                let total_len = 20 + l4_len;
                bytes[16..18].copy_from_slice(&total_len.to_be_bytes());
                let addresses = pseudo_header_v4(from, to, Protocol::TCP, 0);
                // Version and length, don't fragment, TTL 64; the pseudo header has added the protocol.
                let sum = 0x4500 + u32::from(total_len) + 0x4000 + 0x4000 + addresses;
                bytes[24..26].copy_from_slice(&finish(sum).to_be_bytes());
                bytes[26..30].copy_from_slice(&from);
                bytes[30..34].copy_from_slice(&to);
                34
            }
            (Address::V6(from), Address::V6(to)) => {
                bytes[18..20].copy_from_slice(&l4_len.to_be_bytes());
                bytes[22..38].copy_from_slice(&from);
                bytes[38..54].copy_from_slice(&to);
                54
            }
            // Both ends are of the connection's family.
            _ => 54,
        };
        let sequence = connection.sequence[side.index()];
        let acknowledgment = connection.sequence[side.peer().index()];
        let flags = if payload_bytes > 0 {
            TcpFlags::PSH | TcpFlags::ACK
        } else {
            TcpFlags::ACK
        };
        let halves = |word: u32| (word >> 16) + (word & 0xffff);
        let sum = connection.sum
            + u32::from(l4_len)
            + u32::from(flags.0)
            + halves(sequence)
            + halves(acknowledgment);
        let ports = match side {
            Side::Client => [connection.client_port, server_port],
            Side::Server => [server_port, connection.client_port],
        };
        let header = &mut bytes[tcp..tcp + 20];
        header[0..2].copy_from_slice(&ports[0].to_be_bytes());
        header[2..4].copy_from_slice(&ports[1].to_be_bytes());
        header[4..8].copy_from_slice(&sequence.to_be_bytes());
        header[8..12].copy_from_slice(&acknowledgment.to_be_bytes());
        header[13] = flags.0 as u8;
        header[16..18].copy_from_slice(&finish(sum).to_be_bytes());
        let end = tcp + usize::from(l4_len);
        &bytes[..end.max(MIN_FRAME_BYTES)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Checker, digest, take};
    use super::super::random::tests::{chi_square, chi_square_limit};
    use super::*;
    use proptest::prelude::*;

    fn frames(config: &UniformConfig, seed: u64, most: usize) -> Vec<(FrameMeta, Vec<u8>)> {
        take(&mut Uniform::new(config, seed, 0).unwrap(), most)
    }

    #[test]
    fn connections_are_opened_and_then_used_alike() {
        let config = UniformConfig {
            connections: 500,
            packets: Some(100_000),
            ipv6_share: 0.1,
            ..UniformConfig::default()
        };
        let mut source = Uniform::new(&config, 1, 0).unwrap();
        let frames = take(&mut source, usize::MAX);
        assert_eq!(source.total_frames(), Some(frames.len() as u64));
        let report = Checker::run(&frames);
        assert_eq!(
            (report.sessions, report.open, source.flow_count()),
            (500, 500, 500)
        );
        assert!(
            report.payload_bytes.iter().all(|bytes| *bytes > 200_000),
            "{report:?}"
        );
        let mut uses = vec![0_u64; 500];
        for (meta, bytes) in &frames[1_500..] {
            assert!(matches!(bytes.len(), 60 | 74 | 80), "{} bytes", bytes.len());
            uses[meta.flow as usize] += 1;
        }
        let (value, degrees) = chi_square(&uses, &[200.0; 500]);
        assert!(
            value < chi_square_limit(degrees),
            "chi-square {value} of {degrees}"
        );
        let first = frames[1_500].0.arrival;
        let seconds = frames[frames.len() - 1]
            .0
            .arrival
            .saturating_sub(first)
            .as_secs_f64();
        let rate = 100_000.0 / seconds;
        assert!(
            (rate / 10e6 - 1.0).abs() < 5.0 / 100_000_f64.sqrt(),
            "{rate} packets per second"
        );
    }

    /// One side alone would leave its window: the other one speaks in between.
    #[test]
    fn windows_hold_even_if_one_side_does_all_the_talking() {
        for server_share in [0.0, 1.0] {
            let config = UniformConfig {
                connections: 1,
                packets: Some(5_000),
                frame_bytes: 1_514,
                ack_share: 0.0,
                server_share,
                ..UniformConfig::default()
            };
            let report = Checker::run(&frames(&config, 1, usize::MAX));
            let bytes = report.payload_bytes.iter().max().unwrap();
            assert!(*bytes > 4_000 * 1_460, "{report:?}");
        }
    }

    #[test]
    fn the_seed_decides_every_byte() {
        let config = UniformConfig {
            connections: 100,
            packets: Some(2_000),
            ..UniformConfig::default()
        };
        let run = |seed| digest(&frames(&config, seed, usize::MAX));
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
    }

    #[test]
    fn impossible_combinations_are_named() {
        let config = UniformConfig {
            connections: 11,
            clients: 1,
            client_ports: PortRange { first: 1, last: 10 },
            ..UniformConfig::default()
        };
        let error = config.validate().unwrap_err().to_string();
        assert_eq!(
            error,
            "connections = 11 is impossible: clients x client_ports gives only 10 addresses and ports"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_configuration_is_well_formed(
            connections in 1_u32..300,
            rates in (prop_oneof![Just(0.001), 1.0..1e9_f64], prop_oneof![Just(0.001), 1.0..1e9_f64]),
            times in (0.001..1e7_f64, 0.0..1e7_f64),
            poisson: bool,
            frame_bytes in 60_u16..=1_514,
            shares in (0.0..=1.0_f64, 0.0..=1.0_f64, 0.0..=1.0_f64),
            zipf_exponent in prop_oneof![Just(0.0), 0.0..10.0_f64],
            clients in prop_oneof![Just(1_u32), Just(1_000_000)],
            servers in prop_oneof![1_u32..4, Just(65_534)],
            seed: u64,
        ) {
            let config = UniformConfig {
                connections,
                opened_per_second: rates.0,
                packets_per_second: rates.1,
                handshake_us: times.0,
                settle_ms: times.1,
                arrivals: if poisson { ArrivalPattern::Poisson } else { ArrivalPattern::Constant },
                frame_bytes,
                ack_share: shares.0,
                server_share: shares.1,
                ipv6_share: shares.2,
                zipf_exponent,
                clients,
                servers,
                ..UniformConfig::default()
            };
            let frames = frames(&config, seed, 2_000);
            prop_assert_eq!(frames.len(), 2_000);
            prop_assert_eq!(Checker::run(&frames).sessions, u64::from(connections));
        }
    }
}
