//! The error log: what went wrong on the card, kept through every reset until the power goes.

use crate::processor::{Processor, Scheduler};
use nic_model::chip::Chip;
use nic_model::clock::Picos;
use nic_model::host::descriptors::{Command, CommandCompletion, DumpCommand, LogCode, LogRecord};
use nic_model::host::memory::DmaAddress;
use nic_model::host::seal::seal;
use std::collections::VecDeque;

/// Entries that are kept.
const KEPT: usize = 64;

/// The last entries, and how many there were.
#[derive(Debug, Clone, Default)]
pub(crate) struct ErrorLog {
    entries: VecDeque<(Picos, LogCode, u32)>,
    written: u32,
}

impl ErrorLog {
    /// One more entry.
    pub(crate) fn note(&mut self, now: Picos, code: LogCode, value: u32) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back((now, code, value));
        self.written = self.written.wrapping_add(1);
    }

    /// Entries since power-on.
    pub(crate) const fn written(&self) -> u32 {
        self.written
    }

    /// Number of the first entry from `number` on that is still there, and those from it on.
    fn from(&self, number: u32) -> (u32, impl Iterator<Item = &(Picos, LogCode, u32)>) {
        let kept = self.entries.len() as u32;
        let back = self.written.wrapping_sub(number).min(kept);
        let first = self.written.wrapping_sub(back);
        (first, self.entries.range((kept - back) as usize..))
    }
}

/// Writes entries of the log from a number on; the completion says how many, and where to go on.
pub(crate) fn read(
    processor: &Processor,
    now: Picos,
    command: &Command,
    completion: CommandCompletion,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) -> (CommandCompletion, Picos) {
    let command = DumpCommand::from_bytes(command.into_bytes());
    let (first, entries) = processor.errors.from(command.slot());
    let numbers = (0..command.records()).map(|i| first.wrapping_add(i));
    let records = numbers.zip(entries).flat_map(record);
    let bytes: Vec<u8> = records.collect();
    let count = (bytes.len() / size_of::<LogRecord>()) as u32;
    let next = first.wrapping_add(count);
    let is_all = next == processor.errors.written();
    if !bytes.is_empty() {
        let address = DmaAddress(command.address());
        chip.dma_write(now, address, bytes.into_boxed_slice(), schedule);
    }
    let cycles = u64::from(processor.config.counter_read_cycles) * u64::from(count);
    let completion = completion
        .with_records(count)
        .with_slot(if is_all { u32::MAX } else { next });
    (completion, processor.after(now, cycles) - now)
}

fn record((number, (at, code, value)): (u32, &(Picos, LogCode, u32))) -> [u8; 32] {
    let record = LogRecord::new()
        .with_code(*code)
        .with_number(number)
        .with_at_ns(at.as_nanos())
        .with_value(*value);
    let mut bytes = record.into_bytes();
    seal(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entries_stay() {
        let mut log = ErrorLog::default();
        for number in 0..100 {
            log.note(Picos(number.into()), LogCode::CommandInvalid, number);
        }
        let (first, entries) = log.from(0);
        assert_eq!((first, entries.count()), (36, KEPT));
        let (first, mut entries) = log.from(98);
        let next = entries.next().map(|(_, _, value)| *value);
        assert_eq!((first, next, entries.count()), (98, Some(98), 1));
        assert_eq!(log.from(100).1.count(), 0);
    }
}
