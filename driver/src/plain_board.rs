//! The smallest card that speaks the interface: for tests of switches and of the driver itself.
//!
//! Nothing happens by itself and nothing takes time: whoever holds the board says when a command is executed, when its
//! completion is written, when a packet hits an entry, and when time passes. It shares no code with the simulated card but the
//! declarations of registers and descriptors, and so shows that these are all a driver needs.

use crate::device::Layout;
use crate::platform::{Platform, Work};
use nic_model::clock::{Picos, ToldTime};
use nic_model::config::{CounterConfig, KeyConfig};
use nic_model::datapath::trap::Reason;
use nic_model::flow_table::entry::KeyDirection;
use nic_model::flow_table::{FlowKey, Marking};
use nic_model::host::descriptors::{
    AgingReport, Command, CommandCompletion, CounterRecord, DumpCommand, Idle, MarkingCommand,
    Opcode, ReceiveBuffer, ReceiveCompletion, Status, TableRecord,
};
use nic_model::host::memory::{DmaAddress, HostMemory};
use nic_model::host::registers as reg;
use nic_model::host::rings::Ring;
use nic_model::host::seal::{is_whole_command, seal};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};

/// An entry of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainEntry {
    /// What packets it is for.
    pub key: FlowKey,
    /// The driver's name for it.
    pub cookie: u32,
    /// Packets by key direction.
    pub packets: [u32; 2],
    /// Bytes by key direction.
    pub bytes: [u64; 2],
    /// Mark and labels.
    pub marking: Marking,
    last_seen_ns: u64,
    dirty: bool,
}

/// A frame for the host.
#[derive(Debug, Clone, Copy)]
pub struct ToHost<'a> {
    /// Port it arrived at.
    pub port: u8,
    /// The frame.
    pub frame: &'a [u8],
    /// Why it goes to the host.
    pub reason: Reason,
    /// Cookie of the entry it hit, if it hit one.
    pub hit: Option<u32>,
}

/// The board, and the machine it is in.
#[derive(Debug)]
pub struct PlainBoard {
    /// Time of the machine and of the board.
    pub now: Picos,
    memory: HostMemory,
    registers: BTreeMap<u32, u32>,
    /// Version of the firmware that a reset brings back, while another one is on trial.
    before_trial: Option<u32>,
    boots: u32,
    slots: Vec<Option<PlainEntry>>,
    /// Never gone through: what is told in an order is told in that of the keys.
    by_key: HashMap<[u64; 6], usize, BuildHasherDefault<DefaultHasher>>,
    free: Vec<usize>,
    /// Commands taken from the ring so far, completions written, and those that wait to be.
    fetched: u32,
    completed: u32,
    completions: VecDeque<CommandCompletion>,
    log: VecDeque<CommandCompletion>,
    /// What the last Marking has said, and for which cookie.
    marking: Option<(u32, Marking)>,
    told_time: ToldTime,
    received: u32,
    sent: u32,
    events: u32,
    counters: u32,
}

/// Version of the interface that it speaks: it has neither an error log nor images of a firmware.
const VERSION: u32 = 0x0002_0001;

/// Completions that are kept for commands posted again.
const LOG: usize = 256;

impl PlainBoard {
    /// A board with a table of `capacity` entries, in a machine with `memory_bytes` of DMA memory
    /// ([`crate::device::Layout::memory_bytes`]).
    pub fn new(capacity: u32, key: &KeyConfig, memory_bytes: usize) -> Self {
        let fixed = [
            (reg::DEVICE_ID, reg::DEVICE_ID_VALUE),
            (reg::INTERFACE_VERSION, VERSION),
            (reg::TABLE_CAPACITY, capacity),
            (reg::KEY_FORMAT, reg::key_format(key)),
            (
                reg::COUNTER_FORMAT,
                reg::counter_format(&CounterConfig::default()),
            ),
            (reg::STATUS, reg::READY),
        ];
        Self {
            now: Picos::ZERO,
            memory: HostMemory::new(memory_bytes),
            registers: BTreeMap::from(fixed),
            before_trial: None,
            boots: 0,
            slots: vec![None; capacity as usize],
            by_key: HashMap::default(),
            free: (0..capacity as usize).rev().collect(),
            fetched: 0,
            completed: 0,
            completions: VecDeque::new(),
            log: VecDeque::new(),
            marking: None,
            told_time: ToldTime::default(),
            received: 0,
            sent: 0,
            events: 0,
            counters: 0,
        }
    }

