//! Commands to the firmware and their completions.
//!
//! A completion is told by its sequence number, never by its place in the ring: completions may be lost, doubled, damaged or
//! late. A command whose completion does not come is posted again under the same number, which the firmware executes once.

mod words;

use crate::device::{DeviceError, Layout, write};
use crate::flaw::{Flaw, Flaws};
use crate::offload::Cookie;
use crate::platform::{Platform, Work};
use crate::queues::has_come;
use nic_model::clock::Picos;
use nic_model::flow_table::{FlowKey, Marking, Rewrite};
use nic_model::host::descriptors::{Command, CommandCompletion, ImageCommand, Opcode, Status};
use nic_model::host::memory::HostMemory;
use nic_model::host::registers as reg;
use nic_model::host::seal::{is_whole, seal_command};
use std::collections::VecDeque;
pub(crate) use words::InsertRequest;
use words::{about, insert_command, marking_command, reading, rewrite_command, waiting};

/// Places of the completion ring looked at while commands wait: more than these lost in a row are found with time.
const LOOK_AHEAD: u32 = 4;

/// A command as it lies in the ring, but for its number and its checksum.
type Words = [u8; 64];

/// A command on its way. What it says lies in the ring as long as it waits for its completion.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) opcode: Opcode,
    pub(crate) cookie: Cookie,
    /// When the driver decided on it.
    pub(crate) since: Picos,
    sequence: u32,
    /// Its place: how many commands were posted before it; that of when it was posted first.
    number: u32,
    first: u32,
    /// Commands that must come before it: they are in its place and the next ones, and it itself behind them.
    before: u8,
    posted_at: Picos,
    /// What it says, if it was posted before.
    again: Option<Box<Words>>,
    /// It is about an entry that no connection has: its cookie names nobody, or somebody else.
    pub(crate) stray: bool,
}

impl Pending {
    /// The key that it is about, if it was posted more than once.
    pub(crate) fn key_again(&self) -> Option<FlowKey> {
        let words = self.again.as_ref()?;
        Some(Command::from_bytes(**words).key())
    }
}

/// A command that is not in the ring.
#[derive(Debug)]
struct Unposted {
    pending: Pending,
    command: Words,
    /// What must be posted before it.
    before: Vec<Words>,
}

impl Unposted {
    /// Places of the ring that it takes.
    const fn places(&self) -> u32 {
        self.before.len() as u32 + 1
    }
}

/// What a look after the commands found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supervision {
    /// Nothing is overdue, or was posted again.
    Well,
    /// Commands were posted again too often.
    Hopeless,
}

/// What was out of order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CommandTrouble {
    /// Commands posted again.
    pub(crate) retries: u64,
    /// Completions of no command that waits for one.
    pub(crate) stale: u64,
    /// Commands that the card found damaged.
    pub(crate) damaged: u64,
}

/// The command ring and what waits for room in it.
#[derive(Debug, Default)]
pub(crate) struct CommandQueue {
    flaws: Flaws,
    posted: u32,
    announced: u32,
    /// Commands that the card has fetched, as far as completions tell.
    fetched: u32,
    /// Places of the completion ring that were read.
    read: u32,
    next_sequence: u32,
    /// By their places.
    pending: VecDeque<Pending>,
    /// What found the ring full. Bounded by the number of entries: there is one deletion, one request for counters and one change
    /// of mark and labels of each.
    backlog: VecDeque<Unposted>,
    /// Place of the latest command of which a completion came, and when one came last.
    last: Option<(u32, Picos)>,
    /// How often in a row nothing came for as long as there is patience.
    silences: u8,
    pub(crate) trouble: CommandTrouble,
}

impl CommandQueue {
    /// Nothing posted.
    pub(crate) fn new(flaws: Flaws) -> Self {
        Self {
            flaws,
            ..Self::default()
        }
    }

    /// Whether so many commands can be queued: deletions that wait go first.
    pub(crate) fn has_room(&self, layout: &Layout, commands: u32) -> bool {
        self.backlog.is_empty() && self.free(layout) >= commands
    }

    /// Whether commands that can wait may be queued.
    pub(crate) fn is_half_free(&self, layout: &Layout) -> bool {
        self.has_room(layout, (layout.command.entries() / 2).max(1))
    }

