//! Why packets went to the host.

use super::{Area, PALETTE, human_count, nothing, text};
use crate::summary::RunSummary;
use plotters::prelude::*;

pub(super) const NAME: &str = "trap-reasons";
pub(super) const TITLE: &str = "Why packets went to the host";

pub(super) fn draw<B: DrawingBackend>(area: &Area<B>, summary: &RunSummary) -> Result<(), String> {
    let reasons = &summary.to_host;
    let most = reasons
        .iter()
        .map(|reason| reason.packets)
        .max()
        .unwrap_or(0);
    if most == 0 {
        return nothing(area, TITLE, "no packet went to the host in this run");
    }
    let rows = reasons.len() as f64;
    area.fill(&WHITE).map_err(text)?;
    let mut chart = ChartBuilder::on(area)
        .caption(TITLE, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(12)
        .build_cartesian_2d(0.0..most as f64 * 1.9, 0.0..rows)
        .map_err(text)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(WHITE)
        .x_desc("packets")
        .x_label_formatter(&|x| human_count(*x))
        .label_style(("sans-serif", 14))
        .draw()
        .map_err(text)?;
    let row = |i: usize| rows - i as f64;
    chart
        .draw_series(reasons.iter().enumerate().map(|(i, reason)| {
            let y = row(i);
            Rectangle::new(
                [(0.0, y - 0.85), (reason.packets as f64, y - 0.15)],
                PALETTE[0].filled(),
            )
        }))
        .map_err(text)?;
    let labels = reasons.iter().enumerate().map(|(i, reason)| {
        let label = format!("{} ({}): {}", reason.reason, reason.meaning, reason.packets);
        let place = (reason.packets as f64 + most as f64 * 0.01, row(i) - 0.35);
        Text::new(label, place, ("sans-serif", 13).into_font())
    });
    chart.draw_series(labels).map_err(text).map(drop)
}
