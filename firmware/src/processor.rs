//! The processor: one thing at a time, each for as many cycles as it costs, commands first, then aging
//! reports, then counters.

use crate::error_log::ErrorLog;
use crate::fault::{Faults, Message, MessageFault, Pulse};
use crate::flash::{self, Flash};
use crate::outbox::Outbox;
use crate::{aging_service, command, counter_service};
use nic_model::chip::{Chip, ChipEvent, Notice};
use nic_model::clock::{ClockDomain, Picos};
use nic_model::config::FirmwareConfig;
use nic_model::event::Schedule;
use nic_model::flow_table::{Marking, RewriteWords, Slot};
use nic_model::host::descriptors::{Command, CommandCompletion, ImageCommand, LogCode, Status};
use nic_model::host::rings::Ring;
use nic_model::host::{Outside, registers as reg};
use nic_model::probe::RingIndex;
use std::collections::VecDeque;

/// Something that happens in the processor at a time of its own.
#[derive(Debug)]
pub enum FirmwareEvent {
    /// Commands have come by DMA.
    CommandsFetched {
        /// Number of the first.
        first: u32,
        /// How many.
        count: u32,
    },
    /// The work in hand is done.
    Done(Work),
    /// Time for the counter service to pass over the table.
    CounterPass,
    /// It stood still and goes on.
    Wake,
    /// A part of an image has come by DMA.
    PartFetched(ImageCommand, CommandCompletion),
    /// It was written.
    PartWritten(CommandCompletion),
}

/// One piece of work.
#[derive(Debug)]
pub enum Work {
    /// Execute the command of a place.
    Command(u32, Command),
    /// The completion of a command that needed more time than expected (search, moves, memory) is sent.
    Complete(CommandCompletion),
    /// Report an idle entry.
    Report(Slot),
    /// Report a damaged entry.
    ReportDamaged(u32, Slot),
    /// Read some counters.
    Counters,
}

/// Codes of the work on the waveform beside those of command opcodes.
mod wave_code {
    pub(super) const REPORT: u8 = 16;
    pub(super) const COUNTERS: u8 = 17;
    pub(super) const COMPLETE: u8 = 18;
    pub(super) const INVALID: u8 = 19;
}

/// What the firmware did.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirmwareStats {
    /// Commands executed.
    pub commands: u64,
    /// Insertions refused because the table was full.
    pub table_full: u64,
    /// Counter records written.
    pub counter_records: u64,
    /// Idle entries reported.
    pub aging_reports: u64,
    /// Time spent working.
    pub busy: Picos,
}

/// Schedules events of both the chip and the firmware.
pub trait Scheduler: Schedule<ChipEvent> + Schedule<FirmwareEvent> {}
impl<T: Schedule<ChipEvent> + Schedule<FirmwareEvent>> Scheduler for T {}

/// The processor and its queues.
#[derive(Debug)]
pub struct Processor {
    pub(crate) config: FirmwareConfig,
    clock: ClockDomain,
    busy: bool,
    enabled: bool,
    /// Time between two passes of the counter service; 0: there are none.
    counter_interval_ms: u32,
    fetched: u32,
    fetching: bool,
    tail: u32,
    /// Commands that were fetched, and their places.
    commands: VecDeque<(u32, Command)>,
    /// Completions so far.
    completions: Outbox,
    /// Completions of the last commands, by their sequence numbers: what a command that is posted again is answered with.
    log: VecDeque<CommandCompletion>,
    /// What the entry of the next insertion writes into packets, and that entry's cookie.
    pub(crate) rewrite: Option<(u32, RewriteWords)>,
    /// What the last Marking has said, and for which cookie.
    pub(crate) marking: Option<(u32, Marking)>,
    pub(crate) reports: VecDeque<Slot>,
    /// Cookies and slots of entries that were damaged.
    pub(crate) damaged: VecDeque<(u32, Slot)>,
    pub(crate) events: Outbox,
    pub(crate) event_ring_full: bool,
    pub(crate) faults: Faults,
    pulse: Pulse,
    pub(crate) counters: counter_service::CounterService,
    pub(crate) flash: Flash,
    pub(crate) errors: ErrorLog,
    pub(crate) stats: FirmwareStats,
}

