//! What happens when the connections in use outgrow what a card keeps on the chip, against a measurement of one.

use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::{below, stream};
use nic_model::clock::Picos;
use nic_model::config::{MemoryConfig, MemoryKind, NicConfig, Replacement};
use nic_model::flow_table::entry::{EntryAction, EntryState, FlowKey};
use nic_model::flow_table::{FlowTable, Slot};
use nic_model::host::pcie::PcieLink;
use nic_model::memory::TableMemory;

pub(super) const NAME: &str = "context-cache";

/// Tunnels in use, throughput in Gb/s, whether it gave a parameter.
const PUBLISHED: [(u32, f64, bool); 4] = [
    (1_000, 184.3, true),
    (1_100, 153.8, false),
    (1_300, 110.4, true),
    (1_600, 80.4, false),
];
/// Throughput while everything is on the chip, Gb/s.
const ON_CHIP_GBPS: f64 = 184.3;
/// Time of a look-up that the chip answers: 184.3 Gb/s of packets of 626 bytes.
const HIT_NS: u32 = 27;
/// What a look-up that it cannot answer holds the others up: from the measurement at 1,300 tunnels.
const MISS_PS: u32 = 85_100;

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let lookups = effort.pick(400_000, 40_000);
    let throughput = |contexts| {
        let mean = mean_ns(&card(), contexts, lookups, effort.seed);
        ON_CHIP_GBPS * f64::from(HIT_NS) / mean
    };
    let rows = PUBLISHED.map(|(contexts, published, parameter)| {
        let of = if parameter { "parameter" } else { "predicted" };
        let what = format!("{contexts} in use, Gb/s ({of})");
        Row::new(what, published, throughput(contexts), Bound::Relative(0.1))
    });
    let points = PUBLISHED.map(|(contexts, published, _)| (f64::from(contexts), published));
    let curve = (18..=34).map(|fifty| (f64::from(fifty * 50), throughput(fifty * 50)));
    Chapter {
        name: NAME,
        title: "A card falls off its cliff as a cache does that is too small",
        about: "Connections used evenly, their entries behind a cache of 1,024 on the chip, look-ups one after the other. Expected: \
                ConnectX-7 with tc flower and IPsec, two ports, six-bucket IMIX (fastswan.org/Nvidia-ConnectX-7-Benchmark). The size is \
                the power of two that the first loss suggests; what a miss costs comes from one point, the others are predicted. It is \
                an effective cost: how the card overlaps its misses is not public. Not claimed: the root table of ConnectX-5 (PAM 2021), \
                whose fall by a factor of sixty between 56,000 and 57,000 rules no cache makes; whatever firmware does there is missing.",
        rows: rows.to_vec(),
        chart: Chart {
            title: "Throughput by connections in use".to_owned(),
            x: "connections used evenly".to_owned(),
            y: "Gb/s".to_owned(),
            log_x: false,
            log_y: false,
            series: vec![
                Series::points("ConnectX-7, published", points.to_vec()),
                Series::line("model", curve.collect()),
            ],
        },
    }
}

/// A card whose table lies behind a small cache, and which waits for every miss.
fn card() -> NicConfig {
    let mut card = NicConfig {
        memory: MemoryConfig {
            kind: MemoryKind::Dram,
            tags_on_chip: true,
            outstanding: 1,
            line_bytes: 128,
            cache_sets: 4,
            cache_ways: 256,
            cache_replacement: Replacement::Lru,
            row_hit_ps: MISS_PS,
            row_closed_ps: MISS_PS,
            row_miss_ps: MISS_PS,
            ..MemoryConfig::default()
        },
        ..NicConfig::default()
    };
    card.pipeline.clock_khz = 1_000_000;
    card.memory.cache_cycles = HIT_NS - card.pipeline.table_read_cycles;
    card
}

/// Mean time from one look-up to the next, ns.
fn mean_ns(card: &NicConfig, contexts: u32, lookups: u32, seed: u64) -> f64 {
    let mut table = FlowTable::new(&card.table);
    let mut memory = TableMemory::new(card, table.shape());
    let mut link = PcieLink::new(&card.pcie);
    let keys: Vec<(FlowKey, Option<Slot>)> = (0..u64::from(contexts))
        .map(|n| {
            let key = FlowKey([
                n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                n,
                0,
                0,
                6 << 32 | 4 << 40,
                0,
            ]);
            let state = EntryState::new(EntryAction::default(), Picos::ZERO);
            (
                key,
                table.insert(key, state).ok().map(|inserted| inserted.slot),
            )
        })
        .collect();
    let mut rng = stream(seed, 9);
    let mut pass = |count: u32| {
        for _ in 0..count {
            let (key, slot) = keys[below(&mut rng, contexts) as usize];
            let start = memory.room_at();
            memory.look_up(start, &table, table.hash(&key), slot, &mut link);
        }
        memory.room_at()
    };
    // Long enough for everything to have been asked for.
    let warm = pass(20 * contexts);
    let end = pass(lookups);
    (end - warm).0 as f64 / 1e3 / f64::from(lookups)
}
