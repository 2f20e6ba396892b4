//! What those who own the driver ask of it: connections to be deleted or taken out, and the end of offloading.

use super::*;
use conntrack_core::Connection;

impl Driver {
    /// Deletes all connections that `which` names, as `conntrack -D` does, and takes them out of hardware; how many.
    ///
    /// # Errors
    /// As [`Driver::poll`].
    pub fn delete(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
        which: impl Fn(&Connection) -> bool,
    ) -> Result<usize, DeviceError> {
        let now = self.time(platform);
        let ids = self.named(which);
        for id in &ids {
            self.tracker.delete(*id, now);
        }
        platform.spend(Work::Expire, ids.len() as u32);
        self.follow_events(platform, observer)?;
        self.commands.announce(platform);
        Ok(ids.len())
    }

    /// Takes all connections that `which` names out of hardware: rules changed, a port went down, the driver is to stop. In
    /// software they go on; how many there were in hardware.
    ///
    /// # Errors
    /// As [`Driver::poll`].
    pub fn take_out(
        &mut self,
        platform: &mut impl Platform,
        cause: RemoveCause,
        which: impl Fn(&Connection) -> bool,
    ) -> Result<usize, DeviceError> {
        let mut count = 0;
        for id in self.named(which) {
            if self.life(id) == Life::Installed {
                count += 1;
                self.remove(platform, id, cause)?;
            }
        }
        platform.spend(Work::Expire, self.tracker.len() as u32);
        self.commands.announce(platform);
        Ok(count)
    }

    /// Changes marks and labels of connections in software, as `conntrack -U --mark` does it, and sends what changed to their
    /// entries.
    ///
    /// # Errors
    /// As [`Driver::poll`].
    pub fn remark(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
        change: impl FnOnce(&mut Tracker, Time),
    ) -> Result<(), DeviceError> {
        let now = self.time(platform);
        change(&mut self.tracker, now);
        platform.spend(Work::Expire, self.tracker.len() as u32);
        self.follow_events(platform, observer)?;
        self.commands.announce(platform);
        Ok(())
    }

    /// Asks for the counters of all connections in hardware that `which` names, as `conntrack -L` on a driver with
    /// [`crate::Counting::OnDemand`] has to; they come with [`Driver::poll`].
    ///
    /// # Errors
    /// As [`Driver::poll`].
    pub fn read_counters(
        &mut self,
        platform: &mut impl Platform,
        which: impl Fn(&Connection) -> bool,
    ) -> Result<(), DeviceError> {
        for id in self.named(which) {
            self.ask(id);
        }
        self.post_asks(platform)?;
        self.commands.announce(platform);
        Ok(())
    }

    /// Offloads nothing any more, or goes on to. What is in hardware stays there until it is taken out.
    pub const fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    fn named(&self, which: impl Fn(&Connection) -> bool) -> Vec<ConnectionId> {
        let named = self
            .tracker
            .iter()
            .filter(|(_, connection)| which(connection));
        named.map(|(id, _)| id).collect()
    }
}