    /// The same board with a firmware that speaks this version of the interface, major in the high half.
    #[must_use]
    pub fn of_version(mut self, version: u32) -> Self {
        self.registers.insert(reg::INTERFACE_VERSION, version);
        self
    }

    /// The same board with entries that have a mark and labels: it speaks the version in which that came.
    #[must_use]
    pub fn with_markings(mut self) -> Self {
        self.registers.insert(reg::FEATURES, reg::MARKING);
        self.of_version(Layout::MARKINGS)
    }

    /// The board begins afresh with another firmware, on trial, that speaks this version of the interface: unless it is
    /// confirmed, the next reset brings back the one that runs now.
    pub fn try_firmware(&mut self, version: u32) {
        self.reset(false);
        self.before_trial = self.registers.insert(reg::INTERFACE_VERSION, version);
        self.registers.insert(reg::IMAGE, reg::IMAGE_ON_TRIAL);
    }

    /// Somebody sets the board's clock, so many nanoseconds ahead. What it has written keeps the times it had.
    pub const fn step_clock(&mut self, by_ns: i64) {
        self.told_time.step(by_ns);
    }

    /// The entries, in order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = &PlainEntry> {
        let mut entries: Vec<&PlainEntry> = self.slots.iter().flatten().collect();
        entries.sort_unstable_by_key(|entry| entry.key.0);
        entries.into_iter()
    }

    /// The entry of a key.
    pub fn entry(&self, key: &FlowKey) -> Option<&PlainEntry> {
        self.slots[*self.by_key.get(&key.0)?].as_ref()
    }

    /// Commands posted and not executed, and completions not written.
    pub fn waiting(&self) -> (u32, usize) {
        let posted = self.register(reg::COMMAND_TAIL);
        (posted.wrapping_sub(self.fetched), self.completions.len())
    }

    /// A packet hits an entry and is forwarded; `false` if there is no entry.
    pub fn hit(&mut self, key: &FlowKey, direction: KeyDirection, bytes: u32) -> bool {
        let now = self.now.as_nanos();
        let Some(entry) = self.entry_mut(key) else {
            return false;
        };
        entry.packets[direction.index()] += 1;
        entry.bytes[direction.index()] += u64::from(bytes);
        entry.last_seen_ns = now;
        entry.dirty = true;
        true
    }

    /// Gives a frame to the host; `false` if it has posted no buffer.
    pub fn give(&mut self, frame: &ToHost<'_>, ingress_tag: u64) -> bool {
        let posted = self.register(reg::RECEIVE_TAIL);
        if posted == self.received || !self.is_enabled() {
            return false;
        }
        let ring = self.ring::<ReceiveBuffer>(reg::RECEIVE_BASE_LOW, reg::RECEIVE_ENTRIES);
        let done = self.ring::<ReceiveCompletion>(reg::RECEIVE_DONE_LOW, reg::RECEIVE_ENTRIES);
        let place = self.received;
        let Ok(bytes) = self.memory.read(ring.address(place)) else {
            return false;
        };
        let buffer = ReceiveBuffer::from_bytes(bytes);
        let length = frame.frame.len().min(buffer.length_bytes() as usize);
        let completion = ReceiveCompletion::new()
            .with_phase(done.phase(place))
            .with_reason(frame.reason.code())
            .with_port(frame.port)
            .with_checksums_good(true)
            .with_hit(frame.hit.is_some())
            .with_cookie(frame.hit.unwrap_or(0))
            .with_buffer(buffer.buffer())
            .with_captured_bytes(length as u32)
            .with_wire_bytes(frame.frame.len() as u32)
            .with_arrival_ns(self.told_time.ns(self.now))
            .with_ingress_tag(ingress_tag);
        self.received = place.wrapping_add(1);
        self.write(DmaAddress(buffer.address()), &frame.frame[..length]);
        self.write(done.address(place), &completion.into_bytes());
        true
    }

    /// Sends all frames the host has posted; how many.
    pub fn send(&mut self) -> u32 {
        let posted = self.register(reg::TRANSMIT_TAIL);
        let count = posted.wrapping_sub(self.sent);
        if self.is_enabled() && count > 0 {
            self.sent = posted;
            let head = self.address(reg::TRANSMIT_HEAD_LOW);
            self.write(head, &posted.to_le_bytes());
        }
        count
    }

    /// Executes the next command; its completion waits to be written. `false` if there is none.
    pub fn execute(&mut self) -> bool {
        if self.waiting().0 == 0 || !self.is_enabled() {
            return false;
        }
        let ring = self.ring::<Command>(reg::COMMAND_BASE_LOW, reg::COMMAND_ENTRIES);
        let Ok(bytes) = self.memory.read::<64>(ring.address(self.fetched)) else {
            return false;
        };
        let place = self.fetched;
        self.fetched = place.wrapping_add(1);
        let command = Command::from_bytes(bytes);
        let before = self
            .log
            .iter()
            .rfind(|completion| completion.sequence() == command.sequence());
        let completion = match before {
            Some(completion) if command.retry() => *completion,
            _ if !is_whole_command(&bytes) => {
                self.marking = None;
                answer(&command).with_status(Status::Damaged)
            }
            _ => self.do_command(&command),
        };
        if self.log.len() == LOG {
            self.log.pop_front();
        }
        let completion = completion.with_place(place);
        self.log.push_back(completion);
        self.completions.push_back(completion);
        true
    }

    /// Writes the completion that waits longest, or loses it on its way. `false` if there is none.
    pub fn complete(&mut self, lost: bool) -> bool {
        let Some(completion) = self.completions.pop_front() else {
            return false;
        };
        let ring = self.ring::<CommandCompletion>(reg::COMMAND_DONE_LOW, reg::COMMAND_ENTRIES);
        let place = self.completed;
        self.completed = place.wrapping_add(1);
        let mut bytes = completion.with_phase(ring.phase(place)).into_bytes();
        seal(&mut bytes);
        if !lost {
            self.write(ring.address(place), &bytes);
        }
        true
    }

    /// Reports an entry idle; `false` if there is none of this key.
    pub fn report_idle(&mut self, key: &FlowKey, lost: bool) -> bool {
        let Some(entry) = self.entry(key).copied() else {
            return false;
        };
        let ring = self.ring::<AgingReport>(reg::EVENT_BASE_LOW, reg::EVENT_ENTRIES);
        let report = AgingReport::new()
            .with_idle(Idle::Reported)
            .with_cookie(entry.cookie)
            .with_last_seen_ns(self.told_time.of_ns(entry.last_seen_ns))
            .with_era(self.told_time.era())
            .with_sequence(self.events)
            .with_phase(ring.phase(self.events));
        let mut bytes = report.into_bytes();
        seal(&mut bytes);
        if !lost {
            self.write(ring.address(self.events), &bytes);
        }
        self.events = self.events.wrapping_add(1);
        true
    }

    /// Writes counter records of at most `most` entries that were hit since their last; how many.
    pub fn report_counters(&mut self, most: usize) -> usize {
        let ring = self.ring::<CounterRecord>(reg::COUNTER_BASE_LOW, reg::COUNTER_ENTRIES);
        let consumed = self.register(reg::COUNTER_HEAD);
        let mut count = 0;
        for slot in 0..self.slots.len() {
            let waiting = self.counters.wrapping_sub(consumed);
            if count == most || waiting >= ring.entries() {
                break;
            }
            let Some(entry) = self.slots[slot].as_mut().filter(|entry| entry.dirty) else {
                continue;
            };
            entry.dirty = false;
            let record = CounterRecord::new()
                .with_phase(ring.phase(self.counters))
                .with_cookie(entry.cookie)
                .with_packets_0(entry.packets[0])
                .with_packets_1(entry.packets[1])
                .with_bytes_0(entry.bytes[0])
                .with_bytes_1(entry.bytes[1])
                .with_last_seen_ns(self.told_time.of_ns(entry.last_seen_ns))
                .with_era(self.told_time.era())
                .with_sequence(self.counters);
            let mut bytes = record.into_bytes();
            seal(&mut bytes);
            self.write(ring.address(self.counters), &bytes);
            self.counters = self.counters.wrapping_add(1);
            count += 1;
        }
        count
    }

    /// The board begins afresh, with an empty table if that `empties` it.
    pub fn reset(&mut self, empties: bool) {
        let kept = self.registers.iter().filter(|(offset, _)| {
            let register = reg::MAP.iter().find(|register| register.offset == **offset);
            register.is_some_and(|register| register.access == reg::Access::Read)
        });
        self.registers = kept.map(|(offset, value)| (*offset, *value)).collect();
        if let Some(before) = self.before_trial.take() {
            self.registers.insert(reg::INTERFACE_VERSION, before);
            self.registers.insert(reg::IMAGE, reg::IMAGE_GIVEN_UP);
        }
        self.boots += 1;
        self.begin_rings();
        if empties {
            let capacity = self.slots.len();
            self.slots.fill(None);
            self.by_key.clear();
            self.free = (0..capacity).rev().collect();
        }
        for entry in self.slots.iter_mut().flatten() {
            entry.dirty = true;
        }
    }

    fn begin_rings(&mut self) {
        (self.fetched, self.completed, self.received, self.sent) = (0, 0, 0, 0);
        (self.events, self.counters) = (0, 0);
        self.completions.clear();
        self.log.clear();
        for doorbell in reg::DOORBELLS {
            self.registers.remove(&doorbell);
        }
    }

    fn do_command(&mut self, command: &Command) -> CommandCompletion {
        let answer = answer(command);
        let key = command.key();
        let found =
            self.by_key.get(&key.0).copied().filter(|slot| {
                self.slots[*slot].is_some_and(|entry| entry.cookie == command.cookie())
            });
        match command.opcode_or_err() {
            Ok(Opcode::Insert) => self.insert(key, command, answer),
            Ok(Opcode::Marking) => {
                let said = MarkingCommand::from_bytes(command.into_bytes());
                let words = [said.mark().into(), said.labels_low(), said.labels_high()];
                self.marking = Some((command.cookie(), Marking::of_words(words)));
                answer
            }
            Ok(Opcode::Mark) => {
                let said = self.said(command);
                let entry = found.and_then(|slot| self.slots[slot].as_mut());
                match (entry, said) {
                    (None, _) => answer.with_status(Status::NotFound),
                    (_, None) => answer.with_status(Status::Invalid),
                    (Some(entry), Some(marking)) => {
                        entry.marking = marking;
                        answer
                    }
                }
            }
            Ok(Opcode::Delete | Opcode::Touch | Opcode::ReadCounters | Opcode::Update) => {
                let Some(slot) = found else {
                    return answer.with_status(Status::NotFound);
                };
                let entry = self.slots[slot];
                if command.opcode_or_err() == Ok(Opcode::Delete) {
                    self.slots[slot] = None;
                    self.by_key.remove(&key.0);
                    self.free.push(slot);
                }
                entry.map_or(answer, |entry| {
                    with_counters(answer, &entry, self.told_time)
                })
            }
            Ok(Opcode::Dump) => self.dump(&DumpCommand::from_bytes(command.into_bytes()), answer),
            Ok(Opcode::Nop | Opcode::Rewrite) => answer,
            Ok(Opcode::ReadLog | Opcode::WriteImage | Opcode::AcceptImage) | Err(_) => {
                answer.with_status(Status::Invalid)
            }
        }
    }

    /// Mark and labels that were said for a command, if they were.
    fn said(&mut self, command: &Command) -> Option<Marking> {
        let said = self.marking.take();
        let said = said.filter(|(cookie, _)| *cookie == command.cookie());
        said.map(|(_, marking)| marking)
    }

    fn insert(
        &mut self,
        key: FlowKey,
        command: &Command,
        answer: CommandCompletion,
    ) -> CommandCompletion {
        let said = self.said(command);
        let marking = if command.marked() {
            said
        } else {
            Some(Marking::NONE)
        };
        let Some(marking) = marking else {
            return answer.with_status(Status::Invalid);
        };
        if self.by_key.contains_key(&key.0) {
            return answer.with_status(Status::Duplicate);
        }
        let Some(slot) = self.free.pop() else {
            return answer.with_status(Status::TableFull);
        };
        self.by_key.insert(key.0, slot);
        self.slots[slot] = Some(PlainEntry {
            key,
            cookie: command.cookie(),
            packets: [0; 2],
            bytes: [0; 2],
            marking,
            last_seen_ns: self.now.as_nanos(),
            dirty: false,
        });
        answer.with_slot(slot as u32)
    }

    fn dump(&mut self, command: &DumpCommand, answer: CommandCompletion) -> CommandCompletion {
        let (mut next, mut records) = (command.slot() as usize, 0);
        while next < self.slots.len() && records < command.records() {
            if let Some(entry) = self.slots[next] {
                let offset = u64::from(records) * size_of::<TableRecord>() as u64;
                let at = DmaAddress(command.address()).offset(offset);
                self.write(at, &record_of(&entry, next as u32, self.told_time));
                records += 1;
            }
            next += 1;
        }
        let over = next >= self.slots.len();
        let next = if over { u32::MAX } else { next as u32 };
        answer.with_records(records).with_slot(next)
    }

    fn entry_mut(&mut self, key: &FlowKey) -> Option<&mut PlainEntry> {
        self.slots[*self.by_key.get(&key.0)?].as_mut()
    }

    fn register(&self, offset: u32) -> u32 {
        self.registers.get(&offset).copied().unwrap_or(0)
    }

    fn is_enabled(&self) -> bool {
        self.register(reg::CONTROL) & reg::ENABLE != 0
    }

    fn address(&self, low: u32) -> DmaAddress {
        DmaAddress(u64::from(self.register(low)) | u64::from(self.register(low + 4)) << 32)
    }

    fn ring<D>(&self, base: u32, entries: u32) -> Ring {
        Ring::new(
            self.address(base),
            self.register(entries),
            size_of::<D>() as u32,
        )
    }

    /// What lies outside the memory is not written, as a bus would have it.
    fn write(&mut self, address: DmaAddress, bytes: &[u8]) {
        self.memory.write(address, bytes).ok();
    }
}

