//! The chip: the block diagram in code.
//!
//! ```text
//!              +-----+   +--------+   +------------+   +------+   +--------+   +------+   +---------+   +-----+
//!  port 0/1 -->| MAC |-->| parser |-->| classifier |-->| hash |-->| lookup |-->| trap |-->| rewrite |-->| MAC |--> port 0/1
//!              +-----+   +--------+   +------------+   +------+   +--------+   +------+   +---------+   +-----+
//!                             | no key       | host          miss |        trap |              | counters      ^
//!                             v              v                    v             v              v               |
//!                          +--------------------------------------------------------+   flow table        transmit
//!                          |           meter per reason, receive ring (DMA)         |   aging engine        ring
//!                          +--------------------------------------------------------+
//! ```
//! A packet walks the stages in one pass ([`Chip::arrive`] up to the look-up, [`Chip::finish`] from there);
//! everything else is an event ([`ChipEvent`]). Whoever owns the event queue must apply every event due at or
//! before a packet's look-up time between the two calls: that is what makes the chip causal.

mod damage;
mod pipeline;
mod ports;
mod receive;
mod reset;
mod table_port;
mod transmit;

pub use damage::Flip;

use crate::aging::AgingEngine;
use crate::clock::{Picos, ToldTime};
use crate::config::NicConfig;
use crate::datapath::barrier::Barriers;
use crate::datapath::classifier::Classifier;
use crate::datapath::counter::CounterFormat;
use crate::datapath::mac::MacPort;
use crate::datapath::meter::Meters;
use crate::datapath::parser::{Parsed, Parser};
use crate::datapath::trap::Reason;
use crate::event::Schedule;
use crate::flow_table::entry::{EntryAction, EntryState, FlowKey, flag};
use crate::flow_table::{EntryCounters, FlowTable, InsertError, Inserted, KeyDirection, Slot};
use crate::host::interrupt::Interrupt;
use crate::host::memory::DmaAddress;
use crate::host::pcie::PcieLink;
use crate::host::rings::Ring;
use crate::host::{Outside, registers};
use crate::memory::{MemoryStats, TableMemory};
use crate::probe::Probe;
use crate::stage::Stage;
use crate::stats::ChipStats;
use receive::ReceivePath;
use transmit::TransmitPath;

/// Number of Ethernet ports.
pub const PORTS: usize = 2;

/// The MAC address of a port (locally administered).
pub const fn station_address(port: u8) -> [u8; 6] {
    [0x02, b'c', b't', b'n', b'i', port]
}

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
    /// The driver wants the card to begin afresh.
    Reset(Reset),
    /// The driver finds the image that runs good.
    Confirmed,
}

/// How far a reset goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Rings, DMA and firmware; the table keeps its entries and their counters.
    Function,
    /// The table is empty too.
    Full,
}

/// A packet between the front of the pipeline and the look-up.
#[derive(Debug, Clone, Copy)]
pub struct Front {
    /// First bit on the wire.
    pub first_bit: Picos,
    last_bit: Picos,
    /// When the table is read.
    pub lookup_at: Picos,
    to_host: Option<Reason>,
    /// Its FCS turns out to be wrong when the last bit is in.
    damaged: bool,
    mirror_to: Option<u8>,
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
    /// It hit an entry and was counted there, but the port it should leave by did not take it.
    NotSent {
        /// Why.
        reason: DropReason,
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
    /// A rule of the classifier.
    Classifier = 5,
    /// Too many packets went to the host for the same reason, or would begin a connection.
    Metered = 6,
    /// The FCS was wrong.
    BadFcs = 7,
    /// It was on its way to the host when the card began afresh, or its DMA failed.
    Reset = 8,
    /// Too many packets of its group of flows went to the host.
    MeteredGroup = 9,
    /// The packet was longer than the MTU of the port it should leave by.
    BeyondMtu = 10,
    /// A rule behind the flow table.
    BehindCt = 11,
}

impl DropReason {
    /// All reasons in order of their codes.
    pub const ALL: [Self; 12] = [
        Self::ReceiveFifoFull,
        Self::NoReceiveBuffer,
        Self::HostBufferFull,
        Self::EgressFull,
        Self::TooLongForBuffer,
        Self::Classifier,
        Self::Metered,
        Self::BadFcs,
        Self::Reset,
        Self::MeteredGroup,
        Self::BeyondMtu,
        Self::BehindCt,
    ];

