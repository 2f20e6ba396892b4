//! The summary as text: aligned, in units people read, violations where nobody can miss them.

use crate::summary::{CauseCount, Distribution, RunSummary};
use std::fmt::Write;

/// A number with thin groups of three: `1,234,567`.
pub(super) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Nanoseconds in the unit people read, three significant digits.
pub(super) fn nanos(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "us"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let decimals = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.decimals$} {unit}")
}

fn bar(share: f64) -> String {
    const WIDTH: usize = 24;
    let full = (share.clamp(0.0, 1.0) * WIDTH as f64).round() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(WIDTH - full))
}

fn latency(out: &mut String, name: &str, times: &Distribution) {
    if times.count == 0 {
        writeln!(out, "  {name:<10} none").ok();
        return;
    }
    let columns = [
        times.p50_ns,
        times.p90_ns,
        times.p99_ns,
        times.p999_ns,
        times.max_ns,
    ];
    write!(out, "  {name:<10}").ok();
    for ns in columns {
        write!(out, "{:>11}", nanos(ns)).ok();
    }
    writeln!(out, "{:>14}", thousands(times.count)).ok();
}

fn causes(list: &[CauseCount]) -> String {
    list.iter()
        .map(|cause| format!("{} {}", cause.cause, thousands(cause.count)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The summary of a run. Writing to a string cannot fail, so results are not looked at.
pub fn text(s: &RunSummary) -> String {
    let mut out = String::new();
    writeln!(out, "{}: {}", s.run.name, s.run.source).ok();
    writeln!(
        out,
        "card {}, driver {}, policy {}, seed {}, {:.3} s of traffic",
        s.run.nic, s.run.profile, s.run.policy, s.run.seed, s.run.simulated_seconds
    )
    .ok();
    if let Some(cut) = &s.run.cut_short {
        writeln!(out, "CUT SHORT: {cut}").ok();
    }
    for note in &s.run.notes {
        writeln!(out, "note: {note}").ok();
    }
    packets(&mut out, s);
    writeln!(
        out,
        "\nLatency            p50        p90        p99      p99.9        max         count"
    )
    .ok();
    latency(&mut out, "hardware", &s.hardware_latency);
    latency(&mut out, "host", &s.host_latency);
    latency(&mut out, "insertion", &s.insertion_latency);
    for (name, times) in [
        ("closed", &s.close_to_removal),
        ("idle", &s.idle_to_removal),
    ] {
        if times.count > 0 {
            latency(&mut out, name, times);
        }
    }
    connections(&mut out, s);
    card(&mut out, s);
    monitors(&mut out, s);
    out
}

fn packets(out: &mut String, s: &RunSummary) {
    let p = &s.packets;
    writeln!(
        out,
        "\nPackets {:>14}   bytes {:>18}",
        thousands(p.received),
        thousands(p.received_bytes)
    )
    .ok();
    for (name, packets, share, bytes) in [
        ("hardware", p.hardware, p.hit_rate_packets, p.hardware_bytes),
        ("host", p.host, share(p.host, p.received), p.host_bytes),
        ("dropped", p.dropped, share(p.dropped, p.received), 0),
    ] {
        let bytes = if bytes == 0 {
            String::new()
        } else {
            format!("{:>18} bytes", thousands(bytes))
        };
        writeln!(
            out,
            "  {name:<10}{:>12} {:>7.2} % {} {bytes}",
            thousands(packets),
            share * 100.0,
            bar(share)
        )
        .ok();
    }
    writeln!(
        out,
        "Offload hit rate: {:.2} % of packets, {:.2} % of bytes",
        p.hit_rate_packets * 100.0,
        p.hit_rate_bytes * 100.0
    )
    .ok();
    if !s.to_host.is_empty() {
        writeln!(out, "\nWhy packets went to the host").ok();
    }
    for reason in &s.to_host {
        let part = share(reason.packets, p.host);
        let count = thousands(reason.packets);
        writeln!(
            out,
            "  {:<14}{count:>12} {:>7.2} % {}  {}",
            reason.reason,
            part * 100.0,
            bar(part),
            reason.meaning
        )
        .ok();
    }
    for reason in &s.dropped {
        writeln!(
            out,
            "  dropped: {:<14}{:>12}  {}",
            reason.reason,
            thousands(reason.packets),
            reason.meaning
        )
        .ok();
    }
}

fn connections(out: &mut String, s: &RunSummary) {
    let (c, t) = (&s.connections, &s.table);
    writeln!(out, "\nConnections").ok();
    writeln!(
        out,
        "  seen {}, most at once {}",
        thousands(c.seen),
        thousands(c.peak_live)
    )
    .ok();
    writeln!(
        out,
        "  offloaded {}; taken out: {}",
        thousands(c.offloaded),
        or_none(&causes(&c.un_offloaded))
    )
    .ok();
    if !c.refused.is_empty() {
        writeln!(out, "  not offloaded: {}", causes(&c.refused)).ok();
    }
    if c.marks_sent > 0 {
        writeln!(
            out,
            "  {} entries got another mark or other labels",
            thousands(c.marks_sent)
        )
        .ok();
    }
    writeln!(
        out,
        "  live at the end {}, of these in hardware {}",
        thousands(c.live_at_end),
        thousands(c.in_hardware_at_end)
    )
    .ok();
    for reason in &c.reasons {
        writeln!(
            out,
            "    {:>12}  {:<18} {}",
            thousands(reason.count),
            reason.why,
            reason.meaning
        )
        .ok();
    }
    writeln!(out, "Table: {}", t.organisation).ok();
    writeln!(
        out,
        "  peak {} of {} ({:.2} %), stash peak {} of {}, moves {}, evicted {}, failed insertions {}",
        thousands(t.peak_occupied),
        thousands(t.capacity),
        share(t.peak_occupied, t.capacity) * 100.0,
        t.peak_stash,
        t.stash_capacity,
        thousands(t.moves),
        thousands(t.evicted),
        thousands(t.insert_failed)
    )
    .ok();
    if t.memory_reads > 0 {
        writeln!(
            out,
            "  memory: {} lines read, {:.1} % of them from the cache; {} written",
            thousands(t.memory_reads),
            share(t.memory_cache_hits, t.memory_reads) * 100.0,
            thousands(t.memory_writes)
        )
        .ok();
    }
    for (count, what) in [
        (t.pauses, "neighbours told to stop"),
        (t.stomped, "damaged frames that were being sent on already"),
    ] {
        if count > 0 {
            writeln!(out, "  {what}: {}", thousands(count)).ok();
        }
    }
    if t.mirrored + t.mirror_dropped > 0 {
        let (sent, lost) = (thousands(t.mirrored), thousands(t.mirror_dropped));
        writeln!(
            out,
            "  copies sent {sent}, without room at their port {lost}"
        )
        .ok();
    }
    let table_is_cam = t.stash_capacity == t.capacity;
    let table = table_is_cam.then_some(("CAM", &t.cam));
    for (name, cam) in table.into_iter().chain([("classifier", &t.classifier)]) {
        if cam.searches > 0 {
            writeln!(
                out,
                "  {name}: {} searches, {} match lines discharged, {} search lines toggled, {} writes",
                thousands(cam.searches),
                thousands(cam.match_lines_discharged),
                thousands(cam.search_line_toggles),
                thousands(cam.writes)
            )
            .ok();
        }
    }
    let verdict = if s.counters.reconciled {
        "reconciled"
    } else {
        "NOT RECONCILED"
    };
    writeln!(
        out,
        "Counters: {} packets counted in hardware, {} brought back: {verdict}",
        thousands(s.counters.hardware_packets),
        thousands(s.counters.synchronised_packets)
    )
    .ok();
}

/// Entries of the error log that are printed.
const LOG_LINES: usize = 10;

fn card(out: &mut String, s: &RunSummary) {
    let card = &s.card;
    if let Some(update) = &card.update {
        writeln!(out, "Firmware update: {update}").ok();
    }
    if card.log.is_empty() {
        return;
    }
    writeln!(out, "The card's error log, firmware {}", card.firmware).ok();
    for entry in card.log.iter().take(LOG_LINES) {
        writeln!(out, "  {:>12.3} ms  {}", entry.at_ms, entry.what).ok();
    }
    let more = card.log.len().saturating_sub(LOG_LINES);
    if more > 0 {
        writeln!(out, "  and {more} more: summary.json has them").ok();
    }
}

fn monitors(out: &mut String, s: &RunSummary) {
    writeln!(out, "\nMonitors").ok();
    for monitor in &s.monitors {
        let verdict = if monitor.held() {
            "held".to_owned()
        } else {
            format!("VIOLATED {} times", monitor.violations)
        };
        writeln!(
            out,
            "  {} {:<26}{verdict} ({} checks)",
            monitor.number,
            monitor.name,
            thousands(monitor.checks)
        )
        .ok();
        for counted in &monitor.counted {
            writeln!(out, "      {}: {}", counted.cause, thousands(counted.count)).ok();
        }
        for violation in &monitor.first {
            writeln!(out, "      !! {violation}").ok();
        }
    }
    if let Some(wave) = &s.wave {
        let limited = wave
            .limited
            .as_deref()
            .map_or_else(String::new, |why| format!(" ({why})"));
        writeln!(
            out,
            "Waveform: {}, {} changes{limited}",
            wave.file,
            thousands(wave.changes)
        )
        .ok();
    }
    if let Some(cut) = &s.run.cut_short {
        writeln!(out, "CUT SHORT: {cut}").ok();
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(nanos(999.0), "999 ns");
        assert_eq!(nanos(1_234.0), "1.23 us");
        assert_eq!(nanos(45_600_000.0), "45.6 ms");
    }
}
