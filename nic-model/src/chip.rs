//! The chip: the block diagram in code.
//!
//! ```text
//!              +-----+   +--------+   +------+   +--------+   +------+   +---------+   +-----+
//!  port 0/1 -->| MAC |-->| parser |-->| hash |-->| lookup |-->| trap |-->| rewrite |-->| MAC |--> port 0/1
//!              +-----+   +--------+   +------+   +--------+   +------+   +---------+   +-----+
//!                             | no key       miss |        trap |              | counters      ^
//!                             v                   v             v              v               |
//!                          +------------------------------------------+   flow table        transmit
//!                          |           receive ring (DMA)             |   aging engine        ring
//!                          +------------------------------------------+
//! ```
//! A packet walks the stages in one pass ([`Chip::arrive`] up to the look-up, [`Chip::finish`] from there);
//! everything else is an event ([`ChipEvent`]). Whoever owns the event queue must apply every event due at or
//! before a packet's look-up time between the two calls: that is what makes the chip causal.

mod ports;
mod receive;
mod transmit;

use crate::aging::AgingEngine;
use crate::clock::Picos;
use crate::config::NicConfig;
use crate::datapath::mac::MacPort;
use crate::datapath::parser::{Parsed, Parser};
use crate::datapath::trap::Reason;
use crate::event::Schedule;
use crate::flow_table::entry::{EntryState, FlowKey, flag};
use crate::flow_table::{CuckooTable, EntryCounters, InsertError, Inserted, KeyDirection, Slot};
use crate::host::interrupt::Interrupt;
use crate::host::memory::DmaAddress;
use crate::host::pcie::PcieLink;
use crate::host::rings::Ring;
use crate::host::{Outside, registers};
use crate::probe::Probe;
use crate::stage::Stage;
use crate::stats::ChipStats;
use receive::ReceivePath;
use transmit::TransmitPath;

/// Number of Ethernet ports.
pub const PORTS: usize = 2;

/// Something that happens in the chip at a time of its own.
#[derive(Debug)]
pub enum ChipEvent {
    /// A register write has crossed the link.
    RegisterWrite {
        /// Byte offset in the window.
        offset: u32,
        /// The value.
        value: u32,
    },
    /// Receive buffer descriptors have come by DMA.
    BuffersFetched {
        /// Number of the first.
        first: u32,
        /// How many.
        count: u32,
    },
    /// A frame and its completion have reached host memory.
    FrameDelivered {
        /// Where it waited in the chip.
        held: u32,
    },
    /// Transmit descriptors have come by DMA.
    TransmitFetched {
        /// Number of the first.
        first: u32,
        /// How many.
        count: u32,
    },
    /// A frame to send has come by DMA.
    TransmitPayload {
        /// Its descriptor's number.
        number: u32,
        /// The descriptor.
        descriptor: crate::host::descriptors::TransmitDescriptor,
    },
    /// The count of finished transmit descriptors reaches host memory.
    TransmitHead {
        /// The count.
        value: u32,
    },
    /// Bytes written by the firmware reach host memory.
    HostWrite {
        /// Where.
        address: DmaAddress,
        /// What.
        data: Box<[u8]>,
    },
    /// The aging engine takes a step.
    AgingStep,
}

/// What an event asks of the firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Nothing.
    None,
    /// Commands were posted, up to this count.
    Commands(u32),
    /// The driver has consumed events or counter records.
    Consumed,
    /// The rings were enabled.
    Enabled,
    /// The aging engine found idle entries: see [`Chip::take_idle`].
    Idle,
}

/// A packet between the front of the pipeline and the look-up.
#[derive(Debug, Clone, Copy)]
pub struct Front {
    /// First bit on the wire.
    pub first_bit: Picos,
    last_bit: Picos,
    /// When the table is read.
    pub lookup_at: Picos,
}

