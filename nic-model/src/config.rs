//! Every parameter of the card: its unit in its name, its default here, its allowed range in [`NicConfig::validate`].
//!
//! A configuration is a TOML document; unknown keys are refused. Presets are such documents, in
//! `presets/*.toml` beside this file. Values without a source in a preset are assumptions of the
//! textbook design and say so there.

use crate::clock::ClockDomain;
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
    /// The flow table.
    pub table: TableConfig,
    /// Which packets of an installed flow go to the host all the same.
    pub trap: TrapConfig,
    /// The aging engine.
    pub aging: AgingConfig,
    /// The link to the host.
    pub pcie: PcieConfig,
    /// Descriptor rings.
    pub ring: RingConfig,
    /// The control processor.
    pub firmware: FirmwareConfig,
}

/// Ethernet ports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PortConfig {
    /// Line rate of each of the two ports, gigabits per second.
    pub rate_gbps: u32,
    /// Largest IP packet a port sends, bytes.
    pub mtu_bytes: u32,
    /// Receive FIFO of each port, bytes.
    pub receive_fifo_bytes: u32,
    /// Frames that may wait for a port to send them, bytes.
    pub transmit_fifo_bytes: u32,
    /// Whether a frame must be in whole before its first bit leaves (needed to check the FCS first).
    pub store_and_forward: bool,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            rate_gbps: 100,
            mtu_bytes: 1_500,
            receive_fifo_bytes: 256 * 1_024,
            transmit_fifo_bytes: 1_024 * 1_024,
            store_and_forward: true,
        }
    }
}

/// The packet pipeline: one clock, one packet per initiation interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineConfig {
    /// Clock, kilohertz.
    pub clock_khz: u64,
    /// Width of the data bus, bytes per cycle.
    pub bus_bytes: u32,
    /// Bytes of a frame the parser may look at; headers beyond are "too deep".
    pub header_budget_bytes: u32,
    /// Parser latency, cycles.
    pub parser_latency_cycles: u32,
    /// Key extraction and hashing latency, cycles.
    pub hash_latency_cycles: u32,
    /// One read of the table's SRAM, cycles. All choices are read in parallel, from banks of their own.
    pub table_read_cycles: u32,
    /// Key comparison and selection, cycles.
    pub compare_cycles: u32,
    /// Trap decision, cycles.
    pub trap_latency_cycles: u32,
    /// Header rewrite, cycles.
    pub rewrite_latency_cycles: u32,
    /// Counter read-modify-write, cycles (hidden behind forwarding, but it keeps the counter stage busy).
    pub counter_interval_cycles: u32,
    /// Packet buffer for frames on their way to the host, frames.
    pub host_buffer_frames: u32,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            clock_khz: 322_266,
            bus_bytes: 64,
            header_budget_bytes: 128,
            parser_latency_cycles: 8,
            hash_latency_cycles: 3,
            table_read_cycles: 3,
            compare_cycles: 2,
            trap_latency_cycles: 1,
            rewrite_latency_cycles: 4,
            counter_interval_cycles: 1,
            host_buffer_frames: 2_048,
        }
    }
}

/// The flow table: cuckoo, two choices, with a stash CAM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableConfig {
    /// Buckets, a power of two. Both choices index the same array.
    pub buckets: u32,
    /// Slots in a bucket.
    pub slots_per_bucket: u32,
    /// Entries of the stash CAM.
    pub stash_entries: u32,
    /// Buckets an insertion may visit in its search for a free slot.
    pub search_limit_buckets: u32,
    /// Start value of the first hash (CRC-32C).
    pub hash_seed_1: u32,
    /// Start value of the second hash (CRC-32).
    pub hash_seed_2: u32,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self {
            buckets: 32_768,
            slots_per_bucket: 4,
            stash_entries: 16,
            search_limit_buckets: 256,
            hash_seed_1: 0x5bd1_e995,
            hash_seed_2: 0x9747_b28c,
        }
    }
}

