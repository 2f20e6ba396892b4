//! The counter service: passes over the table at an interval and streams the counters of entries that were hit
//! since their last record, in batches, as the driver makes room in the counter ring.

use crate::fault::Message;
use crate::outbox::Outbox;
use crate::processor::{Processor, Scheduler};
use nic_model::chip::Chip;
use nic_model::clock::Picos;
use nic_model::flow_table::Slot;
use nic_model::host::descriptors::CounterRecord;
use nic_model::host::registers as reg;
use nic_model::host::rings::Ring;
use nic_model::probe::RingIndex;

/// Where the service is in its pass.
#[derive(Debug, Default)]
pub(crate) struct CounterService {
    cursor: Option<u32>,
    batch: Vec<Slot>,
    pub(crate) out: Outbox,
}

fn ring(chip: &Chip) -> Ring {
    chip.ring(
        reg::COUNTER_BASE_LOW,
        reg::COUNTER_ENTRIES,
        size_of::<CounterRecord>(),
    )
}

impl CounterService {
    /// A pass begins, unless one is still under way.
    pub(crate) fn begin(&mut self) {
        self.cursor.get_or_insert(0);
    }

    /// Whether a pass is under way.
    pub(crate) const fn is_passing(&self) -> bool {
        self.cursor.is_some()
    }

    /// Chooses the next entries to read; how many. `None` if there is nothing to do or no room in the ring.
    pub(crate) fn next_batch(&mut self, chip: &Chip) -> Option<u32> {
        let cursor = self.cursor?;
        let ring = ring(chip);
        let waiting = self.out.slots.wrapping_sub(chip.written(reg::COUNTER_HEAD));
        let room = ring.entries().saturating_sub(waiting);
        let want = ring.contiguous(
            self.out.slots,
            room.min(chip.config().counter.batch_records),
        );
        if want == 0 {
            return None;
        }
        self.batch.clear();
        let table = chip.table();
        let mut next = cursor;
        self.cursor = loop {
            if self.batch.len() as u32 == want {
                break Some(next);
            }
            let Some(slot) = table.next_dirty(Slot(next)) else {
                break None;
            };
            self.batch.push(slot);
            next = slot.0 + 1;
        };
        if self.batch.is_empty() {
            return None;
        }
        Some(self.batch.len() as u32)
    }
}

/// Reads the chosen entries and writes their records.
pub(crate) fn read_batch(
    processor: &mut Processor,
    now: Picos,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) {
    let ring = ring(chip);
    let service = &mut processor.counters;
    let mut first = service.out.slots;
    let mut bytes = Vec::with_capacity(service.batch.len() * size_of::<CounterRecord>());
    for slot in service.batch.drain(..) {
        // An entry moved or removed since it was chosen is read in the next pass, or was read at its end.
        let Some((counters, cookie)) = chip.read_counters(now, slot) else {
            continue;
        };
        let record = CounterRecord::new()
            .with_sequence(service.out.number())
            .with_cookie(cookie)
            .with_packets_0(counters.packets[0])
            .with_packets_1(counters.packets[1])
            .with_bytes_0(counters.bytes[0])
            .with_bytes_1(counters.bytes[1])
            .with_last_seen_ns(chip.told_time().ns_up(counters.last_seen))
            .with_era(chip.told_time().era());
        processor.stats.counter_records += 1;
        let mut record = record.into_bytes();
        let harm = processor.faults.harm(now, Message::Counters);
        if harm.is_none() {
            service.out.stamp(&ring, &mut record);
            bytes.extend_from_slice(&record);
            continue;
        }
        // What came before goes first; a harmed one goes alone.
        let before = std::mem::take(&mut bytes).into_boxed_slice();
        if !before.is_empty() {
            chip.dma_write(now, ring.address(first), before, schedule);
        }
        let harm = (harm, processor.faults.bit_if(harm));
        service
            .out
            .put_harmed(now, &ring, record, harm, chip, schedule);
        first = service.out.slots;
    }
    chip.probe
        .ring(now, RingIndex::CounterProduced, service.out.slots);
    if !bytes.is_empty() {
        chip.dma_write(now, ring.address(first), bytes.into_boxed_slice(), schedule);
    }
}
