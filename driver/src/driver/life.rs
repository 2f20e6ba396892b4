//! The life of offloaded connections: what the policy wants, what the card answers, what connection tracking tells.

use super::*;

impl Driver {
    /// Should the packet's connection go into hardware, or come out?
    pub(super) fn consider(
        &mut self,
        platform: &mut impl Platform,
        verdict: &Verdict,
        ingress: u8,
        egress: u8,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let (Some(id), Some(direction)) = (verdict.connection, verdict.direction) else {
            return Ok(());
        };
        if !matches!(
            verdict.ctinfo,
            CtInfo::New | CtInfo::Established | CtInfo::EstablishedReply
        ) {
            return Ok(());
        }
        let Some(connection) = self.tracker.connection(id) else {
            return Ok(());
        };
        let offloadable = policy::offloadable(connection);
        let (key, originator_is_lower) = offload::flow_key(connection);
        let now_ms = (platform.now().as_nanos() / 1_000_000) as u32;
        let Some(record) = self.records.of(id) else {
            return Ok(());
        };
        match record.life {
            Life::Installed if !offloadable => {
                return self.remove(platform, id, RemoveCause::StateChanged);
            }
            Life::Software if offloadable && record.retry_at_ms <= now_ms => {}
            _ => return Ok(()),
        }
        if !self.policy.wants(connection) {
            return Ok(());
        }
        if !self.commands.has_room(&self.layout) {
            self.refuse(id, RefuseCause::CommandRingFull, platform.now(), observer);
            return Ok(());
        }
        record.originator_is_lower = originator_is_lower;
        // Packets from the originator leave where this one does, or come back to where it came from.
        let from_originator = direction == conntrack_core::Direction::Original;
        let to_responder = if from_originator { egress } else { ingress };
        let to_originator = if from_originator { ingress } else { egress };
        let egress = if originator_is_lower {
            [to_responder, to_originator]
        } else {
            [to_originator, to_responder]
        };
        let cookie = self.records.enter(id.index(), Life::Inserting);
        let decrement_ttl = self.config.route;
        let request = InsertRequest {
            key,
            cookie,
            egress,
            originator_is_lower,
            decrement_ttl,
        };
        self.commands.insert(platform, &self.layout, &request)
    }

    pub(super) fn refuse(
        &mut self,
        id: ConnectionId,
        cause: RefuseCause,
        now: Picos,
        observer: &mut impl Observer,
    ) {
        self.stats.refused[cause as usize] += 1;
        observer.refused(id, cause, now);
    }

    /// Queues the removal of an installed connection's entry.
    pub(super) fn remove(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        cause: RemoveCause,
    ) -> Result<(), DeviceError> {
        if self.life(id) != Life::Installed {
            return Ok(());
        }
        let Some(connection) = self.tracker.connection(id) else {
            return Ok(());
        };
        let (key, _) = offload::flow_key(connection);
        self.remove_key(platform, id, &key, cause)
    }

    pub(super) fn remove_key(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        key: &FlowKey,
        cause: RemoveCause,
    ) -> Result<(), DeviceError> {
        let cookie = self.records.enter(id.index(), Life::Removing);
        if let Some((record, _)) = self.records.by_cookie(cookie) {
            record.cause = cause;
        }
        self.commands.delete(platform, &self.layout, key, cookie)
    }

    /// A command completed.
    pub(super) fn completed(
        &mut self,
        platform: &mut impl Platform,
        completion: &CommandCompletion,
        pending: Pending,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        if completion.evicted() {
            self.evicted(platform, completion, observer);
        }
        let Some((_, generation)) = self.records.by_cookie(pending.cookie) else {
            return Ok(());
        };
        let id = ConnectionId::from_parts(pending.cookie.index(), generation);
        match pending.opcode {
            Opcode::Insert => self.inserted(platform, id, completion, pending.since, observer),
            Opcode::Delete => {
                self.deleted(platform, id, pending.cookie, completion, observer);
                Ok(())
            }
            Opcode::Nop | Opcode::ReadCounters => Ok(()),
        }
    }