impl Processor {
    /// An idle processor.
    pub fn new(config: &FirmwareConfig) -> Self {
        Self {
            clock: ClockDomain::from_khz(config.clock_khz),
            config: config.clone(),
            busy: false,
            enabled: false,
            counter_interval_ms: 0,
            fetched: 0,
            fetching: false,
            tail: 0,
            commands: VecDeque::new(),
            completions: Outbox::default(),
            log: VecDeque::new(),
            rewrite: None,
            marking: None,
            reports: VecDeque::new(),
            damaged: VecDeque::new(),
            events: Outbox::default(),
            event_ring_full: false,
            faults: Faults::default(),
            pulse: Pulse::default(),
            counters: counter_service::CounterService::default(),
            flash: Flash::new(config),
            errors: ErrorLog::default(),
            stats: FirmwareStats::default(),
        }
    }

    /// Begins afresh at `now`: nothing of what was in hand or waiting is left. Faults that are to come still do. Whether its
    /// firmware gets to work.
    pub(crate) fn reset(&mut self, now: Picos) -> bool {
        let fresh = Self::new(&self.config);
        let before = std::mem::replace(self, fresh);
        self.faults = before.faults;
        self.stats = before.stats;
        self.errors = before.errors;
        self.flash = before.flash;
        self.pulse = Pulse::begin(now);
        if let Some(slot) = self.flash.boot() {
            self.note(now, LogCode::ImageGivenUp, slot as u32);
        }
        self.note(now, LogCode::Began, self.flash.register());
        !self.flash.identity().stands_still
    }

    /// Writes something into the error log.
    pub(crate) fn note(&mut self, now: Picos, code: LogCode, value: u32) {
        self.errors.note(now, code, value);
    }

    /// Arms a fault of messages.
    pub(crate) fn arm(&mut self, fault: MessageFault) {
        self.faults.arm(fault);
    }

    /// The processor stands still from `now` until `until`.
    pub(crate) fn hang(&mut self, now: Picos, until: Picos, schedule: &mut impl Scheduler) {
        self.pulse.hang(now, until);
        if until != Picos::NEVER {
            schedule.schedule(until, FirmwareEvent::Wake);
        }
    }

    /// Everything takes `factor` times as long until `until`.
    pub(crate) fn slow(&mut self, factor: u32, until: Picos) {
        self.pulse.slow(factor, until);
    }

    /// Since when it stands still, if it does.
    pub(crate) const fn hung_since(&self) -> Option<Picos> {
        self.pulse.hung_since()
    }

    /// Aging reports since its last reset.
    pub(crate) const fn events_produced(&self) -> u32 {
        self.events.numbered
    }

    /// Counter records since its last reset.
    pub(crate) const fn counters_produced(&self) -> u32 {
        self.counters.out.numbered
    }

    /// Milliseconds of its life.
    pub(crate) fn heartbeat(&self, now: Picos) -> u32 {
        self.pulse.heartbeat(now)
    }

    /// What the firmware did.
    pub const fn stats(&self) -> &FirmwareStats {
        &self.stats
    }

    /// Whether no work is in hand or waiting.
    pub fn is_idle(&self) -> bool {
        !self.busy
            && !self.fetching
            && self.commands.is_empty()
            && self.tail == self.fetched
            && self.reports.is_empty()
            && self.damaged.is_empty()
            && !self.counters.is_passing()
    }

    /// The memory's code has found a damaged entry, which was taken out.
    pub(crate) fn damaged(
        &mut self,
        now: Picos,
        (cookie, slot): (u32, Slot),
        chip: &mut Chip,
        schedule: &mut impl Scheduler,
    ) {
        self.note(now, LogCode::EntryDamaged, cookie);
        self.damaged.push_back((cookie, slot));
        self.start(now, chip, schedule);
    }

