//! Popularity: which of `n` servers, connections or names is asked for next.

use super::random::{SourceRng, scale};
use rand_chacha::rand_core::Rng;

/// Draws a rank from 0 to `n` - 1, rank `k` with a probability proportional to 1 / (k + 1)^exponent.
///
/// Walker's alias method: one random word and one table line per draw, whatever `n` and the exponent.
/// An exponent of 0 is an even choice and needs no table.
#[derive(Debug, Clone)]
pub struct Popularity {
    count: u32,
    columns: Vec<Column>,
}

/// One column of the alias table: below `threshold` the column's own rank is drawn, otherwise `alias`.
#[derive(Debug, Clone, Copy)]
struct Column {
    threshold: u32,
    alias: u32,
}

impl Popularity {
    /// The most ranks a table is made for: it takes 8 bytes each.
    pub const MAX_COUNT: u32 = 1 << 22;

    /// A popularity over `count` ranks: at least one, and of an uneven one no more than [`Self::MAX_COUNT`].
    pub fn zipf(count: u32, exponent: f64) -> Self {
        let count = count.max(1);
        if exponent == 0.0 || !exponent.is_finite() {
            return Self {
                count,
                columns: Vec::new(),
            };
        }
        let count = count.min(Self::MAX_COUNT);
        Self {
            count,
            columns: alias_table(&weights(count, exponent)),
        }
    }

    /// Whether all ranks are alike: then the lower 32 bits of [`Self::rank_of`] play no part.
    #[inline]
    pub fn is_even(&self) -> bool {
        self.columns.is_empty()
    }

    /// Draws a rank.
    #[inline]
    pub fn sample(&self, rng: &mut SourceRng) -> u32 {
        self.rank_of(rng.next_u64())
    }

    /// The rank that 64 random bits stand for.
    #[inline]
    pub fn rank_of(&self, bits: u64) -> u32 {
        let rank = scale((bits >> 32) as u32, self.count);
        match self.columns.get(rank as usize) {
            Some(column) if bits as u32 >= column.threshold => column.alias,
            _ => rank,
        }
    }
}

fn weights(count: u32, exponent: f64) -> Vec<f64> {
    (0..count)
        .map(|rank| (f64::from(rank) + 1.0).powf(-exponent))
        .collect()
}

/// Vose's construction: columns with too little weight are filled up by one with too much.
fn alias_table(weights: &[f64]) -> Vec<Column> {
    let total: f64 = weights.iter().sum();
    let mut share: Vec<f64> = weights
        .iter()
        .map(|weight| weight * weights.len() as f64 / total)
        .collect();
    let mut columns: Vec<Column> = (0..weights.len() as u32)
        .map(|rank| Column {
            threshold: u32::MAX,
            alias: rank,
        })
        .collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..share.len()).partition(|rank| share[*rank] < 1.0);
    while let (Some(low), Some(high)) = (small.pop(), large.pop()) {
        columns[low] = Column {
            threshold: (share[low] * 2_f64.powi(32)) as u32,
            alias: high as u32,
        };
        share[high] -= 1.0 - share[low];
        if share[high] < 1.0 {
            &mut small
        } else {
            &mut large
        }
        .push(high);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::super::random::{stream, tests::*};
    use super::*;
    use proptest::prelude::*;

    fn histogram(popularity: &Popularity, count: u32, draws: u64) -> Vec<u64> {
        let mut rng = stream(11, 3);
        let mut counts = vec![0; count as usize];
        for _ in 0..draws {
            counts[popularity.sample(&mut rng) as usize] += 1;
        }
        counts
    }

    #[test]
    fn ranks_follow_the_law() {
        for exponent in [0.0, 0.6, 0.99, 1.5] {
            let counts = histogram(&Popularity::zipf(200, exponent), 200, 200_000);
            let law = weights(200, exponent);
            let total: f64 = law.iter().sum();
            let expected: Vec<f64> = law
                .iter()
                .map(|weight| weight / total * 200_000.0)
                .collect();
            let (value, degrees) = chi_square(&counts, &expected);
            assert!(
                value < chi_square_limit(degrees),
                "exponent {exponent}: chi-square {value} of {degrees}"
            );
        }
    }

    #[test]
    fn the_test_would_notice_a_wrong_exponent() {
        let counts = histogram(&Popularity::zipf(200, 1.0), 200, 200_000);
        let law = weights(200, 1.05);
        let total: f64 = law.iter().sum();
        let expected: Vec<f64> = law
            .iter()
            .map(|weight| weight / total * 200_000.0)
            .collect();
        let (value, degrees) = chi_square(&counts, &expected);
        assert!(
            value > chi_square_limit(degrees),
            "chi-square {value} of {degrees}"
        );
    }

    proptest! {
        #[test]
        fn every_rank_is_in_range(count in 0_u32..5_000, exponent in 0.0_f64..8.0, bits: u64) {
            prop_assert!(Popularity::zipf(count, exponent).rank_of(bits) < count.max(1));
        }

        /// The table's own arithmetic: thresholds and aliases give back every weight.
        #[test]
        fn the_table_holds_the_weights(count in 1_u32..300, exponent in 0.01_f64..4.0) {
            let law = weights(count, exponent);
            let total: f64 = law.iter().sum();
            let mut held = vec![0.0; law.len()];
            for (rank, column) in alias_table(&law).iter().enumerate() {
                let own = f64::from(column.threshold) / 2_f64.powi(32);
                held[rank] += own / law.len() as f64;
                held[column.alias as usize] += (1.0 - own) / law.len() as f64;
            }
            for (held, weight) in held.iter().zip(&law) {
                prop_assert!((held - weight / total).abs() < 1e-8);
            }
        }
    }
}
