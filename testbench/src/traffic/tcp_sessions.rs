//! TCP sessions between many clients and a few servers: web pages, downloads, remote procedure calls.
//!
//! Sessions begin at random times, go to servers of unequal popularity, carry requests and responses of
//! distributed sizes and end in several ways. The time line of each is [`super::session`]'s, which says
//! what is and is not modelled. Memory is bounded by `max_concurrent_sessions`.

use super::address;
use super::arrival::{ArrivalPattern, Arrivals, exponential};
use super::headers::{Ends, FrameWriter, MAX_MTU_BYTES, Side};
use super::random::{SourceRng, chance, mix, stream, unit};
use super::session::{Ending, Exchange, Habits, Plan, Session};
use super::sizes::SizeDistribution;
use super::zipf::Popularity;
use super::{PortRange, RoundTrip};
use crate::frame::{Burst, FrameMeta, Traffic};
use crate::scenario::{ScenarioError, share, within};
use nic_model::clock::Picos;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// Keys of `kind = "tcp-sessions"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TcpSessionsConfig {
    /// New sessions per second, on average.
    pub sessions_per_second: f64,
    /// How their beginnings are spread.
    pub arrivals: ArrivalPattern,
    /// Sessions in all; without it they go on until the scenario stops.
    pub sessions: Option<u64>,
    /// Most sessions alive at once: a new one waits until there is room, as in a client's connection pool.
    pub max_concurrent_sessions: u32,
    /// Client addresses, used in turn.
    pub clients: u32,
    /// Ports a client uses, in order.
    pub client_ports: PortRange,
    /// Server addresses.
    pub servers: u32,
    /// Popularity of the servers: the k-th is asked with a probability proportional to 1 / k^exponent.
    pub server_zipf_exponent: f64,
    /// Server ports: the k-th server listens on the k-th of them, round and round.
    pub server_ports: Vec<u16>,
    /// Server network (0 to 15); by default the number of the source in the scenario.
    pub server_network: Option<u8>,
    /// Share of sessions over IPv6.
    pub ipv6_share: f64,
    /// Round-trip time of a session.
    pub rtt: RoundTrip,
    /// Requests in a session: 1 plus a geometrically distributed number, with this mean in all.
    pub requests_per_session_mean: f64,
    /// Size of a request.
    pub request: SizeDistribution,
    /// Size of a response.
    pub response: SizeDistribution,
    /// Mean of the exponentially distributed time a server takes to answer.
    pub server_time_us_mean: f64,
    /// Mean of the exponentially distributed time before the next request, or before closing.
    pub think_time_ms_mean: f64,
    /// Rate at which a session sends within a window.
    pub session_rate_mbps: f64,
    /// Most segments in flight.
    pub max_window_segments: u32,
    /// Largest IP packet.
    pub mtu_bytes: u16,
    /// Whether TCP timestamps are used.
    pub timestamps: bool,
    /// How sessions end.
    pub endings: Endings,
}

impl Default for TcpSessionsConfig {
    fn default() -> Self {
        Self {
            sessions_per_second: 1_000.0,
            arrivals: ArrivalPattern::Poisson,
            sessions: None,
            max_concurrent_sessions: 100_000,
            clients: 256,
            client_ports: PortRange::EPHEMERAL,
            servers: 32,
            server_zipf_exponent: 0.9,
            server_ports: vec![443, 80],
            server_network: None,
            ipv6_share: 0.0,
            rtt: RoundTrip::default(),
            requests_per_session_mean: 1.0,
            request: SizeDistribution::Lognormal {
                median_bytes: 500,
                sigma: 0.5,
                maximum_bytes: 16_000,
            },
            response: SizeDistribution::Lognormal {
                median_bytes: 8_000,
                sigma: 1.5,
                maximum_bytes: 20_000_000,
            },
            server_time_us_mean: 500.0,
            think_time_ms_mean: 0.0,
            session_rate_mbps: 1_000.0,
            max_window_segments: 64,
            mtu_bytes: 1_500,
            timestamps: true,
            endings: Endings::default(),
        }
    }
}

