//! `ctnic trace`: one JSON object per captured frame, in file order.

use super::options::{FromScenario, SystemArgs, networks};
use super::progress::progress_bar;
use crate::capture::{Capture, LinkLayer, strip};
use crate::frame::{Burst, Traffic};
use crate::simulation::{FrameOutcome, Simulation};
use crate::traffic::replay::{Replay, ReplayOptions};
use clap::{Args, ValueEnum};
use conntrack_core::dump::{conntrack_save, conntrack_tools, conntrack_xml, ovs_dpctl, proc, vyos};
use conntrack_core::{CtInfo, Packet, Status, Time, Tracker, Verdict};
use nic_model::clock::Picos;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// A pcap or pcapng file, plain or gzip
    #[arg(value_name = "FILE")]
    capture: PathBuf,
    /// Leave the NIC out: every packet is tracked by the host
    #[arg(long)]
    software_only: bool,
    /// `real`: packets happen at the capture's times. `flat`: all at the same instant, so that no timeout elapses
    #[arg(long, value_enum, default_value = "real")]
    time: TimeMode,
    /// Write the final table, as `conntrack -L -o extended` prints it unless --table-format says otherwise
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Whose printing the table is in
    #[arg(long, value_enum, default_value = "extended", requires = "table")]
    table_format: TableFormat,
    /// Addresses on the client side (repeatable); without it, the sender of the first packet of each pair is
    #[arg(long, value_name = "CIDR")]
    client_net: Vec<String>,
    #[command(flatten)]
    system: SystemArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TimeMode {
    Real,
    Flat,
}

/// How the final table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TableFormat {
    /// conntrack -L -o extended
    Extended,
    /// conntrack -L -o extended,id
    ExtendedId,
    /// conntrack -L -o save
    Save,
    /// conntrack -L -o xml
    Xml,
    /// /proc/net/nf_conntrack
    Proc,
    /// ovs-dpctl dump-conntrack -m -s
    Ovs,
    /// VyOS: show conntrack table ipv4, then ipv6
    Vyos,
}

impl TableFormat {
    fn print(self, tracker: &Tracker, now: Time) -> String {
        let extended = conntrack_tools::Options::EXTENDED;
        let ovs = ovs_dpctl::Options {
            more: true,
            statistics: true,
        };
        match self {
            Self::Extended => conntrack_tools::list(tracker, now, extended),
            Self::ExtendedId => {
                let options = conntrack_tools::Options {
                    id: true,
                    ..extended
                };
                conntrack_tools::list(tracker, now, options)
            }
            Self::Save => conntrack_save::list(tracker, now),
            Self::Xml => conntrack_xml::list(tracker, now, extended),
            Self::Proc => proc::list(tracker, now),
            Self::Ovs => ovs_dpctl::list(tracker, now, ovs),
            Self::Vyos => vyos::table(tracker, now, 4) + "\n" + &vyos::table(tracker, now, 6),
        }
    }
}

/// Distance of frames in a flat trace through the NIC: long enough for the slow path to be done with each.
const FLAT_SPACING: Picos = Picos::from_micros(50);

#[derive(Debug, Serialize)]
struct Line {
    n: u64,
    t_ns: u64,
    ctinfo: &'static str,
    ct_state: String,
    conn: Option<String>,
    path: &'static str,
    reason: String,
    latency_ns: u64,
}

/// What is in `Line::path` for a frame that was dropped in the hardware.
const PATH_DROPPED: &str = "drop";

pub(super) fn trace(args: &TraceArgs) -> Result<bool, String> {
    let capture = Arc::new(Capture::open(&args.capture).map_err(|error| error.to_string())?);
    let stdout = std::io::stdout();
    let mut out = BufWriter::new(stdout.lock());
    let held = if args.software_only {
        software(args, &capture, &mut out)?
    } else {
        with_nic(args, &capture, &mut out)?
    };
    out.flush().or_else(ignore_closed_pipe)?;
    if let Some(error) = capture.cut_short() {
        eprintln!("ctnic: {error}; what was read before is traced");
        return Err("the capture was cut short".to_owned());
    }
    Ok(held)
}

/// Somebody who reads only the first lines (`| head`) is no error.
fn ignore_closed_pipe(error: std::io::Error) -> Result<(), String> {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(format!("cannot write: {error}"))
}

fn write_line(out: &mut impl Write, line: &Line) -> Result<(), String> {
    let text = serde_json::to_string(line).map_err(|error| error.to_string())?;
    writeln!(out, "{text}").or_else(ignore_closed_pipe)
}

fn software(args: &TraceArgs, capture: &Capture, out: &mut impl Write) -> Result<bool, String> {
    let mut tracker = Tracker::new(
        args.system.conntrack_config(&FromScenario::default())?,
        args.system.hash_key(&FromScenario::default()),
    );
    let (mut now, mut last_ns) = (Time(0), 0);
    let base_ns = capture
        .frames()
        .iter()
        .map(|frame| frame.time_ns)
        .find(|ns| *ns > 0)
        .unwrap_or(0);
    let bar = progress_bar(Some(capture.frames().len() as u64));
    for frame in capture.frames() {
        let t_ns = frame.time_ns.saturating_sub(base_ns);
        last_ns = t_ns.max(last_ns);
        if args.time == TimeMode::Real {
            now = Time(last_ns);
        }
        let mut line = Line {
            n: frame.number,
            t_ns: frame.time_ns,
            ctinfo: "NOT_IP",
            ct_state: String::new(),
            conn: None,
            path: "sw",
            reason: String::new(),
            latency_ns: 0,
        };
        match strip(frame.link_type, capture.bytes(frame), frame.wire_len) {
            LinkLayer::NotIp(why) => why.clone_into(&mut line.reason),
            LinkLayer::Ip { bytes, wire_len } => {
                let packet = Packet {
                    wire_len,
                    ..Packet::whole(bytes)
                };
                let verdict = tracker.track(&packet, now);
                describe(&mut line, &verdict, &tracker);
                line.reason = verdict
                    .reason
                    .map_or_else(String::new, |reason| reason.to_string());
            }
        }
        write_line(out, &line)?;
        bar.inc(1);
        tracker.collect(now, 64);
    }
    bar.finish_and_clear();
    write_table(args, &tracker, now)?;
    Ok(true)
}

