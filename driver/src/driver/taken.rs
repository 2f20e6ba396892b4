//! What the card does and asks by itself: entries it takes out, finds idle, or finds damaged.

use super::*;
use crate::entries::Plan;
use nic_model::host::descriptors::{AgingReport, Idle};

impl Driver {
    /// The card has taken an entry out by itself; if there is another for the other direction, it comes out too. If its
    /// removal is on its way already, that will find nothing.
    pub(super) fn evicted(
        &mut self,
        platform: &mut impl Platform,
        gone: &Gone,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let Gone { cookie, cause, .. } = *gone;
        let packets = self.synchronise(platform, cookie, &gone.reading, observer);
        let Some((record, generation)) = self.records.by_cookie(cookie) else {
            return Ok(());
        };
        record.gone.add(cookie.part());
        let id = ConnectionId::from_parts(cookie.index(), generation);
        self.left(platform, id, cookie, (packets, gone.reading.last_seen_ns));
        if self.life(id) != Life::Installed {
            return Ok(());
        }
        let left = self.records.get(id).map(|record| record.present);
        if left.is_some_and(|left| !left.is_empty()) {
            return self.remove(platform, id, cause);
        }
        self.end(platform, id, cause, observer);
        Ok(())
    }

    /// One of a connection's entries was idle for long. A connection comes out once all are.
    pub(super) fn aged(
        &mut self,
        platform: &mut impl Platform,
        report: &AgingReport,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let cookie = Cookie(report.cookie());
        match report.idle_or_err() {
            Ok(Idle::Evicted) => {
                let gone = Gone {
                    cookie,
                    reading: Reading {
                        packets: [report.packets_0(), report.packets_1()],
                        bytes: [report.bytes_0(), report.bytes_1()],
                        last_seen_ns: report.last_seen_ns(),
                    },
                    cause: RemoveCause::Aged,
                };
                return self.evicted(platform, &gone, observer);
            }
            Ok(Idle::Damaged) => return self.damaged(platform, cookie, observer),
            Ok(Idle::Asked) if self.keep(platform, report)? => return Ok(()),
            _ => {}
        }
        let Some((record, generation)) = self.records.by_cookie(cookie) else {
            return Ok(());
        };
        record.idle.add(cookie.part());
        if record.idle != record.due() {
            return Ok(());
        }
        let id = ConnectionId::from_parts(cookie.index(), generation);
        self.remove(platform, id, RemoveCause::Aged)
    }

    /// The card has taken an entry out because its memory was damaged: nobody knows what it counted at last.
    fn damaged(
        &mut self,
        platform: &mut impl Platform,
        cookie: Cookie,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let Some((record, generation)) = self.records.by_cookie(cookie) else {
            return Ok(());
        };
        record.gone.add(cookie.part());
        let id = ConnectionId::from_parts(cookie.index(), generation);
        self.lose(id, cookie.part());
        if self.life(id) != Life::Installed {
            return Ok(());
        }
        let left = self.records.get(id).map(|record| record.present);
        if left.is_some_and(|left| !left.is_empty()) {
            return self.remove(platform, id, RemoveCause::Lost);
        }
        self.end(platform, id, RemoveCause::Lost, observer);
        Ok(())
    }

    /// The card asks whether an idle entry is to stay. It is as long as software would keep the connection.
    fn keep(
        &mut self,
        platform: &mut impl Platform,
        report: &AgingReport,
    ) -> Result<bool, DeviceError> {
        let cookie = Cookie(report.cookie());
        let Some(id) = self.connection_of_cookie(report.cookie()) else {
            return Ok(false);
        };
        let now = self.time(platform);
        let since = self.records.keep(cookie, report.last_seen_ns());
        let Some(connection) = self.tracker.connection(id) else {
            return Ok(false);
        };
        let span = connection.state_timeout(self.tracker.config());
        let is_dead = since.is_some_and(|since| Time(since) + span <= now);
        if self.life(id) != Life::Installed || is_dead {
            return Ok(false);
        }
        let plan = Plan::of(connection, &self.layout.key, &self.records.ways(id.index()));
        let entry = plan.iter().find(|(part, _)| *part == cookie.part());
        match entry {
            Some((_, entry)) => self
                .commands
                .touch(platform, &self.layout, &entry.key, cookie),
            None => Ok(false),
        }
    }
}

/// An entry that the card has taken out by itself.
pub(super) struct Gone {
    pub(super) cookie: Cookie,
    /// Its final counters.
    pub(super) reading: Reading,
    pub(super) cause: RemoveCause,
}
