//! Times on the command line: a number and its unit.

use nic_model::clock::Picos;

/// Picoseconds in each unit.
const UNITS: [(&str, f64); 5] = [
    ("ps", 1.0),
    ("ns", 1e3),
    ("us", 1e6),
    ("ms", 1e9),
    ("s", 1e12),
];

/// A time such as `50us` or `2.5ms`.
///
/// # Errors
/// It is not one, or more than the simulation can count (213 days).
pub(super) fn parse(text: &str) -> Result<Picos, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = UNITS
        .iter()
        .find(|(name, _)| *name == &text[digits.len()..]);
    let number: Option<f64> = digits.trim().parse().ok();
    match (number, unit) {
        (Some(number), Some((_, picos))) if (0.0..1.8e19).contains(&(number * picos)) => {
            Ok(Picos((number * picos).round() as u64))
        }
        _ => Err("expected a time with its unit: ps, ns, us, ms or s, such as 50us".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_its_unit() {
        assert_eq!(parse("50us"), Ok(Picos(50_000_000)));
        assert_eq!(parse("2.5 ms"), Ok(Picos(2_500_000_000)));
        for wrong in ["50", "us", "-1s", "1e30s", "50 fortnights", "NaNs"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