impl Platform for PlainBoard {
    fn now(&self) -> Picos {
        self.now
    }

    fn spend(&mut self, _work: Work, _times: u32) {}

    fn read_register(&mut self, offset: u32) -> u32 {
        match offset {
            reg::STATUS => reg::READY | self.register(reg::CONTROL) & reg::ENABLE,
            reg::BOOT_COUNT => self.boots,
            reg::HEARTBEAT => (self.now.as_nanos() / 1_000_000) as u32,
            reg::EVENTS_PRODUCED => self.events,
            reg::COUNTERS_PRODUCED => self.counters,
            reg::CLOCK_LOW => self.told_time.ns(self.now) as u32,
            reg::CLOCK_HIGH => (self.told_time.ns(self.now) >> 32) as u32,
            reg::CLOCK_STEPS => self.told_time.steps(),
            _ => self.register(offset),
        }
    }

    fn write_register(&mut self, offset: u32, value: u32) {
        if offset == reg::CONTROL && value & (reg::FULL_RESET | reg::FUNCTION_RESET) != 0 {
            return self.reset(value & reg::FULL_RESET != 0);
        }
        if offset == reg::CONTROL && value & reg::ENABLE != 0 && !self.is_enabled() {
            self.begin_rings();
        }
        if offset == reg::IMAGE_CONFIRM {
            self.before_trial = None;
            self.registers.insert(reg::IMAGE, 0);
            return;
        }
        self.registers.insert(offset, value);
    }

