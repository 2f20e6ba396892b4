//! The card: chip and processor on one ordered queue of events.

use crate::fault::MessageFault;
use crate::processor::{FirmwareEvent, FirmwareStats, Processor};
use nic_model::chip::{Chip, ChipEvent, DropReason, Fate, Flip, Front, Notice, Reset};
use nic_model::clock::Picos;
use nic_model::config::NicConfig;
use nic_model::datapath::parser::Parsed;
use nic_model::event::{EventQueue, Schedule};
use nic_model::frame::FrameBuffer;
use nic_model::host::descriptors::LogCode;
use nic_model::host::{Outside, registers as reg};

/// Something that happens on the card at a time of its own.
#[derive(Debug)]
pub enum BoardEvent {
    /// In the chip.
    Chip(ChipEvent),
    /// In the control processor.
    Firmware(FirmwareEvent),
    /// Has the processor stood still for too long?
    Watchdog,
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
    boot: Picos,
    watchdog: Option<Picos>,
    ready_at: Picos,
    boots: u32,
    /// Doorbells that are to be lost on their way.
    lose_doorbells: u32,
    /// DMA errors that are in the error log.
    dma_errors: u64,
}

impl Board {
    /// A card fresh from power-on. The configuration must be valid.
    pub fn new(config: &NicConfig) -> Self {
        Self {
            chip: Chip::new(config),
            processor: Processor::new(&config.firmware),
            queue: EventQueue::default(),
            doorbell_latency: Picos::from_nanos(config.pcie.doorbell_latency_ns.into()),
            boot: Picos::from_micros(config.firmware.boot_us.into()),
            watchdog: match config.firmware.watchdog_ms {
                0 => None,
                ms => Some(Picos::from_millis(ms.into())),
            },
            ready_at: Picos::ZERO,
            boots: 0,
            lose_doorbells: 0,
            dma_errors: 0,
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
        if self.lose_doorbells > 0 && reg::DOORBELLS.contains(&offset) {
            self.lose_doorbells -= 1;
            return;
        }
        let at = now + self.doorbell_latency;
        self.queue
            .schedule(at, ChipEvent::RegisterWrite { offset, value });
    }

    /// The host reads a register. The answer is what the card holds at this moment.
    pub fn read_register(&self, now: Picos, offset: u32) -> u32 {
        match offset {
            reg::STATUS if now >= self.ready_at => self.chip.register_read(offset) | reg::READY,
            reg::INTERFACE_VERSION => self.processor.flash.identity().interface_version,
            reg::FIRMWARE_VERSION => self.processor.flash.identity().firmware_version,
            reg::IMAGE => self.processor.flash.register(),
            reg::LOG_COUNT => self.processor.errors.written(),
            reg::HEARTBEAT => self.processor.heartbeat(now),
            reg::BOOT_COUNT => self.boots,
            reg::EVENTS_PRODUCED => self.processor.events_produced(),
            reg::COUNTERS_PRODUCED => self.processor.counters_produced(),
            reg::CLOCK_LOW => self.chip.told_time().ns(now) as u32,
            reg::CLOCK_HIGH => (self.chip.told_time().ns(now) >> 32) as u32,
            reg::CLOCK_STEPS => self.chip.told_time().steps(),
            _ => self.chip.register_read(offset),
        }
    }

    /// The card begins afresh at `now`.
    pub fn reset(&mut self, now: Picos, reset: Reset, outside: &mut impl Outside) {
        let mut waiting = std::mem::take(&mut self.queue);
        while let Some((at, event)) = waiting.pop_due(Picos::NEVER) {
            match event {
                BoardEvent::Chip(ChipEvent::FrameDelivered { held }) => {
                    self.chip.lose_frame(now, held, outside);
                }
                BoardEvent::Chip(ChipEvent::AgingStep) if reset == Reset::Function => {
                    self.queue.schedule(at, ChipEvent::AgingStep);
                }
                _ => {}
            }
        }
        self.chip.reset(now, reset, &mut self.queue);
        self.boots = self.boots.wrapping_add(1);
        self.ready_at = now + self.boot;
        if !self.processor.reset(now) {
            self.hang(self.ready_at, Picos::NEVER);
        }
    }

    /// Injects a fault of messages.
    pub fn harm(&mut self, fault: MessageFault) {
        self.processor.arm(fault);
    }

    /// Faults by chance are drawn from this seed on.
    pub fn seed_faults(&mut self, seed: u64) {
        self.processor.faults.seed(seed);
    }

    /// Faults by chance are over.
    pub fn end_chance_faults(&mut self) {
        self.processor.faults.end_chance();
    }

    /// Messages harmed so far.
    pub const fn harmed(&self) -> u64 {
        self.processor.faults.struck()
    }

    /// The firmware stands still until `until`; its watchdog may be earlier.
    pub fn hang(&mut self, now: Picos, until: Picos) {
        self.processor.hang(now, until, &mut self.queue);
        if let Some(patience) = self.watchdog {
            self.queue.schedule(now + patience, BoardEvent::Watchdog);
        }
    }

    /// The firmware takes `factor` times as long for everything until `until`.
    pub fn slow(&mut self, factor: u32, until: Picos) {
        self.processor.slow(factor, until);
    }

    /// A DMA error stops the rings.
    pub fn fail_dma(&mut self, now: Picos) {
        self.chip.dma_failed();
        self.note_dma_errors(now);
    }

    fn note_dma_errors(&mut self, now: Picos) {
        let dma_errors = self.chip.stats().dma_errors;
        if dma_errors != self.dma_errors {
            self.dma_errors = dma_errors;
            self.processor.note(now, LogCode::DmaError, 0);
        }
    }

    /// Bits of an entry turn over: `bits` of the `which`-th one.
    pub fn flip_bits(&mut self, now: Picos, which: u64, bits: u32) -> Flip {
        let flip = self.chip.flip_bits(now, which, bits, &mut self.queue);
        if let Flip::Found { cookie, slot } = flip {
            let (chip, queue) = (&mut self.chip, &mut self.queue);
            self.processor.damaged(now, (cookie, slot), chip, queue);
        }
        flip
    }

    /// The next so many doorbells are lost.
    pub const fn lose_doorbells(&mut self, writes: u32) {
        self.lose_doorbells = writes;
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
            // Before it is ready, the card hears nothing.
            BoardEvent::Chip(ChipEvent::RegisterWrite { .. }) if at < self.ready_at => {}
            BoardEvent::Watchdog => {
                let patience = self.watchdog.unwrap_or(Picos::NEVER);
                let since = self.processor.hung_since();
                if let Some(since) = since.filter(|since| *since + patience <= at) {
                    let still_ms = (at - since).as_nanos() / 1_000_000;
                    let code = LogCode::Watchdog;
                    self.processor.note(at, code, still_ms as u32);
                    self.reset(at, Reset::Function, outside);
                }
            }
            BoardEvent::Chip(event) => {
                let notice = self.chip.handle(at, event, &mut self.queue, outside);
                if let Notice::Reset(reset) = notice {
                    self.reset(at, reset, outside);
                } else if notice != Notice::None {
                    self.processor
                        .notice(at, notice, &mut self.chip, &mut self.queue);
                }
            }
            BoardEvent::Firmware(event) => {
                self.processor
                    .handle(at, event, &mut self.chip, &mut self.queue, outside);
            }
        }
        self.note_dma_errors(at);
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
