//! How often two keys have the same hash.

use super::{Bound, Chapter, Effort, Row, random_key};
use crate::plot::chart::{Chart, Series};
use crate::traffic::random::stream;
use nic_model::config::{HashFunction, TableConfig};
use nic_model::flow_table::hash::Hasher;

pub(super) const NAME: &str = "birthday";

pub(super) fn chapter(effort: &Effort) -> Chapter {
    let (keys, runs) = effort.pick((1_u64 << 20, 8), (1 << 18, 4));
    // Pairs times the probability that a pair collides; rare and independent, so Poisson: its deviation is its root.
    let expected = |keys: u64| (keys * (keys - 1) / 2) as f64 / 2_f64.powi(32) * runs as f64;
    let rows = HashFunction::ALL.iter().map(|function| {
        let pairs: u64 = (0..runs)
            .map(|run| collisions(*function, keys, effort.seed + run))
            .sum();
        Row::new(
            format!(
                "pairs of {keys} keys with the same {} hash, {runs} runs",
                function.name()
            ),
            expected(keys),
            pairs as f64,
            Bound::StandardErrors(3.0, expected(keys).sqrt()),
        )
    });
    let sizes = [1_u64 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20];
    let measured = sizes.iter().filter(|size| **size <= keys).map(|size| {
        let pairs: u64 = (0..runs)
            .map(|run| collisions(HashFunction::Crc32c, *size, effort.seed + 49 + run))
            .sum();
        (*size as f64, pairs as f64)
    });
    Chapter {
        name: NAME,
        title: "Hashes collide at the birthday bound",
        about: "Of n random keys n(n-1)/2 pairs collide in 32 bits with probability 2^-32 each. Keys of one network in a row would \
                collide less often with a linear function, or always, if somebody has chosen them so.",
        rows: rows.collect(),
        chart: Chart {
            title: format!("Colliding pairs, {runs} runs together"),
            x: "keys".to_owned(),
            y: "pairs".to_owned(),
            log_x: true,
            log_y: true,
            series: vec![
                Series::points(
                    "CRC-32C, measured",
                    measured.filter(|(_, pairs)| *pairs > 0.0).collect(),
                ),
                Series::line(
                    "theory",
                    sizes.map(|size| (size as f64, expected(size))).to_vec(),
                ),
            ],
        },
    }
}

fn collisions(function: HashFunction, keys: u64, seed: u64) -> u64 {
    let hasher = Hasher::new(&TableConfig {
        choices: 1,
        hash_1: function,
        ..TableConfig::default()
    });
    let mut rng = stream(seed, 4);
    let mut hashes: Vec<u32> = (0..keys)
        .map(|_| hasher.hash(&random_key(&mut rng)).0[0])
        .collect();
    hashes.sort_unstable();
    let groups = hashes.chunk_by(|a, b| a == b);
    groups
        .map(|group| (group.len() * (group.len() - 1) / 2) as u64)
        .sum()
}
