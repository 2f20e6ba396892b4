//! Options several commands share, and what they build.

use crate::action::Action;
use crate::fault::Fault;
use crate::host_cpu::HostCosts;
use crate::marks::MarkRule;
use crate::scenario::Scenario;
use crate::simulation::RunConfig;
use crate::traffic::replay::Network;
use crate::traffic::translated;
use clap::Args;
use conntrack_core::{Config, HashKey};
use driver::{
    Clock, Counting, DriverConfig, Eviction, Flaws, Habits, PROFILES, Profile, RoomConfig, Router,
    policy,
};
use nic_model::config::NicConfig;
use std::path::Path;

/// Card, driver, connection tracking.
#[derive(Debug, Default, Args)]
pub(super) struct SystemArgs {
    /// NIC preset, or a TOML file (a name that ends in .toml)
    #[arg(long, value_name = "PRESET|FILE")]
    pub(super) nic: Option<String>,
    /// Whose habits the driver has: ctnic, linux-flowtable, act-ct-mlx5, dpdk, ovs-revalidator (see `ctnic profiles`)
    #[arg(long, value_name = "NAME", value_parser = profile)]
    pub(super) profile: Option<&'static Profile>,
    /// How counters come to the host: push, push:MS, poll:MS, on-demand
    #[arg(long, value_name = "HOW", value_parser = counting)]
    pub(super) counters: Option<Counting>,
    /// Keep packets in order: an entry begins to forward when those of its connection that went to the host were sent on, or none
    /// has come for US microseconds (0: at once)
    #[arg(long = "barrier", value_name = "US", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(super) barrier_us: Option<u32>,
    /// Act as a router: TTL and hop limit go down, packets too long for the next link (port.mtu_bytes, port.mtu_1_bytes) are cut, or
    /// their sender is told
    #[arg(long)]
    pub(super) route: bool,
    /// What to offload: assured (unless the scenario or the profile says otherwise), assured-tcp, established, packets:N,
    /// bytes:N, rate:N, heavy:N, adaptive, rule:LIST, never; A+B is what both want (see `ctnic policies`)
    #[arg(long, value_name = "NAME")]
    pub(super) policy: Option<String>,
    /// Who gives way when the table is nearly full: none, lru, least-traffic
    #[arg(long, value_name = "NAME", value_parser = eviction)]
    pub(super) evict: Option<Eviction>,
    /// Override one value of the NIC's configuration, for example --set table.buckets=1024 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) overrides: Vec<String>,
    /// Set a conntrack sysctl by its kernel name, for example net.netfilter.nf_conntrack_tcp_loose=0 (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) sysctl: Vec<String>,
    /// The driver without the mistakes that the scenario switches on
    #[arg(long)]
    pub(super) no_flaws: bool,
    /// Seed of every random choice
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
}

/// What a scenario says of the system; the command line says it louder.
#[derive(Debug, Clone, Default)]
pub(super) struct FromScenario {
    pub(super) nic: toml::Table,
    pub(super) sysctl: Vec<(String, String)>,
    pub(super) host: HostCosts,
    pub(super) profile: Option<&'static Profile>,
    pub(super) counting: Option<Counting>,
    pub(super) barrier_us: Option<u32>,
    pub(super) route: Option<Router>,
    pub(super) policy: Option<String>,
    pub(super) seed: Option<u64>,
    pub(super) faults: Vec<Fault>,
    pub(super) actions: Vec<Action>,
    pub(super) flaws: Flaws,
    pub(super) room: RoomConfig,
    pub(super) nat: Option<translated::Network>,
    pub(super) marks: Vec<MarkRule>,
    pub(super) drop_marked: Option<(u32, u32)>,
    pub(super) check_equivalence: bool,
}