    pub(super) fn inserted(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        completion: &CommandCompletion,
        since: Picos,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let refused = match completion.status_or_err() {
            Ok(Status::Done) => None,
            Ok(Status::TableFull) => Some(RefuseCause::TableFull),
            Ok(Status::Duplicate) => Some(RefuseCause::Duplicate),
            _ => Some(RefuseCause::Invalid),
        };
        if let Some(cause) = refused {
            let retry =
                (platform.now().as_nanos() / 1_000_000) as u32 + self.config.retry_after_full_ms;
            self.records.enter(id.index(), Life::Software);
            if let Some(record) = self.records.of(id) {
                record.retry_at_ms = retry;
            }
            self.refuse(id, cause, platform.now(), observer);
            return Ok(());
        }
        self.records.enter(id.index(), Life::Installed);
        self.stats.installed += 1;
        observer.installed(id, since, platform.now());
        let still_wanted = self.tracker.connection(id).is_some_and(policy::offloadable);
        if !still_wanted {
            // It closed while the insertion was on its way.
            self.stats.refused[RefuseCause::Overtaken as usize] += 1;
            return self.remove(platform, id, RemoveCause::StateChanged);
        }
        self.tracker.set_offloaded(id, true);
        Ok(())
    }

    pub(super) fn deleted(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        cookie: Cookie,
        completion: &CommandCompletion,
        observer: &mut impl Observer,
    ) {
        if completion.status_or_err() == Ok(Status::Done) {
            self.synchronise(cookie, &reading(completion), observer);
        }
        let cause = self
            .records
            .by_cookie(cookie)
            .map_or(RemoveCause::Aged, |(record, _)| record.cause);
        self.records.enter(id.index(), Life::Software);
        self.stats.removed[cause as usize] += 1;
        self.resume(platform, id, completion);
        observer.removed(id, cause, platform.now());
    }

    /// The connection goes on in software, if it still is in hardware as far as connection tracking knows.
    fn resume(
        &mut self,
        platform: &impl Platform,
        id: ConnectionId,
        completion: &CommandCompletion,
    ) {
        let connection = self.tracker.connection(id);
        if connection.is_some_and(|connection| connection.is_offloaded()) {
            let last_seen = match self.config.clock {
                Clock::Running => Time(completion.last_seen_ns()),
                Clock::Frozen => Time(0),
            };
            let now = self.time(platform);
            self.tracker.resume_software(id, last_seen, now);
        }
    }

    /// An entry gave way to the one that was inserted. If its removal is on its way already, that will find nothing.
    fn evicted(
        &mut self,
        platform: &impl Platform,
        completion: &CommandCompletion,
        observer: &mut impl Observer,
    ) {
        let cookie = Cookie(completion.evicted_cookie());
        self.synchronise(cookie, &reading(completion), observer);
        let Some((record, generation)) = self.records.by_cookie(cookie) else {
            return;
        };
        let is_installed = record.life == Life::Installed;
        let id = ConnectionId::from_parts(cookie.index(), generation);
        self.resume(platform, id, completion);
        if is_installed {
            self.records.enter(id.index(), Life::Software);
            self.stats.removed[RemoveCause::Evicted as usize] += 1;
            observer.removed(id, RemoveCause::Evicted, platform.now());
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
                EventKind::Update(_) | EventKind::Expect(_) | EventKind::Unexpect(_) => {}
                EventKind::Destroy { cause, last } => {
                    observer.destroyed(event.connection, &last, cause, platform.now());
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
        _cause: DestroyCause,
    ) -> Result<(), DeviceError> {
        if self.life(id) != Life::Installed {
            return Ok(());
        }
        let (key, _) = offload::flow_key(last);
        self.remove_key(platform, id, &key, RemoveCause::Destroyed)
    }
}

/// The counters of a completion.
fn reading(completion: &CommandCompletion) -> Reading {
    Reading {
        packets: [completion.packets_0(), completion.packets_1()],
        bytes: [completion.bytes_0(), completion.bytes_1()],
    }
}
