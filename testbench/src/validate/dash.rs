//! What a card must do that is to meet the cloud's requirement, and whether a preset does.

use super::poster::{Poster, command, numbered_key};
use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use nic_model::config::NicConfig;
use nic_model::host::descriptors::Opcode;

pub(super) const NAME: &str = "dash";

const PRESET: &str = "dash-200g";
/// Connections a second, and connections, that a card of 200 Gb/s must have.
const CPS_M: f64 = 3.0;
const CONNECTIONS_M: f64 = 32.0;
/// Connections that stay while others come and go, millions.
const BACKGROUND_M: [f64; 5] = [0.0, 15.0, 25.0, 30.0, 31.0];

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let scale = effort.pick(32, 256);
    let measured = measure(scale).unwrap_or_default();
    let rate = |background: f64| {
        let found = measured.rates.iter().find(|(at, _)| *at == background);
        found.map_or(0.0, |(_, rate)| *rate)
    };
    let rows = vec![
        Row::new(
            "connections a second with 30 million others, millions",
            CPS_M,
            rate(30.0),
            Bound::AtLeast,
        ),
        Row::new(
            "connections held, millions",
            CONNECTIONS_M,
            measured.held_m,
            Bound::AtLeast,
        ),
        Row::new(
            "insertions refused meanwhile",
            0.0,
            measured.refused as f64,
            Bound::AtMost,
        ),
    ];
    Chapter {
        name: NAME,
        title: "A card that is sized so meets the cloud's requirement",
        about: "The preset dash-200g, table and processor: a connection is an insertion and a deletion, the command ring always full, so many \
                others in the table. Required: 3 million connections a second and 32 million connections for 200 Gb/s (SONiC-DASH, \
                documentation/general/program-scale-testing-requirements). That is a requirement, not a measurement of a card: what is \
                shown is which processor meets it, with moves at 95 % load and reads of the table's DRAM counted. Table and background are \
                scaled down alike. Not shown: the driver, which takes longer for a connection than the card does.",
        rows,
        chart: Chart {
            title: "Connections a second by connections held".to_owned(),
            x: "million connections held".to_owned(),
            y: "million connections a second".to_owned(),
            log_x: false,
            log_y: false,
            series: vec![
                Series::points("required", vec![(30.0, CPS_M)]),
                Series::line("model", measured.rates),
            ],
        },
    }
}

#[derive(Default)]
struct Measured {
    /// Connections held meanwhile, millions; connections a second, millions.
    rates: Vec<(f64, f64)>,
    held_m: f64,
    refused: u64,
}

fn measure(scale: u32) -> Option<Measured> {
    let mut card = NicConfig::preset(PRESET).ok()?;
    card.table.buckets /= scale;
    card.table.stash_entries /= scale;
    card.memory.cache_sets = (card.memory.cache_sets / scale).next_power_of_two();
    let mut poster = Poster::new(&card)?;
    let mut measured = Measured::default();
    let of = |millions: f64| (millions * 1e6 / f64::from(scale)) as u32;
    let mut held = 0;
    for background in BACKGROUND_M {
        poster.rate((held..of(background)).map(|n| command(Opcode::Insert, &numbered_key(n), n)));
        held = of(background);
        // As many come and go at a time as the requirement's tests have: they close after the next has opened.
        let passing = 1 << 30;
        let window = of(0.5).max(256);
        poster.rate((0..window).map(|n| command(Opcode::Insert, &numbered_key(passing + n), n)));
        let pairs = (0..40_000).flat_map(|n| {
            let (old, new) = (passing + n, passing + window + n);
            [
                command(Opcode::Delete, &numbered_key(old), old - passing),
                command(Opcode::Insert, &numbered_key(new), new - passing),
            ]
        });
        measured.rates.push((background, poster.rate(pairs) / 2e6));
        let left = 40_000..40_000 + window;
        poster.rate(left.map(|n| command(Opcode::Delete, &numbered_key(passing + n), n)));
    }
    poster.rate((held..of(CONNECTIONS_M)).map(|n| command(Opcode::Insert, &numbered_key(n), n)));
    let occupied = poster.board.chip().table().occupied();
    measured.held_m = f64::from(occupied) * f64::from(scale) / 1e6;
    measured.refused = poster.refused;
    Some(measured)
}