/// Relative frequencies of the ends of sessions; their sum need not be 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endings {
    /// FIN by the client first.
    pub client_fin: f64,
    /// FIN by the server first.
    pub server_fin: f64,
    /// Reset after the last response, by either side.
    pub reset: f64,
    /// No end at all: both sides fall silent.
    pub abandoned: f64,
    /// The server refuses the connection: SYN, then RST.
    pub refused: f64,
}

impl Default for Endings {
    fn default() -> Self {
        Self {
            client_fin: 0.6,
            server_fin: 0.35,
            reset: 0.04,
            abandoned: 0.0,
            refused: 0.01,
        }
    }
}

impl Endings {
    fn shares(&self) -> [(&'static str, f64); 5] {
        [
            ("client_fin", self.client_fin),
            ("server_fin", self.server_fin),
            ("reset", self.reset),
            ("abandoned", self.abandoned),
            ("refused", self.refused),
        ]
    }

    fn validate(&self) -> Result<(), ScenarioError> {
        for (key, value) in self.shares() {
            within(&format!("endings.{key}"), value, 0.0..=1e6)?;
        }
        let sum: f64 = self.shares().iter().map(|(_, value)| value).sum();
        if sum > 0.0 {
            return Ok(());
        }
        Err(ScenarioError::value(
            "endings",
            "all 0",
            "at least one kind of ending must have a share",
        ))
    }

    fn draw(&self, rng: &mut SourceRng) -> Ending {
        let shares = self.shares().map(|(_, value)| value);
        let mut point = unit(rng) * shares.iter().sum::<f64>();
        let chosen = shares.iter().position(|share| {
            point -= share;
            point < 0.0
        });
        match chosen {
            Some(1) => Ending::Fin(Side::Server),
            Some(2) if chance(rng, 0.5) => Ending::Reset(Side::Server),
            Some(2) => Ending::Reset(Side::Client),
            Some(3) => Ending::Abandoned,
            Some(4) => Ending::Refused,
            _ => Ending::Fin(Side::Client),
        }
    }
}

impl TcpSessionsConfig {
    /// Checks every value.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        within("sessions_per_second", self.sessions_per_second, 0.001..=1e8)?;
        if let Some(sessions) = self.sessions {
            within("sessions", sessions, 1..=u64::from(u32::MAX - 1))?;
        }
        within(
            "max_concurrent_sessions",
            self.max_concurrent_sessions,
            1..=1 << 22,
        )?;
        within("clients", self.clients, 1..=address::MAX_CLIENTS)?;
        self.client_ports.validate("client_ports")?;
        within("servers", self.servers, 1..=address::MAX_SERVERS)?;
        within(
            "server_zipf_exponent",
            self.server_zipf_exponent,
            0.0..=10.0,
        )?;
        if self.server_ports.is_empty() || self.server_ports.contains(&0) {
            return Err(ScenarioError::value(
                "server_ports",
                format!("{:?}", self.server_ports),
                "one or more ports from 1 to 65535",
            ));
        }
        if let Some(network) = self.server_network {
            within("server_network", network, 0..=address::SERVER_NETWORKS - 1)?;
        }
        share("ipv6_share", self.ipv6_share)?;
        self.rtt.validate("rtt")?;
        within(
            "requests_per_session_mean",
            self.requests_per_session_mean,
            1.0..=1e6,
        )?;
        self.request.validate("request")?;
        self.response.validate("response")?;
        within("server_time_us_mean", self.server_time_us_mean, 0.0..=1e7)?;
        within("think_time_ms_mean", self.think_time_ms_mean, 0.0..=1e6)?;
        within(
            "session_rate_mbps",
            self.session_rate_mbps,
            0.01..=400_000.0,
        )?;
        within("max_window_segments", self.max_window_segments, 2..=4_096)?;
        within("mtu_bytes", self.mtu_bytes, 576..=MAX_MTU_BYTES)?;
        self.endings.validate()?;
        let tuples = u64::from(self.clients) * u64::from(self.client_ports.count());
        if tuples < 2 * u64::from(self.max_concurrent_sessions) {
            return Err(ScenarioError::value(
                "max_concurrent_sessions",
                self.max_concurrent_sessions,
                format!(
                    "clients x client_ports gives {tuples} addresses and ports; twice the sessions alive at once are needed"
                ),
            ));
        }
        Ok(())
    }
}