/// Which packets of an installed flow go to the host all the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrapConfig {
    /// TCP packets with SYN.
    pub tcp_syn: bool,
    /// TCP packets with FIN.
    pub tcp_fin: bool,
    /// TCP packets with RST.
    pub tcp_rst: bool,
    /// IPv4 packets with options, IPv6 packets with extension headers.
    pub ip_options: bool,
    /// Packets with TTL or hop limit 1 or 0.
    pub ttl: bool,
    /// Packets longer than the MTU of the port they would leave by.
    pub mtu: bool,
    /// After a FIN or RST, also every later packet of the flow, so that the host sees the close in whole.
    pub close_latch: bool,
}

impl Default for TrapConfig {
    fn default() -> Self {
        Self {
            tcp_syn: true,
            tcp_fin: true,
            tcp_rst: true,
            ip_options: true,
            ttl: true,
            mtu: true,
            close_latch: true,
        }
    }
}

/// The aging engine: scans the table block by block and reports idle entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgingConfig {
    /// Idle time after which a TCP entry is reported, milliseconds (Linux: `nf_flowtable_tcp_timeout`, 30 s).
    pub tcp_timeout_ms: u32,
    /// The same for UDP (`nf_flowtable_udp_timeout`, 30 s).
    pub udp_timeout_ms: u32,
    /// Time for one pass over the whole table, milliseconds.
    pub scan_period_ms: u32,
    /// Entries examined in one step.
    pub entries_per_step: u32,
}

impl Default for AgingConfig {
    fn default() -> Self {
        Self {
            tcp_timeout_ms: 30_000,
            udp_timeout_ms: 30_000,
            scan_period_ms: 1_000,
            entries_per_step: 1_024,
        }
    }
}

/// The link to the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PcieConfig {
    /// Generation, 1 to 6: 2.5, 5, 8, 16, 32 or 64 GT/s per lane.
    pub generation: u32,
    /// Lanes.
    pub lanes: u32,
    /// Largest payload of a write or completion TLP, bytes.
    pub max_payload_bytes: u32,
    /// Largest read request, bytes.
    pub max_read_request_bytes: u32,
    /// From a read request leaving the card to its first data arriving, nanoseconds.
    pub read_latency_ns: u32,
    /// From a posted write leaving the card to its data being visible to the host, nanoseconds.
    pub write_latency_ns: u32,
    /// From a host register write to the card seeing it, nanoseconds.
    pub doorbell_latency_ns: u32,
    /// From the card raising an interrupt to the host's handler running, nanoseconds.
    pub interrupt_latency_ns: u32,
    /// Shortest time between two interrupts, nanoseconds.
    pub interrupt_moderation_ns: u32,
}

impl Default for PcieConfig {
    fn default() -> Self {
        Self {
            generation: 3,
            lanes: 16,
            max_payload_bytes: 256,
            max_read_request_bytes: 512,
            read_latency_ns: 550,
            write_latency_ns: 250,
            doorbell_latency_ns: 200,
            interrupt_latency_ns: 2_000,
            interrupt_moderation_ns: 8_000,
        }
    }
}

/// Descriptor rings, entries each; powers of two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RingConfig {
    /// Receive buffers and receive completions.
    pub receive_entries: u32,
    /// Transmit descriptors.
    pub transmit_entries: u32,
    /// Commands and their completions.
    pub command_entries: u32,
    /// Aging reports.
    pub event_entries: u32,
    /// Counter records.
    pub counter_entries: u32,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            receive_entries: 2_048,
            transmit_entries: 2_048,
            command_entries: 512,
            event_entries: 1_024,
            counter_entries: 4_096,
        }
    }
}

