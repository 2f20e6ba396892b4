//! Where frames come from. One generator, one file.
//!
//! | `kind`         | what it sends                                                           |
//! |----------------|-------------------------------------------------------------------------|
//! | `tcp-sessions` | whole TCP sessions: handshake, requests and responses, an end           |
//! | `crr`          | connect, request, response, close: short connections at a set rate      |
//! | `syn-flood`    | SYNs without a connection behind them                                   |
//! | `uniform`      | small packets over a fixed set of established connections               |
//! | `udp-queries`  | queries and answers over UDP, like DNS                                  |
//! | `colliding`    | flows crafted to lie in a few buckets of a card's table                 |
//!
//! All are open loop: their time line follows from the configuration and the seed and does not react to
//! what becomes of a packet. The same configuration and seed give the same bytes at the same times. To
//! add a generator: a file, a line in [`TrafficConfig`] and its two matches.
//!
//! [`replay`] plays a capture instead.

pub mod address;
pub mod arrival;
#[cfg(test)]
mod check;
pub mod colliding;
pub mod crr;
pub mod headers;
mod limit;
pub mod merge;
pub mod random;
pub mod replay;
pub mod session;
pub mod sizes;
pub mod syn_flood;
pub mod tcp_sessions;
pub mod transfer;
pub mod translated;
pub mod udp_queries;
pub mod uniform;
pub mod zipf;

use crate::frame::Traffic;
use crate::scenario::{ScenarioError, share, within};
use nic_model::clock::Picos;
use random::{SourceRng, unit};
use serde::{Deserialize, Serialize};

pub use colliding::CollidingConfig;
pub use crr::CrrConfig;
pub use limit::{Limited, Stop};
pub use merge::Merge;
pub use syn_flood::SynFloodConfig;
pub use tcp_sessions::TcpSessionsConfig;
pub use udp_queries::UdpQueriesConfig;
pub use uniform::UniformConfig;

/// One source of a scenario: a `[[traffic]]` table, tagged by its `kind`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TrafficConfig {
    /// Whole TCP sessions.
    TcpSessions(TcpSessionsConfig),
    /// Connect, request, response, close.
    Crr(CrrConfig),
    /// SYNs without a connection behind them.
    SynFlood(SynFloodConfig),
    /// Small packets over established connections.
    Uniform(UniformConfig),
    /// Queries and answers over UDP.
    UdpQueries(UdpQueriesConfig),
    /// Flows crafted to collide in a card's table.
    Colliding(CollidingConfig),
}

impl TrafficConfig {
    /// The kinds there are.
    pub const KINDS: [&str; 6] = [
        "tcp-sessions",
        "crr",
        "syn-flood",
        "uniform",
        "udp-queries",
        "colliding",
    ];

    /// The `kind` of this source.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TcpSessions(_) => "tcp-sessions",
            Self::Crr(_) => "crr",
            Self::SynFlood(_) => "syn-flood",
            Self::Uniform(_) => "uniform",
            Self::UdpQueries(_) => "udp-queries",
            Self::Colliding(_) => "colliding",
        }
    }

    /// Reads the table of one source.
    pub fn from_table(mut table: toml::Table) -> Result<Self, ScenarioError> {
        let kinds = || format!("it must be one of {}", Self::KINDS.join(", "));
        let kind = match table.remove("kind") {
            Some(toml::Value::String(kind)) => kind,
            Some(other) => return Err(ScenarioError::value("kind", other, kinds())),
            None => return Err(ScenarioError::value("kind", "(missing)", kinds())),
        };
        fn read<T: serde::de::DeserializeOwned>(
            kind: &str,
            table: toml::Table,
        ) -> Result<T, ScenarioError> {
            T::deserialize(table).map_err(|error| ScenarioError::toml(kind, &error))
        }
        Ok(match kind.as_str() {
            "tcp-sessions" => Self::TcpSessions(read(&kind, table)?),
            "crr" => Self::Crr(read(&kind, table)?),
            "syn-flood" => Self::SynFlood(read(&kind, table)?),
            "uniform" => Self::Uniform(read(&kind, table)?),
            "udp-queries" => Self::UdpQueries(read(&kind, table)?),
            "colliding" => Self::Colliding(read(&kind, table)?),
            _ => return Err(ScenarioError::value("kind", format!("\"{kind}\""), kinds())),
        })
    }

    /// Checks every value.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        match self {
            Self::TcpSessions(config) => config.validate(),
            Self::Crr(config) => config.validate(),
            Self::SynFlood(config) => config.validate(),
            Self::Uniform(config) => config.validate(),
            Self::UdpQueries(config) => config.validate(),
            Self::Colliding(config) => config.validate(),
        }
        .map_err(|error| error.inside(self.kind()))
    }

    /// The server network its tuples lie in, and whether they are UDP; none where its clients make up addresses.
    fn tuple_space(&self, source: u8) -> Option<(u8, bool)> {
        let (network, udp) = match self {
            Self::TcpSessions(config) => (config.server_network, false),
            Self::Crr(config) => (config.server_network, false),
            Self::Uniform(config) => (config.server_network, false),
            Self::UdpQueries(config) => (config.server_network, true),
            Self::Colliding(config) => (config.server_network, true),
            Self::SynFlood(_) => return None,
        };
        Some((network.unwrap_or(source), udp))
    }
}