    /// The chip has something for the firmware.
    pub fn notice(
        &mut self,
        now: Picos,
        notice: Notice,
        chip: &mut Chip,
        schedule: &mut impl Scheduler,
    ) {
        match notice {
            Notice::None | Notice::Reset(_) => {}
            Notice::Confirmed => self.flash.confirm(),
            Notice::Enabled if !self.enabled => {
                self.enabled = true;
                self.counter_interval_ms = chip.written(reg::COUNTER_INTERVAL);
                self.schedule_counter_pass(now, schedule);
                self.start(now, chip, schedule);
            }
            Notice::Enabled => {}
            Notice::Commands(tail) => {
                self.tail = tail;
                self.fetch(now, chip, schedule);
            }
            Notice::Consumed => self.start(now, chip, schedule),
            Notice::Idle => {
                self.reports.extend(chip.take_idle());
                self.start(now, chip, schedule);
            }
        }
    }

    /// Applies an event at its time.
    pub fn handle(
        &mut self,
        now: Picos,
        event: FirmwareEvent,
        chip: &mut Chip,
        schedule: &mut impl Scheduler,
        outside: &mut impl Outside,
    ) {
        match self.pulse.hung_until(now) {
            Some(Picos::NEVER) => return,
            Some(until) => return schedule.schedule(until, event),
            None => {}
        }
        match event {
            FirmwareEvent::Wake => self.fetch(now, chip, schedule),
            FirmwareEvent::CommandsFetched { first, count } => {
                self.commands_fetched(now, first, count, chip, outside);
                self.fetch(now, chip, schedule);
            }
            FirmwareEvent::CounterPass => {
                self.counters.begin();
                self.schedule_counter_pass(now, schedule);
            }
            FirmwareEvent::Done(work) => {
                self.busy = false;
                self.finish(now, work, chip, schedule);
            }
            FirmwareEvent::PartFetched(command, completion) => {
                flash::part_fetched(self, now, &command, completion, chip, schedule, outside);
            }
            FirmwareEvent::PartWritten(completion) => {
                self.flash.part_is_written();
                self.complete(now, completion, chip, schedule);
            }
        }
        self.start(now, chip, schedule);
    }

    /// `cycles` of the processor after `now`.
    pub(crate) fn after(&self, now: Picos, cycles: u64) -> Picos {
        now + self.pulse.stretched(now, self.clock.cycles(cycles))
    }

    fn schedule_counter_pass(&self, now: Picos, schedule: &mut impl Scheduler) {
        if self.counter_interval_ms > 0 {
            let at = now + Picos::from_millis(self.counter_interval_ms.into());
            schedule.schedule(at, FirmwareEvent::CounterPass);
        }
    }

    fn fetch(&mut self, now: Picos, chip: &mut Chip, schedule: &mut impl Scheduler) {
        let waiting = self.tail.wrapping_sub(self.fetched);
        let batch = self.config.fetch_batch;
        let hung = self.pulse.hung_until(now).is_some();
        if hung || self.fetching || waiting == 0 || self.commands.len() >= 2 * batch as usize {
            return;
        }
        let ring = command_ring(chip);
        let count = ring.contiguous(self.fetched, waiting.min(ring.entries()).min(batch));
        if count == 0 {
            return;
        }
        self.fetching = true;
        let done = chip.dma_read(
            now,
            ring.address(self.fetched),
            count as usize * size_of::<Command>(),
        );
        let first = self.fetched;
        schedule.schedule(done, FirmwareEvent::CommandsFetched { first, count });
    }

    fn commands_fetched(
        &mut self,
        now: Picos,
        first: u32,
        count: u32,
        chip: &mut Chip,
        outside: &mut impl Outside,
    ) {
        self.fetching = false;
        let ring = command_ring(chip);
        for number in (0..count).map(|i| first.wrapping_add(i)) {
            match outside.memory().read(ring.address(number)) {
                Ok(bytes) => (self.commands).push_back((number, Command::from_bytes(bytes))),
                Err(_) => return chip.dma_failed(),
            }
        }
        self.fetched = first.wrapping_add(count);
        chip.probe
            .ring(now, RingIndex::CommandFetched, self.fetched);
    }

