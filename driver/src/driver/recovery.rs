//! When the card is not what the driver takes it for: it has begun afresh, hangs, or something it wrote was lost.
//!
//! ```text
//!          reset by itself, DMA error,                        ready                       read to its end
//!   Well --no heartbeat, no answers------> Resetting -------------------> Reading ---------------------> Well
//!     |                                                                      ^
//!     +--reports went missing----> Draining --commands have completed--------+
//! ```
//! To begin another firmware the driver drains as well, and then resets the card.
//!
//! While the driver is not well it sends packets on as ever, in software; it puts nothing into the card, and what is to come
//! out waits until the table was read.

use super::*;
use crate::commands::Supervision;
use crate::device::{read, write};
use crate::entries::Plan;
use crate::offload::{Parts, Record};
use nic_model::flow_table::FlowKey;
use nic_model::host::descriptors::TableRecord;
use nic_model::host::seal::is_whole;
use std::collections::BTreeMap;

/// Time between two calls of [`Driver::tick`], usually.
pub const TICK: Picos = Picos::from_millis(100);
/// Time between two looks at a card that begins afresh.
const TICK_WHILE_RESETTING: Picos = Picos::from_millis(1);

/// How often the heartbeat may be the same before the firmware is taken for dead.
const PATIENCE_BEATS: u32 = 3;

/// What the driver thinks of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Well,
    Resetting,
    Draining,
    Reading,
}

/// What the driver knows of the card's health.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: State,
    boots: u32,
    heartbeat: u32,
    same_beats: u32,
    /// How often entries had moved when the reading began, as soon as that is known.
    moved: Option<u32>,
    /// Entries of connections that are to come out once the table was read: to take one out may move others.
    condemned: Vec<(FlowKey, Cookie)>,
    /// Entries that no connection has any more, or that go by the name of another: they go too.
    strays: Vec<(FlowKey, Cookie)>,
}

impl Health {
    /// A predecessor has left the card; it is being reset.
    pub(super) const fn take_over(&mut self) {
        self.state = State::Resetting;
    }

    /// All but counts, as text.
    pub(super) fn outline(&self) -> String {
        let condemned = self.condemned.len();
        format!("{:?} {} {condemned}", self.state, self.same_beats)
    }
}

impl Driver {
    /// Whether the driver's view of the card is being repaired.
    pub fn is_recovering(&self) -> bool {
        self.health.state != State::Well
    }

    /// How long until [`Driver::tick`] is due again: sooner while the card begins afresh, because until it is ready nothing that
    /// is not in hardware gets through.
    pub fn tick_after(&self) -> Picos {
        if self.health.state == State::Resetting {
            TICK_WHILE_RESETTING
        } else {
            TICK
        }
    }

    /// The card is up: remembers what is to be compared later.
    pub(super) fn meet(&mut self, platform: &mut impl Platform) {
        self.health.boots = read(platform, reg::BOOT_COUNT);
        self.health.same_beats = 0;
        self.clock.look(platform, self.layout.version);
        write(platform, reg::INTERRUPT_ARM, 1);
    }

    /// Gives the card every buffer in which no fragment is held.
    pub(super) fn post_all_buffers(
        &mut self,
        platform: &mut impl Platform,
    ) -> Result<(), DeviceError> {
        let mut held: Vec<u32> = self.held.buffers().collect();
        held.sort_unstable();
        for buffer in 0..self.layout.receive.entries() {
            if held.binary_search(&buffer).is_err() {
                self.receive.post(platform, &self.layout, buffer)?;
            }
        }
        self.receive.announce(platform);
        Ok(())
    }

    /// Looks after the card, now and then.
    pub(super) fn supervise(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let trouble = self.commands.trouble;
        self.stats.commands_retried = trouble.retries;
        self.stats.completions_stale = trouble.stale;
        self.stats.commands_damaged = trouble.damaged;
        let status = read(platform, reg::STATUS);
        if self.health.state == State::Resetting {
            if status & reg::READY != 0 {
                self.begin_afresh(platform, observer)?;
            }
            return Ok(());
        }
        if let Some(cause) = self.failed(platform, status)? {
            return self.reset_card(platform, cause, observer);
        }
        let (events, counters) = (
            read(platform, reg::EVENTS_PRODUCED),
            read(platform, reg::COUNTERS_PRODUCED),
        );
        let layout = &self.layout;
        self.events.supervise(platform, &layout.event, events)?;
        self.counters
            .supervise(platform, &layout.counter, counters)?;
        if !self.config.flaws.has(Flaw::DoorbellOnce) {
            self.receive.ring(platform);
            self.transmit.ring(platform);
        }
        if self.health.state == State::Well {
            let missing = self.events.newly_missing() + self.counters.newly_missing();
            if missing > 0 && !self.config.flaws.has(Flaw::GapsIgnored) {
                self.health.state = State::Draining;
            }
        }
        match self.health.state {
            State::Draining if self.commands.is_drained() => {
                if self.begin_if_accepted() {
                    return self.reset_card(platform, ResetCause::Update, observer);
                }
                self.read_table(platform, observer)
            }
            State::Well => {
                self.follow_log(platform)?;
                self.go_on_updating(platform)
            }
            _ => Ok(()),
        }
    }

