//! A ring that the firmware writes: numbered, sealed, and harmed if a fault says so.

use crate::fault::{Faults, Harm, Message};
use nic_model::chip::{Chip, ChipEvent};
use nic_model::clock::Picos;
use nic_model::event::Schedule;
use nic_model::host::rings::Ring;
use nic_model::host::seal::seal;

/// A descriptor of such a ring.
pub(crate) type Record = [u8; 64];

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Places of the ring taken so far.
    pub(crate) slots: u32,
    /// Messages so far.
    pub(crate) numbered: u32,
    held_back: Option<Record>,
}

impl Outbox {
    /// The number of the next message.
    pub(crate) const fn number(&mut self) -> u32 {
        let number = self.numbered;
        self.numbered = number.wrapping_add(1);
        number
    }

    /// Takes the next place of the ring and makes a message fit for it; the place's number.
    pub(crate) fn stamp(&mut self, ring: &Ring, record: &mut Record) -> u32 {
        let place = self.slots;
        self.slots = place.wrapping_add(1);
        record[0] = record[0] & !1 | u8::from(ring.phase(place));
        seal(record);
        place
    }

    /// Writes one message.
    pub(crate) fn put(
        &mut self,
        now: Picos,
        (message, ring): (Message, &Ring),
        record: Record,
        faults: &mut Faults,
        chip: &mut Chip,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        let harm = faults.harm(now, message);
        let bit = faults.bit_if(harm);
        self.put_harmed(now, ring, record, (harm, bit), chip, schedule);
    }

    /// Writes one message, and does to it what a fault says.
    pub(crate) fn put_harmed(
        &mut self,
        now: Picos,
        ring: &Ring,
        mut record: Record,
        (harm, bit): (Option<Harm>, usize),
        chip: &mut Chip,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        match harm {
            Some(Harm::Lose) => {
                self.stamp(ring, &mut record);
                return;
            }
            Some(Harm::Reorder) if self.held_back.is_none() => {
                self.held_back = Some(record);
                return;
            }
            Some(Harm::Duplicate) => self.write(now, ring, record, chip, schedule),
            Some(Harm::Corrupt) => {
                let place = self.stamp(ring, &mut record);
                record[bit / 8] ^= 1 << (bit % 8);
                chip.dma_write(now, ring.address(place), Box::new(record), schedule);
                return;
            }
            Some(Harm::Delay(by)) => {
                let place = self.stamp(ring, &mut record);
                let (address, data) = (ring.address(place), Box::new(record));
                schedule.schedule(now + by, ChipEvent::HostWrite { address, data });
                return;
            }
            Some(Harm::Reorder) | None => {}
        }
        self.write(now, ring, record, chip, schedule);
        if let Some(earlier) = self.held_back.take() {
            self.write(now, ring, earlier, chip, schedule);
        }
    }

    fn write(
        &mut self,
        now: Picos,
        ring: &Ring,
        mut record: Record,
        chip: &mut Chip,
        schedule: &mut impl Schedule<ChipEvent>,
    ) {
        let place = self.stamp(ring, &mut record);
        chip.dma_write(now, ring.address(place), Box::new(record), schedule);
    }
}