    /// The place of a command is free once the card has fetched it, and its completion, and all before it, have come: the card
    /// remembers as many as the ring has places, and does nothing twice of these.
    fn free(&self, layout: &Layout) -> u32 {
        let oldest = self.pending.front().map_or(self.posted, |p| p.number);
        let used = [oldest, self.fetched].map(|first| self.posted.wrapping_sub(first));
        let entries = layout.command.entries();
        entries.saturating_sub(used[0].max(used[1]))
    }

    /// A completion tells that the command of a place, and all before it, were fetched.
    const fn has_fetched(&mut self, place: u32) {
        let end = place.wrapping_add(1);
        if is_before(self.fetched, end) && !is_before(self.posted, end) {
            self.fetched = end;
        }
    }

    /// What waits, without numbers and times: opcode, entry, whether it was posted again.
    pub(crate) fn outline(&self) -> String {
        let of = |pending: &Pending| {
            let cookie = pending.cookie;
            let again = pending.again.is_some();
            (pending.opcode, cookie.index(), cookie.part(), again)
        };
        let backlog = self.backlog.iter().map(|unposted| &unposted.pending);
        let waiting = self.pending.iter().chain(backlog).map(of);
        let waiting: Vec<_> = waiting.collect();
        format!("{waiting:?} {} {}", self.backlog.len(), self.silences)
    }

    /// Commands that were not completed yet.
    pub(crate) fn outstanding(&self) -> usize {
        self.pending.len() + self.backlog.len()
    }

    /// Whether no command is on its way that changes or reads entries. Those that keep idle entries do not matter: a card may ask
    /// for them without end.
    pub(crate) fn is_drained(&self) -> bool {
        let mut pending = self.pending.iter();
        self.backlog.is_empty() && pending.all(|pending| pending.opcode == Opcode::Touch)
    }

    /// When the oldest command that waits for its completion was posted.
    pub(crate) fn oldest(&self) -> Option<Picos> {
        self.pending.front().map(|pending| pending.posted_at)
    }

    /// Queues an insertion; there must be room.
    pub(crate) fn insert(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        request: &InsertRequest<'_>,
    ) -> Result<(), DeviceError> {
        let rewrite = &request.entry.rewrite;
        let mut command = waiting(
            Opcode::Insert,
            request.cookie,
            insert_command(request).into_bytes(),
            request.since,
        );
        if *rewrite != Rewrite::default() {
            command
                .before
                .push(rewrite_command(rewrite, request.cookie));
        }
        if let Some(marking) = &request.marking {
            let marking = marking_command(marking, request.cookie);
            command.before.push(marking);
        }
        self.post(platform, layout, command)
    }

    /// Queues a deletion, now or when there is room.
    pub(crate) fn delete(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        key: &FlowKey,
        cookie: Cookie,
    ) -> Result<(), DeviceError> {
        let command = about(Opcode::Delete, key, cookie, platform.now());
        self.post_or_wait(platform, layout, command)
    }

    /// Queues the deletion of an entry that no connection has.
    pub(crate) fn delete_stray(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        key: &FlowKey,
        cookie: Cookie,
    ) -> Result<(), DeviceError> {
        let mut command = about(Opcode::Delete, key, cookie, platform.now());
        command.pending.stray = true;
        self.post_or_wait(platform, layout, command)
    }

    /// Queues the reading of the table from a slot on.
    pub(crate) fn dump(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        slot: u32,
    ) -> Result<(), DeviceError> {
        let room = (layout.dump, Layout::DUMP_RECORDS);
        let command = reading(Opcode::Dump, slot, room, platform.now());
        self.post_or_wait(platform, layout, command)
    }

    /// Queues the reading of the error log from an entry on; there must be room.
    pub(crate) fn read_log(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        from: u32,
    ) -> Result<(), DeviceError> {
        let room = (layout.log, Layout::LOG_RECORDS);
        let command = reading(Opcode::ReadLog, from, room, platform.now());
        self.post(platform, layout, command)
    }