    /// Why the card must be reset, if it must.
    fn failed(
        &mut self,
        platform: &mut impl Platform,
        status: u32,
    ) -> Result<Option<ResetCause>, DeviceError> {
        if status & reg::DMA_ERROR != 0 {
            return Ok(Some(ResetCause::DmaError));
        }
        let boots = read(platform, reg::BOOT_COUNT);
        if boots != self.health.boots || status & reg::ENABLE == 0 {
            return Ok(Some(ResetCause::ByItself));
        }
        let heartbeat = read(platform, reg::HEARTBEAT);
        if heartbeat == self.health.heartbeat {
            self.health.same_beats += 1;
        } else {
            self.health.same_beats = 0;
        }
        self.health.heartbeat = heartbeat;
        if self.health.same_beats >= PATIENCE_BEATS {
            return Ok(Some(ResetCause::NoHeartbeat));
        }
        let patience = Picos::from_millis(self.config.command_patience_ms.into());
        let limits = (patience, self.config.command_attempts);
        let commands = &mut self.commands;
        Ok(match commands.supervise(platform, &self.layout, limits)? {
            Supervision::Well => None,
            Supervision::Hopeless => Some(ResetCause::NoCompletion),
        })
    }

    fn reset_card(
        &mut self,
        platform: &mut impl Platform,
        cause: ResetCause,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        self.stats.resets[cause as usize] += 1;
        observer.recovery(Recovery::Reset(cause), platform.now());
        self.health.state = State::Resetting;
        if cause != ResetCause::ByItself {
            write(platform, reg::CONTROL, reg::FUNCTION_RESET);
        }
        Ok(())
    }

    /// Frames that lie in the rings: those that came and were not looked at, those that were to be sent.
    pub(super) fn drop_what_lies_in_rings(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        while let Some(completion) = self.receive.take(platform, &self.layout)? {
            let tag = completion.ingress_tag();
            observer.released(tag, Disposition::DroppedReset, platform.now());
        }
        while let Some(tag) = self.transmit.give_up(platform, &self.layout)? {
            observer.given_up(tag, platform.now());
        }
        Ok(())
    }

    /// The card is ready after a reset: lays all rings anew and reads the table.
    fn begin_afresh(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        self.drop_what_lies_in_rings(platform, observer)?;
        if let Err(error) = self.layout.identify_again(platform) {
            return self.refuse_firmware(platform, error, observer);
        }
        self.commands.reset();
        self.give_reading_up();
        self.give_log_up();
        self.take_step_again();
        self.events.reset();
        self.counters.reset();
        self.receive = ReceiveQueue::default();
        self.ahead = LookAhead::default();
        self.transmit = TransmitQueue::new(&self.layout);
        self.layout.lay_again(platform)?;
        self.post_all_buffers(platform)?;
        self.meet(platform);
        if self.config.flaws.has(Flaw::TableNotRead) {
            self.health.state = State::Well;
            return Ok(());
        }
        self.read_table(platform, observer)
    }

    /// The firmware that runs is not one this driver can work with: if it is on trial, another reset brings back the one before.
    fn refuse_firmware(
        &mut self,
        platform: &mut impl Platform,
        error: DeviceError,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        if read(platform, reg::IMAGE) & reg::IMAGE_ON_TRIAL == 0 {
            return Err(error);
        }
        self.reset_card(platform, ResetCause::FirmwareRefused, observer)
    }

    fn read_table(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        self.stats.readings += 1;
        observer.recovery(Recovery::Reading, platform.now());
        self.health.state = State::Reading;
        self.health.moved = None;
        self.health.condemned.clear();
        self.health.strays.clear();
        self.records.forget_seen();
        for id in self.records.engaged() {
            if let Some(record) = self.records.get_mut(id) {
                record.waiting = 0;
                record.asked = Parts::default();
                (record.marks, record.marks_again) = (0, false);
            }
        }
        self.give_asks_up();
        self.commands.dump(platform, &self.layout, 0)
    }

