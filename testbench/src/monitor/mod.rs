//! The invariants every run checks, one file each. They know only what the testbench sees from outside: frames in and out,
//! what the driver reports, and read-only looks into the board.

mod account_conservation;
mod equivalence;
mod live_connection;
mod no_orphan;
mod order;
mod packet_conservation;
mod recovery;
mod reference;

pub use account_conservation::AccountConservation;
pub use equivalence::Equivalence;
pub use live_connection::LiveConnection;
pub use no_orphan::NoOrphan;
pub use order::Order;
pub use packet_conservation::PacketConservation;
pub use recovery::Recovery;
pub(crate) use recovery::{FOUND_WITHIN, SETTLED_WITHIN};
pub use reference::{Reference, Routes};

use crate::summary::MonitorVerdict;

/// How many violations are described; all are counted.
const DESCRIBED: usize = 10;

/// Counts checks and violations of one invariant.
#[derive(Debug, Default)]
pub struct Ledger {
    checks: u64,
    violations: u64,
    first: Vec<String>,
}

impl Ledger {
    /// Notes a check; `violation` describes what is wrong and is called only then.
    #[inline]
    pub fn check(&mut self, holds: bool, violation: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            self.violations += 1;
            if self.first.len() < DESCRIBED {
                self.first.push(violation());
            }
        }
    }

    fn verdict(&self, number: u32, name: &str, invariant: &str) -> MonitorVerdict {
        MonitorVerdict {
            number,
            name: name.to_owned(),
            invariant: invariant.to_owned(),
            checks: self.checks,
            violations: self.violations,
            first: self.first.clone(),
            counted: Vec::new(),
        }
    }
}
