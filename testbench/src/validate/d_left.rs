//! How evenly d-left hashing fills buckets.

use super::{Bound, Chapter, Effort, Row, random_key, statistics};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::stream;
use nic_model::clock::Picos;
use nic_model::config::{HashFunction, Organisation, TableConfig};
use nic_model::flow_table::{EntryAction, EntryState, FlowTable};

pub(super) const NAME: &str = "d-left";

/// Slots of a bucket: more than are ever used, so that nothing is refused.
const SLOTS: usize = 16;
/// Keys for each bucket.
const MEAN_LOAD: f64 = 4.0;

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let (runs, bits) = effort.pick((40, 14), (8, 10));
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for choices in [2, 4] {
        let expected = fluid_limit(choices, MEAN_LOAD);
        let measured: Vec<Vec<f64>> = (0..runs)
            .map(|run| loads(choices as u32, bits, effort.seed + run))
            .collect();
        let mut points = Vec::new();
        for load in 3..SLOTS {
            let values: Vec<f64> = measured.iter().map(|run| run[load]).collect();
            let (mean, error) = statistics::mean(&values);
            points.push((load as f64, mean));
            // What is so rare that a run sees less than ten of it has no standard error to speak of.
            let seen = expected[load] * f64::from(choices as u32) * f64::from(1 << bits);
            if seen > 10.0 && expected[load] < 1.0 - 1e-6 {
                let what =
                    format!("share of buckets with {load} entries or more, {choices} choices");
                rows.push(Row::new(
                    what,
                    expected[load],
                    mean,
                    Bound::StandardErrors(3.0, error),
                ));
            }
        }
        points.retain(|(_, share)| *share > 0.0);
        series.push(Series::points(
            format!("{choices} choices, measured"),
            points,
        ));
        let curve = (3..=8)
            .map(|load| (load as f64, expected[load]))
            .filter(|(_, share)| *share > 1e-9);
        series.push(Series::line(
            format!("{choices} choices, theory"),
            curve.collect(),
        ));
    }
    Chapter {
        name: NAME,
        title: "d-left hashing overflows as rarely as theory says",
        about: "4 keys for each bucket; the share of buckets that hold k or more is what a table of k - 1 slots would overflow by. The \
                expectation is the limit of large tables, a set of differential equations (Mitzenmacher, Vöcking: \"The asymptotics \
                of selecting the shortest of two, improved\", 1999), integrated with Runge-Kutta steps.",
        rows,
        chart: Chart {
            title: "d-left: buckets with so many entries or more".to_owned(),
            x: "entries".to_owned(),
            y: "share of buckets".to_owned(),
            log_x: false,
            log_y: true,
            series,
        },
    }
}

/// For each load, the share of buckets that hold as many entries or more.
fn loads(choices: u32, bits: u32, seed: u64) -> Vec<f64> {
    let config = TableConfig {
        organisation: Organisation::DLeft,
        choices,
        buckets: choices << bits,
        slots_per_bucket: SLOTS as u32,
        stash_entries: 0,
        hash_1: HashFunction::SipHash,
        hash_2: HashFunction::SipHash,
        hash_3: HashFunction::SipHash,
        hash_4: HashFunction::SipHash,
        ..TableConfig::default()
    };
    let mut table = FlowTable::new(&config);
    let mut rng = stream(seed, 2);
    let state = EntryState::new(EntryAction::default(), Picos::ZERO);
    for _ in 0..(f64::from(config.buckets) * MEAN_LOAD) as u64 {
        table.insert(random_key(&mut rng), state).ok();
    }
    let mut in_bucket = vec![0_u32; config.buckets as usize];
    for slot in table.slots_in_use() {
        in_bucket[table.shape().bucket_of(slot.0) as usize] += 1;
    }
    (0..=SLOTS as u32)
        .map(|load| {
            let count = in_bucket.iter().filter(|entries| **entries >= load).count();
            count as f64 / f64::from(config.buckets)
        })
        .collect()
}

/// For each load, the share of buckets that hold as many or more, with so many keys for each bucket of a large table.
fn fluid_limit(choices: usize, keys_per_bucket: f64) -> Vec<f64> {
    // For each memory and load, the share of its buckets that hold as many or more.
    type Shares = Vec<[f64; SLOTS + 1]>;
    let slope = |x: &Shares| -> Shares {
        let of = |memory: usize, load: usize| {
            if load == 0 {
                return 0.0;
            }
            // Those on the left are all fuller, those on the right at least as full.
            let left: f64 = x[..memory].iter().map(|other| other[load]).product();
            let right: f64 = x[memory + 1..]
                .iter()
                .map(|other| other[load - 1])
                .product();
            choices as f64 * (x[memory][load - 1] - x[memory][load]) * left * right
        };
        (0..choices)
            .map(|memory| std::array::from_fn(|load| of(memory, load)))
            .collect()
    };
    let add = |x: &Shares, slope: &Shares, by: f64| -> Shares {
        let row = |(x, slope): (&[f64; SLOTS + 1], &[f64; SLOTS + 1])| {
            std::array::from_fn(|load| x[load] + slope[load] * by)
        };
        x.iter().zip(slope).map(row).collect()
    };
    const STEPS: u32 = 4_000;
    let step = keys_per_bucket / f64::from(STEPS);
    let mut empty = [0.0; SLOTS + 1];
    empty[0] = 1.0;
    let mut x = vec![empty; choices];
    for _ in 0..STEPS {
        let k1 = slope(&x);
        let k2 = slope(&add(&x, &k1, step / 2.0));
        let k3 = slope(&add(&x, &k2, step / 2.0));
        let k4 = slope(&add(&x, &k3, step));
        for (k, weight) in [(k1, 1.0), (k2, 2.0), (k3, 2.0), (k4, 1.0)] {
            x = add(&x, &k, step * weight / 6.0);
        }
    }
    (0..=SLOTS)
        .map(|load| x.iter().map(|memory| memory[load]).sum::<f64>() / choices as f64)
        .collect()
}