/// What became of a packet in the hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Sent on without the host.
    Forwarded {
        /// Port it leaves by.
        port: u8,
        /// When its first bit leaves.
        departs: Picos,
        /// Name of the entry it hit.
        cookie: u32,
        /// The connection's originator sent it.
        from_originator: bool,
    },
    /// Given to the host.
    ToHost(Reason),
    /// Dropped.
    Dropped(DropReason),
    /// It hit an entry and was counted there, but too many frames waited for the port it should leave by.
    EgressFull {
        /// Name of the entry it hit.
        cookie: u32,
        /// The connection's originator sent it.
        from_originator: bool,
    },
}

/// Why the hardware dropped a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropReason {
    /// The port's receive FIFO was full.
    ReceiveFifoFull = 0,
    /// The host had posted no buffer.
    NoReceiveBuffer = 1,
    /// The packet buffer towards the host was full.
    HostBufferFull = 2,
    /// Too many frames waited for the egress port.
    EgressFull = 3,
    /// The frame did not fit the host's buffer.
    TooLongForBuffer = 4,
}

impl DropReason {
    /// All reasons in order of their codes.
    pub const ALL: [Self; 5] = [
        Self::ReceiveFifoFull,
        Self::NoReceiveBuffer,
        Self::HostBufferFull,
        Self::EgressFull,
        Self::TooLongForBuffer,
    ];

    /// Short name, as in reports and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReceiveFifoFull => "receive-fifo-full",
            Self::NoReceiveBuffer => "no-receive-buffer",
            Self::HostBufferFull => "host-buffer-full",
            Self::EgressFull => "egress-full",
            Self::TooLongForBuffer => "too-long-for-buffer",
        }
    }

    /// One phrase for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::ReceiveFifoFull => "the port's receive FIFO was full",
            Self::NoReceiveBuffer => "the host had posted no receive buffer",
            Self::HostBufferFull => "the packet buffer towards the host was full",
            Self::EgressFull => "too many frames waited for the egress port",
            Self::TooLongForBuffer => "the frame did not fit a receive buffer",
        }
    }
}

/// The entry that forwards the packet; or why none does, and the cookie of one that was hit.
type LookUp = Result<(Slot, EntryState), (Reason, Option<u32>)>;

/// Latencies and intervals of the pipeline, converted from cycles once.
#[derive(Debug, Clone, Copy)]
struct Timing {
    cycle: Picos,
    bus_bytes: u64,
    lookup: Picos,
    trap: Picos,
    rewrite: Picos,
    counter_interval: Picos,
}

/// The chip.
pub struct Chip {
    config: NicConfig,
    timing: Timing,
    ports: [MacPort; PORTS],
    parser: Parser,
    parser_stage: Stage,
    hash_stage: Stage,
    counter_stage: Stage,
    /// The flow table; the firmware writes it, everybody else looks.
    table: CuckooTable,
    aging: AgingEngine,
    idle: Vec<Slot>,
    pcie: PcieLink,
    interrupt: Interrupt,
    registers: ports::RegisterFile,
    receive: ReceivePath,
    transmit: TransmitPath,
    stats: ChipStats,
    /// Signals for a waveform.
    pub probe: Probe,
}

impl Chip {
    /// A chip fresh from reset. The configuration must be valid.
    pub fn new(config: &NicConfig) -> Self {
        let clock = config.pipeline_clock();
        let p = &config.pipeline;
        let table = CuckooTable::new(&config.table);
        Self {
            timing: Timing {
                cycle: clock.period(),
                bus_bytes: p.bus_bytes.into(),
                lookup: clock.cycles(u64::from(p.table_read_cycles) + u64::from(p.compare_cycles)),
                trap: clock.cycles(p.trap_latency_cycles.into()),
                rewrite: clock.cycles(p.rewrite_latency_cycles.into()),
                counter_interval: clock.cycles(p.counter_interval_cycles.into()),
            },
            ports: std::array::from_fn(|_| MacPort::new(&config.port)),
            parser: Parser::new(p),
            parser_stage: Stage::new(clock.cycles(p.parser_latency_cycles.into())),
            hash_stage: Stage::new(clock.cycles(p.hash_latency_cycles.into())),
            counter_stage: Stage::new(Picos::ZERO),
            aging: AgingEngine::new(&config.aging, table.capacity()),
            idle: Vec::new(),
            pcie: PcieLink::new(&config.pcie),
            interrupt: Interrupt::new(&config.pcie),
            registers: ports::RegisterFile::default(),
            receive: ReceivePath::new(p.host_buffer_frames),
            transmit: TransmitPath::default(),
            stats: ChipStats::default(),
            probe: Probe::off(),
            table,
            config: config.clone(),
        }
    }

