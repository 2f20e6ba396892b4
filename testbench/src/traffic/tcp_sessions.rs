//! TCP sessions between many clients and a few servers: web pages, downloads, remote procedure calls.
//!
//! Sessions begin at random times, go to servers of unequal popularity, carry requests and responses of
//! distributed sizes and end in several ways. The time line of each is [`super::session`]'s, which says
//! what is and is not modelled. Memory is bounded by `max_concurrent_sessions`.

use super::address;
use super::arrival::{ArrivalPattern, Arrivals, exponential};
use super::headers::{Ends, FrameWriter, MAX_MTU_BYTES, Side};
use super::random::{SourceRng, chance, stream, unit};
use super::session::{Ending, Exchange, Habits, Plan, Session};
use super::sizes::SizeDistribution;
use super::zipf::Popularity;
use super::{PortRange, RoundTrip};
use crate::frame::{Burst, FrameMeta, Traffic};
use crate::scenario::{ScenarioError, share, within};
use nic_model::clock::Picos;
use rand_chacha::rand_core::Rng;
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
            request: SizeDistribution::Lognormal { median_bytes: 500, sigma: 0.5, maximum_bytes: 16_000 },
            response: SizeDistribution::Lognormal { median_bytes: 8_000, sigma: 1.5, maximum_bytes: 20_000_000 },
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
        Self { client_fin: 0.6, server_fin: 0.35, reset: 0.04, abandoned: 0.0, refused: 0.01 }
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
        Err(ScenarioError::value("endings", "all 0", "at least one kind of ending must have a share"))
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
        within("max_concurrent_sessions", self.max_concurrent_sessions, 1..=1 << 22)?;
        within("clients", self.clients, 1..=address::MAX_CLIENTS)?;
        self.client_ports.validate("client_ports")?;
        within("servers", self.servers, 1..=address::MAX_SERVERS)?;
        within("server_zipf_exponent", self.server_zipf_exponent, 0.0..=10.0)?;
        if self.server_ports.is_empty() || self.server_ports.contains(&0) {
            return Err(ScenarioError::value("server_ports", format!("{:?}", self.server_ports), "one or more ports from 1 to 65535"));
        }
        if let Some(network) = self.server_network {
            within("server_network", network, 0..=address::SERVER_NETWORKS - 1)?;
        }
        share("ipv6_share", self.ipv6_share)?;
        self.rtt.validate("rtt")?;
        within("requests_per_session_mean", self.requests_per_session_mean, 1.0..=1e6)?;
        self.request.validate("request")?;
        self.response.validate("response")?;
        within("server_time_us_mean", self.server_time_us_mean, 0.0..=1e7)?;
        within("think_time_ms_mean", self.think_time_ms_mean, 0.0..=1e6)?;
        within("session_rate_mbps", self.session_rate_mbps, 0.01..=400_000.0)?;
        within("max_window_segments", self.max_window_segments, 2..=4_096)?;
        within("mtu_bytes", self.mtu_bytes, 576..=MAX_MTU_BYTES)?;
        self.endings.validate()?;
        let tuples = u64::from(self.clients) * u64::from(self.client_ports.count());
        if tuples < 2 * u64::from(self.max_concurrent_sessions) {
            return Err(ScenarioError::value(
                "max_concurrent_sessions",
                self.max_concurrent_sessions,
                format!("clients x client_ports gives {tuples} addresses and ports; twice the sessions alive at once are needed"),
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
        let limit = self.config.sessions.unwrap_or(u64::from(FrameMeta::NO_FLOW));
        (room && u64::from(self.begun) < limit).then_some(self.next_arrival)
    }

    fn begin(&mut self) {
        let rng = &mut self.rng;
        let v6 = chance(rng, self.config.ipv6_share);
        let plan = Plan {
            start: self.next_arrival,
            rtt: self.config.rtt.draw(rng),
            v6,
            exchanges: requests(self.config.requests_per_session_mean, rng),
            ending: self.config.endings.draw(rng),
            separate_close: chance(rng, 0.5),
            entropy: rng.next_u64(),
        };
        let server = self.popularity.sample(rng);
        let clients = u64::from(self.config.clients);
        let tuples = clients * u64::from(self.config.client_ports.count());
        // At most half of the tuples are in use: a free one is found soon.
        while self.tuples_in_use.contains(&self.tuple_cursor) {
            self.tuple_cursor = (self.tuple_cursor + 1) % tuples;
        }
        let client_tuple = self.tuple_cursor;
        self.tuples_in_use.insert(client_tuple);
        self.tuple_cursor = (client_tuple + 1) % tuples;
        let ports = &self.config.server_ports;
        let live = Live {
            session: Session::new(&plan, &self.habits),
            ends: Ends {
                client: address::client((client_tuple % clients) as u32, v6),
                server: address::server(self.network, server, v6),
                client_port: self.config.client_ports.nth((client_tuple / clients) as u32),
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
        let Some(mut due) = self.agenda.peek_mut() else { return };
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
    let (server_time, think_time) = (span(config.server_time_us_mean), span(config.think_time_ms_mean * 1e3));
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
