//! Means and their standard errors.

/// Mean of some measurements, and its standard error (their deviation divided by the root of their number).
pub(super) fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    let variance = squares.sum::<f64>() / (count - 1.0).max(1.0);
    (mean, (variance / count).sqrt())
}
