//! The life of offloaded connections: what the card answers, what connection tracking tells.

use super::taken::Gone;
use super::*;
use crate::entries::Plan;
use crate::explain::Why;
use crate::habits::AtClose;
use crate::offload::Parts;

impl Driver {
    pub(super) fn refuse(
        &mut self,
        id: ConnectionId,
        cause: RefuseCause,
        now: Picos,
        observer: &mut impl Observer,
    ) {
        self.stats.refused[cause as usize] += 1;
        if let Some(record) = self.records.get_mut(id) {
            record.why = Some(cause.into());
        }
        observer.refused(id, cause, now);
    }

    /// Queues the removal of an installed connection's entries.
    pub(super) fn remove(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        cause: RemoveCause,
    ) -> Result<(), DeviceError> {
        if self.life(id) != Life::Installed || self.must_wait(id, cause) {
            return Ok(());
        }
        let ways = self.records.ways(id.index());
        let Some(connection) = self.tracker.connection(id) else {
            return Ok(());
        };
        let plan = Plan::of(connection, &self.layout.key, &ways);
        self.remove_entries(platform, id, &plan, cause)
    }

    /// Whether a removal is left to the collector, because a request about the connection is on its way.
    fn must_wait(&mut self, id: ConnectionId, cause: RemoveCause) -> bool {
        let habits = &self.config.habits;
        if !habits.one_request || habits.collector.is_none() {
            return false;
        }
        match self.records.get_mut(id) {
            Some(record) if !record.asked.is_empty() => {
                record.closing.get_or_insert(cause);
                true
            }
            _ => false,
        }
    }

    /// Queues the removal of those entries of a connection that are in the card or on their way there.
    pub(super) fn remove_entries(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        plan: &Plan,
        cause: RemoveCause,
    ) -> Result<(), DeviceError> {
        let recovering = self.is_recovering();
        // Insertions that are on their way are executed before these removals.
        let coming = self.life(id) == Life::Inserting;
        let cookie = self.records.enter(id.index(), Life::Removing);
        let Some((record, _)) = self.records.by_cookie(cookie) else {
            return Ok(());
        };
        record.cause = Some(cause);
        let going = if coming {
            record.wanted
        } else {
            record.present
        };
        if recovering {
            // It waits until the table was read.
            return Ok(());
        }
        record.waiting = going.len();
        if going.is_empty() {
            self.enter_software(platform, id, cause);
            self.stats.removed[cause as usize] += 1;
            return Ok(());
        }
        for (part, entry) in plan.iter().filter(|(part, _)| going.has(*part)) {
            let cookie = cookie.of_part(part);
            self.commands
                .delete(platform, &self.layout, &entry.key, cookie)?;
        }
        Ok(())
    }

    /// A command completed.
    pub(super) fn completed(
        &mut self,
        platform: &mut impl Platform,
        completion: &CommandCompletion,
        pending: Pending,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        match pending.opcode {
            Opcode::Dump => return self.dumped(platform, completion, observer),
            Opcode::ReadLog => return self.log_came(platform, completion),
            Opcode::WriteImage => return self.part_written(platform, completion),
            Opcode::AcceptImage => {
                self.image_checked(completion);
                return Ok(());
            }
            _ => {}
        }
        if pending.stray {
            return Ok(());
        }
        if completion.evicted() {
            let gone = Gone {
                cookie: Cookie(completion.evicted_cookie()),
                reading: Reading::of(completion),
                cause: RemoveCause::Evicted,
            };
            self.evicted(platform, &gone, observer)?;
        }
        let Some((_, generation)) = self.records.by_cookie(pending.cookie) else {
            return self.came_too_late(platform, completion, &pending);
        };
        let id = ConnectionId::from_parts(pending.cookie.index(), generation);
        match pending.opcode {
            Opcode::Insert => self.inserted(platform, id, completion, pending, observer),
            Opcode::Delete => {
                self.deleted(platform, id, pending.cookie, completion, observer);
                Ok(())
            }
            Opcode::ReadCounters => self.answered(platform, pending.cookie, completion, observer),
            Opcode::Mark => self.marked(platform, id, completion, observer),
            _ => Ok(()),
        }
    }