/// The control processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FirmwareConfig {
    /// Clock, kilohertz.
    pub clock_khz: u64,
    /// Commands fetched in one DMA read.
    pub fetch_batch: u32,
    /// Decoding one command, cycles.
    pub decode_cycles: u32,
    /// Writing one entry, cycles.
    pub insert_cycles: u32,
    /// Visiting one bucket in the search for a free slot, cycles.
    pub search_cycles: u32,
    /// Moving one entry to its other bucket, cycles.
    pub move_cycles: u32,
    /// Removing one entry and reading its counters, cycles.
    pub delete_cycles: u32,
    /// Reading the counters of one entry, cycles.
    pub counter_read_cycles: u32,
    /// Handling one aging report, cycles.
    pub aging_report_cycles: u32,
    /// Time between two passes of the counter service, milliseconds.
    pub counter_interval_ms: u32,
}

impl Default for FirmwareConfig {
    fn default() -> Self {
        Self {
            clock_khz: 800_000,
            fetch_batch: 16,
            decode_cycles: 120,
            insert_cycles: 200,
            search_cycles: 24,
            move_cycles: 80,
            delete_cycles: 160,
            counter_read_cycles: 16,
            aging_report_cycles: 60,
            counter_interval_ms: 500,
        }
    }
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
        value: u64,
        /// The allowed values, for people.
        allowed: String,
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