/// A session and who holds it.
#[derive(Debug)]
struct Live {
    session: Session,
    ends: Ends,
    flow: u32,
    /// Number of the client's address and port, for as long as they are in use.
    client_tuple: u64,
}

/// The source.
#[derive(Debug)]
pub struct TcpSessions {
    config: TcpSessionsConfig,
    network: u8,
    entropy: u64,
    habits: Habits,
    arrivals: Arrivals,
    popularity: Popularity,
    rng: SourceRng,
    writer: FrameWriter,
    next_arrival: Picos,
    /// Sessions begun, which is also the next flow id.
    begun: u32,
    tuple_cursor: u64,
    tuples_in_use: HashSet<u64>,
    live: Vec<Live>,
    free: Vec<u32>,
    /// When each live session goes on; ties by slot.
    agenda: BinaryHeap<Reverse<(Picos, u32)>>,
    frames: u64,
}

impl TcpSessions {
    /// A source of a checked configuration; `source` is its number in the scenario.
    pub fn new(config: &TcpSessionsConfig, seed: u64, source: u8) -> Result<Self, ScenarioError> {
        config.validate()?;
        let mut rng = stream(seed, u64::from(source));
        let mut arrivals = Arrivals::new(config.arrivals, config.sessions_per_second);
        let next_arrival = arrivals.gap(&mut rng);
        Ok(Self {
            network: config.server_network.unwrap_or(source),
            entropy: mix(seed ^ mix(u64::from(source))),
            habits: Habits::new(
                config.mtu_bytes,
                config.timestamps,
                config.max_window_segments,
                config.session_rate_mbps * 1e6,
            ),
            arrivals,
            popularity: Popularity::zipf(config.servers, config.server_zipf_exponent),
            rng,
            writer: FrameWriter::default(),
            next_arrival,
            begun: 0,
            tuple_cursor: 0,
            tuples_in_use: HashSet::new(),
            live: Vec::new(),
            free: Vec::new(),
            agenda: BinaryHeap::new(),
            frames: 0,
            config: config.clone(),
        })
    }

    /// When the next session begins, if one may: there is room, and not all have begun.
    fn arrival(&self) -> Option<Picos> {
        let room = self.agenda.len() < self.config.max_concurrent_sessions as usize;
        let limit = self
            .config
            .sessions
            .unwrap_or(u64::from(FrameMeta::NO_FLOW));
        (room && u64::from(self.begun) < limit).then_some(self.next_arrival)
    }

