//! `--wave…`: what a run records of its signals, and the viewers' files beside it.

use super::duration;
use crate::simulation::Simulation;
use crate::summary::WaveInfo;
use clap::Args;
use nic_model::clock::Picos;
use nic_model::probe::Probe;
use std::path::{Path, PathBuf};
use waveforms::view::Style;
use waveforms::{Capture, Captured, WaveSummary};

#[derive(Debug, Args)]
pub(super) struct WaveArgs {
    /// Waveform file (.fst or .vcd); without it, wave.fst in the output directory
    #[arg(long, value_name = "FILE")]
    wave: Option<PathBuf>,
    /// Record no waveform
    #[arg(long, conflicts_with_all = ["wave", "wave_window", "wave_trigger"])]
    no_wave: bool,
    /// Record this stretch of simulated time only: 10us..50us, 2.5ms.., ..1ms
    #[arg(long, value_name = "FROM..TO", value_parser = window)]
    wave_window: Option<(Picos, Picos)>,
    /// Record around the moment when this comes true: 'trap.reason==rst', 'lookup.miss && conn==10.0.0.1:4000-10.0.0.2:80'
    ///
    /// Signals are named by the end of their path in the wave (`ctnic signals` lists them); values are numbers or
    /// names. == != < <= > >= && || ! and parentheses; conn==A:P-B:Q is a connection, conn==N the one whose entry is called N.
    #[arg(long, value_name = "CONDITION", value_parser = trigger)]
    wave_trigger: Option<Condition>,
    /// How much to record in front of the trigger
    #[arg(long, value_name = "TIME", default_value = "10us", value_parser = duration::parse, requires = "wave_trigger")]
    wave_before: Picos,
    /// How much to record from the trigger on
    #[arg(long, value_name = "TIME", default_value = "40us", value_parser = duration::parse, requires = "wave_trigger")]
    wave_after: Picos,
    /// How many times to record around the trigger
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), requires = "wave_trigger")]
    wave_times: u32,
}

/// A trigger and its text.
#[derive(Debug, Clone)]
struct Condition {
    text: String,
    trigger: waveforms::Trigger,
}

fn trigger(text: &str) -> Result<Condition, String> {
    let trigger = Probe::trigger(text).map_err(|error| error.to_string())?;
    Ok(Condition {
        text: text.to_owned(),
        trigger,
    })
}

fn window(text: &str) -> Result<(Picos, Picos), String> {
    let (from, to) = text
        .split_once("..")
        .ok_or("expected FROM..TO, such as 10us..50us")?;
    let end = |text: &str, open: Picos| match text.trim() {
        "" => Ok(open),
        text => duration::parse(text),
    };
    let (from, to) = (end(from, Picos::ZERO)?, end(to, Picos(u64::MAX))?);
    if from > to {
        return Err("the window ends before it begins".into());
    }
    Ok((from, to))
}

/// The waveform covers this many frames of a longer run, unless it was said what to record.
const FRAMES: u64 = 100_000;

const STYLE: Style<'static> = Style {
    hex: &[
        "choice_1",
        "choice_2",
        "cookie",
        "value",
        "lower_ip",
        "lower_ip_high",
        "higher_ip",
        "higher_ip_high",
    ],
    // Rings and DMA are looked at when they are needed.
    closed: &["board.host."],
};

/// A waveform being recorded.
pub(super) struct Wave {
    path: PathBuf,
    /// Its name in the report: relative to the output directory if it lies there.
    shown: String,
    /// Frames after which it ends.
    limit: Option<u64>,
    trigger: Option<String>,
    written: Option<WaveSummary>,
    limited: bool,
}

/// `ctnic signals`: what a wave shows and a trigger can ask for.
pub(super) fn list_signals() {
    let design = Probe::design();
    for signal in design.ids() {
        let names: Vec<&str> = design
            .labels(signal)
            .iter()
            .map(|(_, name)| name.as_str())
            .collect();
        let line = format!(
            "{:<36}{:>3}  {}",
            design.name(signal),
            design.width(signal),
            names.join(" ")
        );
        say!("{}", line.trim_end());
    }
}

