//! How often a cache has what is asked for.

use super::{Bound, Chapter, Effort, Row};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::stream;
use crate::traffic::zipf::Popularity;
use nic_model::config::{MemoryConfig, Replacement};
use nic_model::memory::cache::Cache;

pub(super) const NAME: &str = "cache";

const LINES: u32 = 100_000;
const EXPONENTS: [f64; 5] = [0.0, 0.6, 0.8, 1.0, 1.2];
/// Sets of the cache; ways by capacity.
const SETS: u32 = 16;

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let accesses = effort.pick(4_000_000, 400_000);
    let bound = Bound::Relative(effort.pick(0.01, 0.05));
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for exponent in EXPONENTS {
        let (mut points, mut curve) = (Vec::new(), Vec::new());
        for ways in effort.pick(&[64, 256, 1_024][..], &[64]) {
            let capacity = SETS * ways;
            let expected = expected_hits(exponent, capacity);
            let measured = hits(exponent, *ways, accesses, effort.seed);
            let of = if exponent == 0.0 {
                "even".to_owned()
            } else {
                format!("Zipf {exponent}")
            };
            let what = format!("hit rate of {capacity} lines, {LINES} asked for, {of}");
            rows.push(Row::new(what, expected, measured, bound));
            points.push((f64::from(capacity), measured));
            curve.push((f64::from(capacity), expected));
        }
        series.push(Series::points(format!("{exponent}, measured"), points));
        series.push(Series::line(format!("{exponent}, theory"), curve));
    }
    Chapter {
        name: NAME,
        title: "A cache hits as often as Che's approximation says",
        about: "The cache before a table in DRAM or in the host's memory, 16 sets, the least recently used line of a set gives way; asked \
                for by Zipf's law, or evenly. Expected: Che, Tung, Wang, \"Hierarchical web caching systems\", IEEE JSAC 20, 2002; with even \
                popularity its capacity divided by what is asked for. The approximation is of one set; with few ways a cache hits less.",
        rows,
        chart: Chart {
            title: "Hit rate by capacity and Zipf exponent".to_owned(),
            x: "lines the cache holds".to_owned(),
            y: "hit rate".to_owned(),
            log_x: true,
            log_y: false,
            series,
        },
    }
}

fn hits(exponent: f64, ways: u32, accesses: u64, seed: u64) -> f64 {
    let mut cache = Cache::new(&MemoryConfig {
        cache_sets: SETS,
        cache_ways: ways,
        cache_replacement: Replacement::Lru,
        ..MemoryConfig::default()
    });
    let popularity = Popularity::zipf(LINES, exponent);
    let mut rng = stream(seed, 5);
    let mut ask = |count: u64| {
        let lines = (0..count).map(|_| popularity.sample(&mut rng));
        lines
            .filter(|line| cache.access(u64::from(*line), false).hit)
            .count()
    };
    // Long enough to be filled with what is popular.
    ask(accesses / 4);
    ask(accesses) as f64 / accesses as f64
}

fn expected_hits(exponent: f64, capacity: u32) -> f64 {
    let weights: Vec<f64> = (1..=LINES)
        .map(|rank| f64::from(rank).powf(-exponent))
        .collect();
    let sum: f64 = weights.iter().sum();
    if exponent == 0.0 {
        return f64::from(capacity) / f64::from(LINES);
    }
    let held = |time: f64| {
        weights
            .iter()
            .map(|weight| 1.0 - (-weight / sum * time).exp())
            .sum::<f64>()
    };
    // The time after which a line is forgotten: that in which as many are asked for as there is room.
    let (mut low, mut high) = (0.0, 1e12);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if held(middle) < f64::from(capacity) {
            low = middle;
        } else {
            high = middle;
        }
    }
    let hit = |weight: &f64| weight / sum * (1.0 - (-weight / sum * low).exp());
    weights.iter().map(hit).sum()
}
