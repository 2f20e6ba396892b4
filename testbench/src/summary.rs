//! What a run found, as plain data: the printed summary, `summary.json`, the plots and the report all
//! read this and nothing else, so that they cannot disagree.
//!
//! Every list is in a fixed order (by declaration or by time), every number comes from simulated time:
//! the same run gives the same bytes.

use nic_model::flow_table::cam::CamActivity;
use serde::Serialize;

/// Everything a run found.
#[derive(Debug, Clone, Serialize, Default)]
pub struct RunSummary {
    /// What ran, on what.
    pub run: RunInfo,
    /// Packets and bytes by what became of them.
    pub packets: PacketTotals,
    /// Why packets went to the host, most packets first.
    pub to_host: Vec<ReasonCount>,
    /// Why packets were dropped, most packets first.
    pub dropped: Vec<ReasonCount>,
    /// Time through the board for packets the hardware forwarded (first bit in to first bit out).
    pub hardware_latency: Distribution,
    /// The same for packets that went over the host.
    pub host_latency: Distribution,
    /// Connections in software and in hardware.
    pub connections: ConnectionTotals,
    /// The flow table.
    pub table: TableTotals,
    /// From the driver's decision to the completion that says the entry is in the table.
    pub insertion_latency: Distribution,
    /// From a connection's FIN or RST in software to the end of its removal from hardware.
    pub close_to_removal: Distribution,
    /// From the last packet that the hardware forwarded to the end of the removal, of connections that were idle.
    pub idle_to_removal: Distribution,
    /// Hardware counters brought back into the software entries.
    pub counters: CounterTotals,
    /// How busy those were who moved them.
    pub work: WorkTotals,
    /// The card's firmware, and what it has written down.
    pub card: CardTotals,
    /// Verdicts of the invariant monitors, in the order of the architecture's list.
    pub monitors: Vec<MonitorVerdict>,
    /// What happened to packets over time, in equal bins.
    pub over_time: Vec<TimeBin>,
    /// Table occupancy over time.
    pub occupancy: Vec<OccupancyPoint>,
    /// The waveform, if one was written.
    pub wave: Option<WaveInfo>,
}

/// What ran, on what.
#[derive(Debug, Clone, Serialize, Default)]
pub struct RunInfo {
    /// Name of the scenario, or the capture's file name.
    pub name: String,
    /// One sentence on where the traffic comes from.
    pub source: String,
    /// NIC preset or configuration file.
    pub nic: String,
    /// Whose habits the driver has.
    pub profile: String,
    /// Offload policy.
    pub policy: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Simulated time from the first frame to the end of the run, in seconds.
    pub simulated_seconds: f64,
    /// Set when the input ended before its end: what was wrong, and where.
    pub cut_short: Option<String>,
    /// Anything else a reader must know to read the numbers right.
    pub notes: Vec<String>,
}

/// Packets and bytes by what became of them. Bytes are frame lengths on the wire without FCS.
#[derive(Debug, Clone, Serialize, Default)]
pub struct PacketTotals {
    /// Frames that reached a port.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Forwarded by the hardware without the host.
    pub hardware: u64,
    /// Their bytes.
    pub hardware_bytes: u64,
    /// Given to the host.
    pub host: u64,
    /// Their bytes.
    pub host_bytes: u64,
    /// Forwarded by the host.
    pub host_forwarded: u64,
    /// Frames that the host made and sent beside those: messages to senders, fragments.
    pub host_made: u64,
    /// Consumed by the host without being forwarded as they came (fragments held for reassembly).
    pub host_consumed: u64,
    /// Dropped, in hardware or by the host.
    pub dropped: u64,
    /// hardware / received, 0..=1.
    pub hit_rate_packets: f64,
    /// hardware_bytes / received_bytes, 0..=1.
    pub hit_rate_bytes: f64,
}

