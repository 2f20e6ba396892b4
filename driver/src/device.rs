//! Bringing the card up: identify it, lay the rings into memory, tell the card, enable it.

use crate::habits::{Counting, Habits};
use crate::platform::{Platform, Work};
use nic_model::config::{CounterConfig, KeyConfig, RingConfig};
use nic_model::host::descriptors::{
    AgingReport, Command, CommandCompletion, CounterRecord, LogRecord, ReceiveBuffer,
    ReceiveCompletion, TableRecord, TransmitDescriptor,
};
use nic_model::host::image::PART_BYTES;
use nic_model::host::memory::{DmaAddress, DmaError};
use nic_model::host::registers as reg;
use nic_model::host::rings::Ring;

/// Why the card could not be brought up, or had to be given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Another device, or none.
    #[error(
        "no ctnic card: DEVICE_ID reads {found:#010x}, not {:#010x}",
        reg::DEVICE_ID_VALUE
    )]
    NotOurs {
        /// What was read.
        found: u32,
    },
    /// The card speaks another version of the interface.
    #[error("the card speaks interface version {}.{}, this driver speaks 2.x", .found >> 16, .found & 0xffff)]
    Version {
        /// What was read.
        found: u32,
    },
    /// The card speaks an earlier minor version that lacks what the driver is asked for.
    #[error(
        "the card speaks interface version {}.{}, and {what} needs {}.{}: a newer firmware, or other habits",
        .found >> 16, .found & 0xffff, .needed >> 16, .needed & 0xffff
    )]
    Lacks {
        /// What was read.
        found: u32,
        /// What is needed at least.
        needed: u32,
        /// For what.
        what: &'static str,
    },
    /// A state file of another version.
    #[error(
        "the state file has version {found}, this driver reads {}: start without it",
        crate::driver::STATE_VERSION
    )]
    State {
        /// What it says.
        found: u32,
    },
    /// The region of DMA memory is too small for rings and buffers.
    #[error("the DMA region is too small: {needed} more bytes were needed")]
    Memory {
        /// Size of the allocation that failed.
        needed: usize,
    },
    /// A ring size that is not a power of two.
    #[error("a ring of {entries} entries: the number must be a power of two")]
    RingSize {
        /// The number.
        entries: u32,
    },
    /// The driver itself reached outside its DMA region.
    #[error(transparent)]
    Dma(#[from] DmaError),
}

/// The rings and buffers the driver shares with the card.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Empty receive buffers, driver to card.
    pub receive: Ring,
    /// Received frames, card to driver.
    pub receive_done: Ring,
    /// Frames to send, driver to card.
    pub transmit: Ring,
    /// Where the card writes how many of those it is done with.
    pub transmit_head: DmaAddress,
    /// Commands, driver to firmware.
    pub command: Ring,
    /// Their completions.
    pub command_done: Ring,
    /// Aging reports, firmware to driver.
    pub event: Ring,
    /// Counter records, firmware to driver.
    pub counter: Ring,
    /// The first receive buffer; the others follow.
    pub buffers: DmaAddress,
    /// Size of a receive buffer, bytes.
    pub buffer_bytes: u32,
    /// Where the card writes records of its table.
    pub dump: DmaAddress,
    /// Entries the card's table can hold.
    pub table_capacity: u32,
    /// What the card's keys hold.
    pub key: KeyConfig,
    /// How the card's counters count.
    pub counters: CounterConfig,
    /// Whether the card checks TCP windows.
    pub checks_windows: bool,
    /// Whether its entries have a mark and labels.
    pub carries_markings: bool,
    /// Largest IP packet that each port sends, bytes.
    pub mtus: [u32; 2],
    /// What the card does by itself.
    pub services: Services,
    /// Version of the interface that it speaks.
    pub version: u32,
    /// Where the card writes records of its error log.
    pub log: DmaAddress,
    /// Where it reads parts of an image from.
    pub part: DmaAddress,
}

/// What the card is to do by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Services {
    /// Time between two passes of its counter service, milliseconds; 0: none; `None`: as the card came.
    pub counter_interval_ms: Option<u32>,
    /// Look for idle entries.
    pub aging: bool,
    /// How long a flow must be quiet before its barrier ends, if its packets in the host are not known, microseconds; 0: there are
    /// no barriers.
    pub barrier_us: u32,
}

impl Services {
    /// What a driver of these habits needs.
    pub const fn wanted(habits: &Habits) -> Self {
        Self {
            counter_interval_ms: match habits.counting {
                Counting::Push(interval_ms) => interval_ms,
                Counting::Poll(_) | Counting::OnDemand => Some(0),
            },
            aging: habits.collector.is_none(),
            barrier_us: habits.barrier_us,
        }
    }