    /// Short name, as in reports and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReceiveFifoFull => "receive-fifo-full",
            Self::NoReceiveBuffer => "no-receive-buffer",
            Self::HostBufferFull => "host-buffer-full",
            Self::EgressFull => "egress-full",
            Self::TooLongForBuffer => "too-long-for-buffer",
            Self::Classifier => "classifier",
            Self::Metered => "metered",
            Self::BadFcs => "bad-fcs",
            Self::Reset => "reset",
            Self::MeteredGroup => "metered-group",
            Self::BeyondMtu => "beyond-mtu",
            Self::BehindCt => "behind-ct",
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
            Self::Classifier => "a rule of the classifier",
            Self::BadFcs => "the wire had damaged it: its FCS was wrong",
            Self::Reset => "on its way to the host when the card began afresh or its DMA failed",
            Self::Metered => "more went to the host for this reason than its meter allows",
            Self::MeteredGroup => {
                "more of its group of flows went to the host than its meter allows"
            }
            Self::BeyondMtu => "longer than the MTU of the port it would leave by",
            Self::BehindCt => "a rule behind the flow table, by mark or labels of its connection",
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
    classify: Picos,
    lookup: Picos,
    compare: Picos,
    trap: Picos,
    rewrite: Picos,
    counter_interval: Picos,
}

/// The chip.
pub struct Chip {
    config: NicConfig,
    timing: Timing,
    ports: [MacPort; PORTS],
    /// Largest IP packet that each port sends, bytes.
    mtus: [u32; PORTS],
    parser: Parser,
    classifier: Classifier,
    meters: Meters,
    parser_stage: Stage,
    classifier_stage: Stage,
    behind_stage: Stage,
    hash_stage: Stage,
    counter_stage: Stage,
    counter_format: CounterFormat,
    /// The flow table; the firmware writes it, everybody else looks.
    table: FlowTable,
    memory: TableMemory,
    aging: AgingEngine,
    idle: Vec<Slot>,
    pcie: PcieLink,
    interrupt: Interrupt,
    registers: ports::RegisterFile,
    barriers: Barriers,
    told_time: ToldTime,
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
        let table = FlowTable::new(&config.table);
        Self {
            timing: Timing {
                cycle: clock.period(),
                bus_bytes: p.bus_bytes.into(),
                classify: clock.cycles(p.classifier_search_cycles.into()),
                lookup: clock.cycles(u64::from(p.table_read_cycles) + u64::from(p.compare_cycles)),
                compare: clock.cycles(p.compare_cycles.into()),
                trap: clock.cycles(p.trap_latency_cycles.into()),
                rewrite: clock.cycles(p.rewrite_latency_cycles.into()),
                counter_interval: clock.cycles(p.counter_interval_cycles.into()),
            },
            ports: std::array::from_fn(|port| MacPort::numbered(&config.port, port as u8)),
            mtus: config.port.mtus(),
            parser: Parser::new(config),
            classifier: Classifier::new(&config.classifier),
            meters: Meters::new(&config.meter),
            parser_stage: Stage::new(clock.cycles(p.parser_latency_cycles.into())),
            classifier_stage: Stage::new(Picos::ZERO),
            behind_stage: Stage::new(Picos::ZERO),
            hash_stage: Stage::new(clock.cycles(p.hash_latency_cycles.into())),
            counter_stage: Stage::new(Picos::ZERO),
            counter_format: CounterFormat::new(&config.counter),
            aging: AgingEngine::new(&config.aging, table.capacity()),
            idle: Vec::new(),
            pcie: PcieLink::new(&config.pcie),
            interrupt: Interrupt::new(&config.pcie),
            registers: ports::RegisterFile::new(config.firmware.counter_interval_ms),
            barriers: Barriers::new(config.trap.barrier_counters),
            told_time: ToldTime::default(),
            receive: ReceivePath::new(p.host_buffer_frames),
            transmit: TransmitPath::default(),
            stats: ChipStats::default(),
            probe: Probe::off(),
            memory: TableMemory::new(config, table.shape()),
            table,
            config: config.clone(),
        }
    }