/// One cause and how often it was met.
#[derive(Debug, Clone, Serialize, Default)]
pub struct ReasonCount {
    /// Short name as in `ctnic trace` and in the waveform: `miss`, `tcp-syn`, `fragment`...
    pub reason: String,
    /// One phrase for people.
    pub meaning: String,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A distribution of times.
#[derive(Debug, Clone, Serialize, Default)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// Smallest, in nanoseconds.
    pub min_ns: f64,
    /// Median.
    pub p50_ns: f64,
    /// 90th percentile.
    pub p90_ns: f64,
    /// 99th percentile.
    pub p99_ns: f64,
    /// 99.9th percentile.
    pub p999_ns: f64,
    /// Largest.
    pub max_ns: f64,
    /// Arithmetic mean.
    pub mean_ns: f64,
    /// The distribution function: (nanoseconds, share of values at most that), rising in both.
    pub cdf: Vec<(f64, f64)>,
}

/// Connections in software and in hardware.
#[derive(Debug, Clone, Serialize, Default)]
pub struct ConnectionTotals {
    /// Connections the tracker made.
    pub seen: u64,
    /// Times a connection was put into hardware.
    pub offloaded: u64,
    /// Times a connection was taken out of hardware, by cause.
    pub un_offloaded: Vec<CauseCount>,
    /// Entries that were given another mark or other labels.
    pub marks_sent: u64,
    /// Refused insertions, by cause (table full...).
    pub refused: Vec<CauseCount>,
    /// In the software table at the end.
    pub live_at_end: u64,
    /// Of these, in hardware.
    pub in_hardware_at_end: u64,
    /// Most connections in the software table at once.
    pub peak_live: u64,
    /// Why those that are live at the end are where they are, by the driver's reason codes.
    pub reasons: Vec<WhyCount>,
    /// How often the driver decided that a connection stays in software for now, likewise.
    pub waits: Vec<WhyCount>,
}

/// A reason of the driver's, and how many connections or decisions it was that of.
#[derive(Debug, Clone, Serialize, Default)]
pub struct WhyCount {
    /// Short name: `installed`, `not-assured`, `table-full`...
    pub why: String,
    /// One phrase for people.
    pub meaning: String,
    /// How many.
    pub count: u64,
}

/// One cause and how often it was met.
#[derive(Debug, Clone, Serialize, Default)]
pub struct CauseCount {
    /// Short name: `tcp-fin`, `tcp-rst`, `aged`...
    pub cause: String,
    /// How often.
    pub count: u64,
}

/// The flow table.
#[derive(Debug, Clone, Serialize, Default)]
pub struct TableTotals {
    /// `cuckoo 2x4, 65536 buckets, stash 16`, for people.
    pub organisation: String,
    /// Slots in the main table and the stash.
    pub capacity: u64,
    /// Slots in the stash alone.
    pub stash_capacity: u64,
    /// Entries at the end.
    pub occupied_at_end: u64,
    /// Most entries at once.
    pub peak_occupied: u64,
    /// Most entries in the stash at once.
    pub peak_stash: u64,
    /// Insertions that found a place.
    pub inserted: u64,
    /// Insertions that did not.
    pub insert_failed: u64,
    /// Entries moved to make room.
    pub moves: u64,
    /// Entries removed.
    pub removed: u64,
    /// Entries that gave way to others.
    pub evicted: u64,
    /// Lines of memory read, if the table is not on the chip.
    pub memory_reads: u64,
    /// Those of them that the cache answered.
    pub memory_cache_hits: u64,
    /// Lines of memory written.
    pub memory_writes: u64,
    /// What searches of the stash, or of the CAM that is the table, cost.
    pub cam: CamActivity,
    /// Copies that rules of the classifier sent.
    pub mirrored: u64,
    /// Copies there was no room for at their port.
    pub mirror_dropped: u64,
    /// How often ports told their neighbours to stop.
    pub pauses: u64,
    /// Frames that were being sent on already when their FCS turned out to be wrong.
    pub stomped: u64,
    /// What searches of the classifier's TCAM cost.
    pub classifier: CamActivity,
}