fn describe(line: &mut Line, verdict: &Verdict, tracker: &Tracker) {
    line.ctinfo = verdict.ctinfo.name();
    line.ct_state = verdict.ct_state(tracker);
    let tuple = verdict.connection.and_then(|id| tracker.original_tuple(id));
    line.conn = tuple.map(|tuple| tuple.to_string());
}

fn write_table(args: &TraceArgs, tracker: &Tracker, now: Time) -> Result<(), String> {
    let Some(path) = &args.table else {
        return Ok(());
    };
    let text = args.table_format.print(tracker, now);
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn with_nic(
    args: &TraceArgs,
    capture: &Arc<Capture>,
    out: &mut impl Write,
) -> Result<bool, String> {
    let flat = args.time == TimeMode::Flat;
    let options = ReplayOptions {
        client_networks: networks(&args.client_net)?,
        flat_spacing: flat.then_some(FLAT_SPACING),
    };
    let mut traffic = Replay::new(Arc::clone(capture), &options);
    let config = args
        .system
        .run_config(&FromScenario::default(), traffic.largest_frame(), flat)?;
    let mut simulation = Simulation::new(config).map_err(|error| error.to_string())?;
    simulation.record_outcomes();
    let mut burst = Burst::default();
    let bar = progress_bar(Some(capture.frames().len() as u64));
    let mut pending = Pending {
        lines: BTreeMap::new(),
        next: 1,
    };
    loop {
        let more = simulation
            .step(&mut traffic as &mut dyn Traffic, &mut burst)
            .map_err(|error| error.to_string())?;
        if !more {
            break;
        }
        pending.take(&mut simulation, capture, out)?;
        bar.set_position(simulation.frames());
    }
    simulation.finish().map_err(|error| error.to_string())?;
    pending.take(&mut simulation, capture, out)?;
    bar.finish_and_clear();
    for line in pending.lines.values() {
        write_line(out, line)?;
    }
    let summary = simulation.summary(crate::summary::RunInfo::default());
    let violated: Vec<&str> = summary
        .monitors
        .iter()
        .flat_map(|monitor| &monitor.first)
        .map(String::as_str)
        .collect();
    for violation in &violated {
        eprintln!("ctnic: invariant violated: {violation}");
    }
    let now = if flat {
        Time(0)
    } else {
        Time(simulation.now().as_nanos())
    };
    write_table(args, simulation.tracker(), now)?;
    Ok(violated.is_empty())
}

/// Lines by frame number: the slow path decides later than the fast path.
struct Pending {
    lines: BTreeMap<u64, Line>,
    /// The frame whose line is to be written next.
    next: u64,
}

impl Pending {
    /// Takes what became of frames and writes the lines that are next in file order.
    fn take(
        &mut self,
        simulation: &mut Simulation,
        capture: &Capture,
        out: &mut impl Write,
    ) -> Result<(), String> {
        for outcome in simulation.take_outcomes() {
            let line = line_of(&outcome, simulation, capture);
            self.lines.insert(outcome.number, line);
        }
        while let Some(line) = self.lines.remove(&self.next) {
            write_line(out, &line)?;
            self.next += 1;
        }
        Ok(())
    }
}

fn line_of(outcome: &FrameOutcome, simulation: &Simulation, capture: &Capture) -> Line {
    let index = outcome.number.saturating_sub(1) as usize;
    let t_ns = capture.frames().get(index).map_or(0, |frame| frame.time_ns);
    let mut line = Line {
        n: outcome.number,
        t_ns,
        ctinfo: "NOT_IP",
        ct_state: String::new(),
        conn: None,
        path: "sw",
        reason: outcome
            .reason
            .map_or_else(String::new, |reason| reason.name().to_owned()),
        latency_ns: outcome.latency.as_nanos(),
    };
    line.conn = outcome.tuple.map(|tuple| tuple.to_string());
    if let Some(from_originator) = outcome.hardware {
        let ctinfo = if from_originator {
            CtInfo::Established
        } else {
            CtInfo::EstablishedReply
        };
        line.ctinfo = ctinfo.name();
        line.ct_state = ctinfo.ct_state(Status::NONE);
        line.path = "hw";
        "hit".clone_into(&mut line.reason);
    } else if let Some(dropped) = outcome.dropped {
        line.ctinfo = CtInfo::Dropped.name();
        line.path = PATH_DROPPED;
        dropped.name().clone_into(&mut line.reason);
    } else if let Some(verdict) = &outcome.verdict {
        line.ctinfo = verdict.ctinfo.name();
        line.ct_state = verdict.ct_state(simulation.tracker());
        if verdict.ctinfo == CtInfo::Dropped {
            line.reason = verdict
                .reason
                .map_or_else(String::new, |reason| reason.to_string());
        }
    }
    line
}
