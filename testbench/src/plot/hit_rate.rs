//! What became of packets over time: forwarded by hardware, missed, trapped for each reason; stacked shares.

use super::{Area, PALETTE, human_seconds, nothing, text};
use crate::summary::RunSummary;
use plotters::prelude::*;

pub(super) const NAME: &str = "hit-rate";
pub(super) const TITLE: &str = "Share of packets over time: hardware, miss, and each trap reason";

pub(super) fn draw<B: DrawingBackend>(area: &Area<B>, summary: &RunSummary) -> Result<(), String> {
    let bins = &summary.over_time;
    let total = |i: usize| {
        bins[i].hits + bins[i].misses + bins[i].traps.iter().map(|trap| trap.1).sum::<u64>()
    };
    if (0..bins.len()).all(|i| total(i) == 0) {
        return nothing(area, TITLE, "no packets in this run");
    }
    let mut layers = vec![(
        "hardware".to_owned(),
        bins.iter().map(|bin| bin.hits).collect::<Vec<_>>(),
    )];
    layers.push((
        "miss".to_owned(),
        bins.iter().map(|bin| bin.misses).collect(),
    ));
    for (i, (name, _)) in bins[0].traps.iter().enumerate() {
        layers.push((
            name.clone(),
            bins.iter().map(|bin| bin.traps[i].1).collect(),
        ));
    }
    let length = bins[0].length_seconds;
    // Wider than the data: the legend lies beside it, not on it.
    let end = length * bins.len() as f64 * 1.16;
    area.fill(&WHITE).map_err(text)?;
    let mut chart = ChartBuilder::on(area)
        .caption(TITLE, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..end, 0.0..100.0)
        .map_err(text)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("time since the first frame")
        .y_desc("packets, %")
        .x_label_formatter(&|x| human_seconds(*x))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .label_style(("sans-serif", 14))
        .draw()
        .map_err(text)?;
    let mut base = vec![0u64; bins.len()];
    for (i, (name, counts)) in layers.iter().enumerate() {
        let colour = PALETTE[i % PALETTE.len()];
        let bars: Vec<_> = (0..bins.len())
            .filter(|bin| counts[*bin] > 0)
            .map(|bin| {
                let share = |count: u64| count as f64 * 100.0 / total(bin).max(1) as f64;
                let (low, high) = (share(base[bin]), share(base[bin] + counts[bin]));
                let x = bin as f64 * length;
                Rectangle::new([(x, low), (x + length, high)], colour.filled())
            })
            .collect();
        for (sum, count) in base.iter_mut().zip(counts) {
            *sum += count;
        }
        chart
            .draw_series(bars)
            .map_err(text)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(180, 180, 180))
        .position(SeriesLabelPosition::LowerRight)
        .label_font(("sans-serif", 13))
        .draw()
        .map_err(text)
}