    fn memory(&mut self) -> &mut HostMemory {
        &mut self.memory
    }
}

fn answer(command: &Command) -> CommandCompletion {
    let answer = CommandCompletion::new()
        .with_sequence(command.sequence())
        .with_cookie(command.cookie());
    match command.opcode_or_err() {
        Ok(opcode) => answer.with_opcode(opcode),
        Err(_) => answer,
    }
}

fn with_counters(
    answer: CommandCompletion,
    entry: &PlainEntry,
    told: ToldTime,
) -> CommandCompletion {
    answer
        .with_packets_0(entry.packets[0])
        .with_packets_1(entry.packets[1])
        .with_bytes_0(entry.bytes[0])
        .with_bytes_1(entry.bytes[1])
        .with_last_seen_ns(told.of_ns(entry.last_seen_ns))
        .with_era(told.era())
}

fn record_of(entry: &PlainEntry, slot: u32, told: ToldTime) -> [u8; 96] {
    let [a, b, c, d, e, f] = entry.key.0;
    let record = TableRecord::new()
        .with_key_0(a)
        .with_key_1(b)
        .with_key_2(c)
        .with_key_3(d)
        .with_key_4(e)
        .with_key_5(f)
        .with_cookie(entry.cookie)
        .with_slot(slot)
        .with_packets_0(entry.packets[0])
        .with_packets_1(entry.packets[1])
        .with_bytes_0(entry.bytes[0])
        .with_bytes_1(entry.bytes[1])
        .with_last_seen_ns(told.of_ns(entry.last_seen_ns))
        .with_era(told.era())
        .with_marking_crc(entry.marking.checksum());
    let mut bytes = record.into_bytes();
    seal(&mut bytes);
    bytes
}
