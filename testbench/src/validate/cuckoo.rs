//! How full a cuckoo table becomes before the first insertion fails.

use super::graph::Graph;
use super::{Bound, Chapter, Effort, Row, random_key, statistics};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::stream;
use nic_model::clock::Picos;
use nic_model::config::{Insertion, Organisation, TableConfig};
use nic_model::flow_table::{EntryAction, EntryState, FlowTable};

pub(super) const NAME: &str = "cuckoo";

/// Choices, slots of a bucket, threshold.
const THRESHOLDS: [(u32, u32, f64); 6] = [
    (2, 1, 0.5),
    (3, 1, 0.9179),
    (4, 1, 0.9768),
    (2, 2, 0.8970),
    (2, 4, 0.9804),
    (2, 8, 0.9979),
];

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let slots = effort.pick(1 << 20, 1 << 15);
    let seeds = effort.pick(3, 1);
    let mut rows = Vec::new();
    for (choices, slots_per_bucket, threshold) in THRESHOLDS {
        let table = table(choices, slots_per_bucket, slots);
        let runs = (0..seeds).map(|run| first_failure(&table, effort.seed + run));
        let (loads, as_graph): (Vec<f64>, Vec<bool>) = runs.unzip();
        let (load, _) = statistics::mean(&loads);
        let of = format!(
            "{choices} choices of {slots_per_bucket}, {} slots",
            table.buckets * slots_per_bucket
        );
        // The smaller a table, the wider the window around its threshold; that of 2 choices of 1 slot is wide: as the cube root.
        let window = if (choices, slots_per_bucket) == (2, 1) {
            0.02
        } else {
            0.01
        };
        let bound = Bound::Relative(effort.pick(window, 0.1));
        rows.push(Row::new(
            format!("load at the first failure, {of}"),
            threshold,
            load,
            bound,
        ));
        if (choices, slots_per_bucket) == (2, 1) {
            let exact = as_graph.iter().filter(|same| **same).count();
            let what = format!("runs in which the first key to fail is the graph's, {of}");
            rows.push(Row::new(what, seeds as f64, exact as f64, Bound::Exact));
        }
    }
    Chapter {
        name: NAME,
        title: "Cuckoo tables fill up to their thresholds",
        about: "Keys are inserted until the first one fails; breadth-first search of 16,384 buckets at most (more changes nothing \
                that can be seen here), random keys, the default functions (CRC-32C, CRC-32, CRC-64, Toeplitz). The threshold is that of the load up to which keys can be placed at all as tables grow (Fountoulakis, Panagiotou 2010; \
                Fountoulakis, Khosla, Panagiotou 2011; Lelarge 2012), computed from its formula. 2 choices of 1 slot reach it slowly: at a million slots the first failure \
                comes 1.5 % later on average, at exactly the key at which a part of the graph has more keys than buckets. The plot shows 2 choices of 4 with \
                bounded work: what a card that has to keep up with insertions can do.",
        rows,
        chart: bounded(effort),
    }
}

fn table(choices: u32, slots_per_bucket: u32, slots: u32) -> TableConfig {
    let each = (slots / choices / slots_per_bucket).next_power_of_two();
    TableConfig {
        organisation: Organisation::Cuckoo,
        choices,
        buckets: each * choices,
        slots_per_bucket,
        stash_entries: 0,
        search_limit_buckets: if slots_per_bucket == 1 && choices == 2 {
            1 << 26
        } else {
            1 << 14
        },
        ..TableConfig::default()
    }
}

/// Load of a table when the first insertion fails, and whether that is the first key that cannot be placed in the graph of
/// the first two choices.
fn first_failure(config: &TableConfig, seed: u64) -> (f64, bool) {
    let is_graph = (config.choices, config.slots_per_bucket) == (2, 1);
    let mut table = FlowTable::new(config);
    let mut graph = Graph::new(config.buckets);
    let mut rng = stream(seed, 1);
    let state = EntryState::new(EntryAction::default(), Picos::ZERO);
    loop {
        let key = random_key(&mut rng);
        let mut homes = table.shape().homes(table.hash(&key));
        let can_be = match (homes.next(), homes.next()) {
            (Some(one), Some(other)) if is_graph => graph.join(one, other),
            _ => true,
        };
        let was = table.insert(key, state).is_ok();
        if !was || !can_be {
            let load = f64::from(table.occupied()) / f64::from(table.capacity());
            return (load, was == can_be);
        }
    }
}

/// Load at the first failure by buckets that an insertion may visit, for each way to search.
fn bounded(effort: &Effort) -> Chart {
    let slots = effort.pick(1 << 18, 1 << 12);
    let mut series: Vec<Series> = Insertion::ALL
        .iter()
        .map(|insertion| {
            let points = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048].map(|limit| {
                let config = TableConfig {
                    insertion: *insertion,
                    search_limit_buckets: limit,
                    ..table(2, 4, slots)
                };
                (f64::from(limit), first_failure(&config, effort.seed).0)
            });
            Series::line(insertion.name(), points.to_vec())
        })
        .collect();
    series.push(Series::line(
        "threshold 0.980",
        vec![(2.0, 0.9804), (2_048.0, 0.9804)],
    ));
    Chart {
        title: "Cuckoo, 2 choices of 4: load at the first failure".to_owned(),
        x: "buckets an insertion may visit".to_owned(),
        y: "load".to_owned(),
        log_x: true,
        log_y: false,
        series,
    }
}