    /// Since which version the card's services can be set.
    const SINCE: u32 = 0x0002_0001;

    /// Whether a card of this version can do it.
    fn check(&self, version: u32) -> Result<(), DeviceError> {
        let wants = [
            (
                self.counter_interval_ms.is_some(),
                "to set how often counters come",
            ),
            (!self.aging, "to stop the aging engine"),
            (self.barrier_us > 0, "a barrier"),
        ];
        let wanted = wants.into_iter().find(|(wanted, _)| *wanted);
        match wanted {
            Some((_, what)) if version < Self::SINCE => Err(DeviceError::Lacks {
                found: version,
                needed: Self::SINCE,
                what,
            }),
            _ => Ok(()),
        }
    }
}

impl Layout {
    /// Records of the card's table read at once.
    pub const DUMP_RECORDS: u32 = 64;

    /// Records of the card's error log read at once.
    pub const LOG_RECORDS: u32 = 64;

    /// Since which version there are an error log and images of the firmware.
    pub const IMAGES: u32 = 0x0002_0002;

    /// Since which version completions tell how far the card has fetched commands.
    pub const PLACES: u32 = 0x0002_0003;

    /// Since which version entries may have a mark and labels.
    pub const MARKINGS: u32 = 0x0002_0004;

    /// Since which version the card tells its clock, and how often that was stepped.
    pub const CLOCK: u32 = 0x0002_0004;

    /// Bytes of DMA memory a layout needs, alignment included.
    pub fn memory_bytes(rings: &RingConfig, buffer_bytes: u32) -> usize {
        let r = |entries: u32, size: usize| entries as usize * size + 64;
        r(rings.receive_entries, size_of::<ReceiveBuffer>())
            + r(rings.receive_entries, size_of::<ReceiveCompletion>())
            + r(rings.transmit_entries, size_of::<TransmitDescriptor>())
            + r(rings.command_entries, size_of::<Command>())
            + r(rings.command_entries, size_of::<CommandCompletion>())
            + r(rings.event_entries, size_of::<AgingReport>())
            + r(rings.counter_entries, size_of::<CounterRecord>())
            + r(rings.receive_entries, buffer_bytes as usize)
            + Self::DUMP_RECORDS as usize * size_of::<TableRecord>()
            + Self::LOG_RECORDS as usize * size_of::<LogRecord>()
            + PART_BYTES
            + 320
    }

    /// Where buffer number `buffer` lies.
    pub const fn buffer_address(&self, buffer: u32) -> DmaAddress {
        self.buffers
            .offset(buffer as u64 * self.buffer_bytes as u64)
    }

    /// Identifies the card, allocates everything, and enables the card.
    ///
    /// # Errors
    /// Any [`DeviceError`]; the card is left disabled then.
    pub fn bring_up(
        platform: &mut impl Platform,
        rings: &RingConfig,
        buffer_bytes: u32,
        services: Services,
    ) -> Result<Self, DeviceError> {
        let version = identify(platform)?;
        services.check(version)?;
        let layout = Self {
            receive: ring::<ReceiveBuffer>(platform, rings.receive_entries)?,
            receive_done: ring::<ReceiveCompletion>(platform, rings.receive_entries)?,
            transmit: ring::<TransmitDescriptor>(platform, rings.transmit_entries)?,
            transmit_head: allocate(platform, size_of::<u32>())?,
            command: ring::<Command>(platform, rings.command_entries)?,
            command_done: ring::<CommandCompletion>(platform, rings.command_entries)?,
            event: ring::<AgingReport>(platform, rings.event_entries)?,
            counter: ring::<CounterRecord>(platform, rings.counter_entries)?,
            buffers: allocate(
                platform,
                rings.receive_entries as usize * buffer_bytes as usize,
            )?,
            dump: allocate(
                platform,
                Self::DUMP_RECORDS as usize * size_of::<TableRecord>(),
            )?,
            log: allocate(
                platform,
                Self::LOG_RECORDS as usize * size_of::<LogRecord>(),
            )?,
            part: allocate(platform, PART_BYTES)?,
            buffer_bytes,
            services,
            version,
            table_capacity: read(platform, reg::TABLE_CAPACITY),
            mtus: reg::port_mtus(read(platform, reg::PORT_MTU)),
            key: reg::key_config(read(platform, reg::KEY_FORMAT)),
            checks_windows: read(platform, reg::FEATURES) & reg::WINDOW_CHECKER != 0,
            carries_markings: carries_markings(platform, version),
            counters: reg::counter_config(read(platform, reg::COUNTER_FORMAT)),
        };
        layout.enable(platform);
        Ok(layout)
    }

