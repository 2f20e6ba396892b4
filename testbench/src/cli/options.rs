//! Options several commands share, and what they build.

use crate::host_cpu::HostCosts;
use crate::simulation::RunConfig;
use crate::traffic::replay::Network;
use clap::Args;
use conntrack_core::{Config, HashKey};
use driver::{Clock, DriverConfig, policy};
use nic_model::config::NicConfig;
use std::path::Path;

/// Card, driver, connection tracking.
#[derive(Debug, Args)]
pub(super) struct SystemArgs {
    /// NIC preset, or a TOML file (a name that ends in .toml)
    #[arg(long, value_name = "PRESET|FILE", default_value = NicConfig::DEFAULT_PRESET)]
    pub(super) nic: String,
    /// What to offload: assured, established, never
    #[arg(long, value_name = "NAME", default_value = "assured")]
    pub(super) policy: String,
    /// Override one value of the NIC's configuration, for example --set table.buckets=1024 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) overrides: Vec<String>,
    /// Set a conntrack sysctl by its kernel name, for example net.netfilter.nf_conntrack_tcp_loose=0 (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) sysctl: Vec<String>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
}

impl SystemArgs {
    /// The card's configuration.
    pub(super) fn nic_config(&self) -> Result<NicConfig, String> {
        let from_file = Path::new(&self.nic)
            .extension()
            .is_some_and(|extension| extension == "toml");
        let text = if from_file {
            std::fs::read_to_string(&self.nic).map_err(|error| format!("{}: {error}", self.nic))?
        } else {
            NicConfig::preset_text(&self.nic)
                .map_err(|error| error.to_string())?
                .to_owned()
        };
        let mut table: toml::Table = toml::from_str(&text)
            .map_err(|error| format!("{}: {}", self.nic, one_line(&error.to_string())))?;
        for assignment in &self.overrides {
            let (key, value) = assignment.split_once('=').ok_or_else(|| {
                format!("--set {assignment}: expected KEY=VALUE, for example table.buckets=1024")
            })?;
            set(&mut table, key.trim(), value.trim())?;
        }
        let text = toml::to_string(&table).map_err(|error| error.to_string())?;
        NicConfig::from_toml(&text)
            .map_err(|error| format!("{}: {}", self.nic, one_line(&error.to_string())))
    }

    /// Settings of connection tracking.
    pub(super) fn conntrack_config(&self) -> Result<Config, String> {
        let mut config = Config::default();
        for assignment in &self.sysctl {
            let (name, value) = assignment
                .split_once('=')
                .ok_or_else(|| format!("--sysctl {assignment}: expected NAME=VALUE"))?;
            config.set(name, value).map_err(|error| error.to_string())?;
        }
        Ok(config)
    }

    /// The key of the connection table's hash, from the seed.
    pub(super) const fn hash_key(&self) -> HashKey {
        HashKey([self.seed, self.seed ^ 0x9e37_79b9_7f4a_7c15])
    }

    /// Everything a simulation needs; buffers large enough for the largest frame.
    pub(super) fn run_config(&self, largest_frame: u32, frozen: bool) -> Result<RunConfig, String> {
        let nic = self.nic_config()?;
        let policy = policy::by_name(&self.policy).ok_or_else(|| {
            let names: Vec<&str> = policy::POLICIES.iter().map(|(name, _)| *name).collect();
            format!(
                "there is no policy \"{}\"; there are: {}",
                self.policy,
                names.join(", ")
            )
        })?;
        let driver = DriverConfig {
            conntrack: self.conntrack_config()?,
            hash_key: self.hash_key(),
            rings: nic.ring.clone(),
            buffer_bytes: largest_frame.max(2_048).next_multiple_of(256),
            clock: if frozen {
                Clock::Frozen
            } else {
                Clock::Running
            },
            ..DriverConfig::default()
        };
        Ok(RunConfig {
            nic,
            driver,
            policy,
            host: HostCosts::default(),
            frozen,
        })
    }
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
