//! Every parameter of the card, declared once with its unit, default, range and source: one file for each part of the card.
//!
//! A configuration is a TOML document; unknown keys are refused. Presets are such documents, in
//! `presets/*.toml` beside this file. Values without a source in a preset are assumptions of the
//! textbook design and say so there.

mod aging;
mod classifier;
mod counter;
pub mod field;
mod firmware;
mod key;
mod memory;
mod meter;
mod pcie;
mod pipeline;
mod port;
mod ring;
mod table;
mod trap;
mod tunnel;
mod window;

pub use aging::{AgingAction, AgingConfig, AgingMethod};
pub(crate) use classifier::network;
pub use classifier::{ClassifierConfig, RULE_KEYS, Rule, RuleAction, masked};
pub use counter::{CounterConfig, Overflow};
pub use firmware::FirmwareConfig;
pub use key::{Entries, KeyConfig};
pub use memory::{MemoryConfig, MemoryKind, Protection, Replacement};
pub use meter::MeterConfig;
pub use pcie::PcieConfig;
pub use pipeline::PipelineConfig;
pub use port::PortConfig;
pub use ring::RingConfig;
pub use table::{HashFunction, Insertion, Organisation, TableConfig, Victim};
pub use trap::TrapConfig;
pub use tunnel::TunnelConfig;
pub use window::WindowConfig;

use crate::clock::ClockDomain;
use field::{Field, Section};
use serde::{Deserialize, Serialize};

/// A whole card: chip, control processor and host interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct NicConfig {
    /// Name of the card.
    pub name: String,
    /// What the card stands for, in a sentence.
    pub description: String,
    /// Ethernet ports.
    pub port: PortConfig,
    /// The packet pipeline.
    pub pipeline: PipelineConfig,
    /// Tunnels that the parser looks into.
    pub tunnel: TunnelConfig,
    /// What a flow is told by.
    pub key: KeyConfig,
    /// The flow table.
    pub table: TableConfig,
    /// Where the flow table lies.
    pub memory: MemoryConfig,
    /// Which packets of an installed flow go to the host all the same.
    pub trap: TrapConfig,
    /// The TCP window checker.
    pub window: WindowConfig,
    /// Meters on the way to the host.
    pub meter: MeterConfig,
    /// The rules in front of the flow table.
    pub classifier: ClassifierConfig,
    /// Counters of entries.
    pub counter: CounterConfig,
    /// The aging engine.
    pub aging: AgingConfig,
    /// The link to the host.
    pub pcie: PcieConfig,
    /// Descriptor rings.
    pub ring: RingConfig,
    /// The control processor.
    pub firmware: FirmwareConfig,
}