    /// An insertion that had to be posted again came in after the removal that was to follow it.
    fn came_too_late(
        &mut self,
        platform: &mut impl Platform,
        completion: &CommandCompletion,
        pending: &Pending,
    ) -> Result<(), DeviceError> {
        let is_in = completion.status_or_err() == Ok(Status::Done);
        if pending.opcode != Opcode::Insert || !is_in || self.is_recovering() {
            return Ok(());
        }
        let Some(key) = pending.key_again() else {
            // Posted once, it was executed before its removal.
            return Ok(());
        };
        self.stats.strays += 1;
        self.commands
            .delete_stray(platform, &self.layout, &key, pending.cookie)
    }

    /// One of a connection's entries is in the card, or was refused. The connection is in hardware once all are; if one was
    /// refused, the other comes out again.
    fn inserted(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        completion: &CommandCompletion,
        pending: Pending,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let refused = match completion.status_or_err() {
            Ok(Status::Done) => None,
            Ok(Status::TableFull) => Some(RefuseCause::TableFull),
            Ok(Status::Duplicate) => Some(RefuseCause::Duplicate),
            _ => Some(RefuseCause::Invalid),
        };
        let gone = self.records.get(id).map(|record| record.gone);
        let gone = gone.is_some_and(|gone| gone.has(pending.cookie.part()));
        if refused.is_none() && !gone {
            self.records
                .set_present(id.index(), pending.cookie.part(), true);
        }
        let Some((record, _)) = self.records.by_cookie(pending.cookie) else {
            return Ok(());
        };
        record.unheard.take(pending.cookie.part());
        if record.life == Life::Removing {
            // Its connection was deleted meanwhile; the removal is on its way.
            return Ok(());
        }
        record.refused = record.refused.or(refused);
        record.waiting = record.waiting.saturating_sub(1);
        if record.waiting > 0 {
            return Ok(());
        }
        let half = !record.present.is_empty() && self.config.flaws.has(Flaw::OneDirectionOnly);
        if half {
            return self.came_in(platform, id, pending.since, observer);
        }
        if let Some(cause) = record.refused {
            if self.config.habits.half_is_enough && !record.present.is_empty() {
                record.half = true;
                self.refuse(id, cause, platform.now(), observer);
                return self.came_in(platform, id, pending.since, observer);
            }
            return self.give_up(platform, id, cause, observer);
        }
        if record.present != record.wanted {
            // One that was in gave way to another insertion before the last came in.
            let none_left = record.present.is_empty();
            self.records.enter(id.index(), Life::Installed);
            if none_left {
                self.end(platform, id, RemoveCause::Evicted, observer);
                return Ok(());
            }
            return self.remove(platform, id, RemoveCause::Evicted);
        }
        self.came_in(platform, id, pending.since, observer)
    }

    /// All entries of a connection are in the card.
    pub(super) fn came_in(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        since: Picos,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        self.records.enter(id.index(), Life::Installed);
        if let Some(record) = self.records.get_mut(id) {
            record.at_ms = millis(platform);
            record.unheard = Parts::default();
            record.why = None;
        }
        self.stats.installed += 1;
        observer.installed(id, since, platform.now());
        let connection = self.tracker.connection(id);
        let still_wanted = connection.is_some_and(|connection| self.unfit(connection).is_none());
        if !still_wanted {
            // It closed while the insertion was on its way.
            self.stats.refused[RefuseCause::Overtaken as usize] += 1;
            return self.remove(platform, id, RemoveCause::StateChanged);
        }
        let flaws = self.config.flaws;
        let untold = [
            Flaw::OneDirectionOnly,
            Flaw::WindowsKept,
            Flaw::ExtensionNotApplied,
        ];
        if !untold.into_iter().any(|flaw| flaws.has(flaw)) {
            self.tracker.set_offloaded(id, true);
        }
        if self.config.habits.liberal {
            self.tracker.set_liberal(id);
        }
        Ok(())
    }