impl FromScenario {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            nic: scenario.nic.clone(),
            sysctl: scenario
                .sysctl
                .iter()
                .map(|(name, value)| (name.clone(), value.to_string()))
                .collect(),
            host: scenario.host.clone(),
            profile: scenario.profile,
            counting: scenario.counting,
            barrier_us: scenario.barrier_us,
            route: scenario.route,
            policy: scenario.policy.clone(),
            seed: Some(scenario.seed),
            faults: scenario.faults.clone(),
            actions: scenario.actions.clone(),
            flaws: scenario.flaws,
            room: scenario.room.clone(),
            nat: scenario.nat,
            marks: scenario.marks.clone(),
            drop_marked: scenario.drop_marked,
            check_equivalence: scenario.check_equivalence,
        }
    }
}

impl SystemArgs {
    /// Name of the preset or file the card's configuration begins with.
    pub(super) fn nic_name(&self, scenario: &FromScenario) -> String {
        let preset = scenario.nic.get("preset").and_then(toml::Value::as_str);
        self.nic
            .clone()
            .unwrap_or_else(|| preset.unwrap_or(NicConfig::DEFAULT_PRESET).to_owned())
    }

    /// The seed: the command line's, the scenario's, or 1.
    pub(super) fn seed(&self, scenario: &FromScenario) -> u64 {
        self.seed.or(scenario.seed).unwrap_or(1)
    }

    /// Whose habits the driver has.
    pub(super) fn profile(&self, scenario: &FromScenario) -> &'static Profile {
        self.profile.or(scenario.profile).unwrap_or(&PROFILES[0])
    }

    /// What the driver does in more than one way: as its profile has it, but for what is asked for by itself.
    pub(super) fn habits(&self, scenario: &FromScenario) -> Habits {
        let habits = self.profile(scenario).habits;
        Habits {
            counting: (self.counters.or(scenario.counting)).unwrap_or(habits.counting),
            barrier_us: (self.barrier_us.or(scenario.barrier_us)).unwrap_or(habits.barrier_us),
            ..habits
        }
    }

    /// The card's configuration: preset or file, then what the driver's profile programs into it, then the scenario's values, then
    /// the command line's.
    pub(super) fn nic_config(&self, scenario: &FromScenario) -> Result<NicConfig, String> {
        let name = self.nic_name(scenario);
        let mut table: toml::Table = toml::from_str(&card_text(&name)?)
            .map_err(|error| format!("{name}: {}", one_line(&error.to_string())))?;
        for (key, value) in self.profile(scenario).card {
            set(&mut table, key, value)?;
        }
        merge(&mut table, &scenario.nic);
        table.remove("preset");
        for assignment in &self.overrides {
            let (key, value) = assignment.split_once('=').ok_or_else(|| {
                format!("--set {assignment}: expected KEY=VALUE, for example table.buckets=1024")
            })?;
            set(&mut table, key.trim(), value.trim())?;
        }
        let text = toml::to_string(&table).map_err(|error| error.to_string())?;
        NicConfig::from_toml(&text)
            .map_err(|error| format!("{name}: {}", one_line(&error.to_string())))
    }

    /// Settings of connection tracking.
    pub(super) fn conntrack_config(&self, scenario: &FromScenario) -> Result<Config, String> {
        let mut config = Config::default();
        for (name, value) in &scenario.sysctl {
            config
                .set(name, value)
                .map_err(|error| format!("scenario: {error}"))?;
        }
        for assignment in &self.sysctl {
            let (name, value) = assignment
                .split_once('=')
                .ok_or_else(|| format!("--sysctl {assignment}: expected NAME=VALUE"))?;
            config.set(name, value).map_err(|error| error.to_string())?;
        }
        Ok(config)
    }

    /// The key of the connection table's hash, from the seed.
    pub(super) fn hash_key(&self, scenario: &FromScenario) -> HashKey {
        let seed = self.seed(scenario);
        HashKey([seed, seed ^ 0x9e37_79b9_7f4a_7c15])
    }

    /// Everything a simulation needs; buffers large enough for the largest frame.
    pub(super) fn run_config(
        &self,
        scenario: &FromScenario,
        largest_frame: u32,
        frozen: bool,
    ) -> Result<RunConfig, String> {
        let nic = self.nic_config(scenario)?;
        let name = self.policy.as_deref().or(scenario.policy.as_deref());
        let name = name.unwrap_or(self.profile(scenario).policy);
        let habits = self.habits(scenario);
        if nic.counter.clear_on_read && matches!(habits.counting, Counting::Poll(_)) {
            let why = "reading the table does not clear them";
            return Err(format!(
                "counters by polling do not go with counter.clear_on_read: {why}; take --counters push or on-demand"
            ));
        }
        let policy = policy::by_name(name).ok_or_else(|| {
            let names: Vec<&str> = policy::POLICIES.iter().map(|(name, _)| *name).collect();
            format!(
                "there is no policy \"{name}\"; there are: {}",
                names.join(", ")
            )
        })?;
        let driver = DriverConfig {
            conntrack: self.conntrack_config(scenario)?,
            hash_key: self.hash_key(scenario),
            rings: nic.ring.clone(),
            route: self.route || scenario.route.is_some(),
            router: scenario.route.unwrap_or_default(),
            buffer_bytes: largest_frame.max(2_048).next_multiple_of(256),
            clock: if frozen {
                Clock::Frozen
            } else {
                Clock::Running
            },
            habits,
            flaws: if self.no_flaws {
                Flaws::default()
            } else {
                scenario.flaws
            },
            room: RoomConfig {
                eviction: self.evict.unwrap_or(scenario.room.eviction),
                ..scenario.room.clone()
            },
            ..DriverConfig::default()
        };
        Ok(RunConfig {
            nic,
            driver,
            policy,
            host: scenario.host.clone(),
            frozen,
            check_equivalence: scenario.check_equivalence,
            network: scenario.nat,
            marks: scenario.marks.clone(),
            drop_marked: scenario.drop_marked,
            faults: scenario.faults.clone(),
            actions: scenario.actions.clone(),
            seed: self.seed(scenario),
        })
    }
}

