//! How many keys a table with one bucket per key refuses.

use super::{Bound, Chapter, Effort, Row, random_key, statistics};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::stream;
use nic_model::clock::Picos;
use nic_model::config::{HashFunction, Organisation, TableConfig};
use nic_model::flow_table::{EntryAction, EntryState, FlowTable};

pub(super) const NAME: &str = "overflow";

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let (runs, bits) = effort.pick((24, 14), (8, 10));
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for slots in [4, 8, 16] {
        let (mut points, mut curve) = (Vec::new(), Vec::new());
        for load in [0.5, 0.6, 0.7, 0.8, 0.9, 1.0] {
            let shares: Vec<f64> = (0..runs)
                .map(|run| refused(slots, bits, load, effort.seed + run))
                .collect();
            let (mean, error) = statistics::mean(&shares);
            let expected = expected_overflow(slots, load);
            if expected > 1e-4 {
                points.push((load, mean));
                curve.push((load, expected));
            }
            if expected > 1e-3 {
                let what = format!("share of keys refused, {slots} slots, {load} of them wanted");
                rows.push(Row::new(
                    what,
                    expected,
                    mean,
                    Bound::StandardErrors(3.0, error),
                ));
            }
        }
        series.push(Series::points(format!("{slots} slots, measured"), points));
        series.push(Series::line(format!("{slots} slots, theory"), curve));
    }
    Chapter {
        name: NAME,
        title: "A table with one bucket per key refuses what the Poisson distribution says",
        about: "Keys of a set-associative table fall into buckets independently: the share that finds its bucket full is the mean excess \
                of a Poisson variable over the slots of a bucket, divided by its mean.",
        rows,
        chart: Chart {
            title: "Set-associative: keys refused".to_owned(),
            x: "keys per slot".to_owned(),
            y: "share of keys".to_owned(),
            log_x: false,
            log_y: true,
            series,
        },
    }
}

fn refused(slots: u32, bits: u32, load: f64, seed: u64) -> f64 {
    let config = TableConfig {
        organisation: Organisation::SetAssociative,
        buckets: 1 << bits,
        slots_per_bucket: slots,
        stash_entries: 0,
        hash_1: HashFunction::SipHash,
        ..TableConfig::default()
    };
    let mut table = FlowTable::new(&config);
    let mut rng = stream(seed, 3);
    let state = EntryState::new(EntryAction::default(), Picos::ZERO);
    let keys = (f64::from(table.capacity()) * load) as u32;
    let refused = (0..keys).filter(|_| table.insert(random_key(&mut rng), state).is_err());
    refused.count() as f64 / f64::from(keys)
}

fn expected_overflow(slots: u32, load: f64) -> f64 {
    let mean = f64::from(slots) * load;
    let mut probability = (-mean).exp();
    let mut excess = 0.0;
    for count in 1..400_u32 {
        probability *= mean / f64::from(count);
        excess += probability * f64::from(count.saturating_sub(slots));
    }
    excess / mean
}