    /// Checks every value against its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_datapath()?;
        self.validate_host_side()
    }

    fn validate_datapath(&self) -> Result<(), ConfigError> {
        one_of(
            "port.rate_gbps",
            self.port.rate_gbps,
            &[1, 10, 25, 40, 50, 100, 200, 400, 800],
        )?;
        range("port.mtu_bytes", self.port.mtu_bytes, 68, 65_535)?;
        range(
            "port.receive_fifo_bytes",
            self.port.receive_fifo_bytes,
            2_048,
            1 << 28,
        )?;
        range(
            "port.transmit_fifo_bytes",
            self.port.transmit_fifo_bytes,
            2_048,
            1 << 28,
        )?;
        let p = &self.pipeline;
        range("pipeline.clock_khz", p.clock_khz, 1_000, 10_000_000)?;
        range("pipeline.bus_bytes", p.bus_bytes, 1, 1_024)?;
        range(
            "pipeline.header_budget_bytes",
            p.header_budget_bytes,
            64,
            1_024,
        )?;
        range(
            "pipeline.parser_latency_cycles",
            p.parser_latency_cycles,
            1,
            10_000,
        )?;
        range(
            "pipeline.hash_latency_cycles",
            p.hash_latency_cycles,
            1,
            10_000,
        )?;
        range("pipeline.table_read_cycles", p.table_read_cycles, 1, 10_000)?;
        range("pipeline.compare_cycles", p.compare_cycles, 1, 10_000)?;
        range(
            "pipeline.trap_latency_cycles",
            p.trap_latency_cycles,
            1,
            10_000,
        )?;
        range(
            "pipeline.rewrite_latency_cycles",
            p.rewrite_latency_cycles,
            1,
            10_000,
        )?;
        range(
            "pipeline.counter_interval_cycles",
            p.counter_interval_cycles,
            1,
            10_000,
        )?;
        range(
            "pipeline.host_buffer_frames",
            p.host_buffer_frames,
            1,
            1 << 16,
        )?;
        let t = &self.table;
        power_of_two("table.buckets", t.buckets, 2, 1 << 26)?;
        range("table.slots_per_bucket", t.slots_per_bucket, 1, 16)?;
        range("table.stash_entries", t.stash_entries, 0, 1_024)?;
        range(
            "table.search_limit_buckets",
            t.search_limit_buckets,
            2,
            1 << 20,
        )?;
        let a = &self.aging;
        range("aging.tcp_timeout_ms", a.tcp_timeout_ms, 10, 7 * 86_400_000)?;
        range("aging.udp_timeout_ms", a.udp_timeout_ms, 10, 7 * 86_400_000)?;
        range("aging.scan_period_ms", a.scan_period_ms, 1, 600_000)?;
        range("aging.entries_per_step", a.entries_per_step, 1, 1 << 20)
    }

    fn validate_host_side(&self) -> Result<(), ConfigError> {
        let p = &self.pcie;
        range("pcie.generation", p.generation, 1, 6)?;
        one_of("pcie.lanes", p.lanes, &[1, 2, 4, 8, 16])?;
        power_of_two("pcie.max_payload_bytes", p.max_payload_bytes, 128, 4_096)?;
        power_of_two(
            "pcie.max_read_request_bytes",
            p.max_read_request_bytes,
            128,
            4_096,
        )?;
        range("pcie.read_latency_ns", p.read_latency_ns, 1, 10_000_000)?;
        range("pcie.write_latency_ns", p.write_latency_ns, 1, 10_000_000)?;
        range(
            "pcie.doorbell_latency_ns",
            p.doorbell_latency_ns,
            1,
            10_000_000,
        )?;
        range(
            "pcie.interrupt_latency_ns",
            p.interrupt_latency_ns,
            1,
            10_000_000,
        )?;
        range(
            "pcie.interrupt_moderation_ns",
            p.interrupt_moderation_ns,
            0,
            1_000_000_000,
        )?;
        let r = &self.ring;
        power_of_two("ring.receive_entries", r.receive_entries, 64, 1 << 15)?;
        power_of_two("ring.transmit_entries", r.transmit_entries, 64, 1 << 15)?;
        power_of_two("ring.command_entries", r.command_entries, 16, 1 << 15)?;
        power_of_two("ring.event_entries", r.event_entries, 16, 1 << 15)?;
        power_of_two("ring.counter_entries", r.counter_entries, 64, 1 << 15)?;
        let f = &self.firmware;
        range("firmware.clock_khz", f.clock_khz, 1_000, 10_000_000)?;
        range("firmware.fetch_batch", f.fetch_batch, 1, 64)?;
        for (key, value) in [
            ("firmware.decode_cycles", f.decode_cycles),
            ("firmware.insert_cycles", f.insert_cycles),
            ("firmware.search_cycles", f.search_cycles),
            ("firmware.move_cycles", f.move_cycles),
            ("firmware.delete_cycles", f.delete_cycles),
            ("firmware.counter_read_cycles", f.counter_read_cycles),
            ("firmware.aging_report_cycles", f.aging_report_cycles),
        ] {
            range(key, value, 1, 100_000_000)?;
        }
        range(
            "firmware.counter_interval_ms",
            f.counter_interval_ms,
            1,
            600_000,
        )
    }

    /// The pipeline's clock.
    pub fn pipeline_clock(&self) -> ClockDomain {
        ClockDomain::from_khz(self.pipeline.clock_khz)
    }
}

fn range<T: Into<u64>>(
    key: &'static str,
    value: T,
    low: u64,
    high: u64,
) -> Result<(), ConfigError> {
    let value = value.into();
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange {
        key,
        value,
        allowed: format!("{low} to {high}"),
    })
}

fn power_of_two(key: &'static str, value: u32, low: u64, high: u64) -> Result<(), ConfigError> {
    if value.is_power_of_two() && (low..=high).contains(&u64::from(value)) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange {
        key,
        value: value.into(),
        allowed: format!("a power of two from {low} to {high}"),
    })
}

fn one_of(key: &'static str, value: u32, allowed: &[u32]) -> Result<(), ConfigError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange {
        key,
        value: value.into(),
        allowed: format!("one of {allowed:?}"),
    })
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
            "table.buckets = 1000 is out of range: allowed is a power of two from 2 to 67108864"
        );
    }

    #[test]
    fn an_unknown_preset_lists_those_there_are() {
        let error = NicConfig::preset("cx9").unwrap_err();
        assert!(error.to_string().contains("fpga-100g"), "{error}");
    }
}
