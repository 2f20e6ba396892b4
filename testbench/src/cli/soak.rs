//! `ctnic soak`: a campaign of random runs with random faults.

use super::options::{FromScenario, SystemArgs};
use super::progress::work_bar;
use super::run::{on_interrupt, through, write};
use crate::scenario::Scenario;
use crate::soak::{self, Failure, Tally, Trial};
use clap::Args;
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use toml::Table;

/// Runs put to work at once: results are taken in order in between.
const AT_ONCE: u64 = 64;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ctnic soak --runs 1000 --seed 7          the same thousand runs every time
  ctnic run ctnic-soak/soak-7-123.toml     a failure again, shrunk: add --wave-trigger, look at it

Every run is judged by all monitors and compared packet by packet with connection tracking in software alone. Failures are shrunk \
to small scenarios. Exit codes: 0 all held, 3 a run failed.")]
pub(super) struct SoakArgs {
    /// How many runs
    #[arg(long, value_name = "N", default_value_t = 200)]
    runs: u64,
    /// Number of the first run
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// Seed of the campaign
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Directory for the scenarios of runs that failed
    #[arg(long, value_name = "DIR", default_value = "ctnic-soak")]
    out: PathBuf,
    /// How many failures are shrunk to small scenarios
    #[arg(long, value_name = "N", default_value_t = 5)]
    shrink: usize,
    /// Print the tally as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn soak(args: &SoakArgs) -> Result<bool, String> {
    let progress = work_bar(args.runs, "runs");
    let interrupted = on_interrupt();
    let mut tally = Tally::default();
    let end = args.first.saturating_add(args.runs);
    let mut next = args.first;
    while next < end && !interrupted.load(Ordering::Relaxed) {
        let upto = next.saturating_add(AT_ONCE).min(end);
        let results: Vec<(u64, Table, Trial)> = (next..upto)
            .into_par_iter()
            .map(|run| {
                let case = soak::draw(args.seed, run);
                let trial = try_case(&case);
                progress.inc(1);
                (run, case, trial)
            })
            .collect();
        for (run, case, trial) in &results {
            tally.add(*run, case, trial);
        }
        next = upto;
    }
    progress.finish_and_clear();
    for failure in tally.failures.iter().take(args.shrink) {
        shrink(args, failure, &interrupted)?;
    }
    tell(args, &tally)?;
    Ok(tally.failures.is_empty())
}

/// Puts a case through; a panic is a failure like any other.
fn try_case(case: &Table) -> Trial {
    let run = std::panic::AssertUnwindSafe(|| run_case(case));
    let error = match std::panic::catch_unwind(run) {
        Ok(Ok(trial)) => return trial,
        Ok(Err(error)) => error,
        Err(_) => "it panicked".to_owned(),
    };
    Trial {
        error: Some(error),
        ..Trial::default()
    }
}

fn run_case(case: &Table) -> Result<Trial, String> {
    let text = toml::to_string(case).map_err(|error| error.to_string())?;
    let scenario = Scenario::parse("soak", &text).map_err(|error| error.to_string())?;
    let from = FromScenario::new(&scenario);
    let config = SystemArgs::default().run_config(&from, 0, false)?;
    let mut traffic = scenario
        .traffic(scenario.seed)
        .map_err(|error| error.to_string())?;
    let simulation = through(config, traffic.as_mut())?;
    Ok(Trial {
        frames: simulation.frames(),
        monitors: simulation.verdicts(),
        error: None,
    })
}

/// Finds a small scenario that fails as the run did, and writes it.
fn shrink(args: &SoakArgs, failure: &Failure, interrupted: &AtomicBool) -> Result<(), String> {
    let case = soak::draw(args.seed, failure.run);
    let small = soak::shrink(&case, |candidate| {
        let again = || try_case(candidate).failure();
        !interrupted.load(Ordering::Relaxed)
            && again().is_some_and(|(monitor, _)| monitor == failure.monitor)
    });
    std::fs::create_dir_all(&args.out)
        .map_err(|error| format!("{}: {error}", args.out.display()))?;
    let text = toml::to_string(&small).map_err(|error| error.to_string())?;
    let name = format!("soak-{}-{}.toml", args.seed, failure.run);
    let path = args.out.join(name);
    write(&path, text.as_bytes())?;
    eprintln!(
        "ctnic: run {} failed: {}: {}\n       shrunk: ctnic run {}",
        failure.run,
        failure.monitor,
        failure.said,
        path.display()
    );
    Ok(())
}

fn tell(args: &SoakArgs, tally: &Tally) -> Result<(), String> {
    if args.json {
        let json = serde_json::to_string_pretty(tally).map_err(|error| error.to_string())?;
        say!("{json}");
        return Ok(());
    }
    say!(
        "{} runs of seed {}, {} frames, {} failed",
        tally.runs,
        args.seed,
        tally.frames,
        tally.failures.len()
    );
    for (title, counts) in [
        ("Runs with faults of each kind", &tally.faults),
        ("Checks", &tally.checks),
        ("Counted", &tally.counted),
    ] {
        say!("\n{title}");
        for (name, count) in counts {
            say!("  {count:>12}  {name}");
        }
    }
    for failure in &tally.failures {
        say!(
            "\nRun {} failed: {}: {}",
            failure.run,
            failure.monitor,
            failure.said
        );
    }
    Ok(())
}