/// One source alone.
pub fn build(config: &TrafficConfig, seed: u64) -> Result<Box<dyn Traffic>, ScenarioError> {
    build_numbered(config, seed, 0)
}

/// Source number `source` of a scenario: its own random stream and server network.
fn build_numbered(
    config: &TrafficConfig,
    seed: u64,
    source: u8,
) -> Result<Box<dyn Traffic>, ScenarioError> {
    let built: Result<Box<dyn Traffic>, ScenarioError> = match config {
        TrafficConfig::TcpSessions(config) => {
            boxed(tcp_sessions::TcpSessions::new(config, seed, source))
        }
        TrafficConfig::Crr(config) => boxed(crr::Crr::new(config, seed, source)),
        TrafficConfig::SynFlood(config) => boxed(syn_flood::SynFlood::new(config, seed, source)),
        TrafficConfig::Uniform(config) => boxed(uniform::Uniform::new(config, seed, source)),
        TrafficConfig::UdpQueries(config) => {
            boxed(udp_queries::UdpQueries::new(config, seed, source))
        }
        TrafficConfig::Colliding(config) => boxed(colliding::Colliding::new(config, seed, source)),
    };
    built.map_err(|error| error.inside(config.kind()))
}

fn boxed<T: Traffic + 'static>(
    source: Result<T, ScenarioError>,
) -> Result<Box<dyn Traffic>, ScenarioError> {
    source.map(|source| Box::new(source) as Box<dyn Traffic>)
}

/// Checks the sources of a scenario, each alone and against the others.
pub fn validate_all(configs: &[TrafficConfig]) -> Result<(), ScenarioError> {
    let most = usize::from(address::SERVER_NETWORKS);
    if configs.is_empty() || configs.len() > most {
        let allowed = format!("there must be 1 to {most} [[traffic]] tables");
        return Err(ScenarioError::value(
            "traffic",
            format!("{} tables", configs.len()),
            allowed,
        ));
    }
    let mut spaces = Vec::new();
    for (source, config) in configs.iter().enumerate() {
        let place = format!("traffic[{source}]");
        config.validate().map_err(|error| error.inside(&place))?;
        let Some(space) = config.tuple_space(source as u8) else {
            continue;
        };
        if spaces.contains(&space) {
            let allowed = "another source has this network; their connections would be mixed up";
            let error = ScenarioError::value("server_network", space.0, allowed);
            return Err(error.inside(config.kind()).inside(&place));
        }
        spaces.push(space);
    }
    Ok(())
}

/// All sources of a scenario, in order of time, up to where it stops.
pub fn build_all(
    configs: &[TrafficConfig],
    seed: u64,
    stop: Stop,
) -> Result<Box<dyn Traffic>, ScenarioError> {
    validate_all(configs)?;
    let mut sources = Vec::new();
    for (source, config) in configs.iter().enumerate() {
        sources.push(build_numbered(config, seed, source as u8)?);
    }
    let source = match sources.len() {
        1 => sources.remove(0),
        _ => Box::new(Merge::new(sources)),
    };
    Ok(if stop.is_never() {
        source
    } else {
        Box::new(Limited::new(source, stop))
    })
}

/// A range of port numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl PortRange {
    /// Linux's default for outgoing connections.
    pub const EPHEMERAL: Self = Self {
        first: 32_768,
        last: 60_999,
    };

    /// How many ports.
    pub fn count(self) -> u32 {
        u32::from(self.last.saturating_sub(self.first)) + 1
    }

    /// The `index`-th port, round and round.
    pub fn nth(self, index: u32) -> u16 {
        self.first.saturating_add((index % self.count()) as u16)
    }

    fn validate(self, key: &str) -> Result<(), ScenarioError> {
        within(&format!("{key}.first"), self.first, 1..=u16::MAX)?;
        within(&format!("{key}.last"), self.last, self.first..=u16::MAX)
    }
}

/// The round-trip time between a client and a server, drawn once per session.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundTrip {
    /// Shortest.
    pub minimum_us: f64,
    /// Longest. In between, every factor is as likely as every other (log-uniform).
    pub maximum_us: f64,
    /// The part of it that lies between the NIC and the server.
    pub server_share: f64,
}

impl Default for RoundTrip {
    fn default() -> Self {
        Self {
            minimum_us: 200.0,
            maximum_us: 20_000.0,
            server_share: 0.1,
        }
    }
}

impl RoundTrip {
    fn validate(self, key: &str) -> Result<(), ScenarioError> {
        within(&format!("{key}.minimum_us"), self.minimum_us, 0.1..=1e7)?;
        within(
            &format!("{key}.maximum_us"),
            self.maximum_us,
            self.minimum_us..=1e7,
        )?;
        share(&format!("{key}.server_share"), self.server_share)
    }

    /// Draws one: from the NIC to the client and back, and to the server and back.
    fn draw(self, rng: &mut SourceRng) -> [Picos; 2] {
        let us = self.minimum_us * (self.maximum_us / self.minimum_us).powf(unit(rng));
        let server = us * self.server_share;
        [us - server, server].map(|us| Picos((us * 1e6) as u64))
    }
}

#[cfg(test)]
mod tests;
