//! The same traffic under several drivers, side by side.

use super::terminal::{nanos, thousands};
use crate::plot::chart::{Chart, Series};
use crate::summary::{Distribution, MonitorVerdict, RunSummary};
use std::fmt::Write;

/// What is compared, a line each: its name, and what a run says of it.
type Line = (&'static str, fn(&RunSummary) -> String);

const LINES: &[Line] = &[
    ("forwarded by hardware, packets", |s| {
        percent(s.packets.hit_rate_packets)
    }),
    ("forwarded by hardware, bytes", |s| {
        percent(s.packets.hit_rate_bytes)
    }),
    ("times put into hardware", |s| {
        thousands(s.connections.offloaded)
    }),
    ("commands refused", |s| {
        thousands(sum(s.connections.refused.iter().map(|cause| cause.count)))
    }),
    ("most entries at once", |s| thousands(s.table.peak_occupied)),
    ("entry stays after FIN or RST, median", |s| {
        median(&s.close_to_removal)
    }),
    ("  the longest", |s| longest(&s.close_to_removal)),
    ("entry stays after the last packet, median", |s| {
        median(&s.idle_to_removal)
    }),
    ("  the shortest", |s| shortest(&s.idle_to_removal)),
    ("  the longest", |s| longest(&s.idle_to_removal)),
    ("taken out as idle within 2 s of a packet", |s| {
        thousands(within(&s.idle_to_removal, 2e9))
    }),
    ("statistics late by at most", |s| {
        nanos(s.counters.peak_lag_ns as f64)
    }),
    ("counters read in bulk, records", |s| {
        thousands(s.counters.records)
    }),
    ("counters asked for, commands", |s| {
        thousands(s.counters.asked)
    }),
    ("counters at rest at most", |s| {
        thousands(s.counters.peak_resting.into())
    }),
    ("firmware at work", |s| percent(s.work.firmware)),
    ("host's core at work", |s| percent(s.work.host)),
    ("to the host over PCIe, bytes", |s| {
        thousands(s.work.to_host_bytes)
    }),
    ("packets overtaken", |s| thousands(overtaken(s))),
    ("fates that differ from software alone", |s| differences(s)),
    ("invariants violated", |s| {
        let broken = s.monitors.iter().filter(|monitor| !monitor.held());
        let numbers: Vec<String> = broken.map(|monitor| monitor.number.to_string()).collect();
        if numbers.is_empty() {
            "none".to_owned()
        } else {
            numbers.join(", ")
        }
    }),
];

/// The comparison as a table for the terminal.
pub fn table(runs: &[RunSummary]) -> String {
    let mut out = format!("{:<44}", "");
    for run in runs {
        write!(out, "{:>17}", run.run.profile).ok();
    }
    out.push('\n');
    for (name, of) in LINES {
        write!(out, "{name:<44}").ok();
        for run in runs {
            write!(out, "{:>17}", of(run)).ok();
        }
        out.push('\n');
    }
    out
}

/// The same in Markdown.
pub fn markdown(runs: &[RunSummary]) -> String {
    let mut out = String::from("| |");
    for run in runs {
        write!(out, " {} |", run.run.profile).ok();
    }
    out.push_str("\n|---|");
    out.push_str(&"--:|".repeat(runs.len()));
    out.push('\n');
    for (name, of) in LINES {
        write!(out, "| {} |", name.replace("  the", "— the")).ok();
        for run in runs {
            write!(out, " {} |", of(run)).ok();
        }
        out.push('\n');
    }
    out
}

/// How long entries stay that nobody needs: after a close, and after the last packet.
pub fn charts(runs: &[RunSummary]) -> [(&'static str, Chart); 2] {
    let close = |run: &RunSummary| curve(run, &run.close_to_removal, 1e-6);
    let idle = |run: &RunSummary| curve(run, &run.idle_to_removal, 1e-9);
    let chart = |title: &str, x: &str, log_x, series: Vec<Option<Series>>| Chart {
        title: title.to_owned(),
        x: x.to_owned(),
        y: "out of hardware by then, %".to_owned(),
        log_x,
        log_y: false,
        series: series.into_iter().flatten().collect(),
    };
    [
        (
            "after-close",
            chart(
                "Entries after FIN or RST",
                "ms after the FIN or RST came to software",
                true,
                runs.iter().map(close).collect(),
            ),
        ),
        (
            "after-idle",
            chart(
                "Entries after the last packet",
                "s after the last packet that the hardware forwarded",
                false,
                runs.iter().map(idle).collect(),
            ),
        ),
    ]
}

/// A distribution as a curve, if there is one; times in units of so many to the nanosecond.
fn curve(run: &RunSummary, times: &Distribution, scale: f64) -> Option<Series> {
    /// Steps that nobody sees are left out, per cent.
    const VISIBLE: f64 = 0.3;
    let (mut points, mut below) = (Vec::new(), 0.0);
    for (ns, share) in &times.cdf {
        if share * 100.0 - below < VISIBLE && *share < 1.0 {
            continue;
        }
        // A step: nothing happens between two times.
        points.push((ns * scale, below));
        below = share * 100.0;
        points.push((ns * scale, below));
    }
    (!points.is_empty()).then(|| Series::line(run.run.profile.clone(), points))
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

fn of(times: &Distribution, ns: f64) -> String {
    if times.count == 0 {
        return "-".to_owned();
    }
    nanos(ns)
}

fn median(times: &Distribution) -> String {
    of(times, times.p50_ns)
}

fn longest(times: &Distribution) -> String {
    of(times, times.max_ns)
}

fn shortest(times: &Distribution) -> String {
    of(times, times.min_ns)
}

/// How many of the times are at most so many nanoseconds.
fn within(times: &Distribution, ns: f64) -> u64 {
    let share = times.cdf.iter().take_while(|(at, _)| *at <= ns).last();
    (share.map_or(0.0, |(_, share)| *share) * times.count as f64).round() as u64
}

fn monitor(summary: &RunSummary, number: u32) -> Option<&MonitorVerdict> {
    summary
        .monitors
        .iter()
        .find(|monitor| monitor.number == number)
}

fn overtaken(summary: &RunSummary) -> u64 {
    let counted = monitor(summary, 6).map_or(&[][..], |order| &order.counted);
    counted.first().map_or(0, |cause| cause.count)
}

fn differences(summary: &RunSummary) -> String {
    let Some(equivalence) = monitor(summary, 5) else {
        return "not compared".to_owned();
    };
    let by_design = sum(equivalence.counted.iter().map(|cause| cause.count));
    thousands(by_design + equivalence.violations)
}
