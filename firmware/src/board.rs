//! The card: chip and processor on one ordered queue of events.

use crate::processor::{FirmwareEvent, FirmwareStats, Processor};
use nic_model::chip::{Chip, ChipEvent, DropReason, Fate, Front, Notice};
use nic_model::clock::Picos;
use nic_model::config::NicConfig;
use nic_model::datapath::parser::Parsed;
use nic_model::event::{EventQueue, Schedule};
use nic_model::frame::FrameBuffer;
use nic_model::host::Outside;

/// Something that happens on the card at a time of its own.
#[derive(Debug)]
pub enum BoardEvent {
    /// In the chip.
    Chip(ChipEvent),
    /// In the control processor.
    Firmware(FirmwareEvent),
}

impl From<ChipEvent> for BoardEvent {
    fn from(event: ChipEvent) -> Self {
        Self::Chip(event)
    }
}

impl From<FirmwareEvent> for BoardEvent {
    fn from(event: FirmwareEvent) -> Self {
        Self::Firmware(event)
    }
}

/// The card.
pub struct Board {
    chip: Chip,
    processor: Processor,
    queue: EventQueue<BoardEvent>,
    doorbell_latency: Picos,
}

impl Board {
    /// A card fresh from power-on. The configuration must be valid.
    pub fn new(config: &NicConfig) -> Self {
        Self {
            chip: Chip::new(config),
            processor: Processor::new(&config.firmware),
            queue: EventQueue::default(),
            doorbell_latency: Picos::from_nanos(config.pcie.doorbell_latency_ns.into()),
        }
    }

    /// The chip, to look at.
    pub const fn chip(&self) -> &Chip {
        &self.chip
    }

    /// The chip, for its probe and its test switches.
    pub const fn chip_mut(&mut self) -> &mut Chip {
        &mut self.chip
    }

    /// What the firmware did, to look at.
    pub const fn firmware_stats(&self) -> &FirmwareStats {
        self.processor.stats()
    }

    /// The host writes a register at `now`; the card sees it one doorbell latency later.
    pub fn write_register(&mut self, now: Picos, offset: u32, value: u32) {
        let at = now + self.doorbell_latency;
        self.queue
            .schedule(at, ChipEvent::RegisterWrite { offset, value });
    }

    /// The host reads a register. The answer is what the card holds at this moment.
    pub fn read_register(&self, offset: u32) -> u32 {
        self.chip.register_read(offset)
    }

    /// When the card next does something by itself.
    #[inline]
    pub fn next_due(&self) -> Option<Picos> {
        self.queue.next_due()
    }

    /// Whether the card has nothing to do but wait for packets, registers, age and its counter timer.
    pub fn is_quiet(&self) -> bool {
        self.processor.is_idle() && self.chip.frames_held() == 0
    }

    /// Applies the earliest event if it is due by `now`; whether there was one.
    pub fn step(&mut self, now: Picos, outside: &mut impl Outside) -> bool {
        let Some((at, event)) = self.queue.pop_due(now) else {
            return false;
        };
        match event {
            BoardEvent::Chip(event) => {
                let notice = self.chip.handle(at, event, &mut self.queue, outside);
                if notice != Notice::None {
                    self.processor
                        .notice(at, notice, &mut self.chip, &mut self.queue);
                }
            }
            BoardEvent::Firmware(event) => {
                self.processor
                    .handle(at, event, &mut self.chip, &mut self.queue, outside);
            }
        }
        true
    }

    /// A frame reaches a port; its time of look-up, up to which all events must be applied before
    /// [`Board::finish`].
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
        self.chip.arrive(port, arrival, wire_len, parsed)
    }

    /// The frame goes on from the look-up.
    #[inline]
    pub fn finish(
        &mut self,
        front: &Front,
        parsed: &Parsed,
        port: u8,
        frame: &mut FrameBuffer<'_>,
        wire_len: u32,
        ingress_tag: u64,
    ) -> Fate {
        self.chip.finish(
            front,
            parsed,
            port,
            frame,
            wire_len,
            ingress_tag,
            &mut self.queue,
        )
    }
}