    fn begin(&mut self) {
        let clients = u64::from(self.config.clients);
        let tuples = clients * u64::from(self.config.client_ports.count());
        // At most half of the tuples are in use: a free one is found soon.
        while self.tuples_in_use.contains(&self.tuple_cursor) {
            self.tuple_cursor = (self.tuple_cursor + 1) % tuples;
        }
        let client_tuple = self.tuple_cursor;
        self.tuples_in_use.insert(client_tuple);
        self.tuple_cursor = (client_tuple + 1) % tuples;
        let rng = &mut self.rng;
        let server = self.popularity.sample(rng);
        let v6 = chance(rng, self.config.ipv6_share);
        let plan = Plan {
            start: self.next_arrival,
            rtt: self.config.rtt.draw(rng),
            v6,
            exchanges: requests(self.config.requests_per_session_mean, rng),
            ending: self.config.endings.draw(rng),
            separate_close: chance(rng, 0.5),
            // The same for the same tuple: its initial sequence numbers grow from one session to the next.
            entropy: self.entropy ^ (client_tuple << 17) ^ (u64::from(server) << 1) ^ u64::from(v6),
        };
        let ports = &self.config.server_ports;
        let live = Live {
            session: Session::new(&plan, &self.habits),
            ends: Ends {
                client: address::client((client_tuple % clients) as u32, v6),
                server: address::server(self.network, server, v6),
                client_port: self
                    .config
                    .client_ports
                    .nth((client_tuple / clients) as u32),
                server_port: ports[server as usize % ports.len()],
            },
            flow: self.begun,
            client_tuple,
        };
        self.begun += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.live[slot as usize] = live;
                slot
            }
            None => {
                self.live.push(live);
                (self.live.len() - 1) as u32
            }
        };
        self.agenda.push(Reverse((plan.start, slot)));
        self.next_arrival += self.arrivals.gap(&mut self.rng);
    }

    /// The next segment of the session that is due first.
    fn step(&mut self, burst: &mut Burst) {
        let Some(mut due) = self.agenda.peek_mut() else {
            return;
        };
        let Reverse((arrival, slot)) = *due;
        let live = &mut self.live[slot as usize];
        let (config, rng) = (&self.config, &mut self.rng);
        let segment = live.session.next(&self.habits, || exchange(config, rng));
        let frame = self.writer.tcp(&live.ends, &segment);
        self.frames += 1;
        let meta = FrameMeta {
            arrival,
            port: segment.side.port(),
            wire_len: frame.len() as u32,
            flow: live.flow,
            number: self.frames,
        };
        burst.push(meta, frame);
        if live.session.is_over() {
            std::collections::binary_heap::PeekMut::pop(due);
            self.tuples_in_use.remove(&live.client_tuple);
            self.free.push(slot);
            // Who waited for room begins now.
            self.next_arrival = self.next_arrival.max(arrival);
        } else {
            *due = Reverse((live.session.at(), slot));
        }
    }
}

/// Requests in a session: geometric from 1 with the given mean.
fn requests(mean: f64, rng: &mut SourceRng) -> u32 {
    if mean <= 1.0 {
        return 1;
    }
    let miss = 1.0 - 1.0 / mean;
    let further = (1.0 - unit(rng)).ln() / miss.ln();
    1 + further.min(1e9) as u32
}

fn exchange(config: &TcpSessionsConfig, rng: &mut SourceRng) -> Exchange {
    let mut span = |mean_us: f64| exponential(rng, Picos((mean_us * 1e6) as u64));
    let (server_time, think_time) = (
        span(config.server_time_us_mean),
        span(config.think_time_ms_mean * 1e3),
    );
    Exchange {
        request_bytes: config.request.sample(rng),
        response_bytes: config.response.sample(rng),
        server_time,
        think_time,
    }
}

impl Traffic for TcpSessions {
    fn fill(&mut self, burst: &mut Burst) {
        while burst.room() > 0 {
            let due = self.agenda.peek().map(|Reverse((at, _))| *at);
            match (self.arrival(), due) {
                (Some(arrival), due) if due.is_none_or(|due| arrival <= due) => self.begin(),
                (_, Some(_)) => self.step(burst),
                _ => return,
            }
        }
    }

    fn total_frames(&self) -> Option<u64> {
        None
    }

    fn flow_count(&self) -> u32 {
        self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Checker, Report, digest, take};
    use super::super::random::tests::{chi_square, chi_square_limit};
    use super::*;
    use packet::{Ethernet, Ipv4};
    use proptest::prelude::*;

    fn frames(config: &TcpSessionsConfig, seed: u64, most: usize) -> Vec<(FrameMeta, Vec<u8>)> {
        take(&mut TcpSessions::new(config, seed, 0).unwrap(), most)
    }

