//! Campaigns: many short runs of random traffic through random cards with random faults, and every monitor on. A run that fails is
//! shrunk to a small scenario that still does.

mod case;
mod shrink;

pub use case::draw;
pub use shrink::shrink;

use crate::summary::MonitorVerdict;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a run showed.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Frames that went through.
    pub frames: u64,
    /// What the monitors say.
    pub monitors: Vec<MonitorVerdict>,
    /// Why it did not come to an end, if it did not.
    pub error: Option<String>,
}

impl Trial {
    /// What went wrong: the name of the first monitor that was violated and what it said first.
    pub fn failure(&self) -> Option<(String, String)> {
        if let Some(error) = &self.error {
            return Some(("run".to_owned(), error.clone()));
        }
        let violated = self.monitors.iter().find(|monitor| !monitor.held())?;
        let first = violated.first.first().cloned().unwrap_or_default();
        Some((violated.name.clone(), first))
    }
}

/// What a campaign showed so far.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Frames.
    pub frames: u64,
    /// Runs with faults of each kind.
    pub faults: BTreeMap<String, u64>,
    /// Checks of each monitor.
    pub checks: BTreeMap<String, u64>,
    /// What monitors counted beside violations.
    pub counted: BTreeMap<String, u64>,
    /// Runs that failed, and why.
    pub failures: Vec<Failure>,
}

/// A run that failed.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// Its number in the campaign.
    pub run: u64,
    /// The monitor.
    pub monitor: String,
    /// What it said first.
    pub said: String,
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, run: u64, scenario: &toml::Table, trial: &Trial) {
        self.runs += 1;
        self.frames += trial.frames;
        for kind in case::fault_kinds(scenario) {
            *self.faults.entry(kind).or_default() += 1;
        }
        for monitor in &trial.monitors {
            let name = format!("{} {}", monitor.number, monitor.name);
            *self.checks.entry(name.clone()).or_default() += monitor.checks;
            for counted in &monitor.counted {
                let count = self
                    .counted
                    .entry(format!("{name}: {}", counted.cause))
                    .or_default();
                *count = if counted.cause.starts_with("ns ") {
                    (*count).max(counted.count)
                } else {
                    *count + counted.count
                };
            }
        }
        if let Some((monitor, said)) = trial.failure() {
            self.failures.push(Failure { run, monitor, said });
        }
    }
}
