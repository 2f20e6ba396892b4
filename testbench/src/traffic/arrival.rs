//! Arrivals: when the next session, query or packet begins.

use super::random::SourceRng;
use nic_model::clock::Picos;
use rand_distr::{Distribution, Exp1};
use serde::{Deserialize, Serialize};

/// How arrivals of a given mean rate are spread in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrivalPattern {
    /// Independent of each other: exponential gaps.
    #[default]
    Poisson,
    /// One every 1 / rate.
    Constant,
}

/// The clock of arrivals: hands out the gap to the next one.
#[derive(Debug, Clone)]
pub struct Arrivals {
    pattern: ArrivalPattern,
    mean_gap_ps: f64,
    /// Fraction of a picosecond not yet given out, so that the mean rate is exact over any length of time.
    carry_ps: f64,
}

impl Arrivals {
    /// Arrivals of `per_second` on average; rates are kept within 10^-4 to 10^12 per second.
    pub fn new(pattern: ArrivalPattern, per_second: f64) -> Self {
        let per_second = if per_second.is_nan() { 1.0 } else { per_second };
        Self {
            pattern,
            mean_gap_ps: 1e12 / per_second.clamp(1e-4, 1e12),
            carry_ps: 0.0,
        }
    }

    /// Time to the next arrival.
    #[inline]
    pub fn gap(&mut self, rng: &mut SourceRng) -> Picos {
        let exact = match self.pattern {
            ArrivalPattern::Constant => self.mean_gap_ps,
            ArrivalPattern::Poisson => {
                let unit: f64 = Exp1.sample(rng);
                unit * self.mean_gap_ps
            }
        } + self.carry_ps;
        let whole = exact as u64;
        self.carry_ps = exact - whole as f64;
        Picos(whole)
    }
}

/// An exponentially distributed span of the given mean.
#[inline]
pub fn exponential(rng: &mut SourceRng, mean: Picos) -> Picos {
    let unit: f64 = Exp1.sample(rng);
    Picos((unit * mean.0 as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::super::random::{stream, tests::*};
    use super::*;

    #[test]
    fn constant_arrivals_keep_an_uneven_rate_exactly() {
        let mut rng = stream(1, 0);
        let mut arrivals = Arrivals::new(ArrivalPattern::Constant, 3.0);
        let total: u64 = (0..3_000).map(|_| arrivals.gap(&mut rng).0).sum();
        assert!(total.abs_diff(1_000_000_000_000_000) <= 2, "{total}");
    }

    /// Counts per window of a Poisson process follow the Poisson law: mean and shape at once.
    #[test]
    fn poisson_arrivals_follow_the_law() {
        let mut rng = stream(5, 2);
        let mut arrivals = Arrivals::new(ArrivalPattern::Poisson, 4_000.0);
        let mut at = Picos::ZERO;
        let mut windows = vec![0_usize; 20_000];
        loop {
            at += arrivals.gap(&mut rng);
            match windows.get_mut((at.0 / 1_000_000_000) as usize) {
                Some(window) => *window += 1,
                None => break,
            }
        }
        let mut observed = vec![0_u64; 40];
        for count in &windows {
            observed[(*count).min(39)] += 1;
        }
        let mut probability = (-4.0_f64).exp();
        let expected: Vec<f64> = (0..40)
            .map(|count| {
                let share = probability * windows.len() as f64;
                probability *= 4.0 / f64::from(count + 1);
                share
            })
            .collect();
        let (value, degrees) = chi_square(&observed, &expected);
        assert!(
            degrees >= 10 && value < chi_square_limit(degrees),
            "chi-square {value} of {degrees}"
        );
    }

    #[test]
    fn absurd_rates_do_not_stop_time() {
        let mut rng = stream(1, 0);
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut arrivals = Arrivals::new(ArrivalPattern::Constant, rate);
            assert!(arrivals.gap(&mut rng).0 > 0, "{rate}");
        }
    }
}