    fn config(sessions: u64) -> TcpSessionsConfig {
        TcpSessionsConfig {
            sessions: Some(sessions),
            ..TcpSessionsConfig::default()
        }
    }

    #[test]
    fn sessions_are_well_formed_and_all_end() {
        let config = TcpSessionsConfig {
            ipv6_share: 0.3,
            requests_per_session_mean: 3.0,
            server_time_us_mean: 30_000.0,
            think_time_ms_mean: 5.0,
            request: SizeDistribution::Lognormal {
                median_bytes: 1_000,
                sigma: 2.0,
                maximum_bytes: 300_000,
            },
            endings: Endings {
                client_fin: 1.0,
                server_fin: 1.0,
                reset: 1.0,
                abandoned: 1.0,
                refused: 1.0,
            },
            ..config(1_000)
        };
        let mut source = TcpSessions::new(&config, 5, 0).unwrap();
        let report = Checker::run(&take(&mut source, usize::MAX));
        assert_eq!((report.sessions, source.flow_count()), (1_000, 1_000));
        let ends = [
            report.client_fin,
            report.server_fin,
            report.reset,
            report.open,
            report.refused,
        ];
        assert_eq!(ends.iter().sum::<u64>(), 1_000, "{report:?}");
        let (value, degrees) = chi_square(&ends, &[200.0; 5]);
        assert!(value < chi_square_limit(degrees), "{ends:?}");
        assert!((220..=380).contains(&report.v6), "{} over IPv6", report.v6);
        assert!(source.live.len() < 1_000 && source.tuples_in_use.is_empty());
    }

    #[test]
    fn exactly_the_bytes_asked_for_are_carried() {
        let config = TcpSessionsConfig {
            request: SizeDistribution::Fixed { bytes: 5_001 },
            response: SizeDistribution::Fixed { bytes: 123_457 },
            endings: Endings {
                client_fin: 1.0,
                server_fin: 1.0,
                reset: 1.0,
                abandoned: 0.0,
                refused: 0.0,
            },
            ..config(50)
        };
        let report = Checker::run(&frames(&config, 1, usize::MAX));
        assert_eq!(report.payload_bytes, [50 * 5_001, 50 * 123_457]);
        assert_eq!(report.open + report.half_open, 0);
    }

    #[test]
    fn the_seed_decides_every_byte() {
        let run = |seed| digest(&frames(&config(200), seed, usize::MAX));
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
    }

    /// SYNs per second within five standard deviations, servers by Zipf's law.
    #[test]
    fn arrivals_and_popularity_are_as_configured() {
        let config = TcpSessionsConfig {
            sessions_per_second: 50_000.0,
            servers: 20,
            server_zipf_exponent: 1.1,
            response: SizeDistribution::Fixed { bytes: 100 },
            ..config(20_000)
        };
        let mut by_server = [0_u64; 20];
        let mut last = Picos::ZERO;
        for (meta, bytes) in frames(&config, 2, usize::MAX) {
            // A SYN: the only segments of 74 bytes from a client with the flags 0x02.
            if meta.port == 0 && bytes[47] == 0x02 {
                let ethernet = Ethernet::new(&bytes).unwrap();
                let [.., c, d] = Ipv4::new(ethernet.payload()).unwrap().destination();
                by_server[usize::from(u16::from_be_bytes([c, d])) - 1] += 1;
                last = meta.arrival;
            }
        }
        let rate = 20_000.0 / last.as_secs_f64();
        assert!(
            (rate / 50_000.0 - 1.0).abs() < 5.0 / 20_000_f64.sqrt(),
            "{rate} sessions per second"
        );
        let weights: Vec<f64> = (1..=20).map(|rank| f64::from(rank).powf(-1.1)).collect();
        let total: f64 = weights.iter().sum();
        let expected: Vec<f64> = weights
            .iter()
            .map(|weight| weight / total * 20_000.0)
            .collect();
        let (value, degrees) = chi_square(&by_server, &expected);
        assert!(
            value < chi_square_limit(degrees),
            "chi-square {value} of {degrees}: {by_server:?}"
        );
    }

