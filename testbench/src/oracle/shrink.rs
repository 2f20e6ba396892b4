//! From a case that shows a difference to the shortest that does (Zeller, Hildebrandt, "Simplifying and isolating
//! failure-inducing input", 2002).

use super::case::Case;

/// The shortest case `differs` says yes to that leaving packets out of `case` leads to.
///
/// # Errors
/// Those of `differs`.
pub fn shrink<E>(
    case: &Case,
    mut differs: impl FnMut(&Case) -> Result<bool, E>,
) -> Result<Case, E> {
    let mut best = case.clone();
    let mut chunk = best.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut start = 0;
        let mut shrunk = false;
        while start < best.steps.len() {
            let mut candidate = best.clone();
            let end = (start + chunk).min(candidate.steps.len());
            candidate.steps.drain(start..end);
            if !candidate.steps.is_empty() && differs(&candidate)? {
                best = candidate;
                shrunk = true;
            } else {
                start += chunk;
            }
        }
        if !shrunk || chunk > 1 {
            chunk /= 2;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::case::{Side, Step};

    #[test]
    fn only_the_packets_that_matter_are_left() {
        let steps = (0..50u8).map(|i| Step {
            after_s: 0,
            side: Side::A,
            bytes: vec![i],
        });
        let case = Case {
            steps: steps.collect(),
            ..Case::default()
        };
        let differs = |case: &Case| {
            let has = |i: u8| case.steps.iter().any(|step| step.bytes == [i]);
            Ok::<bool, ()>(has(3) && has(17) && has(44))
        };
        let small = shrink(&case, differs).expect("no error");
        let left: Vec<u8> = small.steps.iter().map(|step| step.bytes[0]).collect();
        assert_eq!(left, [3, 17, 44]);
    }
}
