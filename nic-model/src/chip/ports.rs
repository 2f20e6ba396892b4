//! The register file and what a register write sets going.

use super::{Chip, ChipEvent, Notice, Reset};
use crate::clock::Picos;
use crate::event::Schedule;
use crate::host::memory::DmaAddress;
use crate::host::registers::{self as reg, Access};
use crate::host::{Outside, rings::Ring};
use crate::probe::RingIndex;

const WORDS: usize = 0x100 / 4;

/// Values of the writable registers, by word.
#[derive(Debug, Clone)]
pub(super) struct RegisterFile {
    words: [u32; WORDS],
    status: u32,
    /// What the card came with.
    counter_interval_ms: u32,
}

impl RegisterFile {
    /// As after power-on.
    pub(super) fn new(counter_interval_ms: u32) -> Self {
        let mut words = [0; WORDS];
        words[reg::COUNTER_INTERVAL as usize / 4] = counter_interval_ms;
        words[reg::AGING as usize / 4] = reg::AGING_ON;
        Self {
            words,
            status: 0,
            counter_interval_ms,
        }
    }

    /// What software reads; unknown and write-only registers read as zero.
    pub(super) fn read(&self, offset: u32) -> u32 {
        match offset {
            reg::DEVICE_ID => reg::DEVICE_ID_VALUE,
            reg::STATUS => self.status,
            _ => match access(offset) {
                Some(Access::ReadWrite) => self.written(offset),
                _ => 0,
            },
        }
    }

    /// The last value written.
    pub(super) fn written(&self, offset: u32) -> u32 {
        self.words.get(offset as usize / 4).copied().unwrap_or(0)
    }

    /// An address held in a register pair.
    pub(super) fn address(&self, low: u32) -> DmaAddress {
        DmaAddress(u64::from(self.written(low)) | u64::from(self.written(low + 4)) << 32)
    }

    /// A ring held in a register pair and the entries register.
    pub(super) fn ring(&self, base_low: u32, entries: u32, descriptor_bytes: u32) -> Ring {
        let entries = self.written(entries);
        let usable = if entries.is_power_of_two() {
            entries
        } else {
            0
        };
        Ring::new(self.address(base_low), usable, descriptor_bytes)
    }

    pub(super) const fn enabled(&self) -> bool {
        self.status & reg::ENABLE != 0
    }

    /// As after a reset.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.counter_interval_ms);
    }

    /// Stops the rings after a DMA error.
    pub(super) const fn fail(&mut self) {
        self.status = reg::DMA_ERROR;
    }

    fn write(&mut self, offset: u32, value: u32) -> bool {
        if matches!(access(offset), None | Some(Access::Read)) || !offset.is_multiple_of(4) {
            return false;
        }
        let Some(word) = self.words.get_mut(offset as usize / 4) else {
            return false;
        };
        *word = value;
        if offset == reg::CONTROL {
            if value & reg::ENABLE != 0 && !self.enabled() {
                // What was rung for rings of before, and came after a reset, is not about these.
                for doorbell in reg::DOORBELLS {
                    self.words[doorbell as usize / 4] = 0;
                }
            }
            self.status = self.status & !reg::ENABLE | value & reg::ENABLE;
        }
        true
    }
}

fn access(offset: u32) -> Option<Access> {
    reg::MAP
        .iter()
        .find(|register| register.offset == offset)
        .map(|register| register.access)
}

/// The count of descriptors a doorbell tells.
const fn ring_index(offset: u32) -> Option<RingIndex> {
    Some(match offset {
        reg::RECEIVE_TAIL => RingIndex::ReceivePosted,
        reg::TRANSMIT_TAIL => RingIndex::TransmitPosted,
        reg::COMMAND_TAIL => RingIndex::CommandPosted,
        reg::EVENT_HEAD => RingIndex::EventConsumed,
        reg::COUNTER_HEAD => RingIndex::CounterConsumed,
        _ => return None,
    })
}

impl Chip {
    /// A register write arrives. Writes to registers that do not exist or may only be read are ignored, as a
    /// bus would.
    pub(super) fn register_write(
        &mut self,
        now: Picos,
        offset: u32,
        value: u32,
        schedule: &mut impl Schedule<ChipEvent>,
        outside: &mut impl Outside,
    ) -> Notice {
        if !self.registers.write(offset, value) {
            return Notice::None;
        }
        self.probe.doorbell(now, offset, value);
        if let Some(index) = ring_index(offset) {
            self.probe.ring(now, index, value);
        }
        if offset == reg::CONTROL {
            return if value & reg::FULL_RESET != 0 {
                Notice::Reset(Reset::Full)
            } else if value & reg::FUNCTION_RESET != 0 {
                Notice::Reset(Reset::Function)
            } else if self.registers.enabled() {
                Notice::Enabled
            } else {
                Notice::None
            };
        }
        if offset == reg::IMAGE_CONFIRM {
            return Notice::Confirmed;
        }
        if offset == reg::BARRIER {
            self.barriers.set_quiet(Picos::from_micros(value.into()));
        }
        if offset == reg::AGING {
            let next = self.aging.allow(value & reg::AGING_ON != 0, now);
            self.schedule_aging(next, schedule);
        }
        if !self.registers.enabled() {
            return Notice::None;
        }
        match offset {
            reg::RECEIVE_TAIL => self.fetch_buffers(now, schedule),
            reg::TRANSMIT_TAIL => self.fetch_transmit(now, schedule),
            reg::COMMAND_TAIL => return Notice::Commands(value),
            reg::EVENT_HEAD | reg::COUNTER_HEAD => return Notice::Consumed,
            reg::INTERRUPT_ARM => {
                if let Some(at) = self.interrupt.arm(now) {
                    self.probe.interrupt(now);
                    outside.interrupt(at);
                }
            }
            _ => {}
        }
        Notice::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_begin_afresh_whatever_was_rung_before() {
        let mut registers = RegisterFile::new(500);
        registers.write(reg::COUNTER_HEAD, 252);
        registers.write(reg::CONTROL, reg::ENABLE);
        assert_eq!(registers.written(reg::COUNTER_HEAD), 0);
        registers.write(reg::COUNTER_HEAD, 7);
        registers.write(reg::CONTROL, reg::ENABLE);
        assert_eq!(registers.written(reg::COUNTER_HEAD), 7);
    }

    #[test]
    fn a_reset_brings_back_what_the_card_came_with() {
        let mut registers = RegisterFile::new(500);
        registers.write(reg::COUNTER_INTERVAL, 0);
        registers.write(reg::AGING, 0);
        assert_eq!(registers.read(reg::COUNTER_INTERVAL), 0);
        registers.clear();
        assert_eq!(registers.read(reg::COUNTER_INTERVAL), 500);
        assert_eq!(registers.read(reg::AGING), reg::AGING_ON);
    }
}
