//! The driver's process ends, and another takes over: what it knew of the card is in its state file, connection tracking is the
//! kernel's and goes on.

use super::*;
use crate::offload::SavedRecord;
use serde::{Deserialize, Serialize};

/// Version of [`SavedState`] that this driver writes and reads.
pub(crate) const VERSION: u32 = 4;

/// What a driver must remember of a card to take it over from its predecessor. It is written down with `serde`, in any format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    version: u32,
    records: Vec<SavedRecord>,
    stats: DriverStats,
}

impl Driver {
    /// What a successor must remember: to be written whenever it has changed, because nobody asks before a process is killed.
    pub fn state(&self) -> SavedState {
        SavedState {
            version: VERSION,
            records: self.records.save(),
            stats: self.stats,
        }
    }

    /// The process ends: frames in its rings are lost, connection tracking stays and is given to the successor. The card
    /// forwards what it has entries for. This driver is good for nothing after that.
    ///
    /// # Errors
    /// As [`Driver::poll`].
    pub fn end_process(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<Tracker, DeviceError> {
        self.drop_what_lies_in_rings(platform, observer)?;
        for completion in self.held.overdue(Time(u64::MAX), usize::MAX) {
            let tag = completion.ingress_tag();
            observer.released(tag, Disposition::DroppedReset, platform.now());
        }
        // As the kernel does when the last user of a function goes: nothing is written into memory that is not ours any more.
        crate::device::write(platform, reg::CONTROL, reg::FUNCTION_RESET);
        let empty = Tracker::new(self.config.conntrack.clone(), self.config.hash_key);
        Ok(std::mem::replace(&mut self.tracker, empty))
    }

    /// Takes a card over that a predecessor has left, with the connections there are and what it has written down: the card's
    /// table is read and compared before anything is put in. DMA memory must be as at [`Driver::start`].
    ///
    /// # Errors
    /// The state is of another version, or the card cannot be brought up.
    pub fn take_over(
        platform: &mut impl Platform,
        config: DriverConfig,
        policy: Box<dyn Policy>,
        tracker: Tracker,
        state: &SavedState,
    ) -> Result<Self, DeviceError> {
        if state.version != VERSION {
            let found = state.version;
            return Err(DeviceError::State { found });
        }
        let mut driver = Self::start(platform, config, policy)?;
        driver.tracker = tracker;
        driver.stats = state.stats;
        driver.records.restore(&state.records);
        if let Some(pool) = &mut driver.pool {
            pool.take_in_use(driver.records.needed());
        }
        // Whatever the rings hold by now is not ours: the card begins afresh once more, and is then read.
        driver.health.take_over();
        crate::device::write(platform, reg::CONTROL, reg::FUNCTION_RESET);
        Ok(driver)
    }
}