    /// The configuration the chip was built from.
    pub const fn config(&self) -> &NicConfig {
        &self.config
    }

    /// The flow table, to look at.
    pub const fn table(&self) -> &FlowTable {
        &self.table
    }

    /// What the searches of the classifier cost, to look at.
    pub const fn classifier_activity(&self) -> &crate::flow_table::cam::CamActivity {
        self.classifier.activity()
    }

    /// What the flow table's memory did, to look at.
    pub const fn memory_stats(&self) -> &MemoryStats {
        self.memory.stats()
    }

    /// Counts of everything that happened, to look at.
    pub const fn stats(&self) -> &ChipStats {
        &self.stats
    }

    /// Interrupts fired so far, and bytes on the link (to host, from host).
    pub const fn host_interface_use(&self) -> (u64, (u64, u64)) {
        (self.interrupt.fired(), self.pcie.bytes())
    }

    /// How often the ports told their neighbours to stop.
    pub fn pauses(&self) -> u64 {
        self.ports.iter().map(MacPort::pauses).sum()
    }

    /// Frames inside the chip on their way to or from the host, to look at.
    pub fn frames_held(&self) -> u64 {
        self.receive.held()
    }

    /// Switches the aging engine off or on (a test of other parts may want time to stand still).
    pub fn set_aging(&mut self, enabled: bool) {
        self.aging.set_enabled(enabled);
    }

    /// Empties the cache of the table's memory, closes its rows and clears the link, as if nobody had used them (for measurements).
    pub fn cool_memory(&mut self) {
        self.memory = TableMemory::new(&self.config, self.table.shape());
        self.pcie = PcieLink::new(&self.config.pcie);
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
            registers::COUNTER_FORMAT => registers::counter_format(&self.config.counter),
            registers::PORT_MTU => registers::port_mtu(&self.config.port),
            registers::FEATURES => registers::features(&self.config),
            registers::KEY_FORMAT => registers::key_format(&self.config.key),
            _ => self.registers.read(offset),
        }
    }

    /// The clock that the card tells the host.
    pub const fn told_time(&self) -> &ToldTime {
        &self.told_time
    }

    /// Steps the clock that the card tells the host, by so many nanoseconds. What the card does by itself has a clock that nobody
    /// sets.
    pub const fn step_clock(&mut self, by_ns: i64) {
        self.told_time.step(by_ns);
    }

    /// Reads host memory: when `bytes` bytes will have come.
    pub fn dma_read(&mut self, now: Picos, address: DmaAddress, bytes: usize) -> Picos {
        let done = self.pcie.read(now, address, bytes);
        self.probe.dma_read(now, bytes, done);
        done
    }

    /// Writes host memory: when `bytes` bytes will be there.
    fn pcie_write(&mut self, now: Picos, address: DmaAddress, bytes: usize) -> Picos {
        let done = self.pcie.write(now, address, bytes);
        self.probe.dma_write(now, bytes, done);
        done
    }

    /// Writes host memory for the firmware and lets the interrupt know.
    pub fn dma_write(
        &mut self,
        now: Picos,
        address: DmaAddress,
        data: Box<[u8]>,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        let done = self.pcie_write(now, address, data.len());
        schedule.schedule(done, ChipEvent::HostWrite { address, data });
    }

    /// A DMA of the firmware failed: the rings stop, as after any DMA error.
    pub const fn dma_failed(&mut self) {
        self.registers.fail();
        self.stats.dma_errors += 1;
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
