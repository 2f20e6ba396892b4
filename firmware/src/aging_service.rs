//! The aging service: idle entries found by the engine become reports in the event ring.
//!
//! An entry that cannot be reported, because the driver has not made room in the ring, is left for the engine's
//! next pass: a report is never lost, only late.

use crate::processor::{Processor, Scheduler};
use nic_model::chip::Chip;
use nic_model::clock::Picos;
use nic_model::flow_table::Slot;
use nic_model::host::descriptors::AgingReport;
use nic_model::host::registers as reg;
use nic_model::host::rings::Ring;
use nic_model::probe::RingIndex;

fn ring(chip: &Chip) -> Ring {
    chip.ring(
        reg::EVENT_BASE_LOW,
        reg::EVENT_ENTRIES,
        size_of::<AgingReport>(),
    )
}

/// The next idle entry to report.
pub(crate) fn next(processor: &mut Processor, _chip: &Chip) -> Option<Slot> {
    processor.reports.pop_front()
}

/// Reports an idle entry, if it still is one.
pub(crate) fn report(
    processor: &mut Processor,
    now: Picos,
    slot: Slot,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) {
    let ring = ring(chip);
    let waiting = processor
        .events_produced
        .wrapping_sub(chip.written(reg::EVENT_HEAD));
    if waiting >= ring.entries() {
        chip.retry_report(now, slot, schedule);
        return;
    }
    let Some((cookie, last_seen)) = chip.mark_reported(now, slot) else {
        // Hit, moved or removed since the engine saw it: the engine looks again where it lies now.
        chip.retry_report(now, slot, schedule);
        return;
    };
    let number = processor.events_produced;
    let report = AgingReport::new()
        .with_phase(ring.phase(number))
        .with_cookie(cookie)
        .with_last_seen_ns(last_seen.as_nanos_up())
        .with_slot(slot.0);
    processor.events_produced = number.wrapping_add(1);
    chip.probe
        .ring(now, RingIndex::EventProduced, processor.events_produced);
    processor.stats.aging_reports += 1;
    chip.dma_write(
        now,
        ring.address(number),
        Box::new(report.into_bytes()),
        schedule,
    );
}