/// Begins the recording, if one is wanted.
pub(super) fn begin(
    args: &WaveArgs,
    out: &Path,
    simulation: &mut Simulation,
) -> Result<Option<Wave>, String> {
    if args.no_wave {
        return Ok(None);
    }
    let path = args.wave.clone().unwrap_or_else(|| out.join("wave.fst"));
    let (start, end) = args.wave_window.unwrap_or((Picos::ZERO, Picos(u64::MAX)));
    let capture = Capture {
        start_ps: start.0,
        end_ps: end.0,
        trigger: args
            .wave_trigger
            .as_ref()
            .map(|condition| condition.trigger.clone()),
        before_ps: args.wave_before.0,
        after_ps: args.wave_after.0,
        times: args.wave_times,
    };
    let chip = simulation.board_mut().chip_mut();
    chip.probe =
        Probe::to_file(&path, capture, chip.config()).map_err(|error| error.to_string())?;
    let all = args.wave.is_none() && args.wave_window.is_none() && args.wave_trigger.is_none();
    Ok(Some(Wave {
        shown: path
            .strip_prefix(out)
            .unwrap_or(&path)
            .display()
            .to_string(),
        limit: all.then_some(FRAMES),
        trigger: args
            .wave_trigger
            .as_ref()
            .map(|condition| condition.text.clone()),
        path,
        written: None,
        limited: false,
    }))
}

impl Wave {
    /// Ends a recording that was to cover only the first frames.
    pub(super) fn end_at_limit(&mut self, simulation: &mut Simulation) -> Result<(), String> {
        let over = self.limit.is_some_and(|limit| simulation.frames() >= limit);
        if over && self.written.is_none() {
            self.limited = true;
            self.end(simulation)?;
        }
        Ok(())
    }

    /// Ends the recording.
    pub(super) fn end(&mut self, simulation: &mut Simulation) -> Result<(), String> {
        let end = simulation.now();
        let probe = &mut simulation.board_mut().chip_mut().probe;
        if let Some(written) = probe.finish(end).map_err(|error| error.to_string())? {
            self.written = Some(written);
        }
        Ok(())
    }

    /// What the report says of it; `None`, and why on the error output, if there is none.
    pub(super) fn info(&self) -> Option<WaveInfo> {
        let written = self.written.as_ref()?;
        let (Some(first), Some(last)) = (written.captured.first(), written.captured.last()) else {
            match &self.trigger {
                Some(text) => eprintln!("ctnic: no waveform: {text:?} never came true"),
                None => eprintln!("ctnic: no waveform: the run ended before the window"),
            }
            return None;
        };
        let seconds = |ps: u64| Picos(ps).as_secs_f64();
        let limit = self.limit.filter(|_| self.limited);
        let limited = limit
            .map(|limit| format!("the first {limit} frames; --wave FILE records the whole run"));
        let triggered = self
            .trigger
            .as_ref()
            .map(|text| around(text, &written.captured));
        Some(WaveInfo {
            file: self.shown.clone(),
            changes: written.changes,
            window_seconds: (seconds(first.start_ps), seconds(last.end_ps)),
            limited: limited.or(triggered),
        })
    }

    /// The viewers' files beside the wave.
    pub(super) fn views(&self) -> Vec<(PathBuf, String)> {
        let Some(written) = self
            .written
            .as_ref()
            .filter(|written| !written.captured.is_empty())
        else {
            return Vec::new();
        };
        let name = self
            .path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let design = Probe::design();
        let gtkw = waveforms::view::gtkw(&design, &name, &STYLE, &written.captured);
        vec![
            (self.path.with_extension("gtkw"), gtkw),
            (
                self.path.with_extension("sucl"),
                waveforms::view::surfer(&design),
            ),
        ]
    }
}

fn around(text: &str, captured: &[Captured]) -> String {
    let times: Vec<String> = (captured.iter().filter_map(|captured| captured.trigger_ps))
        .map(|at| Picos(at).to_string())
        .collect();
    format!("around {text:?}, true at {}", times.join(", "))
}
