//! `ctnic run --explain`: every connection with where it is and why, at one moment.

use crate::simulation::Simulation;
use conntrack_core::Direction;
use driver::policy::{POLICIES, bytes, packets};
use driver::{Eviction, Why};
use nic_model::clock::Picos;
use std::fmt::Write;

/// The list, taken when its time has come.
#[derive(Debug)]
pub(super) struct Explained {
    at: Picos,
    table: Option<String>,
}

impl Explained {
    /// To be taken so many milliseconds of simulated time after the first frame may arrive; at the end if that is earlier, or
    /// nothing is said.
    pub(super) fn at(simulation: &Simulation, ms: Option<u64>) -> Self {
        let after = ms.map_or(Picos::NEVER, Picos::from_millis);
        Self {
            at: Picos(simulation.start().0.saturating_add(after.0)),
            table: None,
        }
    }

    /// Takes it if its time has come, or if this is the `end`.
    pub(super) fn look(&mut self, simulation: &Simulation, end: bool) {
        if self.table.is_none() && (end || simulation.now() >= self.at) {
            self.table = Some(table(simulation));
        }
    }

    /// The list as CSV.
    pub(super) fn csv(&self) -> &str {
        self.table.as_deref().unwrap_or_default()
    }
}

/// All connections of a run, as CSV with a line of headings.
fn table(simulation: &Simulation) -> String {
    let mut out = String::from(
        "protocol,source,source_id,destination,destination_id,zone,why,meaning,entries,last_removal,packets,bytes\n",
    );
    let driver = simulation.driver();
    for (id, connection) in driver.tracker().iter() {
        let Some(explanation) = driver.explain(id) else {
            continue;
        };
        let tuple = connection.tuple(Direction::Original);
        let removal = explanation.last_removal.map_or("", |cause| cause.name());
        writeln!(
            out,
            "{},{},{},{},{},{},{},\"{}\",{},{removal},{},{}",
            tuple.protocol().0,
            tuple.source_ip(),
            tuple.source_id,
            tuple.destination_ip(),
            tuple.destination_id,
            connection.zone().id,
            explanation.why.name(),
            explanation.why.meaning(),
            explanation.entries,
            packets(connection),
            bytes(connection),
        )
        .ok();
    }
    out
}

/// `ctnic policies`: what can be offloaded, and the reasons that a connection is not.
pub(super) fn list_policies() -> Result<bool, String> {
    say!("Policies (--policy NAME; A+B offloads what both want)\n");
    for (name, meaning) in POLICIES {
        say!("  {name:<12} {meaning}");
    }
    say!("\nWho gives way when the table is nearly full (--evict NAME)\n");
    for eviction in Eviction::ALL {
        say!("  {:<14} {}", eviction.name(), eviction.meaning());
    }
    say!("\nReasons (summary.json, ctnic run --explain)\n");
    for why in Why::ALL {
        say!("  {:<18} {}", why.name(), why.meaning());
    }
    Ok(true)
}