    /// Queues the writing of a part of an image; there must be room.
    pub(crate) fn write_image(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        offset: u32,
        part_bytes: u32,
    ) -> Result<(), DeviceError> {
        let command = ImageCommand::new()
            .with_opcode(Opcode::WriteImage)
            .with_offset(offset)
            .with_part_bytes(part_bytes)
            .with_address(layout.part.0);
        let since = platform.now();
        let command = waiting(Opcode::WriteImage, Cookie(0), command.into_bytes(), since);
        self.post(platform, layout, command)
    }

    /// Queues the check of an image; there must be room.
    pub(crate) fn accept_image(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<(), DeviceError> {
        let command = Command::new().with_opcode(Opcode::AcceptImage);
        let since = platform.now();
        let command = waiting(Opcode::AcceptImage, Cookie(0), command.into_bytes(), since);
        self.post(platform, layout, command)
    }

    /// Queues a request to keep an idle entry; `false` if there is no room.
    pub(crate) fn touch(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        key: &FlowKey,
        cookie: Cookie,
    ) -> Result<bool, DeviceError> {
        if !self.has_room(layout, 1) {
            return Ok(false);
        }
        let command = about(Opcode::Touch, key, cookie, platform.now());
        self.post(platform, layout, command)?;
        Ok(true)
    }

    /// Queues a request for the counters of an entry.
    pub(crate) fn read_counters(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        key: &FlowKey,
        cookie: Cookie,
    ) -> Result<(), DeviceError> {
        let command = about(Opcode::ReadCounters, key, cookie, platform.now());
        self.post_or_wait(platform, layout, command)
    }

    /// Queues the change of an entry's mark and labels, now or when there is room.
    pub(crate) fn mark(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        (key, cookie, marking): (&FlowKey, Cookie, &Marking),
    ) -> Result<(), DeviceError> {
        let mut command = about(Opcode::Mark, key, cookie, platform.now());
        command.before.push(marking_command(marking, cookie));
        self.post_or_wait(platform, layout, command)
    }

    fn post_or_wait(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        command: Unposted,
    ) -> Result<(), DeviceError> {
        if self.has_room(layout, command.places()) {
            return self.post(platform, layout, command);
        }
        self.backlog.push_back(command);
        Ok(())
    }

    /// Posts a command for the first time.
    fn post(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        mut command: Unposted,
    ) -> Result<(), DeviceError> {
        command.pending.sequence = self.number();
        command.pending.first = self.posted;
        self.post_numbered(platform, layout, command)
    }

    fn number(&mut self) -> u32 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        sequence
    }

    fn post_numbered(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        command: Unposted,
    ) -> Result<(), DeviceError> {
        let mut pending = command.pending;
        pending.number = self.posted;
        pending.before = command.before.len() as u8;
        for before in command.before {
            // Nobody waits for its completion: the insertion says whether it has come.
            let sequence = self.number();
            self.write(platform, layout, before, sequence, false)?;
        }
        let again = pending.again.is_some() && !self.flaws.has(Flaw::RetryUnmarked);
        self.write(platform, layout, command.command, pending.sequence, again)?;
        pending.posted_at = platform.now();
        self.pending.push_back(pending);
        Ok(())
    }

    /// Writes a command into the ring.
    fn write(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        words: Words,
        sequence: u32,
        again: bool,
    ) -> Result<(), DeviceError> {
        platform.spend(Work::Command, 1);
        let command = Command::from_bytes(words)
            .with_sequence(sequence)
            .with_retry(again);
        let mut bytes = command.into_bytes();
        seal_command(&mut bytes);
        let number = self.posted;
        platform
            .memory()
            .write(layout.command.address(number), &bytes)?;
        self.posted = number.wrapping_add(1);
        Ok(())
    }

    /// Tells the card about commands it does not know of.
    pub(crate) fn announce(&mut self, platform: &mut impl Platform) {
        if self.posted != self.announced {
            self.ring(platform);
        }
    }

    fn ring(&mut self, platform: &mut impl Platform) {
        self.announced = self.posted;
        write(platform, reg::COMMAND_TAIL, self.posted);
    }

