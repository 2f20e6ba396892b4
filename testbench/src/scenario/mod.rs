//! Scenarios: a TOML file that says what traffic there is, when it stops, and what of the system differs from the defaults.

mod error;

pub use error::{ScenarioError, share, within};

use crate::action::{Action, ActionKind, ActionTable};
use crate::fault::Fault;
use crate::frame::Traffic;
use crate::host_cpu::HostCosts;
use crate::marks::{MarkRule, MarkTable, read_drop};
use crate::traffic::translated::Network;
use crate::traffic::{Stop, TrafficConfig, build_all, validate_all};
use driver::{Counting, Eviction, Flaw, Flaws, PROFILES, Profile, RoomConfig, Router};
use nic_model::clock::Picos;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Names and texts of the built-in scenarios, in the order in which they are listed.
pub const BUILTIN: &[(&str, &str)] = &[
    ("web", include_str!("../../scenarios/web.toml")),
    ("crr", include_str!("../../scenarios/crr.toml")),
    ("syn-flood", include_str!("../../scenarios/syn-flood.toml")),
    ("elephants", include_str!("../../scenarios/elephants.toml")),
    ("mice", include_str!("../../scenarios/mice.toml")),
    ("quiet", include_str!("../../scenarios/quiet.toml")),
    ("upgrade", include_str!("../../scenarios/upgrade.toml")),
    ("bench", include_str!("../../scenarios/bench.toml")),
];

/// The document as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    description: String,
    #[serde(default = "first_seed")]
    seed: u64,
    #[serde(default)]
    stop: StopTable,
    traffic: Vec<toml::Table>,
    #[serde(default)]
    nic: toml::Table,
    #[serde(default)]
    host: HostCosts,
    #[serde(default)]
    driver: DriverTable,
    #[serde(default)]
    sysctl: BTreeMap<String, u64>,
    #[serde(default)]
    fault: Vec<Fault>,
    #[serde(default)]
    action: Vec<ActionTable>,
    #[serde(default)]
    nat: Option<String>,
    #[serde(default)]
    mark: Vec<MarkTable>,
    #[serde(default)]
    check_equivalence: bool,
}

