//! `ctnic run`: traffic through the card, a summary for people, and files to look at.

use super::explain::Explained;
use super::options::{FromScenario, SystemArgs, networks};
use super::progress::progress_bar;
use super::wave::{self, Wave, WaveArgs};
use crate::capture::Capture;
use crate::frame::{Burst, Traffic};
use crate::report;
use crate::scenario::{self, Scenario};
use crate::simulation::{RunConfig, Simulation};
use crate::summary::{RunInfo, RunSummary};
use crate::traffic::replay::{Replay, ReplayOptions};
use crate::traffic::translated::{Network, Translated};
use clap::Args;
use conntrack_core::Time;
use conntrack_core::dump::conntrack_tools;
use indicatif::ProgressBar;
use nic_model::clock::Picos;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Generated traffic instead of a capture: a built-in scenario (see `ctnic scenarios`), or a TOML file
    #[arg(value_name = "SCENARIO", conflicts_with = "pcap")]
    scenario: Option<String>,
    /// Run this capture instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Addresses on the client side (repeatable); without it, the sender of the first packet of each pair is
    #[arg(long, value_name = "CIDR")]
    client_net: Vec<String>,
    /// Directory for the report, plots, tables and waveform
    #[arg(long, value_name = "DIR", default_value = "ctnic-out")]
    out: PathBuf,
    #[command(flatten)]
    wave: WaveArgs,
    /// Translate the clients' IPv4 addresses into this network, one host for one; servers' frames come back to it
    #[arg(long, value_name = "CIDR", value_parser = network)]
    nat: Option<Network>,
    /// Put the same traffic through connection tracking in software alone, and compare packet by packet
    #[arg(long)]
    check_equivalence: bool,
    /// List every connection with where it is and why, in explain.csv: at the end, or MS milliseconds after the beginning
    #[arg(long, value_name = "MS", require_equals = true)]
    explain: Option<Option<u64>>,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    system: SystemArgs,
}

pub(super) fn run(args: &RunArgs) -> Result<bool, String> {
    match &args.scenario {
        Some(name) => run_scenario(args, name),
        None => run_capture(args),
    }
}

fn run_scenario(args: &RunArgs, name: &str) -> Result<bool, String> {
    let scenario = Scenario::open(name).map_err(|error| error.to_string())?;
    let from = FromScenario::new(&scenario);
    let seed = args.system.seed(&from);
    let mut traffic = scenario.traffic(seed).map_err(|error| error.to_string())?;
    let config = args.system.run_config(&from, 0, false)?;
    let info = RunInfo {
        name: scenario.name.clone(),
        source: scenario.description.clone(),
        nic: args.system.nic_name(&from),
        profile: args.system.profile(&from).name.to_owned(),
        seed,
        ..RunInfo::default()
    };
    let summary = simulate(args, config, traffic.as_mut(), info)?;
    Ok(judge(&summary))
}

/// Puts traffic through, to the end; nothing is written.
pub(super) fn through(config: RunConfig, traffic: &mut dyn Traffic) -> Result<Simulation, String> {
    through_until(config, traffic, || false)
}

/// The same, unless somebody wants it to `stop`.
pub(super) fn through_until(
    config: RunConfig,
    traffic: &mut dyn Traffic,
    stop: impl Fn() -> bool,
) -> Result<Simulation, String> {
    let networks = networks_of(&config);
    with_networks(traffic, networks, |traffic| {
        let mut simulation = Simulation::new(config).map_err(|error| error.to_string())?;
        let mut burst = Burst::default();
        while simulation
            .step(traffic, &mut burst)
            .map_err(|error| error.to_string())?
        {
            if stop() {
                return Err("interrupted: nothing was written".to_owned());
            }
        }
        simulation.finish().map_err(|error| error.to_string())?;
        Ok(simulation)
    })
}

/// The traffic as it is where clients' addresses are translated into networks, if they are.
fn with_networks<R>(
    traffic: &mut dyn Traffic,
    networks: Vec<(Picos, Network)>,
    run: impl FnOnce(&mut dyn Traffic) -> R,
) -> R {
    if networks.is_empty() {
        return run(traffic);
    }
    run(&mut Translated::new(traffic, networks))
}

fn networks_of(config: &RunConfig) -> Vec<(Picos, Network)> {
    crate::action::networks(config.network, &config.actions)
}

fn run_capture(args: &RunArgs) -> Result<bool, String> {
    let capture = match &args.pcap {
        Some(path) => Capture::open(path).map_err(|error| error.to_string())?,
        None => crate::capture::builtin().map_err(|error| error.to_string())?,
    };
    let capture = Arc::new(capture);
    let options = ReplayOptions {
        client_networks: networks(&args.client_net)?,
        flat_spacing: None,
    };
    let mut traffic = Replay::new(Arc::clone(&capture), &options);
    let from = FromScenario::default();
    let config = args
        .system
        .run_config(&from, traffic.largest_frame(), false)?;
    let built_in = crate::capture::BUILTIN_SOURCE;
    let info = RunInfo {
        name: capture.name().to_owned(),
        source: if args.pcap.is_some() {
            "a capture".to_owned()
        } else {
            built_in.to_owned()
        },
        nic: args.system.nic_name(&from),
        profile: args.system.profile(&from).name.to_owned(),
        seed: args.system.seed(&from),
        cut_short: capture.cut_short().map(ToString::to_string),
        ..RunInfo::default()
    };
    let summary = simulate(args, config, &mut traffic, info)?;
    let held = judge(&summary);
    if let Some(error) = capture.cut_short() {
        return Err(format!("{error}; the report covers what was read before"));
    }
    Ok(held)
}