    #[test]
    fn no_more_sessions_than_allowed_live_at_once_and_none_is_lost() {
        let config = TcpSessionsConfig {
            sessions_per_second: 1e6,
            max_concurrent_sessions: 7,
            clients: 1,
            client_ports: PortRange {
                first: 5_000,
                last: 5_013,
            },
            ..config(500)
        };
        let report = Checker::run(&frames(&config, 3, usize::MAX));
        assert_eq!((report.sessions, report.peak_alive), (500, 7));
    }

    #[test]
    fn the_pool_must_leave_ports_to_choose_from() {
        let config = TcpSessionsConfig {
            clients: 1,
            max_concurrent_sessions: 20_000,
            ..TcpSessionsConfig::default()
        };
        let error = TcpSessions::new(&config, 1, 0).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "max_concurrent_sessions = 20000 is impossible: clients x client_ports gives 28232"
            ),
            "{error}"
        );
    }

    fn sizes() -> impl Strategy<Value = SizeDistribution> {
        prop_oneof![
            (1_u64..100_000).prop_map(|bytes| SizeDistribution::Fixed { bytes }),
            (1_u64..10_000, 0.0..10.0_f64).prop_map(|(median_bytes, sigma)| {
                SizeDistribution::Lognormal {
                    median_bytes,
                    sigma,
                    maximum_bytes: 1_000_000_000,
                }
            }),
            Just(SizeDistribution::DataMining),
            Just(SizeDistribution::GoogleRpc),
        ]
    }

    prop_compose! {
        fn any_config()(
            sessions_per_second in prop_oneof![Just(0.001), 1.0..1e5_f64, Just(1e8)],
            constant: bool,
            max_concurrent_sessions in prop_oneof![1_u32..20, Just(100_000)],
            servers in prop_oneof![Just(1_u32), 2_u32..100, Just(65_534)],
            server_zipf_exponent in prop_oneof![Just(0.0), 0.0..10.0_f64],
            ipv6_share in 0.0..=1.0_f64,
            rtt in (0.1..1e3_f64, 1.0..1e4_f64, 0.0..=1.0_f64),
            requests_per_session_mean in prop_oneof![Just(1.0), 1.0..100.0_f64, Just(1e6)],
            exchange in (sizes(), sizes(), 0.0..1e7_f64, 0.0..1e6_f64),
            link in (0.01..400_000.0_f64, 2_u32..=4_096, 576_u16..=9_000, any::<bool>()),
            endings in (0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64),
        ) -> TcpSessionsConfig {
            TcpSessionsConfig {
                sessions_per_second,
                arrivals: if constant { ArrivalPattern::Constant } else { ArrivalPattern::Poisson },
                max_concurrent_sessions,
                servers,
                server_zipf_exponent,
                ipv6_share,
                rtt: RoundTrip { minimum_us: rtt.0, maximum_us: rtt.0 * rtt.1, server_share: rtt.2 },
                requests_per_session_mean,
                request: exchange.0,
                response: exchange.1,
                server_time_us_mean: exchange.2,
                think_time_ms_mean: exchange.3,
                session_rate_mbps: link.0,
                max_window_segments: link.1,
                mtu_bytes: link.2,
                timestamps: link.3,
                endings: Endings {
                    client_fin: endings.0,
                    server_fin: endings.1,
                    reset: endings.2,
                    abandoned: endings.3,
                    refused: endings.4 + 0.001,
                },
                ..TcpSessionsConfig::default()
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn every_configuration_gives_well_formed_sessions(config in any_config(), seed: u64) {
            prop_assert!(config.validate().is_ok(), "{:?}", config.validate());
            let frames = frames(&config, seed, 2_000);
            let Report { sessions, .. } = Checker::run(&frames);
            prop_assert!(sessions > 0 && frames.len() == 2_000);
        }
    }
}
