//! How many keys a stash has to take.

use super::graph::Graph;
use super::{Bound, Chapter, Effort, Row, random_key};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::stream;
use nic_model::clock::Picos;
use nic_model::config::{Organisation, TableConfig};
use nic_model::flow_table::{EntryAction, EntryState, FlowTable};

pub(super) const NAME: &str = "stash";

/// Buckets of each choice, and tables filled.
const SIZES: [(u32, u32); 6] = [
    (16, 200_000),
    (64, 80_000),
    (256, 40_000),
    (512, 40_000),
    (1_024, 30_000),
    (4_096, 30_000),
];
/// Keys for each bucket of one choice: 0.4 of all slots.
const LOAD: f64 = 0.8;

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let results = SIZES.map(|(size, trials)| {
        let trials = effort.pick(trials, (trials / 200).max(50));
        (size, trials, fill(effort.seed, size, trials))
    });
    let mut rows: Vec<Row> = results
        .iter()
        .map(|(size, trials, result)| {
            let what = format!(
                "of {trials} tables of {} slots, those whose stash holds what the graph says",
                2 * size
            );
            Row::new(
                what,
                f64::from(*trials),
                f64::from(result.as_theory),
                Bound::Exact,
            )
        })
        .collect();
    let share = |at: usize, cells: usize| {
        let (_, trials, result) = &results[at];
        f64::from(result.more_than[cells]) / f64::from(*trials)
    };
    if !effort.quick {
        let doublings = f64::from(SIZES[5].0 / SIZES[3].0).log2();
        let exponent = (share(5, 0) / share(3, 0)).log2() / doublings;
        let what = "exponent of the failure rate without a stash, from 1,024 slots to 8,192";
        rows.push(Row::new(what, -1.0, exponent, Bound::Relative(0.25)));
    }
    let points = |cells: usize| {
        let all = (0..SIZES.len()).map(|at| (f64::from(2 * SIZES[at].0), share(at, cells)));
        all.filter(|(_, share)| *share > 0.0).collect()
    };
    Chapter {
        name: NAME,
        title: "A stash takes exactly the keys that cannot be placed",
        about: "2 choices of 1 slot, filled to 0.4. Keys are edges between buckets: a part of the graph with more edges than buckets has as \
                many keys too many, and all others can be placed; counted by joining sets, beside the table. A stash of s cells makes failures \
                rarer as the size to the power of -(s + 1) (Kirsch, Mitzenmacher, Wieder 2008). That is a statement of large tables: at this load \
                the exponent without a stash only comes near -1 here, and tables in which a stash of one fails are too rare beyond to be counted.",
        rows,
        chart: Chart {
            title: "Share of tables in which a key finds no place".to_owned(),
            x: "slots".to_owned(),
            y: "share".to_owned(),
            log_x: true,
            log_y: true,
            series: vec![
                Series::line("no stash", points(0)),
                Series::line("1 cell", points(1)),
                Series::line("2 cells", points(2)),
            ],
        },
    }
}

/// What came of filling some tables.
#[derive(Debug, Clone, Copy, Default)]
struct Filled {
    /// Tables whose stash holds as many keys as the graph has too many.
    as_theory: u32,
    /// Tables with more than 0, 1 and 2 keys in the stash.
    more_than: [u32; 3],
}

fn fill(seed: u64, size: u32, trials: u32) -> Filled {
    let config = TableConfig {
        organisation: Organisation::Cuckoo,
        choices: 2,
        buckets: 2 * size,
        slots_per_bucket: 1,
        stash_entries: 64,
        search_limit_buckets: 1 << 16,
        ..TableConfig::default()
    };
    let mut table = FlowTable::new(&config);
    let mut rng = stream(seed, 100 + u64::from(size));
    let state = EntryState::new(EntryAction::default(), Picos::ZERO);
    let keys = (f64::from(size) * LOAD) as u32;
    let mut filled = Filled::default();
    for _ in 0..trials {
        table.clear();
        let mut graph = Graph::new(2 * size);
        for _ in 0..keys {
            let key = random_key(&mut rng);
            let mut homes = table.shape().homes(table.hash(&key));
            if let (Some(one), Some(other)) = (homes.next(), homes.next()) {
                graph.join(one, other);
            }
            table.insert(key, state).ok();
        }
        let stashed = table.stash_occupied();
        filled.as_theory += u32::from(stashed == graph.too_many());
        for (cells, count) in filled.more_than.iter_mut().enumerate() {
            *count += u32::from(stashed as usize > cells);
        }
    }
    filled
}
