//! Curves and points over two axes, each linear or logarithmic.

use super::{Area, PALETTE, encode, font, text};
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

const SIZE: (u32, u32) = (900, 480);

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
    /// Whether points are marked instead of joined.
    pub marked: bool,
}

impl Series {
    /// Points joined by a line.
    pub fn line(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
            marked: false,
        }
    }

    /// Points by themselves.
    pub fn points(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            marked: true,
            ..Self::line(name, points)
        }
    }
}

/// A picture of some curves. A curve of points and the line after it, its theory, have the same colour.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Title.
    pub title: String,
    /// What the horizontal axis shows, with unit.
    pub x: String,
    /// What the vertical axis shows, with unit.
    pub y: String,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
    /// The curves.
    pub series: Vec<Series>,
}

impl Chart {
    /// As SVG.
    ///
    /// # Errors
    /// The back end failed.
    pub fn svg(&self) -> Result<String, String> {
        font();
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            self.draw(&area)?;
            area.present().map_err(text)?;
        }
        Ok(svg)
    }

    /// As PNG.
    ///
    /// # Errors
    /// The back end failed.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        font();
        let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
            self.draw(&area)?;
            area.present().map_err(text)?;
        }
        encode(&pixels, SIZE).map_err(text)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Result<(), String> {
        let (x, y) = self.spans();
        match (self.log_x, self.log_y) {
            (false, false) => self.draw_on(area, x, y),
            (true, false) => self.draw_on(area, x.log_scale(), y),
            (false, true) => self.draw_on(area, x, y.log_scale()),
            (true, true) => self.draw_on(area, x.log_scale(), y.log_scale()),
        }
    }

    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.series.iter().flat_map(|series| &series.points)
    }

    /// What both axes show.
    fn spans(&self) -> (Range<f64>, Range<f64>) {
        (
            span(self.points().map(|(x, _)| *x), self.log_x),
            span(self.points().map(|(_, y)| *y), self.log_y),
        )
    }

    /// Where the names of the curves hide the fewest of their points.
    fn emptiest_corner(&self) -> SeriesLabelPosition {
        let (x, y) = self.spans();
        let hidden = |right: bool, upper: bool| {
            let inside = |(at_x, at_y): &&(f64, f64)| {
                let (across, up) = (along(*at_x, &x, self.log_x), along(*at_y, &y, self.log_y));
                (across > 0.65 || !right)
                    && (across < 0.35 || right)
                    && (up > 0.5 || !upper)
                    && (up < 0.5 || upper)
            };
            self.points().filter(inside).count()
        };
        let corners = [
            (hidden(false, true), SeriesLabelPosition::UpperLeft),
            (hidden(true, true), SeriesLabelPosition::UpperRight),
            (hidden(true, false), SeriesLabelPosition::LowerRight),
            (hidden(false, false), SeriesLabelPosition::LowerLeft),
        ];
        let best = corners.into_iter().min_by_key(|(hidden, _)| *hidden);
        best.map_or(SeriesLabelPosition::UpperLeft, |(_, corner)| corner)
    }

    fn draw_on<B: DrawingBackend, X, Y>(&self, area: &Area<B>, x: X, y: Y) -> Result<(), String>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        area.fill(&WHITE).map_err(text)?;
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(72)
            .build_cartesian_2d(x, y)
            .map_err(text)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_label_formatter(&|x| short(*x))
            .y_label_formatter(&|y| short(*y))
            .label_style(("sans-serif", 14))
            .draw()
            .map_err(text)?;
        let mut colour = 0;
        for (i, series) in self.series.iter().enumerate() {
            let is_theory = i > 0 && self.series[i - 1].marked && !series.marked;
            colour += usize::from(i > 0 && !is_theory);
            let colour = PALETTE[colour % PALETTE.len()];
            let points = series.points.iter().copied();
            if series.marked {
                let marks = points.map(|at| Circle::new(at, 4, colour.filled()));
                let drawn = chart.draw_series(marks).map_err(text)?;
                drawn
                    .label(&series.name)
                    .legend(move |(x, y)| Circle::new((x + 7, y), 4, colour.filled()));
            } else {
                let line = LineSeries::new(points, colour.stroke_width(2));
                let drawn = chart.draw_series(line).map_err(text)?;
                drawn.label(&series.name).legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(3))
                });
            }
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(180, 180, 180))
            .position(self.emptiest_corner())
            .label_font(("sans-serif", 13))
            .draw()
            .map_err(text)
    }
}

/// How far along an axis a value lies, 0 to 1.
fn along(value: f64, span: &Range<f64>, logarithmic: bool) -> f64 {
    let scale = |value: f64| {
        if logarithmic {
            value.max(1e-300).ln()
        } else {
            value
        }
    };
    let (low, high) = (scale(span.start), scale(span.end));
    (scale(value) - low) / (high - low)
}

/// From a little below the least to a little above the most.
fn span(values: impl Iterator<Item = f64>, logarithmic: bool) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return 0.5..1.5;
    }
    if logarithmic {
        let low = low.max(1e-12);
        return low / 1.2..(high * 1.2).max(low * 2.0);
    }
    let margin = ((high - low) * 0.05).max(high.abs() * 1e-6).max(1e-9);
    let floor = if low >= 0.0 {
        (low - margin).max(0.0)
    } else {
        low - margin
    };
    floor..high + margin
}

/// A number in few characters.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        v if v >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        v if v >= 1e-3 => trimmed(value),
        _ => format!("{value:.0e}"),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_of_every_kind_of_axes_are_drawn() {
        for (log_x, log_y) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut chart = Chart {
                title: "a title".to_owned(),
                x: "x".to_owned(),
                y: "y".to_owned(),
                log_x,
                log_y,
                series: vec![
                    Series::points("points", vec![(1.0, 0.001), (100.0, 2.0)]),
                    Series::line("line", vec![(1.0, 0.002), (90.0, 1.0)]),
                ],
            };
            let svg = chart.svg().expect("drawn");
            assert!(svg.contains("a title") && svg.contains("points") && svg.contains("circle"));
            chart.series.clear();
            assert!(chart.png().expect("drawn").starts_with(b"\x89PNG"));
        }
    }

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 0.5, 1234.5, 65_536.0, 2e6, 1e-5].map(short);
        assert_eq!(all, ["0", "0.5", "1234.5", "65.536k", "2M", "1e-5"]);
    }
}