    /// The configuration the chip was built from.
    pub const fn config(&self) -> &NicConfig {
        &self.config
    }

    /// The flow table, to look at.
    pub const fn table(&self) -> &CuckooTable {
        &self.table
    }

    /// Counts of everything that happened, to look at.
    pub const fn stats(&self) -> &ChipStats {
        &self.stats
    }

    /// Interrupts fired so far, and bytes on the link (to host, from host).
    pub const fn host_interface_use(&self) -> (u64, (u64, u64)) {
        (self.interrupt.fired(), self.pcie.bytes())
    }

    /// Frames inside the chip on their way to or from the host, to look at.
    pub fn frames_held(&self) -> u64 {
        self.receive.held()
    }

    /// Switches the aging engine off or on (a test of other parts may want time to stand still).
    pub fn set_aging(&mut self, enabled: bool) {
        self.aging.set_enabled(enabled);
    }

    /// Parses and hashes a burst of frames and brings their table buckets in; changes nothing.
    ///
    /// `frames` gives the captured bytes and the wire length of each frame.
    pub fn prepare<'a>(
        &self,
        frames: impl Iterator<Item = (&'a [u8], u32)>,
        out: &mut Vec<Parsed>,
    ) {
        out.clear();
        for (frame, wire_len) in frames {
            let mut parsed = self.parser.parse(frame, wire_len);
            if parsed.to_host.is_none() {
                parsed.hashes = self.table.hash(&parsed.key);
                self.table.prefetch_tags(parsed.hashes);
            }
            out.push(parsed);
        }
        for parsed in out.iter().filter(|parsed| parsed.to_host.is_none()) {
            self.table.prefetch_entry(parsed.hashes);
        }
    }

    /// A frame reaches a port and walks the pipeline up to the table look-up.
    ///
    /// # Errors
    /// The frame was dropped at the port.
    #[inline]
    pub fn arrive(
        &mut self,
        port: u8,
        arrival: Picos,
        wire_len: u32,
        parsed: &Parsed,
    ) -> Result<Front, DropReason> {
        self.stats.received_frames += 1;
        self.stats.received_bytes += u64::from(wire_len);
        let mac = &mut self.ports[usize::from(port) % PORTS];
        let header_bytes = u32::from(parsed.header_bytes);
        let Some(reception) = mac.receive(arrival, wire_len, header_bytes) else {
            self.stats.count_drop(DropReason::ReceiveFifoFull);
            return Err(DropReason::ReceiveFifoFull);
        };
        // The bus carries the whole frame through the parser, one beat per cycle.
        let beats = u64::from(wire_len).div_ceil(self.timing.bus_bytes).max(1);
        let interval = Picos(self.timing.cycle.0 * beats);
        let parse = self.parser_stage.admit(reception.header_in, interval);
        mac.taken(parse.start, wire_len);
        let hash = self.hash_stage.admit(parse.done, self.timing.cycle);
        let fifo_bytes = mac.receive_fifo_used_bytes();
        self.probe.front(
            port, wire_len, fifo_bytes, &reception, &parse, &hash, parsed,
        );
        Ok(Front {
            first_bit: reception.first_bit,
            last_bit: reception.last_bit,
            lookup_at: hash.done,
        })
    }