    /// Whether this driver speaks a version of the interface.
    ///
    /// # Errors
    /// It does not.
    pub(crate) const fn check_version(found: u32) -> Result<u32, DeviceError> {
        if found >> 16 == reg::INTERFACE_VERSION_VALUE >> 16 {
            Ok(found)
        } else {
            Err(DeviceError::Version { found })
        }
    }

    /// Looks again which version the card speaks, after it began afresh: its firmware may be another one.
    ///
    /// # Errors
    /// This driver does not speak that version, or needs more than it has.
    pub(crate) fn identify_again(
        &mut self,
        platform: &mut impl Platform,
    ) -> Result<(), DeviceError> {
        self.version = identify(platform)?;
        self.carries_markings = carries_markings(platform, self.version);
        self.services.check(self.version)
    }

    /// Empties all rings and lays them anew, after the card began afresh, and enables it.
    ///
    /// # Errors
    /// The rings do not lie in DMA memory.
    pub fn lay_again(&self, platform: &mut impl Platform) -> Result<(), DeviceError> {
        for ring in [
            &self.receive_done,
            &self.command_done,
            &self.event,
            &self.counter,
        ] {
            let bytes = platform
                .memory()
                .slice_mut(ring.address(0), ring.size_bytes())?;
            bytes.fill(0);
        }
        platform.memory().write(self.transmit_head, &[0; 4])?;
        self.enable(platform);
        Ok(())
    }

    fn enable(&self, platform: &mut impl Platform) {
        self.announce(platform);
        write(platform, reg::CONTROL, reg::ENABLE);
    }

    fn announce(&self, platform: &mut impl Platform) {
        for (register, address) in [
            (reg::RECEIVE_BASE_LOW, self.receive.address(0)),
            (reg::RECEIVE_DONE_LOW, self.receive_done.address(0)),
            (reg::TRANSMIT_BASE_LOW, self.transmit.address(0)),
            (reg::TRANSMIT_HEAD_LOW, self.transmit_head),
            (reg::COMMAND_BASE_LOW, self.command.address(0)),
            (reg::COMMAND_DONE_LOW, self.command_done.address(0)),
            (reg::EVENT_BASE_LOW, self.event.address(0)),
            (reg::COUNTER_BASE_LOW, self.counter.address(0)),
        ] {
            write(platform, register, address.0 as u32);
            write(platform, register + 4, (address.0 >> 32) as u32);
        }
        for (register, ring) in [
            (reg::RECEIVE_ENTRIES, &self.receive),
            (reg::TRANSMIT_ENTRIES, &self.transmit),
            (reg::COMMAND_ENTRIES, &self.command),
            (reg::EVENT_ENTRIES, &self.event),
            (reg::COUNTER_ENTRIES, &self.counter),
        ] {
            write(platform, register, ring.entries());
        }
        if let Some(interval_ms) = self.services.counter_interval_ms {
            write(platform, reg::COUNTER_INTERVAL, interval_ms);
        }
        if !self.services.aging {
            write(platform, reg::AGING, 0);
        }
        if self.services.barrier_us > 0 {
            write(platform, reg::BARRIER, self.services.barrier_us);
        }
    }
}

/// Which version of the interface the card speaks.
fn identify(platform: &mut impl Platform) -> Result<u32, DeviceError> {
    let found = read(platform, reg::DEVICE_ID);
    if found != reg::DEVICE_ID_VALUE {
        return Err(DeviceError::NotOurs { found });
    }
    Layout::check_version(read(platform, reg::INTERFACE_VERSION))
}

/// Whether the card's entries have a mark and labels.
fn carries_markings(platform: &mut impl Platform, version: u32) -> bool {
    version >= Layout::MARKINGS && read(platform, reg::FEATURES) & reg::MARKING != 0
}

/// Reads a register and accounts for the work.
pub(crate) fn read(platform: &mut impl Platform, offset: u32) -> u32 {
    platform.spend(Work::RegisterRead, 1);
    platform.read_register(offset)
}

/// Writes a register and accounts for the work.
pub(crate) fn write(platform: &mut impl Platform, offset: u32, value: u32) {
    platform.spend(Work::RegisterWrite, 1);
    platform.write_register(offset, value);
}

fn allocate(platform: &mut impl Platform, bytes: usize) -> Result<DmaAddress, DeviceError> {
    platform
        .memory()
        .allocate(bytes)
        .ok_or(DeviceError::Memory { needed: bytes })
}

fn ring<D>(platform: &mut impl Platform, entries: u32) -> Result<Ring, DeviceError> {
    if !entries.is_power_of_two() {
        return Err(DeviceError::RingSize { entries });
    }
    let base = allocate(platform, entries as usize * size_of::<D>())?;
    Ok(Ring::new(base, entries, size_of::<D>() as u32))
}
