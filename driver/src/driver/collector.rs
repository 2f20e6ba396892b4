//! A driver that finds idle connections by itself: it walks over all records once in a while, as a garbage collector does, takes out
//! whose time is over and asks for counters in time.

use super::*;
use crate::habits::{AtClose, CollectorConfig};

/// How far a walk has come.
#[derive(Debug, Default)]
pub(super) struct Walk {
    began_ms: u32,
    /// The next record.
    next: u32,
    /// How many connections may be in hardware, if that is limited.
    pub(super) limit: Option<u32>,
}

/// How long a connection may be idle while there are more than may be.
const CROWDED_MS: u32 = 100;

impl Driver {
    /// Looks at as many connections as the time that has passed since the last walk began makes due.
    pub(super) fn collect_idle(&mut self, platform: &mut impl Platform) -> Result<(), DeviceError> {
        let Some(config) = self.config.habits.collector else {
            return Ok(());
        };
        if self.is_recovering() {
            return Ok(());
        }
        let (now_ms, every_ms) = (millis(platform), config.every_ms.max(1));
        let elapsed_ms = now_ms.saturating_sub(self.walk.began_ms).min(every_ms);
        let records = self.records.len() as u64;
        let until = (records * u64::from(elapsed_ms) / u64::from(every_ms)) as u32;
        platform.spend(Work::Expire, until.saturating_sub(self.walk.next));
        let idle_ms = self.allowed_idle_ms(&config);
        while self.walk.next < until && !self.is_recovering() {
            let index = self.walk.next;
            self.walk.next += 1;
            self.look_at(platform, index, (&config, idle_ms))?;
        }
        if elapsed_ms == every_ms {
            self.walk.began_ms = now_ms;
            self.walk.next = 0;
        }
        Ok(())
    }

    /// How long a connection may be idle; `None` if all are to come out.
    fn allowed_idle_ms(&mut self, config: &CollectorConfig) -> Option<u32> {
        let Some(flow_limit) = config.limit else {
            return Some(config.timeout_ms);
        };
        let limit = u64::from(*self.walk.limit.get_or_insert(flow_limit.first));
        match self.records.installed() {
            installed if installed > 2 * limit => None,
            installed if installed > limit => Some(CROWDED_MS),
            _ => Some(config.timeout_ms),
        }
    }

    /// A reading of the whole table took so long.
    pub(super) fn note_reading(&mut self, took_ms: u32) {
        let limit = self.config.habits.collector.and_then(|config| config.limit);
        if let Some(flow_limit) = limit {
            let before = self.walk.limit.unwrap_or(flow_limit.first);
            self.walk.limit = Some(flow_limit.after(before, took_ms));
        }
    }

    /// One connection: does its time end, or must its counters be known?
    fn look_at(
        &mut self,
        platform: &mut impl Platform,
        index: u32,
        (config, idle_ms): (&CollectorConfig, Option<u32>),
    ) -> Result<(), DeviceError> {
        let Some((id, record)) = self.records.at(index) else {
            return Ok(());
        };
        if record.life != Life::Installed {
            return Ok(());
        }
        if let Some(cause) = record.closing {
            return self.remove(platform, id, cause);
        }
        let Some(allowed_ms) = idle_ms else {
            return self.remove(platform, id, RemoveCause::Displaced);
        };
        let idle_ms = millis(platform).saturating_sub(record.at_ms);
        if idle_ms >= allowed_ms {
            return self.remove(platform, id, RemoveCause::Aged);
        }
        let left = u64::from(allowed_ms - idle_ms) * 1_000;
        let ask_below = u64::from(config.ask_below_permille) * u64::from(allowed_ms);
        if self.config.habits.counting == Counting::OnDemand && left < ask_below {
            self.ask(id);
        }
        Ok(())
    }

    /// A FIN or RST of a connection in hardware has come to software; whether its entry stays for now.
    pub(super) fn stays_at_close(
        &mut self,
        platform: &impl Platform,
        id: ConnectionId,
        cause: RemoveCause,
    ) -> bool {
        let at_close = self.config.habits.at_close;
        let is_close = matches!(cause, RemoveCause::TcpFin | RemoveCause::TcpRst);
        // Without a collector nobody would come by.
        let collects = self.config.habits.collector.is_some();
        if at_close == AtClose::Now || !is_close || !collects {
            return false;
        }
        let is_first = match self.records.get_mut(id) {
            Some(record) => record.closing.replace(cause).is_none(),
            None => false,
        };
        if is_first && at_close == AtClose::EntryLater {
            let now = self.time(platform);
            self.tracker.resume_software(id, now, now);
        }
        true
    }
}