    /// Takes the next piece of work if none is in hand.
    fn start(&mut self, now: Picos, chip: &mut Chip, schedule: &mut impl Scheduler) {
        if self.busy || !self.enabled || self.pulse.hung_until(now).is_some() {
            return;
        }
        let (work, cycles, code) = if let Some((place, command)) = self.commands.pop_front() {
            let code = command
                .opcode_or_err()
                .map_or(wave_code::INVALID, |opcode| opcode as u8);
            let cycles = command::cost_cycles(&command, &self.config);
            (Work::Command(place, command), cycles, code)
        } else if let Some((cookie, slot)) = aging_service::next_damaged(self, now, chip) {
            let cycles = u64::from(self.config.aging_report_cycles);
            (Work::ReportDamaged(cookie, slot), cycles, wave_code::REPORT)
        } else if let Some(slot) = aging_service::next(self, chip) {
            let cycles = u64::from(self.config.aging_report_cycles);
            (Work::Report(slot), cycles, wave_code::REPORT)
        } else if let Some(entries) = self.counters.next_batch(chip) {
            let cycles = u64::from(self.config.counter_read_cycles) * u64::from(entries.max(1));
            (Work::Counters, cycles, wave_code::COUNTERS)
        } else {
            return;
        };
        let duration = self.after(now, cycles) - now;
        self.work(now, work, duration, code, chip, schedule);
        // A command taken from the queue makes room for fetching more.
        self.fetch(now, chip, schedule);
    }

    fn work(
        &mut self,
        now: Picos,
        work: Work,
        duration: Picos,
        code: u8,
        chip: &mut Chip,
        schedule: &mut impl Scheduler,
    ) {
        self.busy = true;
        self.stats.busy += duration;
        let waiting = self.commands.len() + self.reports.len();
        chip.probe.firmware(now, now + duration, code, waiting);
        schedule.schedule(now + duration, FirmwareEvent::Done(work));
    }

    fn finish(&mut self, now: Picos, work: Work, chip: &mut Chip, schedule: &mut impl Scheduler) {
        match work {
            Work::Command(place, command) => {
                let logged = self.logged(&command);
                let done = match logged {
                    Some(completion) => Some((completion.with_place(place), Picos::ZERO)),
                    None => command::execute(self, now, (place, &command), chip, schedule),
                };
                let Some((completion, more)) = done else {
                    return;
                };
                if more > Picos::ZERO {
                    self.work(
                        now,
                        Work::Complete(completion),
                        more,
                        wave_code::COMPLETE,
                        chip,
                        schedule,
                    );
                } else {
                    self.complete(now, completion, chip, schedule);
                }
            }
            Work::Complete(completion) => self.complete(now, completion, chip, schedule),
            Work::Report(slot) => aging_service::report(self, now, slot, chip, schedule),
            Work::ReportDamaged(cookie, slot) => {
                aging_service::report_damaged(self, now, (cookie, slot), chip, schedule);
            }
            Work::Counters => counter_service::read_batch(self, now, chip, schedule),
        }
    }

    fn complete(
        &mut self,
        now: Picos,
        completion: CommandCompletion,
        chip: &mut Chip,
        schedule: &mut impl Scheduler,
    ) {
        let ring = command::completion_ring(chip);
        if self.log.len() >= ring.entries() as usize {
            self.log.pop_front();
        }
        if completion.status_or_err() != Ok(Status::Damaged) {
            self.log.push_back(completion);
        }
        self.completions.put(
            now,
            (Message::Completion, &ring),
            completion.into_bytes(),
            &mut self.faults,
            chip,
            schedule,
        );
        chip.probe
            .ring(now, RingIndex::CommandCompleted, self.completions.slots);
    }

    /// The completion that a command had when it was posted before.
    fn logged(&self, command: &Command) -> Option<CommandCompletion> {
        let same = |completion: &&CommandCompletion| completion.sequence() == command.sequence();
        let before = command.retry().then(|| self.log.iter().rfind(same));
        before.flatten().copied()
    }
}

fn command_ring(chip: &Chip) -> Ring {
    chip.ring(
        reg::COMMAND_BASE_LOW,
        reg::COMMAND_ENTRIES,
        size_of::<Command>(),
    )
}
