//! Queries and answers over UDP, as name lookups make them: a datagram there, a datagram back, mostly
//! never again.
//!
//! Every client has the server it asks; it uses its ports in order and starts again, so that with few
//! ports a query finds its predecessor's entry. Datagrams hold zeros, not DNS. Open loop, as all
//! generators: answers come a drawn time after the query, whatever becomes of it.

use super::address;
use super::arrival::{ArrivalPattern, Arrivals, exponential};
use super::headers::{Ends, FrameWriter, Side};
use super::random::{SourceRng, chance, mix, stream, unit_of};
use super::sizes::SizeDistribution;
use super::zipf::Popularity;
use super::{PortRange, RoundTrip};
use crate::frame::{Burst, FrameMeta, Traffic};
use crate::scenario::{ScenarioError, share, within};
use nic_model::clock::Picos;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Keys of `kind = "udp-queries"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UdpQueriesConfig {
    /// Queries per second, on average.
    pub queries_per_second: f64,
    /// How they are spread.
    pub arrivals: ArrivalPattern,
    /// Queries in all; without it they go on until the scenario stops.
    pub queries: Option<u64>,
    /// Client addresses, used in turn.
    pub clients: u32,
    /// Ports of each client, used in order.
    pub client_ports: PortRange,
    /// Servers.
    pub servers: u32,
    /// Popularity of the servers among the clients.
    pub server_zipf_exponent: f64,
    /// Port of the servers.
    pub server_port: u16,
    /// Server network (0 to 15); by default the number of the source in the scenario.
    pub server_network: Option<u8>,
    /// Share of clients and ports that use IPv6.
    pub ipv6_share: f64,
    /// Round-trip time, drawn for every query.
    pub rtt: RoundTrip,
    /// Mean of the exponentially distributed time a server takes to answer.
    pub server_time_us_mean: f64,
    /// Share of queries that are answered.
    pub answered_share: f64,
    /// Size of a query; more than one datagram holds is cut.
    pub query: SizeDistribution,
    /// Size of an answer; more than one datagram holds is cut.
    pub answer: SizeDistribution,
    /// IPv4 datagrams longer than this come in fragments, bytes with the IP header; without it none do.
    pub mtu_bytes: Option<u16>,
}

impl Default for UdpQueriesConfig {
    fn default() -> Self {
        Self {
            queries_per_second: 1_000.0,
            arrivals: ArrivalPattern::Poisson,
            queries: None,
            clients: 256,
            client_ports: PortRange::EPHEMERAL,
            servers: 2,
            server_zipf_exponent: 0.5,
            server_port: 53,
            server_network: None,
            ipv6_share: 0.0,
            rtt: RoundTrip::default(),
            server_time_us_mean: 200.0,
            answered_share: 0.98,
            query: SizeDistribution::Uniform {
                minimum_bytes: 28,
                maximum_bytes: 64,
            },
            answer: SizeDistribution::Lognormal {
                median_bytes: 120,
                sigma: 0.6,
                maximum_bytes: 1_232,
            },
            mtu_bytes: None,
        }
    }
}

/// Most answers under way; a query beyond them stays unanswered.
const MAX_ANSWERS: usize = 1 << 20;
/// Smallest MTU: what every IPv4 host must take (RFC 791); no datagram then has more than this many fragments.
const LEAST_MTU: u16 = 576;
const MOST_FRAGMENTS: usize = 3;
/// Most bytes of one datagram at an ordinary MTU, for both address families.
const MAX_DATAGRAM_BYTES: u64 = 1_452;

impl UdpQueriesConfig {
    /// Checks every value.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        within("queries_per_second", self.queries_per_second, 0.001..=1e9)?;
        if let Some(queries) = self.queries {
            within("queries", queries, 1..=1 << 48)?;
        }
        within("clients", self.clients, 1..=address::MAX_CLIENTS)?;
        self.client_ports.validate("client_ports")?;
        if self.tuples() >= u64::from(FrameMeta::NO_FLOW) {
            let most = "clients x client_ports must stay below 2^32 - 1";
            return Err(ScenarioError::value("clients", self.clients, most));
        }
        within("servers", self.servers, 1..=address::MAX_SERVERS)?;
        within(
            "server_zipf_exponent",
            self.server_zipf_exponent,
            0.0..=10.0,
        )?;
        within("server_port", self.server_port, 1..=u16::MAX)?;
        if let Some(network) = self.server_network {
            within("server_network", network, 0..=address::SERVER_NETWORKS - 1)?;
        }
        share("ipv6_share", self.ipv6_share)?;
        self.rtt.validate("rtt")?;
        within("server_time_us_mean", self.server_time_us_mean, 0.0..=1e7)?;
        share("answered_share", self.answered_share)?;
        if let Some(mtu) = self.mtu_bytes {
            within("mtu_bytes", mtu, LEAST_MTU..=1_500)?;
        }
        self.query.validate("query")?;
        self.answer.validate("answer")
    }

    fn tuples(&self) -> u64 {
        u64::from(self.clients) * u64::from(self.client_ports.count())
    }
}

/// The source.
#[derive(Debug)]
pub struct UdpQueries {
    config: UdpQueriesConfig,
    network: u8,
    entropy: u64,
    arrivals: Arrivals,
    popularity: Popularity,
    rng: SourceRng,
    writer: FrameWriter,
    next_query: Picos,
    sent: u64,
    /// Answers under way: when, tuple, bytes.
    answers: BinaryHeap<Reverse<(Picos, u32, u16)>>,
    frames: u64,
}

impl UdpQueries {
    /// A source of a checked configuration; `source` is its number in the scenario.
    pub fn new(config: &UdpQueriesConfig, seed: u64, source: u8) -> Result<Self, ScenarioError> {
        config.validate()?;
        let mut rng = stream(seed, u64::from(source));
        let mut arrivals = Arrivals::new(config.arrivals, config.queries_per_second);
        Ok(Self {
            network: config.server_network.unwrap_or(source),
            entropy: mix(seed ^ mix(u64::from(source))),
            next_query: arrivals.gap(&mut rng),
            arrivals,
            popularity: Popularity::zipf(config.servers, config.server_zipf_exponent),
            rng,
            writer: FrameWriter::default(),
            sent: 0,
            answers: BinaryHeap::new(),
            frames: 0,
            config: config.clone(),
        })
    }

    fn ends(&self, tuple: u32) -> Ends {
        let client = tuple % self.config.clients;
        let v6_bits = mix(self.entropy ^ u64::from(tuple));
        let v6 = self.config.ipv6_share > 0.0 && unit_of(v6_bits) < self.config.ipv6_share;
        // A client asks the same server all the time.
        let server = self
            .popularity
            .rank_of(mix(self.entropy.wrapping_add(u64::from(client) << 32)));
        Ends {
            client: address::client(client, v6),
            server: address::server(self.network, server, v6),
            client_port: self.config.client_ports.nth(tuple / self.config.clients),
            server_port: self.config.server_port,
        }
    }

    fn query(&mut self, burst: &mut Burst) {
        let at = self.next_query;
        self.next_query += self.arrivals.gap(&mut self.rng);
        let tuple = (self.sent % self.config.tuples()) as u32;
        self.sent += 1;
        let bytes = self.config.query.sample(&mut self.rng);
        self.push(burst, at, tuple, Side::Client, bytes);
        if self.answers.len() < MAX_ANSWERS && chance(&mut self.rng, self.config.answered_share) {
            let [_, server_rtt] = self.config.rtt.draw(&mut self.rng);
            let work = exponential(
                &mut self.rng,
                Picos((self.config.server_time_us_mean * 1e6) as u64),
            );
            let bytes = self
                .config
                .answer
                .sample(&mut self.rng)
                .min(MAX_DATAGRAM_BYTES) as u16;
            self.answers
                .push(Reverse((at + server_rtt + work, tuple, bytes)));
        }
    }

    fn push(&mut self, burst: &mut Burst, arrival: Picos, tuple: u32, side: Side, bytes: u64) {
        let ends = self.ends(tuple);
        let frame = self
            .writer
            .udp(&ends, side, bytes.min(MAX_DATAGRAM_BYTES) as u16);
        // Two datagrams have never the same number until 65,536 have come.
        let identification = self.frames as u16;
        let mut send = |frame: &[u8]| {
            self.frames += 1;
            let meta = FrameMeta {
                arrival,
                port: side.port(),
                wire_len: frame.len() as u32,
                flow: tuple,
                number: self.frames,
            };
            burst.push(meta, frame);
        };
        match self.config.mtu_bytes {
            Some(mtu) if is_too_long(frame, mtu) => {
                in_fragments(frame, mtu, identification, &mut send);
            }
            _ => send(frame),
        }
    }
}

/// Length of an Ethernet header, and of an IPv4 header as these frames have it.
const ETHERNET: usize = 14;
const IPV4: usize = 20;

/// Whether a frame holds an IPv4 datagram longer than the MTU.
fn is_too_long(frame: &[u8], mtu: u16) -> bool {
    frame.get(12..14) == Some(&[8, 0]) && frame.len() - ETHERNET > usize::from(mtu)
}

/// The fragments of a datagram, first to last.
fn in_fragments(frame: &[u8], mtu: u16, identification: u16, send: &mut impl FnMut(&[u8])) {
    let (headers, payload) = frame.split_at(ETHERNET + IPV4);
    let each = (usize::from(mtu) - IPV4) / 8 * 8;
    let mut offset = 0;
    while offset < payload.len() {
        let part = &payload[offset..payload.len().min(offset + each)];
        let more = offset + part.len() < payload.len();
        let mut fragment = headers.to_vec();
        let ip = &mut fragment[ETHERNET..];
        ip[2..4].copy_from_slice(&((IPV4 + part.len()) as u16).to_be_bytes());
        ip[4..6].copy_from_slice(&identification.to_be_bytes());
        let field = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
        ip[6..8].copy_from_slice(&field.to_be_bytes());
        ip[10..12].fill(0);
        let sum = packet::checksum::checksum(ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        fragment.extend_from_slice(part);
        send(&fragment);
        offset += part.len();
    }
}

impl Traffic for UdpQueries {
    fn fill(&mut self, burst: &mut Burst) {
        let at_once = self.config.mtu_bytes.map_or(1, |_| MOST_FRAGMENTS);
        while burst.room() >= at_once {
            let more = self
                .config
                .queries
                .is_none_or(|queries| self.sent < queries);
            let answer = self.answers.peek().map(|Reverse(answer)| *answer);
            match (more, answer) {
                (true, answer) if answer.is_none_or(|(at, _, _)| self.next_query <= at) => {
                    self.query(burst)
                }
                (_, Some((at, tuple, bytes))) => {
                    self.answers.pop();
                    self.push(burst, at, tuple, Side::Server, u64::from(bytes));
                }
                _ => return,
            }
        }
    }

    fn total_frames(&self) -> Option<u64> {
        match (self.config.queries, self.config.answered_share) {
            (Some(queries), 0.0) => Some(queries),
            _ => None,
        }
    }

    fn flow_count(&self) -> u32 {
        self.sent.min(self.config.tuples()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Checker, digest, take};
    use super::super::random::tests::{chi_square, chi_square_limit};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn queries_are_answered_as_often_as_configured_from_where_they_went() {
        let config = UdpQueriesConfig {
            queries: Some(10_000),
            answered_share: 0.9,
            ipv6_share: 0.5,
            ..UdpQueriesConfig::default()
        };
        let mut source = UdpQueries::new(&config, 1, 0).unwrap();
        let frames = take(&mut source, usize::MAX);
        let [queries, answers] = Checker::run(&frames).datagrams;
        assert_eq!((queries, source.flow_count()), (10_000, 10_000));
        assert!((8_850..9_150).contains(&answers), "{answers} answers");
        let seconds = frames[frames.len() - 1].0.arrival.as_secs_f64();
        assert!(
            (9.5..10.5).contains(&seconds),
            "{seconds} s for 10,000 queries at 1,000 per second"
        );
    }

    #[test]
    fn clients_spread_over_the_servers_by_their_popularity() {
        let config = UdpQueriesConfig {
            queries: Some(20_000),
            clients: 20_000,
            servers: 5,
            server_zipf_exponent: 1.0,
            answered_share: 0.0,
            ..UdpQueriesConfig::default()
        };
        let mut source = UdpQueries::new(&config, 1, 0).unwrap();
        assert_eq!(source.total_frames(), Some(20_000));
        let mut counts = [0_u64; 5];
        for (_, bytes) in take(&mut source, usize::MAX) {
            counts[usize::from(bytes[33]) - 1] += 1;
        }
        let harmonic: f64 = (1..=5).map(|rank| 1.0 / f64::from(rank)).sum();
        let expected: Vec<f64> = (1..=5)
            .map(|rank| 20_000.0 / f64::from(rank) / harmonic)
            .collect();
        let (value, degrees) = chi_square(&counts, &expected);
        assert!(value < chi_square_limit(degrees), "{counts:?}");
    }

    #[test]
    fn long_datagrams_come_in_fragments_that_make_them_up_again() {
        let config = UdpQueriesConfig {
            queries: Some(200),
            answered_share: 0.0,
            query: SizeDistribution::Uniform {
                minimum_bytes: 100,
                maximum_bytes: 1_400,
            },
            mtu_bytes: Some(576),
            ..UdpQueriesConfig::default()
        };
        let whole = UdpQueriesConfig {
            mtu_bytes: None,
            ..config.clone()
        };
        let frames = |config| take(&mut UdpQueries::new(config, 1, 0).unwrap(), usize::MAX);
        let mut datagrams: Vec<Vec<u8>> = Vec::new();
        for (_, bytes) in frames(&config) {
            let ip = packet::Ipv4::new(&bytes[14..]).expect("IPv4");
            assert!(bytes.len() <= 14 + 576 && packet::checksum::checksum(&bytes[14..34]) == 0);
            if ip.fragment_offset_bytes() == 0 {
                datagrams.push(Vec::new());
            }
            let datagram = datagrams.last_mut().expect("the first comes first");
            assert_eq!(usize::from(ip.fragment_offset_bytes()), datagram.len());
            let end = 14 + usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
            datagram.extend_from_slice(&bytes[34..end]);
        }
        let expected: Vec<Vec<u8>> = frames(&whole)
            .iter()
            .map(|(_, bytes)| bytes[34..].to_vec())
            .collect();
        assert_eq!(datagrams, expected);
    }

    #[test]
    fn a_port_used_again_keeps_its_flow_id() {
        let config = UdpQueriesConfig {
            queries: Some(100),
            clients: 3,
            client_ports: PortRange { first: 9, last: 10 },
            ..UdpQueriesConfig::default()
        };
        let mut source = UdpQueries::new(&config, 1, 0).unwrap();
        Checker::run(&take(&mut source, usize::MAX));
        assert_eq!(source.flow_count(), 6);
    }

    proptest! {
        #[test]
        fn every_configuration_gives_sound_frames(
            rate in prop_oneof![Just(0.001), 1.0..1e6_f64, Just(1e9)],
            clients in prop_oneof![1_u32..5, Just(100_000)],
            servers in 1_u32..=65_534,
            zipf in 0.0..10.0_f64,
            shares in (0.0..=1.0_f64, 0.0..=1.0_f64, 0.0..=1.0_f64),
            sigma in 0.0..10.0_f64,
            seed: u64,
        ) {
            let size = SizeDistribution::Lognormal { median_bytes: 100, sigma, maximum_bytes: 1_000_000_000 };
            let config = UdpQueriesConfig {
                queries_per_second: rate,
                clients,
                servers,
                server_zipf_exponent: zipf,
                ipv6_share: shares.0,
                answered_share: shares.1,
                rtt: RoundTrip { minimum_us: 0.1, maximum_us: 1e7, server_share: shares.2 },
                query: size.clone(),
                answer: size,
                ..UdpQueriesConfig::default()
            };
            let run = || take(&mut UdpQueries::new(&config, seed, 1).unwrap(), 500);
            let frames = run();
            prop_assert_eq!(frames.len(), 500);
            prop_assert!(Checker::run(&frames).datagrams[0] > 0);
            prop_assert_eq!(digest(&frames), digest(&run()));
        }
    }
}
