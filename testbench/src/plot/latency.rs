//! Time through the board, by path, as distribution functions over a logarithmic axis.

use super::{Area, PALETTE, human_ns, nothing, text};
use crate::summary::{Distribution, RunSummary};
use plotters::prelude::*;

pub(super) const NAME: &str = "latency";
pub(super) const TITLE: &str = "Latency, first bit in to first bit out, by path";

pub(super) fn draw<B: DrawingBackend>(area: &Area<B>, summary: &RunSummary) -> Result<(), String> {
    curves(
        area,
        TITLE,
        &[
            ("hardware", &summary.hardware_latency),
            ("host", &summary.host_latency),
        ],
        "no packets left the board in this run",
    )
}

/// Distribution functions of several sets of times.
pub(super) fn curves<B: DrawingBackend>(
    area: &Area<B>,
    title: &str,
    sets: &[(&str, &Distribution)],
    empty: &str,
) -> Result<(), String> {
    let there: Vec<_> = sets.iter().filter(|(_, times)| times.count > 0).collect();
    let low = there
        .iter()
        .map(|(_, times)| times.min_ns)
        .fold(f64::INFINITY, f64::min)
        .max(0.1);
    let high = there
        .iter()
        .map(|(_, times)| times.max_ns)
        .fold(0.0, f64::max);
    if there.is_empty() {
        return nothing(area, title, empty);
    }
    let (low, high) = (low / 1.5, (high * 1.5).max(low * 4.0));
    area.fill(&WHITE).map_err(text)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(60)
        .build_cartesian_2d((low..high).log_scale(), 0.0..100.0)
        .map_err(text)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("time (logarithmic)")
        .y_desc("at most this long, %")
        .x_label_formatter(&|x| human_ns(*x))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .label_style(("sans-serif", 14))
        .draw()
        .map_err(text)?;
    for (i, (name, times)) in there.into_iter().enumerate() {
        let colour = PALETTE[i % PALETTE.len()];
        let mut points = vec![(times.min_ns, 0.0)];
        for (ns, share) in &times.cdf {
            let last = points.last().map_or(0.0, |(_, y)| *y);
            points.push((*ns, last));
            points.push((*ns, share * 100.0));
        }
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))
            .map_err(text)?
            .label(format!(
                "{name}: median {}, 99.9 % {}",
                human(times.p50_ns),
                human(times.p999_ns)
            ))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(3)));
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

fn human(ns: f64) -> String {
    if ns < 1e3 {
        format!("{ns:.0} ns")
    } else {
        format!("{:.1} us", ns / 1e3)
    }
}
