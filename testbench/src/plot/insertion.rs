//! How long it takes from the decision to offload until the driver knows that the entry is in the table.

use super::{Area, latency, text};
use crate::summary::RunSummary;
use plotters::prelude::*;

pub(super) const NAME: &str = "insertion-latency";
pub(super) const TITLE: &str = "Insertion latency: decision to completion";

pub(super) fn draw<B: DrawingBackend>(area: &Area<B>, summary: &RunSummary) -> Result<(), String> {
    let sets = [("insertions", &summary.insertion_latency)];
    latency::curves(area, TITLE, &sets, "no insertion in this run").map_err(text)
}
