//! The summary for the terminal, and the report for a browser.

pub mod compare;
mod terminal;

pub use terminal::text;

use crate::plot::Plot;
use crate::summary::RunSummary;
use minijinja::{Environment, context};

/// The report: one HTML file that needs nothing else, plots inside.
///
/// # Errors
/// The template failed: a defect of ours.
pub fn html(summary: &RunSummary, plots: &[Plot]) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.add_filter("count", |value: u64| terminal::thousands(value));
    environment.add_filter("ns", |value: f64| terminal::nanos(value));
    environment.add_filter("percent", |value: f64| format!("{:.2} %", value * 100.0));
    environment
        .add_template("report.html", include_str!("report.html.j2"))
        .map_err(|error| error.to_string())?;
    let plots: Vec<_> = plots
        .iter()
        .map(|plot| context! { title => plot.title, name => plot.name, svg => plot.svg.clone() })
        .collect();
    let held = summary
        .monitors
        .iter()
        .all(crate::summary::MonitorVerdict::held);
    environment
        .get_template("report.html")
        .and_then(|template| {
            template.render(context! { s => minijinja::value::Serde(summary), plots, held })
        })
        .map_err(|error| format!("report: {error}"))
}