    /// An entry of a connection was refused: it stays in software, and an entry that is in comes out.
    pub(super) fn give_up(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        cause: RefuseCause,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        if cause == RefuseCause::TableFull && self.config.flaws.has(Flaw::FullForAll) {
            self.holds_until_ms = millis(platform).saturating_add(self.config.retry_after_full_ms);
        }
        let record = self.records.get(id);
        let half = record.is_some_and(|record| !record.present.is_empty());
        self.refuse(id, cause, platform.now(), observer);
        if half {
            self.records.enter(id.index(), Life::Installed);
            return self.remove(platform, id, RemoveCause::Half);
        }
        self.resume(platform, id, platform.now().as_nanos());
        self.records.enter(id.index(), Life::Software);
        self.back_off(platform, id);
        Ok(())
    }

    /// A connection is in software again.
    fn enter_software(&mut self, platform: &impl Platform, id: ConnectionId, cause: RemoveCause) {
        self.records.enter(id.index(), Life::Software);
        let mut backs_off = false;
        if let Some(record) = self.records.get_mut(id) {
            record.cause = Some(cause);
            (record.why, backs_off) = match cause {
                RemoveCause::Displaced | RemoveCause::Evicted => (Some(Why::Displaced), true),
                // It has said why.
                RemoveCause::Half => (record.why, true),
                _ => (None, false),
            };
            if cause == RemoveCause::Aged {
                record.refusals = 0;
            }
        }
        if backs_off {
            self.back_off(platform, id);
        }
    }

    /// A connection found no room, or made it: its next attempt is later each time, so that nothing goes in and out all the time.
    pub(super) fn back_off(&mut self, platform: &impl Platform, id: ConnectionId) {
        /// Eight times as long at most.
        const MOST_DOUBLINGS: u8 = 3;
        let now_ms = millis(platform);
        if let Some(record) = self.records.get_mut(id) {
            let wait_ms = self.config.retry_after_full_ms << record.refusals;
            record.at_ms = now_ms.saturating_add(wait_ms);
            record.refusals = (record.refusals + 1).min(MOST_DOUBLINGS);
        }
    }

    /// One of a connection's entries is gone. The connection is in software once all are.
    fn deleted(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        cookie: Cookie,
        completion: &CommandCompletion,
        observer: &mut impl Observer,
    ) {
        if completion.status_or_err() == Ok(Status::Done) {
            let packets = if self.config.flaws.has(Flaw::FinalReadIgnored) {
                0
            } else {
                self.synchronise(platform, cookie, &Reading::of(completion), observer)
            };
            self.left(platform, id, cookie, (packets, completion.last_seen_ns()));
        }
        let Some((record, _)) = self.records.by_cookie(cookie) else {
            return;
        };
        record.unheard.take(cookie.part());
        // The answer to its insertion may still come, if that had to be posted again.
        record.gone.add(cookie.part());
        record.waiting = record.waiting.saturating_sub(1);
        let (waiting, present) = (record.waiting, record.present);
        let cause = record.cause.unwrap_or_default();
        if completion.status_or_err() != Ok(Status::Done) && present.has(cookie.part()) {
            self.lose(id, cookie.part());
            self.disagrees();
        }
        if waiting == 0 {
            self.end(platform, id, cause, observer);
        }
    }

    /// No entry of a connection is in the card any more.
    pub(super) fn end(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        cause: RemoveCause,
        observer: &mut impl Observer,
    ) {
        let now = platform.now();
        if self.records.get(id).is_some_and(|record| record.lost) {
            observer.lost(id, self.tracker.connection(id), now);
            // Nobody knows when it was hit last: it may have been just now.
            self.tracker
                .passed_unseen(id, self.card_time(now.as_nanos()));
            self.resume(platform, id, now.as_nanos());
        }
        self.enter_software(platform, id, cause);
        self.stats.removed[cause as usize] += 1;
        observer.removed(id, cause, now);
    }

