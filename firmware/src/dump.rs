//! The table, read by the host: what a driver compares its own view with after a reset.

use crate::processor::{Processor, Scheduler};
use nic_model::chip::Chip;
use nic_model::clock::Picos;
use nic_model::flow_table::Slot;
use nic_model::flow_table::entry::flag;
use nic_model::host::descriptors::{Command, CommandCompletion, DumpCommand, TableRecord};
use nic_model::host::memory::DmaAddress;
use nic_model::host::seal::seal;

/// Most records of one command.
const MOST: u32 = 64;
/// Slots examined in the time one counter takes to be read.
const SLOTS_AT_ONCE: u64 = 8;

/// Writes records of the entries from a slot on; the completion says how many, and where to go on.
pub(crate) fn dump(
    processor: &Processor,
    now: Picos,
    command: &Command,
    completion: CommandCompletion,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) -> (CommandCompletion, Picos) {
    let command = DumpCommand::from_bytes(command.into_bytes());
    let (mut bytes, mut next) = (Vec::new(), command.slot());
    let room = command.records().min(MOST);
    let (capacity, mut records) = (chip.table().capacity(), 0);
    while next < capacity && records < room {
        if let Some(record) = record(now, Slot(next), chip) {
            bytes.extend_from_slice(&record);
            records += 1;
        }
        next += 1;
    }
    let examined = u64::from(next.saturating_sub(command.slot()));
    let each = u64::from(processor.config.counter_read_cycles);
    let cycles = each * (u64::from(records) + examined / SLOTS_AT_ONCE + 1);
    if !bytes.is_empty() {
        let address = DmaAddress(command.address());
        chip.dma_write(now, address, bytes.into_boxed_slice(), schedule);
    }
    let next = if next < capacity { next } else { u32::MAX };
    let completion = completion
        .with_slot(next)
        .with_records(records)
        .with_moved(chip.table().moves() as u32);
    (completion, processor.after(now, cycles) - now)
}

fn record(now: Picos, slot: Slot, chip: &Chip) -> Option<[u8; 96]> {
    let (key, state, counters) = chip.peek(now, slot)?;
    let record = TableRecord::new()
        .with_key_0(key.0[0])
        .with_key_1(key.0[1])
        .with_key_2(key.0[2])
        .with_key_3(key.0[3])
        .with_key_4(key.0[4])
        .with_key_5(key.0[5])
        .with_cookie(state.cookie())
        .with_slot(slot.0)
        .with_packets_0(counters.packets[0])
        .with_packets_1(counters.packets[1])
        .with_bytes_0(counters.bytes[0])
        .with_bytes_1(counters.bytes[1])
        .with_last_seen_ns(chip.told_time().ns_up(counters.last_seen))
        .with_era(chip.told_time().era())
        .with_idle(state.has(flag::AGE_REPORTED))
        .with_marking_crc(chip.table().marking(slot).checksum());
    let mut bytes = record.into_bytes();
    seal(&mut bytes);
    Some(bytes)
}