/// The profile of a name on the command line.
pub(super) fn profile(name: &str) -> Result<&'static Profile, String> {
    let known = || PROFILES.map(|profile| profile.name).join(", ");
    Profile::by_name(name).ok_or_else(|| format!("there are: {}", known()))
}

fn counting(text: &str) -> Result<Counting, String> {
    Counting::parse(text).ok_or_else(|| format!("there are: {}", Counting::FORMS))
}

fn eviction(name: &str) -> Result<Eviction, String> {
    Eviction::by_name(name).ok_or_else(|| {
        format!(
            "there are: {}",
            Eviction::ALL.map(Eviction::name).join(", ")
        )
    })
}

/// The text of a card: of a file that ends in .toml, or of a preset.
pub(super) fn card_text(name: &str) -> Result<String, String> {
    let is_file = Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "toml");
    if is_file {
        return std::fs::read_to_string(name).map_err(|error| format!("{name}: {error}"));
    }
    let text = NicConfig::preset_text(name).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// The first line of an error that spans several, with the rest that matters.
pub(super) fn one_line(message: &str) -> String {
    let lines = message
        .lines()
        .filter(|line| !line.trim_start().starts_with(['|', '^']));
    lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(": ")
}

/// Puts the values of `over` into `table`, tables into tables.
fn merge(table: &mut toml::Table, over: &toml::Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(over)) => merge(inner, over),
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Sets a dotted key in a table; the value is read as TOML, or as a string if it is none.
fn set(table: &mut toml::Table, key: &str, value: &str) -> Result<(), String> {
    let parsed: toml::Value = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().unwrap_or(key);
    let mut at = table;
    for part in parts {
        let entry = at
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = entry
            .as_table_mut()
            .ok_or_else(|| format!("--set {key}: {part} is no table"))?;
    }
    at.insert(last.to_owned(), parsed);
    Ok(())
}

/// Client networks from the command line.
pub(super) fn networks(texts: &[String]) -> Result<Vec<Network>, String> {
    texts
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|error: String| format!("--client-net: {error}"))
        })
        .collect()
}