    /// Records of the table have come.
    pub(super) fn dumped(
        &mut self,
        platform: &mut impl Platform,
        completion: &CommandCompletion,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        if self.health.state != State::Reading {
            return self.polled(platform, completion, observer);
        }
        // What was read earlier must not come later.
        while self
            .counters
            .skip_hole(platform, &self.layout.counter, u32::MAX)?
        {
            if !self.poll_counters(platform, observer)? {
                break;
            }
        }
        let (entries, all_whole) = self.dumped_entries(platform, completion)?;
        for entry in &entries {
            self.compare(platform, entry, observer);
        }
        let moved = *self.health.moved.get_or_insert(completion.moved());
        if !all_whole || moved != completion.moved() {
            return self.read_table(platform, observer);
        }
        match completion.slot() {
            u32::MAX => self.settle(platform, observer),
            next => self.commands.dump(platform, &self.layout, next),
        }
    }

    /// The records that a reading has brought, and whether all of them came whole.
    pub(super) fn dumped_entries(
        &mut self,
        platform: &mut impl Platform,
        completion: &CommandCompletion,
    ) -> Result<(Vec<TableRecord>, bool), DeviceError> {
        let mut entries = Vec::new();
        for number in 0..completion.records().min(Layout::DUMP_RECORDS) {
            let offset = u64::from(number) * size_of::<TableRecord>() as u64;
            let bytes: [u8; 96] = platform.memory().read(self.layout.dump.offset(offset))?;
            if !is_whole(&bytes) {
                return Ok((entries, false));
            }
            let mut entry = TableRecord::from_bytes(bytes);
            let time = (entry.era(), entry.last_seen_ns());
            entry.set_last_seen_ns(self.host_ns(platform, time));
            entries.push(entry);
        }
        Ok((entries, completion.status_or_err() == Ok(Status::Done)))
    }

    /// An entry of the card: does the driver know it, and want it there?
    fn compare(
        &mut self,
        platform: &impl Platform,
        entry: &TableRecord,
        observer: &mut impl Observer,
    ) {
        let cookie = Cookie(entry.cookie());
        if self.is_mistaken(entry, cookie) {
            self.health.strays.push((key_of(entry), cookie));
            return;
        }
        let Some((record, generation)) = self.records.by_cookie(cookie) else {
            self.health.strays.push((key_of(entry), cookie));
            return;
        };
        if record.gone.has(cookie.part()) {
            return;
        }
        record.seen.add(cookie.part());
        record.unheard.take(cookie.part());
        if entry.idle() {
            record.idle.add(cookie.part());
        }
        if record.life == Life::Removing {
            self.health.condemned.push((key_of(entry), cookie));
        }
        let id = ConnectionId::from_parts(cookie.index(), generation);
        self.compare_marking(id, entry);
        self.records
            .set_present(cookie.index(), cookie.part(), true);
        if !self.layout.counters.clear_on_read {
            self.synchronise(platform, cookie, &Reading::of_entry(entry), observer);
        }
    }

    /// Whether an entry has the cookie of another one: its connection's entries have other keys.
    pub(super) fn is_mistaken(&mut self, entry: &TableRecord, cookie: Cookie) -> bool {
        let Some((_, generation)) = self.records.by_cookie(cookie) else {
            return false;
        };
        let id = ConnectionId::from_parts(cookie.index(), generation);
        let Some(connection) = self.tracker.connection(id) else {
            return false;
        };
        let ways = self.records.ways(cookie.index());
        let plan = Plan::of(connection, &self.layout.key, &ways);
        let mut entries = plan.iter();
        !entries.any(|(part, planned)| part == cookie.part() && planned.key == key_of(entry))
    }

    /// Card and driver have different views of an entry: the whole table is read, as soon as all commands have completed.
    pub(super) fn disagrees(&mut self) {
        if self.health.state == State::Well {
            self.health.state = State::Draining;
        }
    }

    /// The whole table was read: brings every record into line with it.
    fn settle(
        &mut self,
        platform: &mut impl Platform,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        self.health.state = State::Well;
        let condemned = self.take_out_strays(platform)?;
        let mut left = false;
        for id in self.records.engaged() {
            let Some(record) = self.records.get(id).copied() else {
                continue;
            };
            for part in [0, 1] {
                // Of one that nobody heard of, nobody knows whether it was in.
                let unheard = record.unheard.has(part) && !record.gone.has(part);
                let removing = record.life == Life::Removing;
                let was_in = record.present.has(part) || unheard && removing;
                if was_in && !record.seen.has(part) {
                    self.lose(id, part);
                }
            }
            match record.life {
                Life::Software => {}
                Life::Inserting => self.settle_insertion(platform, id, &record, observer)?,
                Life::Installed => self.settle_installed(platform, id, &record, observer)?,
                Life::Removing if self.is_gone(id) => {
                    let cause = record.cause.unwrap_or_default();
                    self.end(platform, id, cause, observer);
                }
                Life::Removing => {
                    let entries = condemned.get(&id.index()).map_or(&[][..], Vec::as_slice);
                    left |= !self.remove_condemned(platform, id, entries)?;
                }
            }
            self.settle_marking(platform, id, observer)?;
        }
        if left {
            self.health.state = State::Draining;
            return Ok(());
        }
        self.confirm_firmware(platform);
        observer.recovery(Recovery::Done, platform.now());
        self.follow_log(platform)
    }