/// A configuration that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not TOML, or has a key that does not exist, or a value of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// A value lies outside its range.
    #[error("{key} = {value} is out of range: allowed is {allowed}")]
    OutOfRange {
        /// Dotted key.
        key: &'static str,
        /// The value found.
        value: String,
        /// The allowed values, for people.
        allowed: String,
    },
    /// Two choices of the table would be the same.
    #[error(
        "table.hash_{choice} = \"{function}\" is the function of an earlier choice: whatever the seeds, keys that collide in one \
         collide in both; take another function"
    )]
    SameHash {
        /// Number of the choice, from 1.
        choice: usize,
        /// The function.
        function: &'static str,
    },
    /// A rule of the classifier makes no sense.
    #[error("classifier.rule number {number}: {what}")]
    Rule {
        /// Number of the rule, from 1.
        number: usize,
        /// What is wrong with it.
        what: String,
    },
    /// There is no preset of this name.
    #[error("there is no NIC preset \"{name}\"; there are: {known}")]
    UnknownPreset {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// Names and texts of the presets, in the order in which they are listed.
pub const PRESETS: &[(&str, &str)] = &[
    ("fpga-100g", include_str!("presets/fpga-100g.toml")),
    ("fpga-small", include_str!("presets/fpga-small.toml")),
    ("fpga-dram", include_str!("presets/fpga-dram.toml")),
    ("asic-host", include_str!("presets/asic-host.toml")),
    ("many-core", include_str!("presets/many-core.toml")),
    ("cam-switch", include_str!("presets/cam-switch.toml")),
    ("dash-200g", include_str!("presets/dash-200g.toml")),
];

impl NicConfig {
    /// The preset used when none is named.
    pub const DEFAULT_PRESET: &'static str = "fpga-100g";

    /// The text of a preset.
    pub fn preset_text(name: &str) -> Result<&'static str, ConfigError> {
        PRESETS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| *text)
            .ok_or_else(|| ConfigError::UnknownPreset {
                name: name.to_owned(),
                known: PRESETS
                    .iter()
                    .map(|(name, _)| *name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// A preset, validated.
    pub fn preset(name: &str) -> Result<Self, ConfigError> {
        Self::from_toml(Self::preset_text(name)?)
    }

    /// Reads and validates a TOML document. Keys left out take their defaults; unknown keys are refused.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|error| ConfigError::Syntax(error.to_string().trim_end().to_owned()))?;
        config.validate()?;
        Ok(config)
    }

    /// Every parameter with its value, section by section.
    pub fn fields(&self) -> Vec<Field> {
        [
            self.port.fields(),
            self.pipeline.fields(),
            self.tunnel.fields(),
            self.key.fields(),
            self.table.fields(),
            self.memory.fields(),
            self.trap.fields(),
            self.window.fields(),
            self.meter.fields(),
            self.counter.fields(),
            self.aging.fields(),
            self.pcie.fields(),
            self.ring.fields(),
            self.firmware.fields(),
        ]
        .concat()
    }

    /// Checks every value against its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fields = self.fields();
        let wrong = fields
            .into_iter()
            .find(|field| !field.allowed.admits(&field.value));
        if let Some(field) = wrong {
            return Err(ConfigError::OutOfRange {
                key: field.key,
                value: field.value.to_string(),
                allowed: field.allowed.to_string(),
            });
        }
        self.port.check()?;
        self.key.check()?;
        self.window.check(&self.key)?;
        self.memory.check()?;
        self.classifier.check(&self.table)?;
        self.aging.check()?;
        self.table.check()
    }

    /// The pipeline's clock.
    pub fn pipeline_clock(&self) -> ClockDomain {
        ClockDomain::from_khz(self.pipeline.clock_khz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_carries_its_own_name() {
        for (name, _) in PRESETS {
            let config = NicConfig::preset(name).expect(name);
            assert_eq!(&config.name, name);
            assert!(!config.description.is_empty());
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = NicConfig::from_toml("[table]\nbuckest = 8\n").unwrap_err();
        assert!(error.to_string().contains("buckest"), "{error}");
    }

    #[test]
    fn an_impossible_value_names_key_value_and_range() {
        let error = NicConfig::from_toml("[table]\nbuckets = 1000\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "table.buckets = 1000 is out of range: allowed is 2 times a power of two, because there are 2 choices"
        );
    }

    #[test]
    fn memory_that_no_host_has_is_refused() {
        for text in [
            "[memory]\ncache_sets = 262144\ncache_ways = 4096\n",
            "[table]\nbuckets = 67108864\nslots_per_bucket = 16\n",
        ] {
            let error = NicConfig::from_toml(text).unwrap_err().to_string();
            assert!(error.contains("together"), "{error}");
        }
    }

    #[test]
    fn two_choices_with_one_polynomial_are_refused() {
        let error = NicConfig::from_toml("[table]\nhash_2 = \"crc32c\"\n").unwrap_err();
        assert!(error.to_string().contains("table.hash_2"), "{error}");
    }

    #[test]
    fn an_unknown_preset_lists_those_there_are() {
        let error = NicConfig::preset("cx9").unwrap_err();
        assert!(error.to_string().contains("fpga-100g"), "{error}");
    }
}
