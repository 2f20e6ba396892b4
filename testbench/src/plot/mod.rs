//! Plots, one file each, as SVG and PNG with the same content and no system fonts.

pub mod chart;
mod hit_rate;
mod insertion;
mod latency;
mod occupancy;
mod reasons;

use crate::summary::RunSummary;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use rayon::prelude::*;
use std::sync::Once;

/// Size of every plot, pixels.
const SIZE: (u32, u32) = (900, 420);

/// Colours that people with any colour vision can tell apart (Okabe, Ito: "Color Universal Design", 2008).
const PALETTE: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(240, 228, 66),
    RGBColor(110, 110, 110),
];

/// A rendered plot.
#[derive(Debug, Clone)]
pub struct Plot {
    /// File name without ending.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// As SVG.
    pub svg: String,
    /// As PNG.
    pub png: Vec<u8>,
}

type Area<B> = DrawingArea<B, Shift>;

/// What one plot file provides, for both back ends.
macro_rules! plots {
    ($($module:ident)*) => {
        const PLOTS: &[(&str, &str)] = &[$(($module::NAME, $module::TITLE),)*];

        fn draw<B: DrawingBackend>(name: &str, area: &DrawingArea<B, Shift>, summary: &RunSummary) -> Result<(), String> {
            match name {
                $($module::NAME => $module::draw(area, summary),)*
                _ => Err(format!("there is no plot {name}")),
            }
        }
    };
}

plots! { hit_rate reasons latency insertion occupancy }

fn font() {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        let bytes = include_bytes!("../../assets/DejaVuSans.ttf");
        // The bytes are a font file of ours; if they were not, every text would be missing and every plot would fail.
        register_font("sans-serif", FontStyle::Normal, bytes).ok();
    });
}

/// Renders every plot.
///
/// # Errors
/// A back end failed; says which plot.
pub fn render_all(summary: &RunSummary) -> Result<Vec<Plot>, String> {
    font();
    PLOTS
        .par_iter()
        .map(|(name, title)| render(name, title, summary))
        .collect()
}

fn render(name: &'static str, title: &'static str, summary: &RunSummary) -> Result<Plot, String> {
    let fail = |message: String| format!("plot {name}: {message}");
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(name, &area, summary).map_err(fail)?;
        area.present().map_err(|error| fail(error.to_string()))?;
    }
    let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        draw(name, &area, summary).map_err(fail)?;
        area.present().map_err(|error| fail(error.to_string()))?;
    }
    let png = encode(&pixels, SIZE).map_err(|error| fail(error.to_string()))?;
    Ok(Plot {
        name,
        title,
        svg,
        png,
    })
}

fn encode(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(out)
}

/// Says that there is nothing to plot.
fn nothing<B: DrawingBackend>(area: &Area<B>, title: &str, what: &str) -> Result<(), String> {
    area.fill(&WHITE).map_err(text)?;
    let titled = area.titled(title, ("sans-serif", 20)).map_err(text)?;
    let (width, height) = titled.dim_in_pixel();
    let style = ("sans-serif", 18)
        .into_font()
        .color(&RGBColor(110, 110, 110));
    let place = (width as i32 / 2 - what.len() as i32 * 5, height as i32 / 2);
    titled
        .draw(&Text::new(what.to_owned(), place, style))
        .map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Nanoseconds in the unit people read.
fn human_ns(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.0} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.0} ms", ns / 1e6),
        ns => format!("{:.0} s", ns / 1e9),
    }
}

/// Seconds in the unit people read.
fn human_seconds(seconds: f64) -> String {
    match seconds {
        0.0 => "0".to_owned(),
        s if s < 1e-3 => format!("{:.0} us", s * 1e6),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

/// A count with k, M, G.
fn human_count(count: f64) -> String {
    match count {
        c if c < 1e3 => format!("{c:.0}"),
        c if c < 1e4 => format!("{:.1}k", c / 1e3),
        c if c < 1e6 => format!("{:.0}k", c / 1e3),
        c => format!("{:.1}M", c / 1e6),
    }
}