    /// Whether no entry of a connection is in the card.
    fn is_gone(&self, id: ConnectionId) -> bool {
        self.records
            .get(id)
            .is_none_or(|record| record.present.is_empty())
    }

    /// Queues the removal of all entries that no connection has any more; the others that are to go, by their connections.
    fn take_out_strays(
        &mut self,
        platform: &mut impl Platform,
    ) -> Result<BTreeMap<u32, Vec<(FlowKey, Cookie)>>, DeviceError> {
        let mut others: BTreeMap<u32, Vec<(FlowKey, Cookie)>> = BTreeMap::new();
        for (key, cookie) in std::mem::take(&mut self.health.condemned) {
            if self.records.by_cookie(cookie).is_none() {
                self.health.strays.push((key, cookie));
                continue;
            }
            let entries = others.entry(cookie.index()).or_default();
            entries.push((key, cookie));
        }
        for (key, cookie) in std::mem::take(&mut self.health.strays) {
            self.stats.strays += 1;
            let layout = &self.layout;
            self.commands.delete_stray(platform, layout, &key, cookie)?;
        }
        Ok(others)
    }

    /// The card does not have an entry any more, and nobody knows what it counted at last.
    pub(super) fn lose(&mut self, id: ConnectionId, part: usize) {
        self.stats.lost_entries += 1;
        self.records.set_present(id.index(), part, false);
        if let Some(record) = self.records.get_mut(id) {
            record.lost = true;
            record.unheard.take(part);
        }
    }

    fn settle_insertion(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        record: &Record,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        if record.seen == record.wanted {
            return self.came_in(platform, id, platform.now(), observer);
        }
        for part in [0, 1] {
            // Nobody knows whether it was in.
            if record.wanted.has(part) && !record.seen.has(part) && !record.gone.has(part) {
                self.lose(id, part);
            }
        }
        if self.is_gone(id) {
            self.refuse(id, RefuseCause::Reset, platform.now(), observer);
            self.end(platform, id, RemoveCause::Lost, observer);
            return Ok(());
        }
        self.give_up(platform, id, RefuseCause::Reset, observer)
    }

    fn settle_installed(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        record: &Record,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        if record.seen != record.due() {
            if record.seen == Parts::default() {
                self.end(platform, id, RemoveCause::Lost, observer);
                return Ok(());
            }
            return self.remove(platform, id, RemoveCause::Lost);
        }
        let connection = self.tracker.connection(id);
        let still_wanted = connection.is_some_and(|connection| self.unfit(connection).is_none());
        if record.idle == record.due() {
            return self.remove(platform, id, RemoveCause::Aged);
        }
        if !still_wanted {
            return self.remove(platform, id, RemoveCause::StateChanged);
        }
        Ok(())
    }

    /// Queues the removal of entries that could not be removed before, and of which these were read since; whether that was
    /// possible: of a connection that is gone all must have been.
    fn remove_condemned(
        &mut self,
        platform: &mut impl Platform,
        id: ConnectionId,
        entries: &[(FlowKey, Cookie)],
    ) -> Result<bool, DeviceError> {
        let Some(record) = self.records.get_mut(id) else {
            return Ok(true);
        };
        let present = usize::from(record.present.len());
        let cause = record.cause.unwrap_or_default();
        if entries.len() == present {
            record.waiting = record.present.len();
            for (key, cookie) in entries {
                self.commands.delete(platform, &self.layout, key, *cookie)?;
            }
            return Ok(true);
        }
        let ways = self.records.ways(id.index());
        let Some(connection) = self.tracker.connection(id) else {
            return Ok(false);
        };
        let plan = Plan::of(connection, &self.layout.key, &ways);
        self.remove_entries(platform, id, &plan, cause)?;
        Ok(true)
    }
}

fn key_of(entry: &TableRecord) -> FlowKey {
    FlowKey([
        entry.key_0(),
        entry.key_1(),
        entry.key_2(),
        entry.key_3(),
        entry.key_4(),
        entry.key_5(),
    ])
}
