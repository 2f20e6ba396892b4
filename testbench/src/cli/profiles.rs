//! `ctnic profiles`: drivers whose habits ours can take on, and the same traffic under each of them.

use super::options::{FromScenario, SystemArgs, profile};
use super::progress::work_bar;
use super::run::{on_interrupt, through_until, write};
use crate::report::compare;
use crate::scenario::Scenario;
use crate::summary::{RunInfo, RunSummary};
use clap::Args;
use driver::{PROFILES, Profile};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ProfilesArgs {
    /// Compare them: a built-in scenario (quiet is made for this), or a TOML file
    #[arg(value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Those to compare; all without any (repeatable)
    #[arg(long = "with", value_name = "NAME", value_parser = profile)]
    with: Vec<&'static Profile>,
    /// Put the same traffic through connection tracking in software alone as well, and count what differs
    #[arg(long)]
    check_equivalence: bool,
    /// Directory for the comparison and its plots
    #[arg(long, value_name = "DIR", default_value = "ctnic-profiles")]
    out: PathBuf,
    /// Print the summaries as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    system: SystemArgs,
}

const EXAMPLES: &str = "Examples:
  ctnic profiles                                    what each is and does
  ctnic profiles quiet                              the same traffic under each of them, side by side
  ctnic profiles web --with ctnic --with dpdk --nic fpga-small
  ctnic run quiet --profile linux-flowtable         one of them, with report and waveform

Exit codes: 0 compared, 2 bad input. That an invariant is violated is part of the comparison.";

pub(super) fn profiles(args: &ProfilesArgs) -> Result<bool, String> {
    match &args.scenario {
        Some(name) => compare_under(args, name),
        None => {
            list();
            Ok(true)
        }
    }
}

fn list() {
    for profile in &PROFILES {
        say!("{:<16} {}", profile.name, profile.about);
        for line in profile.traits {
            say!("{:<16}   - {line}", "");
        }
        let card = profile.card.iter();
        let card: Vec<String> = card.map(|(key, value)| format!("{key}={value}")).collect();
        if !card.is_empty() {
            say!("{:<16}   - programs the card: {}", "", card.join(", "));
        }
        say!("{:<16}   - policy {}\n", "", profile.policy);
    }
}

fn compare_under(args: &ProfilesArgs, name: &str) -> Result<bool, String> {
    if args.system.profile.is_some() {
        return Err("--profile is one; here they are compared: name them with --with".to_owned());
    }
    let scenario = Scenario::open(name).map_err(|error| error.to_string())?;
    let chosen: Vec<&'static Profile> = if args.with.is_empty() {
        PROFILES.iter().collect()
    } else {
        args.with.clone()
    };
    let bar = work_bar(chosen.len() as u64, "profiles");
    let interrupted = on_interrupt();
    let runs: Result<Vec<RunSummary>, String> = chosen
        .into_par_iter()
        .map(|profile| {
            let summary = run_under(args, &scenario, profile, &interrupted);
            bar.inc(1);
            summary
        })
        .collect();
    bar.finish_and_clear();
    let runs = runs?;
    let files = write_files(&args.out, &runs);
    if args.json {
        let json = serde_json::to_string_pretty(&runs).map_err(|error| error.to_string())?;
        say!("{json}");
        return files.map(|()| true);
    }
    say!("{}: {}", scenario.name, scenario.description);
    say!("{}", compare::table(&runs));
    files?;
    say!("Comparison and plots: {}", args.out.display());
    Ok(true)
}

/// One run, to its end.
fn run_under(
    args: &ProfilesArgs,
    scenario: &Scenario,
    profile: &'static Profile,
    interrupted: &AtomicBool,
) -> Result<RunSummary, String> {
    let from = FromScenario {
        profile: Some(profile),
        ..FromScenario::new(scenario)
    };
    let seed = args.system.seed(&from);
    let mut traffic = scenario.traffic(seed).map_err(|error| error.to_string())?;
    let mut config = args.system.run_config(&from, 0, false)?;
    config.check_equivalence |= args.check_equivalence;
    let stop = || interrupted.load(Ordering::Relaxed);
    let simulation = through_until(config, traffic.as_mut(), stop)?;
    Ok(simulation.summary(RunInfo {
        name: scenario.name.clone(),
        source: scenario.description.clone(),
        nic: args.system.nic_name(&from),
        profile: profile.name.to_owned(),
        seed,
        ..RunInfo::default()
    }))
}

fn write_files(out: &Path, runs: &[RunSummary]) -> Result<(), String> {
    std::fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    write(&out.join("profiles.md"), compare::markdown(runs).as_bytes())?;
    for (name, chart) in compare::charts(runs) {
        if chart.series.is_empty() {
            continue;
        }
        write(&out.join(format!("{name}.svg")), chart.svg()?.as_bytes())?;
        write(&out.join(format!("{name}.png")), &chart.png()?)?;
    }
    Ok(())
}
