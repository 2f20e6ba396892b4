//! Randomness of the generators: one ChaCha stream per source, and a mixer for values that must be
//! the same whenever they are asked for (an initial sequence number, the server of a client).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The generator of random numbers behind every source: portable, fast, and the same bytes for the same seed.
pub type SourceRng = ChaCha8Rng;

/// The random stream of one source: sources of one scenario share the seed and differ in the stream.
pub fn stream(seed: u64, source: u64) -> SourceRng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(source);
    rng
}

/// Spreads every bit of `value` over all bits of the result (the finalizer of SplitMix64).
#[inline]
pub const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number from 0 to `bound` - 1 (0 if `bound` is 0).
///
/// By multiplication instead of rejection: the bias is below `bound` / 2^32, far under what a run can show.
#[inline]
pub fn below(rng: &mut SourceRng, bound: u32) -> u32 {
    scale(rng.next_u32(), bound)
}

/// Maps 32 random bits to 0..`bound`.
#[inline]
pub const fn scale(bits: u32, bound: u32) -> u32 {
    ((bits as u64 * bound as u64) >> 32) as u32
}

/// A number from 0 to 1, 1 excluded.
#[inline]
pub fn unit(rng: &mut SourceRng) -> f64 {
    unit_of(rng.next_u64())
}

/// Maps 64 random bits to 0 to 1, 1 excluded.
#[inline]
pub const fn unit_of(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// Whether an event of probability `share` happens.
#[inline]
pub fn chance(rng: &mut SourceRng, share: f64) -> bool {
    share > 0.0 && unit(rng) < share
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Upper bound of chi-square with `degrees` degrees of freedom that chance passes once in about a
    /// million runs (Wilson-Hilferty approximation, z = 4.75).
    pub(crate) fn chi_square_limit(degrees: usize) -> f64 {
        let k = degrees as f64;
        let term = 1.0 - 2.0 / (9.0 * k) + 4.75 * (2.0 / (9.0 * k)).sqrt();
        k * term.powi(3)
    }

    /// Chi-square of `observed` against `expected` counts; cells expected below 5 are joined with their successors.
    pub(crate) fn chi_square(observed: &[u64], expected: &[f64]) -> (f64, usize) {
        let (mut total, mut cells) = (0.0, 0_usize);
        let (mut seen, mut hoped) = (0.0, 0.0);
        for (observed, expected) in observed.iter().zip(expected) {
            seen += *observed as f64;
            hoped += expected;
            if hoped >= 5.0 {
                total += (seen - hoped).powi(2) / hoped;
                cells += 1;
                (seen, hoped) = (0.0, 0.0);
            }
        }
        (total, cells.saturating_sub(1))
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |seed, source| {
            let mut rng = stream(seed, source);
            [rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }

    #[test]
    fn below_is_even() {
        let mut rng = stream(7, 0);
        let mut counts = [0_u64; 37];
        for _ in 0..100_000 {
            counts[below(&mut rng, 37) as usize] += 1;
        }
        let (value, degrees) = chi_square(&counts, &[100_000.0 / 37.0; 37]);
        assert!(value < chi_square_limit(degrees), "chi-square {value}");
        assert_eq!(below(&mut rng, 0), 0);
    }

    #[test]
    fn the_chi_square_limit_is_near_its_table() {
        // Chi-square tables: p = 1e-6 at 10 degrees is 46.9 (the approximation is good to a few per cent there).
        assert!(
            (chi_square_limit(10) - 46.9).abs() < 1.5,
            "{}",
            chi_square_limit(10)
        );
    }
}
