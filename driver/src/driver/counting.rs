//! Counters that the driver asks for: of the whole table at an interval, or of one connection.

use super::*;
use crate::entries::Plan;
use nic_model::host::descriptors::TableRecord;

/// A reading of the table for its counters.
#[derive(Debug, Default)]
pub(super) struct TableReading {
    /// When the one began that is under way.
    began_ms: Option<u32>,
    /// When the next one is due.
    due_ms: u32,
}

impl Driver {
    /// Begins to read the table, if it is time.
    pub(super) fn poll_table(&mut self, platform: &mut impl Platform) -> Result<(), DeviceError> {
        let Counting::Poll(every_ms) = self.config.habits.counting else {
            return Ok(());
        };
        let now_ms = millis(platform);
        let is_under_way = self.reading.began_ms.is_some();
        if self.is_recovering() || is_under_way || now_ms < self.reading.due_ms {
            return Ok(());
        }
        self.reading = TableReading {
            began_ms: Some(now_ms),
            due_ms: now_ms.saturating_add(every_ms),
        };
        self.commands.dump(platform, &self.layout, 0)
    }

    /// What was being read will not come.
    pub(super) fn give_reading_up(&mut self) {
        self.reading.began_ms = None;
    }

    /// Records of the table have come that are read for their counters.
    pub(super) fn polled(
        &mut self,
        platform: &mut impl Platform,
        completion: &CommandCompletion,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let Some(began_ms) = self.reading.began_ms else {
            return Ok(());
        };
        let (entries, all_whole) = self.dumped_entries(platform, completion)?;
        for entry in &entries {
            self.polled_entry(platform, entry, observer);
        }
        // What is not whole is read the next time.
        if !all_whole || self.is_recovering() {
            self.give_reading_up();
            return Ok(());
        }
        if completion.slot() == u32::MAX {
            self.give_reading_up();
            self.note_reading(millis(platform).saturating_sub(began_ms));
            return Ok(());
        }
        self.commands
            .dump(platform, &self.layout, completion.slot())
    }

    fn polled_entry(
        &mut self,
        platform: &mut impl Platform,
        entry: &TableRecord,
        observer: &mut impl Observer,
    ) {
        platform.spend(Work::CounterRecord, 1);
        self.stats.counter_records += 1;
        let cookie = Cookie(entry.cookie());
        if self.is_mistaken(entry, cookie) {
            self.disagrees();
            return;
        }
        let is_gone = self
            .records
            .by_cookie(cookie)
            .is_none_or(|(record, _)| record.gone.has(cookie.part()));
        if is_gone || self.layout.counters.clear_on_read {
            return;
        }
        self.synchronise(platform, cookie, &Reading::of_entry(entry), observer);
    }

    /// The counters of a connection in hardware are to be asked for, unless that is under way already.
    pub(super) fn ask(&mut self, id: ConnectionId) {
        // The reading of the table that repairs things reads all counters too.
        let is_recovering = self.is_recovering();
        let Some(record) = self.records.get_mut(id) else {
            return;
        };
        if record.life == Life::Installed && record.asked.is_empty() && !is_recovering {
            record.asked = record.present;
            self.to_ask.push_back(id);
        }
    }

    /// Asks for counters as long as half the command ring is left for insertions and removals.
    pub(super) fn post_asks(&mut self, platform: &mut impl Platform) -> Result<(), DeviceError> {
        while self.commands.is_half_free(&self.layout) && !self.is_recovering() {
            let Some(id) = self.to_ask.pop_front() else {
                break;
            };
            let Some(record) = self.records.get(id).copied() else {
                continue;
            };
            let Some(connection) = self.tracker.connection(id) else {
                continue;
            };
            if record.life != Life::Installed || record.asked.is_empty() {
                continue;
            }
            let ways = self.records.ways(id.index());
            let plan = Plan::of(connection, &self.layout.key, &ways);
            let cookie = record.cookie(id.index());
            for (part, entry) in plan.iter().filter(|(part, _)| record.asked.has(*part)) {
                self.stats.counters_asked += 1;
                let cookie = cookie.of_part(part);
                self.commands
                    .read_counters(platform, &self.layout, &entry.key, cookie)?;
            }
        }
        Ok(())
    }

    /// Nothing that was to be asked for needs asking for.
    pub(super) fn give_asks_up(&mut self) {
        self.to_ask.clear();
    }

    /// The counters of an entry that were asked for have come.
    pub(super) fn answered(
        &mut self,
        platform: &mut impl Platform,
        cookie: Cookie,
        completion: &CommandCompletion,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let Some((record, _)) = self.records.by_cookie(cookie) else {
            return self.post_asks(platform);
        };
        let part = cookie.part();
        record.asked.take(part);
        let is_in = record.present.has(part) && !record.gone.has(part);
        match completion.status_or_err() {
            Ok(Status::Done) if is_in => {
                let reading = Reading::of(completion);
                self.synchronise(platform, cookie, &reading, observer);
            }
            Ok(Status::NotFound) if is_in && record.life == Life::Installed => self.disagrees(),
            _ => {}
        }
        self.post_asks(platform)
    }
}