    /// Whether a completion has come.
    pub(crate) fn is_ready(
        &self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<bool, DeviceError> {
        let (ring, place) = (&layout.command_done, self.read);
        let first = platform.memory().read(ring.address(place))?;
        // Most often it is the next one, and a look at its phase is enough.
        Ok(has_come(first, ring, place) || self.next(platform, layout)?.is_some())
    }

    /// The cookie of the completion in a place, if it has come; it is not checked.
    pub(crate) fn cookie_at(
        &self,
        memory: &HostMemory,
        layout: &Layout,
        place: u32,
    ) -> Option<Cookie> {
        let ring = &layout.command_done;
        let bytes: [u8; 12] = memory.read(ring.address(place)).ok()?;
        let [phase, .., a, b, c, d] = bytes;
        has_come([phase], ring, place).then(|| Cookie(u32::from_le_bytes([a, b, c, d])))
    }

    /// Completions read so far.
    pub(crate) const fn taken(&self) -> u32 {
        self.read
    }

    /// How many places ahead the next completion lies, and its words. Writes of the card keep their order: a place that is
    /// empty while one of the next is not was lost.
    fn next(
        &self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<Option<(u32, Words)>, DeviceError> {
        let far = if self.pending.is_empty() {
            1
        } else {
            LOOK_AHEAD
        };
        for ahead in 0..far {
            if let Some(bytes) = self.peek(platform, layout, ahead)? {
                return Ok(Some((ahead, bytes)));
            }
        }
        Ok(None)
    }

    /// The completion so many places ahead, if one has come there.
    fn peek(
        &self,
        platform: &mut impl Platform,
        layout: &Layout,
        ahead: u32,
    ) -> Result<Option<Words>, DeviceError> {
        let (ring, place) = (&layout.command_done, self.read.wrapping_add(ahead));
        let bytes: &Words = platform.memory().array(ring.address(place))?;
        if !has_come([bytes[0]], ring, place) {
            return Ok(None);
        }
        let completion = CommandCompletion::from_bytes(*bytes);
        // Where a completion was lost, that of two ways round before is still there, with the same phase, or nothing yet.
        let age = self.next_sequence.wrapping_sub(completion.sequence());
        let is_left_over =
            age > ring.entries() + ring.entries() / 2 && !self.is_waited_for(completion.sequence());
        let is_whole = is_whole(bytes) || self.flaws.has(Flaw::ChecksumIgnored);
        Ok((!is_left_over && is_whole).then_some(*bytes))
    }

    /// The next completion of a command that waits for one, and that command.
    pub(crate) fn take(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<Option<(CommandCompletion, Pending)>, DeviceError> {
        // Completions of nothing are no work: no more of them at once than there are places.
        for _ in 0..layout.command_done.entries() {
            let Some((ahead, bytes)) = self.next(platform, layout)? else {
                break;
            };
            platform.spend(Work::Completion, 1);
            self.read = self.read.wrapping_add(ahead + 1);
            let completion = CommandCompletion::from_bytes(bytes);
            let told = (layout.version >= Layout::PLACES).then(|| completion.place());
            if let Some(place) = told {
                self.has_fetched(place);
            }
            let Some(pending) = self.waits_for(&completion) else {
                let prepares = [Ok(Opcode::Rewrite), Ok(Opcode::Marking)];
                self.trouble.stale += u64::from(!prepares.contains(&completion.opcode_or_err()));
                continue;
            };
            // Of one that was posted more than once, this may be the completion of any.
            let told = told.filter(|place| self.may_be_of(*place, &pending));
            let place = told.unwrap_or(pending.first);
            self.has_fetched(place);
            if completion.status_or_err() == Ok(Status::Damaged) {
                self.trouble.damaged += 1;
                self.again(platform, layout, pending)?;
                continue;
            }
            self.note_progress(place, platform.now());
            self.post_backlog(platform, layout)?;
            return Ok(Some((completion, pending)));
        }
        Ok(None)
    }

    /// Whether a command may lie in a place, since it was posted first.
    const fn may_be_of(&self, place: u32, pending: &Pending) -> bool {
        !is_before(place, pending.first) && is_before(place, self.posted)
    }

    fn is_waited_for(&self, sequence: u32) -> bool {
        self.pending
            .iter()
            .any(|pending| pending.sequence == sequence)
    }

    fn waits_for(&mut self, completion: &CommandCompletion) -> Option<Pending> {
        let sequence = completion.sequence();
        let mut waiting = self.pending.iter();
        let place = waiting.position(|pending| pending.sequence == sequence)?;
        self.pending.remove(place)
    }

    fn note_progress(&mut self, number: u32, now: Picos) {
        let latest = match self.last {
            Some((latest, _)) if is_before(number, latest) => latest,
            _ => number,
        };
        self.last = Some((latest, now));
        self.silences = 0;
    }

    fn post_backlog(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<(), DeviceError> {
        while let Some(next) = self.backlog.front() {
            if self.free(layout) < next.places() {
                break;
            }
            let Some(command) = self.backlog.pop_front() else {
                break;
            };
            self.post(platform, layout, command)?;
        }
        Ok(())
    }

    /// Posts a command that waits for its completion once more, as it lies in the ring: its places are not free before that.
    fn again(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        mut pending: Pending,
    ) -> Result<(), DeviceError> {
        let ring = &layout.command;
        let (mut before, mut place) = (Vec::new(), pending.number);
        for _ in 0..pending.before {
            before.push(platform.memory().read(ring.address(place))?);
            place = place.wrapping_add(1);
        }
        let command: Words = platform.memory().read(ring.address(place))?;
        pending.again = Some(Box::new(command));
        self.trouble.retries += 1;
        let command = Unposted {
            pending,
            command,
            before,
        };
        self.post_numbered(platform, layout, command)
    }

    /// Looks after commands that wait for long. The card executes them in order, and its writes keep their order: one whose
    /// completion did not come while that of a later one did has lost it. (A part of an image takes its time in the flash: it is
    /// posted again after `patience`.) If nothing comes at all, those that wait are posted again after `patience`, up to
    /// `attempts` times.
    pub(crate) fn supervise(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        (patience, attempts): (Picos, u8),
    ) -> Result<Supervision, DeviceError> {
        if self.flaws.has(Flaw::NeverRetried) {
            return Ok(Supervision::Well);
        }
        self.skip_hole(platform, layout)?;
        let now = platform.now();
        let mut counted = false;
        while let Some(front) = self.pending.front() {
            let overtaken = if front.opcode == Opcode::WriteImage {
                now.saturating_sub(front.posted_at) > patience
            } else {
                self.last
                    .is_some_and(|(latest, _)| is_before(front.number, latest))
            };
            let heard = self
                .last
                .map_or(front.posted_at, |(_, at)| at.max(front.posted_at));
            let silent = now.saturating_sub(heard) > patience;
            if !silent && !overtaken {
                break;
            }
            if silent && !counted {
                counted = true;
                self.silences = self.silences.saturating_add(1);
            }
            if self.silences > attempts {
                return Ok(Supervision::Hopeless);
            }
            if self.free(layout) <= front.before.into() && !overtaken {
                return Ok(Supervision::Hopeless);
            }
            let Some(front) = self.pending.pop_front() else {
                break;
            };
            self.again(platform, layout, front)?;
        }
        if !self.pending.is_empty() && !self.flaws.has(Flaw::DoorbellOnce) {
            // The doorbell may have been lost.
            self.ring(platform);
        }
        let heard = self.last.map(|(_, at)| at);
        if self.pending.is_empty() && heard.is_none_or(|at| now.saturating_sub(at) > patience) {
            // What was posted more than once has been fetched by now; its completions were lost.
            self.fetched = self.posted;
        }
        self.post_backlog(platform, layout)?;
        Ok(Supervision::Well)
    }

    /// A place of the completion ring that stays empty while later ones are filled was lost.
    fn skip_hole(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<(), DeviceError> {
        for ahead in 0..layout.command_done.entries() {
            if self.peek(platform, layout, ahead)?.is_some() {
                self.read = self.read.wrapping_add(ahead);
                break;
            }
        }
        Ok(())
    }

    /// The card began afresh: nothing that was posted will be completed.
    pub(crate) fn reset(&mut self) {
        *self = Self {
            flaws: self.flaws,
            next_sequence: self.next_sequence,
            trouble: self.trouble,
            ..Self::default()
        };
    }
}

/// Whether a place was taken before another.
const fn is_before(number: u32, other: u32) -> bool {
    (number.wrapping_sub(other) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_of_a_completion_lies_where_it_is_looked_for() {
        let completion = CommandCompletion::new().with_cookie(0x1234_5678);
        let bytes = completion.into_bytes();
        assert_eq!(bytes[8..12], 0x1234_5678_u32.to_le_bytes());
    }
}
