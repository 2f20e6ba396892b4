//! Entries in the flow table over time, and how many of them lie in the stash.

use super::{Area, PALETTE, human_count, human_seconds, nothing, text};
use crate::summary::RunSummary;
use plotters::prelude::*;

pub(super) const NAME: &str = "occupancy";
pub(super) const TITLE: &str = "Flow table occupancy over time";

pub(super) fn draw<B: DrawingBackend>(area: &Area<B>, summary: &RunSummary) -> Result<(), String> {
    let points = &summary.occupancy;
    let most = points.iter().map(|point| point.entries).max().unwrap_or(0);
    if most == 0 {
        return nothing(area, TITLE, "nothing was offloaded in this run");
    }
    let end = points.last().map_or(1.0, |point| point.seconds).max(1e-6);
    let title = format!("{TITLE} (capacity {})", summary.table.capacity);
    area.fill(&WHITE).map_err(text)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end, 0.0..most as f64 * 1.1)
        .map_err(text)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("time since the first frame")
        .y_desc("entries")
        .x_label_formatter(&|x| human_seconds(*x))
        .y_label_formatter(&|y| human_count(*y))
        .label_style(("sans-serif", 14))
        .draw()
        .map_err(text)?;
    for (i, (name, value)) in [("table and stash", 0), ("stash", 1)]
        .into_iter()
        .enumerate()
    {
        let colour = PALETTE[i];
        let mut steps = Vec::with_capacity(points.len() * 2);
        for point in points {
            let y = if value == 0 {
                point.entries
            } else {
                point.stash
            } as f64;
            if let Some((_, last)) = steps.last().copied() {
                steps.push((point.seconds, last));
            }
            steps.push((point.seconds, y));
        }
        chart
            .draw_series(LineSeries::new(steps, colour.stroke_width(2)))
            .map_err(text)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(180, 180, 180))
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 13))
        .draw()
        .map_err(text)
}