    /// The rest of the pipeline: look-up, trap logic, rewrite, counters, egress or the way to the host.
    ///
    /// `ingress_tag` names the frame in descriptors.
    #[expect(
        clippy::too_many_arguments,
        reason = "a frame, what is known of it, and where events go"
    )]
    #[inline]
    pub fn finish(
        &mut self,
        front: &Front,
        parsed: &Parsed,
        port: u8,
        frame: &mut [u8],
        wire_len: u32,
        ingress_tag: u64,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Fate {
        let looked_up = front.lookup_at + self.timing.lookup;
        let decided = looked_up + self.timing.trap;
        let (reason, cookie) = match self.look_up(front.lookup_at, parsed, schedule) {
            Err(verdict) => verdict,
            Ok(slot) => return self.forward(front, parsed, frame, wire_len, slot, decided),
        };
        self.probe
            .verdict(front.lookup_at, looked_up, Some(reason), cookie);
        let in_whole = decided.max(front.last_bit);
        let fate = self.give_to_host(
            in_whole,
            reason,
            cookie,
            port,
            frame,
            wire_len,
            front.first_bit,
            parsed,
            ingress_tag,
            schedule,
        );
        match fate {
            Ok(()) => {
                self.stats.count_to_host(reason, wire_len);
                Fate::ToHost(reason)
            }
            Err(drop) => {
                self.stats.count_drop(drop);
                Fate::Dropped(drop)
            }
        }
    }

    /// The slot of the entry that forwards the packet; else why not, and the cookie of an entry it hit.
    #[inline]
    fn look_up(
        &mut self,
        now: Picos,
        parsed: &Parsed,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> LookUp {
        if let Some(reason) = parsed.to_host {
            return Err((reason, None));
        }
        self.stats.lookups += 1;
        let slot = self.table.find(&parsed.key, parsed.hashes);
        let (trap, mtu) = (&self.config.trap, self.config.port.mtu_bytes);
        let protocol = parsed.key.protocol();
        let hit = slot.and_then(|slot| {
            let decide = |state: &mut EntryState| {
                let reason = crate::datapath::trap::check(trap, parsed, state, mtu);
                if matches!(reason, Some(Reason::TcpFin | Reason::TcpRst)) {
                    state.set(flag::CLOSING);
                }
                let before = *state;
                if reason.is_none() {
                    state.count(parsed.direction, parsed.ip_bytes, now);
                    state.clear(flag::AGE_REPORTED);
                    state.set(flag::DIRTY);
                }
                (slot, before, reason)
            };
            self.table.with_state(slot, decide)
        });
        match hit {
            None => Err((Reason::Miss, None)),
            Some((_, state, Some(reason))) => Err((reason, Some(state.cookie()))),
            Some((slot, state, None)) => {
                if state.has(flag::AGE_REPORTED) {
                    self.watch_age(slot, protocol, now, schedule);
                }
                Ok((slot, state))
            }
        }
    }

    #[inline]
    fn forward(
        &mut self,
        front: &Front,
        parsed: &Parsed,
        frame: &mut [u8],
        wire_len: u32,
        (slot, state): (Slot, EntryState),
        decided: Picos,
    ) -> Fate {
        let counted = self
            .counter_stage
            .admit(decided, self.timing.counter_interval);
        self.stats.counted_packets += 1;
        self.stats.counted_bytes += u64::from(parsed.ip_bytes);
        if state.has(flag::DECREMENT_TTL) {
            crate::datapath::rewrite::decrement_ttl(frame, parsed.l3_offset.into());
        }
        let rewritten = counted.start + self.timing.rewrite;
        let ready = if self.config.port.store_and_forward {
            rewritten.max(front.last_bit)
        } else {
            rewritten
        };
        let port = state.egress(parsed.direction);
        let looked_up = front.lookup_at + self.timing.lookup;
        self.probe
            .hit(front.lookup_at, looked_up, slot, state.cookie());
        let originator_is_lower = state.has(flag::ORIGINATOR_IS_LOWER);
        let from_originator =
            originator_is_lower == (parsed.direction == KeyDirection::LowerToHigher);
        let cookie = state.cookie();
        let Some(departs) = self.ports[usize::from(port) % PORTS].transmit(ready, wire_len) else {
            self.stats.count_drop(DropReason::EgressFull);
            return Fate::EgressFull {
                cookie,
                from_originator,
            };
        };
        self.probe.egress(port, departs, wire_len, rewritten);
        self.stats.forwarded_frames += 1;
        self.stats.forwarded_bytes += u64::from(wire_len);
        Fate::Forwarded {
            port,
            departs,
            cookie,
            from_originator,
        }
    }

    /// Applies an event at its time.
    pub fn handle(
        &mut self,
        now: Picos,
        event: ChipEvent,
        schedule: &mut impl Schedule<ChipEvent>,
        outside: &mut impl Outside,
    ) -> Notice {
        match event {
            ChipEvent::RegisterWrite { offset, value } => {
                return self.register_write(now, offset, value, schedule, outside);
            }
            ChipEvent::BuffersFetched { first, count } => {
                self.buffers_fetched(now, first, count, schedule, outside);
            }
            ChipEvent::FrameDelivered { held } => self.frame_delivered(now, held, outside),
            ChipEvent::TransmitFetched { first, count } => {
                self.transmit_fetched(now, first, count, schedule, outside);
            }
            ChipEvent::TransmitPayload { number, descriptor } => {
                self.transmit_payload(now, number, &descriptor, schedule, outside);
            }
            ChipEvent::TransmitHead { value } => {
                let address = self.registers.address(registers::TRANSMIT_HEAD_LOW);
                self.host_write(now, address, &value.to_le_bytes(), outside);
            }
            ChipEvent::HostWrite { address, data } => self.host_write(now, address, &data, outside),
            ChipEvent::AgingStep => return self.aging_step(now, schedule),
        }
        Notice::None
    }

    /// The value of a register, as software reads it.
    pub fn register_read(&self, offset: u32) -> u32 {
        match offset {
            registers::PORTS => PORTS as u32,
            registers::TABLE_CAPACITY => self.table.capacity(),
            _ => self.registers.read(offset),
        }
    }

    /// Reads host memory for the firmware: when `bytes` bytes will have come.
    pub fn dma_read(&mut self, now: Picos, bytes: usize) -> Picos {
        self.pcie.read(now, bytes)
    }

    /// Writes host memory for the firmware and lets the interrupt know.
    pub fn dma_write(
        &mut self,
        now: Picos,
        address: DmaAddress,
        data: Box<[u8]>,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        let done = self.pcie.write(now, data.len());
        schedule.schedule(done, ChipEvent::HostWrite { address, data });
    }

    /// A DMA of the firmware failed: the rings stop, as after any DMA error.
    pub const fn dma_failed(&mut self) {
        self.registers.fail();
        self.stats.dma_errors += 1;
    }

    /// Puts an entry into the table (firmware only).
    pub fn insert(
        &mut self,
        now: Picos,
        key: FlowKey,
        state: EntryState,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Result<Inserted, InsertError> {
        let inserted = self.table.insert(key, state)?;
        self.stats.table_inserted += 1;
        self.stats
            .note_occupancy(self.table.occupied(), self.table.stash_occupied());
        // A moved entry may lie in a block that was not watched for it: watch where it went.
        if inserted.moves > 0 {
            self.watch_all_blocks_of_moves(now, schedule);
        }
        self.watch_age(inserted.slot, key.protocol(), now, schedule);
        self.probe.table(
            now,
            self.table.occupied(),
            self.table.stash_occupied(),
            self.table.moves(),
        );
        Ok(inserted)
    }

    /// Takes an entry out of the table (firmware only); its key, final counters and cookie.
    pub fn remove(
        &mut self,
        now: Picos,
        slot: Slot,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Option<(FlowKey, EntryState)> {
        let mut returned = None;
        let removed = self.table.remove(slot, |_, new| returned = Some(new))?;
        self.stats.table_removed += 1;
        if let Some(new) = returned {
            let protocol = self.table.key(new).map_or(0, |key| key.protocol());
            let at = self.aging.retry(new, now);
            self.schedule_aging(at, schedule);
            self.watch_age(new, protocol, now, schedule);
        }
        self.probe.table(
            now,
            self.table.occupied(),
            self.table.stash_occupied(),
            self.table.moves(),
        );
        Some(removed)
    }

    /// Reads an entry's counters and marks it clean (firmware only).
    pub fn read_counters(&mut self, now: Picos, slot: Slot) -> Option<(EntryCounters, u32)> {
        self.table.with_state(slot, |state| {
            state.clear(flag::DIRTY);
            (state.counters(now), state.cookie())
        })
    }

    /// The idle entries the aging engine found since the last call (firmware only).
    pub fn take_idle(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.idle)
    }

    /// The report of an idle entry is on its way (firmware only): it is not reported again until it is hit.
    /// Gives its cookie and last-seen time; `None` if it is idle no longer.
    pub fn mark_reported(&mut self, now: Picos, slot: Slot) -> Option<(u32, Picos)> {
        let protocol = self.table.key(slot)?.protocol();
        let timeout = self.aging.timeout(protocol);
        self.table
            .with_state(slot, |state| {
                let last_seen = state.last_seen_no_later_than(now);
                if last_seen + timeout > now || state.has(flag::AGE_REPORTED) {
                    return None;
                }
                state.set(flag::AGE_REPORTED);
                Some((state.cookie(), last_seen))
            })
            .flatten()
    }

    /// An idle entry could not be reported (firmware only): look at it again in the next pass.
    pub fn retry_report(
        &mut self,
        now: Picos,
        slot: Slot,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        let at = self.aging.retry(slot, now);
        self.schedule_aging(at, schedule);
    }

    /// The ring declared by a register pair and an entries register (firmware only).
    pub fn ring(&self, base_low: u32, entries: u32, descriptor_bytes: usize) -> Ring {
        self.registers
            .ring(base_low, entries, descriptor_bytes as u32)
    }

    /// The last value written to a write-only register (firmware only).
    pub fn written(&self, offset: u32) -> u32 {
        self.registers.written(offset)
    }

    fn watch_age(
        &mut self,
        slot: Slot,
        protocol: u8,
        now: Picos,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        let at = self.aging.watch(slot, protocol, now);
        self.schedule_aging(at, schedule);
    }

    fn watch_all_blocks_of_moves(&mut self, now: Picos, schedule: &mut impl Schedule<ChipEvent>) {
        for slot in self.table.take_moved() {
            let at = self.aging.retry(slot, now);
            self.schedule_aging(at, schedule);
        }
    }

    fn schedule_aging(&mut self, at: Option<Picos>, schedule: &mut impl Schedule<ChipEvent>) {
        if let Some(at) = at {
            schedule.schedule(at, ChipEvent::AgingStep);
        }
    }

    fn aging_step(&mut self, now: Picos, schedule: &mut impl Schedule<ChipEvent>) -> Notice {
        let found = self.idle.len();
        let next = self.aging.step(now, &self.table, &mut self.idle);
        self.schedule_aging(next, schedule);
        self.probe.aging(now, self.idle.len() - found);
        if self.idle.len() > found {
            Notice::Idle
        } else {
            Notice::None
        }
    }

    fn host_write(
        &mut self,
        now: Picos,
        address: DmaAddress,
        data: &[u8],
        outside: &mut impl Outside,
    ) {
        if outside.memory().write(address, data).is_err() {
            self.dma_failed();
            return;
        }
        self.deliver_interrupt(now, outside);
    }

    fn deliver_interrupt(&mut self, now: Picos, outside: &mut impl Outside) {
        if let Some(at) = self.interrupt.deliver(now) {
            self.probe.interrupt(now);
            outside.interrupt(at);
        }
    }
}