const fn first_seed() -> u64 {
    1
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DriverTable {
    profile: Option<String>,
    policy: Option<String>,
    counters: Option<String>,
    barrier_us: Option<u32>,
    route: bool,
    router_ipv4: Option<Ipv4Addr>,
    router_ipv6: Option<Ipv6Addr>,
    flaws: Vec<String>,
    drop_marked: Option<String>,
    evict: Option<String>,
    high_water: Option<f64>,
    zone_limits: BTreeMap<String, u32>,
}

impl DriverTable {
    fn flaws(&self) -> Result<Flaws, ScenarioError> {
        let mut flaws = Flaws::default();
        for name in &self.flaws {
            let known = || Flaw::ALL.map(Flaw::name).join(", ");
            let flaw = Flaw::by_name(name).ok_or_else(|| {
                ScenarioError::value("flaws", name, format!("there are {}", known()))
            })?;
            flaws = flaws.with(flaw);
        }
        Ok(flaws)
    }

    fn profile(&self) -> Result<Option<&'static Profile>, ScenarioError> {
        let Some(name) = &self.profile else {
            return Ok(None);
        };
        let known = || PROFILES.map(|profile| profile.name).join(", ");
        let profile = Profile::by_name(name).ok_or_else(|| {
            ScenarioError::value("profile", name, format!("there are {}", known()))
        })?;
        Ok(Some(profile))
    }

    fn counting(&self) -> Result<Option<Counting>, ScenarioError> {
        let Some(text) = &self.counters else {
            return Ok(None);
        };
        let expected = || format!("there are {}", Counting::FORMS);
        let counting = Counting::parse(text)
            .ok_or_else(|| ScenarioError::value("counters", text, expected()))?;
        Ok(Some(counting))
    }

    fn route(&self) -> Result<Option<Router>, ScenarioError> {
        if !self.route && (self.router_ipv4.is_some() || self.router_ipv6.is_some()) {
            let needs = "router_ipv4 and router_ipv6 are for a driver with route = true";
            return Err(ScenarioError::value("route", false, needs));
        }
        let default = Router::default();
        Ok(self.route.then(|| Router {
            ipv4: self.router_ipv4.unwrap_or(default.ipv4),
            ipv6: self.router_ipv6.unwrap_or(default.ipv6),
        }))
    }

    fn room(&self) -> Result<RoomConfig, ScenarioError> {
        let mut room = RoomConfig::default();
        if let Some(name) = &self.evict {
            let known = || Eviction::ALL.map(Eviction::name).join(", ");
            room.eviction = Eviction::by_name(name).ok_or_else(|| {
                ScenarioError::value("evict", name, format!("there are {}", known()))
            })?;
        }
        if let Some(share) = self.high_water {
            error::share("high_water", share)?;
            room.high_water_permille = (share * 1_000.0) as u16;
        }
        for (zone, limit) in &self.zone_limits {
            if zone == "other" {
                room.other_zones = Some(*limit);
                continue;
            }
            let number = zone.parse().map_err(|_| {
                let expected = "its keys are zones, 0 to 65535, and \"other\"";
                ScenarioError::value("zone_limits", zone, expected)
            })?;
            room.zones.insert(number, *limit);
        }
        Ok(room)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StopTable {
    packets: Option<u64>,
    duration_ms: Option<u64>,
}

/// A scenario, checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// Seed of its random choices, unless the command line names another.
    pub seed: u64,
    /// The NIC: `preset`, and values of its configuration that differ from it.
    pub nic: toml::Table,
    /// What the host's work costs.
    pub host: HostCosts,
    /// Conntrack sysctls by their kernel names.
    pub sysctl: BTreeMap<String, u64>,
    /// Whose habits the driver has (`[driver] profile`), unless the command line names another.
    pub profile: Option<&'static Profile>,
    /// How counters come to the host (`[driver] counters`), unless as the profile has it.
    pub counting: Option<Counting>,
    /// Whether entries wait until none of their packets is in the host, and for how long at most (`[driver] barrier_us`), unless as
    /// the profile has it.
    pub barrier_us: Option<u32>,
    /// A router, and where its messages come from (`[driver] route`, `router_ipv4`, `router_ipv6`); otherwise a bump in the wire.
    pub route: Option<Router>,
    /// What to offload (`[driver] policy`), unless the command line names another.
    pub policy: Option<String>,
    /// Mistakes of the driver that are switched on (`[driver] flaws`).
    pub flaws: Flaws,
    /// How much of the table connections may take (`[driver] evict`, `high_water`, `zone_limits`).
    pub room: RoomConfig,
    /// What goes wrong (`[[fault]]`).
    pub faults: Vec<Fault>,
    /// What administrators do (`[[action]]`).
    pub actions: Vec<Action>,
    /// A network that clients' IPv4 addresses are translated into.
    pub nat: Option<Network>,
    /// What new connections are marked with (`[[mark]]`).
    pub marks: Vec<MarkRule>,
    /// Packets of connections with this mark are dropped (`[driver] drop_marked`); the second number is the bits of it that count.
    pub drop_marked: Option<(u32, u32)>,
    /// Whether the run is compared with connection tracking in software alone.
    pub check_equivalence: bool,
    traffic: Vec<TrafficConfig>,
    stop: Stop,
}

impl Scenario {
    /// A built-in scenario by its name, or a file if the name ends in `.toml`.
    ///
    /// # Errors
    /// There is none, it cannot be read, or something in it is wrong.
    pub fn open(name: &str) -> Result<Self, ScenarioError> {
        if Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = std::fs::read_to_string(name).map_err(|source| ScenarioError::Read {
                path: name.to_owned(),
                source,
            })?;
            return Self::parse(name, &text);
        }
        let text = BUILTIN
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| *text);
        let text = text.ok_or_else(|| ScenarioError::Unknown {
            name: name.to_owned(),
            known: BUILTIN
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        Self::parse(name, text)
    }

    /// Reads a scenario; `place` is what errors call it.
    ///
    /// # Errors
    /// It is no TOML, has an unknown key, or an impossible value.
    pub fn parse(place: &str, text: &str) -> Result<Self, ScenarioError> {
        let document: Document =
            toml::from_str(text).map_err(|error| ScenarioError::toml(place, &error))?;
        let mut traffic = Vec::new();
        for (i, table) in document.traffic.into_iter().enumerate() {
            let inside = |error: ScenarioError| error.inside(&format!("{place}: traffic[{i}]"));
            traffic.push(TrafficConfig::from_table(table).map_err(inside)?);
        }
        for (i, fault) in document.fault.iter().enumerate() {
            let inside = |error: ScenarioError| error.inside(&format!("{place}: fault[{i}]"));
            fault.check().map_err(inside)?;
        }
        let in_driver = |error: ScenarioError| error.inside(&format!("{place}: driver"));
        let flaws = document.driver.flaws().map_err(in_driver)?;
        let room = document.driver.room().map_err(in_driver)?;
        let route = document.driver.route().map_err(in_driver)?;
        let profile = document.driver.profile().map_err(in_driver)?;
        let counting = document.driver.counting().map_err(in_driver)?;
        let nat = match &document.nat {
            Some(text) => Some(Network::parse(text).ok_or_else(|| {
                ScenarioError::value("nat", text, "expected a network such as 100.64.0.0/10")
                    .inside(place)
            })?),
            None => None,
        };
        let drops = document.driver.drop_marked.as_deref();
        let drop_marked = drops.map(read_drop).transpose().map_err(in_driver)?;
        let mut marks = Vec::new();
        for (i, mark) in document.mark.iter().enumerate() {
            let inside = |error: ScenarioError| error.inside(&format!("{place}: mark[{i}]"));
            marks.push(mark.read().map_err(inside)?);
        }
        let mut actions = Vec::new();
        for (i, action) in document.action.iter().enumerate() {
            let inside = |error: ScenarioError| error.inside(&format!("{place}: action[{i}]"));
            let action = action.read().map_err(inside)?;
            if action.kind == ActionKind::Nat && nat.is_none() {
                let needs = "needs nat = \"...\": the network at first";
                return Err(inside(ScenarioError::value("kind", "nat", needs)));
            }
            actions.push(action);
        }
        validate_all(&traffic).map_err(|error| error.inside(place))?;
        let stop = Stop {
            packets: document.stop.packets,
            at: document.stop.duration_ms.map(Picos::from_millis),
        };
        Ok(Self {
            name: document.name,
            description: document.description,
            seed: document.seed,
            nic: document.nic,
            host: document.host,
            sysctl: document.sysctl,
            profile,
            counting,
            barrier_us: document.driver.barrier_us,
            route,
            policy: document.driver.policy,
            flaws,
            room,
            faults: document.fault,
            actions,
            nat,
            marks,
            drop_marked,
            check_equivalence: document.check_equivalence,
            traffic,
            stop,
        })
    }

    /// Its traffic.
    ///
    /// # Errors
    /// Its sources do not go together.
    pub fn traffic(&self, seed: u64) -> Result<Box<dyn Traffic>, ScenarioError> {
        build_all(&self.traffic, seed, self.stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Burst;

    #[test]
    fn every_built_in_scenario_parses_and_gives_frames_in_order() {
        for (name, text) in BUILTIN {
            let scenario = Scenario::parse(name, text).expect(name);
            assert_eq!(&scenario.name, name);
            let mut traffic = scenario.traffic(7).expect(name);
            let (mut burst, mut last, mut frames) = (Burst::default(), Picos::ZERO, 0);
            while frames < 20_000 {
                burst.clear();
                traffic.fill(&mut burst);
                if burst.is_empty() {
                    break;
                }
                for i in 0..burst.len() {
                    let (meta, bytes) = burst.frame(i);
                    assert!(meta.arrival >= last && bytes.len() >= 60, "{name}");
                    assert!(meta.flow < traffic.flow_count(), "{name}");
                    last = meta.arrival;
                    frames += 1;
                }
            }
            assert!(frames >= 10_000, "{name} gives {frames} frames");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let base = "name = \"x\"\ndescription = \"y\"\n";
        for (text, expected) in [
            ("[[traffic]]\nkind = \"crr\"\nspeed = 1\n", "speed"),
            ("[[traffic]]\nkind = \"flood\"\n", "it must be one of"),
            ("[[traffic]]\nkind = \"crr\"\nclients = 0\n", "clients = 0"),
            ("traffic = []\n", "there must be 1 to"),
            (
                "[[traffic]]\nkind = \"crr\"\n[stop]\nframes = 3\n",
                "frames",
            ),
            ("[[traffic]\n", "line 3"),
        ] {
            let error = Scenario::parse("my.toml", &format!("{base}{text}"))
                .expect_err(text)
                .to_string();
            assert!(
                error.contains(expected) && error.contains("my.toml"),
                "{error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