    /// An entry of a connection has left the card. While another is there, packets of one direction still pass unseen.
    pub(super) fn left(
        &mut self,
        platform: &impl Platform,
        id: ConnectionId,
        cookie: Cookie,
        (packets, last_seen_ns): (u64, u64),
    ) {
        self.records.set_present(id.index(), cookie.part(), false);
        let last = self
            .records
            .get(id)
            .is_none_or(|record| record.present.is_empty());
        if packets > 0 || !last {
            let seen = self.card_time(self.hit_by(cookie, last_seen_ns));
            self.tracker.passed_unseen(id, seen);
        }
        if last {
            self.resume(platform, id, self.hit_by(cookie, last_seen_ns));
        }
    }

    /// The connection goes on in software, if it still is in hardware as far as connection tracking knows.
    fn resume(&mut self, platform: &impl Platform, id: ConnectionId, last_seen_ns: u64) {
        let connection = self.tracker.connection(id);
        if connection.is_some_and(|connection| connection.is_offloaded()) {
            let last_seen = self.card_time(last_seen_ns);
            let now = self.time(platform);
            self.tracker.resume_software(id, last_seen, now);
            if self.closes_late(id) {
                self.tracker.close(id, now);
            }
            if self.config.flaws.has(Flaw::ShortTimeoutAfterTeardown) {
                self.tracker.set_timeout(id, Time::from_secs(120), now);
            }
        }
    }

    /// Whether a connection stayed in hardware after its FIN or RST and ends with its entry.
    fn closes_late(&self, id: ConnectionId) -> bool {
        let closing = self.records.get(id).and_then(|record| record.closing);
        let has_closed = matches!(closing, Some(RemoveCause::TcpFin | RemoveCause::TcpRst));
        has_closed && self.config.habits.at_close == AtClose::Later
    }

    /// When a packet hit an entry last, given what the card says: being kept is not being hit.
    fn hit_by(&self, cookie: Cookie, last_seen_ns: u64) -> u64 {
        let idle_since = self.records.kept_since(cookie);
        last_seen_ns.min(idle_since.unwrap_or(u64::MAX))
    }

    /// A time of the card's clock, for connection tracking.
    const fn card_time(&self, ns: u64) -> Time {
        match self.config.clock {
            Clock::Running => Time(ns),
            Clock::Frozen => Time(0),
        }
    }

    /// What the tracker did by itself: new connections, and those that are gone.
    pub(super) fn follow_events(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        if !self.tracker.has_events() {
            return Ok(());
        }
        for event in self.tracker.take_events() {
            match event.kind {
                EventKind::New => {
                    self.stats.connections += 1;
                    let live = self.tracker.len() as u64;
                    self.stats.peak_connections = self.stats.peak_connections.max(live);
                }
                EventKind::Update(changes) => {
                    self.follow_marking(platform, event.connection, changes, observer)?;
                }
                EventKind::Expect(_) | EventKind::Unexpect(_) => {}
                EventKind::Destroy { cause, last } => {
                    observer.destroyed(event.connection, &last, cause, platform.now());
                    if self.life(event.connection) != Life::Software {
                        observer.leaving(event.connection);
                    }
                    self.forget(platform, event.connection, &last, cause)?;
                }
            }
        }
        Ok(())
    }

    /// A connection is gone; if it is in hardware, its entry must go too.
    pub(super) fn forget(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        last: &conntrack_core::Connection,
        cause: DestroyCause,
    ) -> Result<(), DeviceError> {
        let is_deleted = cause == DestroyCause::Deleted;
        let overlooks = is_deleted && self.config.flaws.has(Flaw::DeletionNotFollowed);
        let life = self.life(id);
        if !matches!(life, Life::Installed | Life::Inserting) || overlooks {
            return Ok(());
        }
        let plan = Plan::of(last, &self.layout.key, &self.records.ways(id.index()));
        self.remove_entries(platform, id, &plan, RemoveCause::Destroyed)
    }
}
