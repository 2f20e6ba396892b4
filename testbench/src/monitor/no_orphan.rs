//! Invariant 4: no hardware entry without its software connection once a removal completes, and none leaks.

use super::Ledger;
use crate::summary::MonitorVerdict;
use conntrack_core::Direction;
use driver::Driver;
use driver::offload::Life;
use nic_model::clock::Picos;
use nic_model::flow_table::FlowTable;

/// Compares the table with the driver's view of it.
#[derive(Debug, Default)]
pub struct NoOrphan {
    ledger: Ledger,
}

impl NoOrphan {
    /// Everything has settled: every entry has its connection, every connection said to be in hardware its entry.
    pub fn settled(&mut self, table: &FlowTable, driver: &mut Driver, now: Picos) {
        let mut entries = 0;
        for slot in table.slots_in_use() {
            let Some(state) = table.state(slot) else {
                continue;
            };
            entries += 1;
            let id = driver.connection_of_cookie(state.cookie());
            let owner = id.and_then(|id| {
                driver
                    .tracker()
                    .connection(id)
                    .map(|connection| (id, connection))
            });
            let Some((id, connection)) = owner else {
                self.ledger.check(false, || {
                    format!(
                        "slot {} (cookie {:#x}) holds an entry without a connection at {now}",
                        slot.0,
                        state.cookie()
                    )
                });
                continue;
            };
            let installed = driver.life(id) == Life::Installed && connection.is_offloaded();
            let tuple = connection.tuple(Direction::Original);
            self.ledger.check(installed, || {
                format!(
                    "{tuple} is in slot {} at {now}, but the driver does not hold it for installed",
                    slot.0
                )
            });
        }
        let believed = driver.entries();
        self.ledger.check(entries == believed, || {
            format!("the table holds {entries} entries at {now}, the driver believes in {believed}")
        });
    }

    /// The verdict so far.
    pub fn verdict(&self) -> MonitorVerdict {
        self.ledger.verdict(
            4,
            "no orphan",
            "no hardware entry without its software connection once a removal completes, and none leaks",
        )
    }
}
