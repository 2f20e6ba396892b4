//! How fast entries are changed, by how many there are, against a measurement.

use super::poster::{Poster, command, numbered_key};
use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::{below, stream};
use nic_model::config::{Entries, MemoryConfig, MemoryKind, NicConfig, Replacement};
use nic_model::host::descriptors::Opcode;
use rand_chacha::ChaCha8Rng;

pub(super) const NAME: &str = "updates";

/// Thousand rules resident, thousand updates a second in place, by deletion and insertion: ConnectX-5, table 1, IPv4.
const PUBLISHED: [(u32, f64, f64); 8] = [
    (100, 620.0, 355.0),
    (400, 620.0, 348.0),
    (600, 618.0, 340.0),
    (800, 535.0, 315.0),
    (1_000, 455.0, 283.0),
    (2_000, 342.0, 230.0),
    (3_000, 332.0, 222.0),
    (4_000, 320.0, 216.0),
];
/// The parameters: what an update in place and a replacement cost while everything is near, at 100,000 rules; how much is near and
/// what it costs to reach further, from updates in place at 1 and 4 million.
const UPDATE_NS: u32 = 1_613;
const REPLACE_NS: u32 = 2_817;
const NEAR_SETS: u32 = 8_192;
const NEAR_WAYS: u32 = 83;
const FAR_NS: u32 = 1_821;
const PARAMETERS: [(u32, bool); 4] = [(100, true), (1_000, true), (4_000, true), (100, false)];

pub(super) fn chapter(effort: &Effort) -> Chapter {
    // Both the rules and what is near, so many times fewer: the curve stays the same.
    let scale = effort.pick(16, 256);
    let in_place = measure(scale, effort, true);
    let replaced = measure(scale, effort, false);
    let mut rows = Vec::new();
    for (at, (thousands, update, replace)) in PUBLISHED.iter().enumerate() {
        for (what, published, measured, is_update) in [
            ("in place", update, in_place[at], true),
            ("deletion and insertion", replace, replaced[at], false),
        ] {
            let parameter = PARAMETERS.contains(&(*thousands, is_update));
            let of = if parameter { "parameter" } else { "predicted" };
            let what = format!("{thousands} thousand rules, {what}, thousand/s ({of})");
            rows.push(Row::new(what, *published, measured, Bound::Relative(0.1)));
        }
    }
    let points = |of: fn(&(u32, f64, f64)) -> f64| {
        let points = PUBLISHED
            .iter()
            .map(|point| (f64::from(point.0), of(point)));
        points.collect::<Vec<_>>()
    };
    let curve = |rates: &[f64]| {
        let points = PUBLISHED.iter().zip(rates);
        points
            .map(|(point, rate)| (f64::from(point.0), *rate))
            .collect()
    };
    Chapter {
        name: NAME,
        title: "Updates slow down as the rules outgrow what is near",
        about: "Rules drawn evenly and changed one after the other, in place or by deletion and insertion, the command ring always full. \
                Expected: ConnectX-5, table 1, one core (Katsikas and others, PAM 2021, figure read by eye). A working set of 680,000 rules \
                and the price of what lies beyond come from three points of the updates in place, the price of a replacement from one; the \
                others are predicted. The time is that of the whole way, and the paper does not say which side waits: here it is the control \
                processor, for its memory. Not claimed: the dip of both series at 200,000 rules (440 and 300), for which no part of the model \
                gives a reason, and the root table, whose insertion rate falls by a factor of 25.",
        rows,
        chart: Chart {
            title: "Updates by rules resident".to_owned(),
            x: "thousand rules".to_owned(),
            y: "thousand updates a second".to_owned(),
            log_x: false,
            log_y: false,
            series: vec![
                Series::points("in place, published", points(|point| point.1)),
                Series::line("in place, model", curve(&in_place)),
                Series::points("deletion and insertion, published", points(|point| point.2)),
                Series::line("deletion and insertion, model", curve(&replaced)),
            ],
        },
    }
}

fn card(scale: u32) -> NicConfig {
    let mut card = NicConfig {
        memory: MemoryConfig {
            kind: MemoryKind::Dram,
            tags_on_chip: true,
            line_bytes: 128,
            cache_sets: NEAR_SETS / scale,
            cache_ways: NEAR_WAYS,
            cache_replacement: Replacement::Lru,
            cache_cycles: 1,
            row_hit_ps: FAR_NS * 1_000,
            row_closed_ps: FAR_NS * 1_000,
            row_miss_ps: FAR_NS * 1_000,
            ..MemoryConfig::default()
        },
        ..NicConfig::default()
    };
    card.key.entries = Entries::EachWay;
    card.table.buckets = (2_097_152 / scale).max(8);
    card.firmware.clock_khz = 1_000_000;
    card.firmware.decode_cycles = 100;
    card.firmware.update_cycles = UPDATE_NS - 100;
    card.firmware.delete_cycles = REPLACE_NS / 2 - 100;
    card.firmware.insert_cycles = REPLACE_NS - REPLACE_NS / 2 - 100;
    card
}

/// Thousand updates a second at each of the published numbers of rules.
fn measure(scale: u32, effort: &Effort, in_place: bool) -> Vec<f64> {
    let Some(mut poster) = Poster::new(&card(scale)) else {
        return vec![0.0; PUBLISHED.len()];
    };
    let mut rng = stream(effort.seed, 21);
    let mut resident = 0;
    let rates = PUBLISHED.iter().map(|(thousands, _, _)| {
        let rules = thousands * 1_000 / scale;
        poster.rate((resident..rules).map(|n| command(Opcode::Insert, &numbered_key(n), n)));
        resident = rules;
        // What is near is known once most of it was asked for.
        let near = NEAR_SETS * NEAR_WAYS / scale;
        changes(&mut poster, &mut rng, rules, 3 * near, in_place);
        changes(&mut poster, &mut rng, rules, near, in_place) / 1e3
    });
    let rates = rates.collect();
    if poster.refused > 0 {
        // A rate of commands that fail is none.
        return vec![0.0; PUBLISHED.len()];
    }
    rates
}

/// Changes rules drawn evenly; how many a second.
fn changes(
    poster: &mut Poster,
    rng: &mut ChaCha8Rng,
    rules: u32,
    count: u32,
    in_place: bool,
) -> f64 {
    let drawn = (0..count).map(|_| below(rng, rules));
    if in_place {
        return poster.rate(drawn.map(|n| command(Opcode::Update, &numbered_key(n), n)));
    }
    let pairs = drawn.flat_map(|n| {
        [Opcode::Delete, Opcode::Insert].map(|opcode| command(opcode, &numbered_key(n), n))
    });
    poster.rate(pairs) / 2.0
}