/// Whether every invariant held; tells which did not.
fn judge(summary: &RunSummary) -> bool {
    for violation in summary.monitors.iter().flat_map(|monitor| &monitor.first) {
        eprintln!("ctnic: invariant violated: {violation}");
    }
    summary
        .monitors
        .iter()
        .all(crate::summary::MonitorVerdict::held)
}

/// `ctnic scenarios`: what there is to run.
pub(super) fn list_scenarios() -> Result<bool, String> {
    for (name, text) in scenario::BUILTIN {
        let scenario = Scenario::parse(name, text).map_err(|error| error.to_string())?;
        say!("{name:<12} {}", scenario.description);
    }
    Ok(true)
}

fn simulate(
    args: &RunArgs,
    mut config: RunConfig,
    traffic: &mut dyn Traffic,
    info: RunInfo,
) -> Result<RunSummary, String> {
    std::fs::create_dir_all(&args.out)
        .map_err(|error| format!("{}: {error}", args.out.display()))?;
    config.check_equivalence |= args.check_equivalence;
    config.network = args.nat.or(config.network);
    let networks = networks_of(&config);
    with_networks(traffic, networks, |traffic| {
        simulate_translated(args, config, traffic, info)
    })
}

fn simulate_translated(
    args: &RunArgs,
    config: RunConfig,
    traffic: &mut dyn Traffic,
    info: RunInfo,
) -> Result<RunSummary, String> {
    let mut simulation = Simulation::new(config).map_err(|error| error.to_string())?;
    let mut wave = wave::begin(&args.wave, &args.out, &mut simulation)?;
    let progress = if args.quiet || args.json {
        ProgressBar::hidden()
    } else {
        progress_bar(traffic.total_frames())
    };
    let mut explained = args.explain.map(|ms| Explained::at(&simulation, ms));
    let mut burst = Burst::default();
    let interrupted = on_interrupt();
    while simulation
        .step(traffic, &mut burst)
        .map_err(|error| error.to_string())?
    {
        if interrupted.load(Ordering::Relaxed) {
            progress.finish_and_clear();
            return Err("interrupted: nothing was written".to_owned());
        }
        let frames = simulation.frames();
        if frames % 4_096 < Burst::CAPACITY as u64 {
            progress.set_position(frames);
        }
        if let Some(wave) = &mut wave {
            wave.end_at_limit(&mut simulation)?;
        }
        if let Some(explained) = &mut explained {
            explained.look(&simulation, false);
        }
    }
    let traffic_end = simulation.now();
    simulation.finish().map_err(|error| error.to_string())?;
    if let Some(wave) = &mut wave {
        wave.end(&mut simulation)?;
    }
    progress.finish_and_clear();
    let simulated_seconds = traffic_end.saturating_sub(simulation.start()).as_secs_f64();
    let mut summary = simulation.summary(RunInfo {
        simulated_seconds,
        ..info
    });
    summary.wave = wave.as_ref().and_then(Wave::info);
    write_files(args, &simulation, &summary)?;
    if let Some(explained) = &mut explained {
        explained.look(&simulation, true);
        write(&args.out.join("explain.csv"), explained.csv().as_bytes())?;
    }
    for (path, text) in wave.iter().flat_map(Wave::views) {
        write(&path, text.as_bytes())?;
    }
    if args.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&summary).map_err(|error| error.to_string())?
        );
    } else if !args.quiet {
        say!("{}", report::text(&summary).trim_end());
        say!(
            "\nReport, plots, tables and waveform: {}",
            args.out.display()
        );
    }
    Ok(summary)
}

fn network(text: &str) -> Result<Network, String> {
    Network::parse(text).ok_or_else(|| "expected a network such as 100.64.0.0/10".to_owned())
}

/// Set once the user asks to stop: the run then ends in good order and takes its unfinished files with it.
pub(super) fn on_interrupt() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    // A handler that cannot be installed leaves the system's own: the process ends at once.
    ctrlc::set_handler(move || set.store(true, Ordering::Relaxed)).ok();
    flag
}

/// Writes a file under a temporary name first, so that an interrupted run leaves none half-written.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    std::fs::write(&partial, bytes)
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn write_files(
    args: &RunArgs,
    simulation: &Simulation,
    summary: &RunSummary,
) -> Result<(), String> {
    let out = &args.out;
    let json = serde_json::to_string_pretty(summary).map_err(|error| error.to_string())?;
    write(&out.join("summary.json"), json.as_bytes())?;
    let now = Time(simulation.now().as_nanos());
    let table = conntrack_tools::list(
        simulation.tracker(),
        now,
        conntrack_tools::Options::EXTENDED,
    );
    write(&out.join("conntrack.txt"), table.as_bytes())?;
    let plots = crate::plot::render_all(summary)?;
    for plot in &plots {
        write(&out.join(format!("{}.svg", plot.name)), plot.svg.as_bytes())?;
        write(&out.join(format!("{}.png", plot.name)), &plot.png)?;
    }
    write(
        &out.join("report.html"),
        report::html(summary, &plots)?.as_bytes(),
    )?;
    Ok(())
}
