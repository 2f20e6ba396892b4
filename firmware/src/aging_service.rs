//! The aging service: idle entries found by the engine become reports in the event ring.
//!
//! An entry that cannot be reported, because the driver has not made room in the ring, is left for the engine's
//! next pass: a report is never lost, only late.

use crate::fault::Message;
use crate::processor::{Processor, Scheduler};
use nic_model::chip::Chip;
use nic_model::clock::Picos;
use nic_model::config::AgingAction;
use nic_model::flow_table::Slot;
use nic_model::host::descriptors::{AgingReport, Idle, LogCode};
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
    if !has_room(processor, now, chip) {
        chip.retry_report(now, slot, schedule);
        return;
    }
    let Some(report) = about(now, slot, chip, schedule) else {
        // Hit, moved or removed since the engine saw it: the engine looks again where it lies now.
        chip.retry_report(now, slot, schedule);
        return;
    };
    put(processor, now, report.with_slot(slot.0), chip, schedule);
    processor.stats.aging_reports += 1;
}

/// The next damaged entry to report, if there is room for that.
pub(crate) fn next_damaged(
    processor: &mut Processor,
    now: Picos,
    chip: &Chip,
) -> Option<(u32, Slot)> {
    if processor.damaged.is_empty() || !has_room(processor, now, chip) {
        return None;
    }
    processor.damaged.pop_front()
}

/// Reports an entry that was damaged and taken out.
pub(crate) fn report_damaged(
    processor: &mut Processor,
    now: Picos,
    (cookie, slot): (u32, Slot),
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) {
    let report = AgingReport::new()
        .with_idle(Idle::Damaged)
        .with_cookie(cookie)
        .with_slot(slot.0);
    put(processor, now, report, chip, schedule);
}

/// Whether there is room in the event ring. That there is none goes into the error log once.
fn has_room(processor: &mut Processor, now: Picos, chip: &Chip) -> bool {
    let consumed = chip.written(reg::EVENT_HEAD);
    let has_room = processor.events.slots.wrapping_sub(consumed) < ring(chip).entries();
    if !has_room && !processor.event_ring_full {
        let waiting = processor.reports.len() + processor.damaged.len() + 1;
        processor.note(now, LogCode::EventRingFull, waiting as u32);
    }
    processor.event_ring_full = !has_room;
    has_room
}

/// Numbers a report and writes it.
fn put(
    processor: &mut Processor,
    now: Picos,
    report: AgingReport,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) {
    let ring = ring(chip);
    let report = report.with_sequence(processor.events.number());
    processor.events.put(
        now,
        (Message::Event, &ring),
        report.into_bytes(),
        &mut processor.faults,
        chip,
        schedule,
    );
    chip.probe
        .ring(now, RingIndex::EventProduced, processor.events.slots);
}

/// What there is to report of an idle entry, which is then marked as reported, or gone; `None` if it is idle no longer.
fn about(
    now: Picos,
    slot: Slot,
    chip: &mut Chip,
    schedule: &mut impl Scheduler,
) -> Option<AgingReport> {
    let idle = match chip.config().aging.action {
        AgingAction::Report => Idle::Reported,
        AgingAction::Ask => Idle::Asked,
        AgingAction::Evict => {
            let (cookie, counters) = chip.evict_idle(now, slot, schedule)?;
            let report = AgingReport::new()
                .with_idle(Idle::Evicted)
                .with_cookie(cookie)
                .with_last_seen_ns(chip.told_time().ns_up(counters.last_seen))
                .with_era(chip.told_time().era())
                .with_packets_0(counters.packets[0])
                .with_packets_1(counters.packets[1])
                .with_bytes_0(counters.bytes[0])
                .with_bytes_1(counters.bytes[1]);
            return Some(report);
        }
    };
    let (cookie, last_seen) = chip.mark_reported(now, slot)?;
    let report = AgingReport::new()
        .with_idle(idle)
        .with_cookie(cookie)
        .with_last_seen_ns(chip.told_time().ns_up(last_seen))
        .with_era(chip.told_time().era());
    Some(report)
}