/// Hardware counters brought back into the software entries.
#[derive(Debug, Clone, Serialize, Default)]
pub struct CounterTotals {
    /// Packets the hardware counted.
    pub hardware_packets: u64,
    /// Bytes the hardware counted (IP length, as conntrack counts).
    pub hardware_bytes: u64,
    /// Packets added to software entries from hardware counters.
    pub synchronised_packets: u64,
    /// Bytes added to software entries from hardware counters.
    pub synchronised_bytes: u64,
    /// Counter records read.
    pub records: u64,
    /// Commands that asked for the counters of one entry.
    pub asked: u64,
    /// Most counters at rest at once, where they are things of their own (`[driver] profile`).
    pub peak_resting: u32,
    /// Longest time between a packet and the reading of the counter that counted it, nanoseconds.
    pub peak_lag_ns: u64,
    /// Whether both sides are equal at the end.
    pub reconciled: bool,
}

/// The card's firmware, and what it has written into its error log.
#[derive(Debug, Clone, Serialize, Default)]
pub struct CardTotals {
    /// Version that runs at the end.
    pub firmware: String,
    /// What came of the last update, if there was one.
    pub update: Option<String>,
    /// The error log, as far as the driver has read it.
    pub log: Vec<CardLogEntry>,
}

/// An entry of the card's error log.
#[derive(Debug, Clone, Serialize, Default)]
pub struct CardLogEntry {
    /// When, milliseconds from the beginning of the run.
    pub at_ms: f64,
    /// What happened.
    pub what: String,
}

/// How busy the processors and the link between them were, from the beginning until everything had settled.
#[derive(Debug, Clone, Serialize, Default)]
pub struct WorkTotals {
    /// Share of the time in which the card's control processor worked, 0..=1.
    pub firmware: f64,
    /// Share of the time in which the host's core worked, 0..=1.
    pub host: f64,
    /// Bytes over PCIe to the host, headers of its packets included.
    pub to_host_bytes: u64,
    /// Bytes over PCIe from the host, likewise.
    pub from_host_bytes: u64,
    /// Interrupts.
    pub interrupts: u64,
}

/// What one invariant monitor says.
#[derive(Debug, Clone, Serialize, Default)]
pub struct MonitorVerdict {
    /// Number in the architecture's list of invariants.
    pub number: u32,
    /// Short name: `packet conservation`...
    pub name: String,
    /// The invariant in one sentence.
    pub invariant: String,
    /// How many times it was checked.
    pub checks: u64,
    /// How many times it did not hold.
    pub violations: u64,
    /// The first violations, each with connection, time and packet.
    pub first: Vec<String>,
    /// What was counted on the way and is no violation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<CauseCount>,
}

impl MonitorVerdict {
    /// Whether the invariant held through the run.
    pub fn held(&self) -> bool {
        self.violations == 0
    }
}

/// What happened to packets in one span of time.
#[derive(Debug, Clone, Serialize, Default)]
pub struct TimeBin {
    /// Start of the bin, seconds since the first frame.
    pub start_seconds: f64,
    /// Length of the bin in seconds.
    pub length_seconds: f64,
    /// Forwarded by the hardware.
    pub hits: u64,
    /// Missed the table.
    pub misses: u64,
    /// Given to the host for another reason, by reason name; the same names in the same order in every bin.
    pub traps: Vec<(String, u64)>,
}

/// Table occupancy at one time.
#[derive(Debug, Clone, Serialize, Default)]
pub struct OccupancyPoint {
    /// Seconds since the first frame.
    pub seconds: f64,
    /// Entries in the main table and the stash.
    pub entries: u64,
    /// Entries in the stash.
    pub stash: u64,
}

/// The waveform that was written.
#[derive(Debug, Clone, Serialize, Default)]
pub struct WaveInfo {
    /// File name, relative to the output directory where it lies in it.
    pub file: String,
    /// Value changes recorded.
    pub changes: u64,
    /// Start and end of the recorded window, seconds.
    pub window_seconds: (f64, f64),
    /// Set when the window ends before the run does: why.
    pub limited: Option<String>,
}
