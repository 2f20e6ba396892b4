//! The driver's ends of the rings: what it has posted, what it has consumed.

use crate::device::{DeviceError, Layout, write};
use crate::offload::Cookie;
use crate::platform::{Platform, Work};
use nic_model::host::descriptors::{
    AgingReport, CounterRecord, ReceiveBuffer, ReceiveCompletion, TransmitDescriptor,
};
use nic_model::host::memory::HostMemory;
use nic_model::host::registers as reg;
use nic_model::host::rings::Ring;
use nic_model::host::seal::is_whole;

/// Buffers are given back to the card in groups of this many, or when there is nothing else to do.
const POST_BATCH: u32 = 16;
/// Frames are announced to the card in groups of at most this many.
const SEND_BATCH: u32 = 8;

/// Receive: posted buffers and consumed completions.
#[derive(Debug, Default)]
pub(crate) struct ReceiveQueue {
    posted: u32,
    announced: u32,
    consumed: u32,
}

impl ReceiveQueue {
    /// Posts an empty buffer.
    pub(crate) fn post(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
        buffer: u32,
    ) -> Result<(), DeviceError> {
        let descriptor = ReceiveBuffer::new()
            .with_address(layout.buffer_address(buffer).0)
            .with_length_bytes(layout.buffer_bytes)
            .with_buffer(buffer);
        let address = layout.receive.address(self.posted);
        platform.memory().write(address, &descriptor.into_bytes())?;
        self.posted = self.posted.wrapping_add(1);
        if self.posted.wrapping_sub(self.announced) >= POST_BATCH {
            self.announce(platform);
        }
        Ok(())
    }

    /// Tells the card about posted buffers it does not know of.
    pub(crate) fn announce(&mut self, platform: &mut impl Platform) {
        if self.posted != self.announced {
            self.ring(platform);
        }
    }

    /// Tells the card about all posted buffers: it may not have heard before.
    pub(crate) fn ring(&mut self, platform: &mut impl Platform) {
        self.announced = self.posted;
        write(platform, reg::RECEIVE_TAIL, self.posted);
    }

    /// The received frame of a place, if it has come, without taking it.
    pub(crate) fn at<'a>(
        &self,
        memory: &'a HostMemory,
        layout: &Layout,
        place: u32,
    ) -> Option<(ReceiveCompletion, &'a [u8])> {
        let ring = &layout.receive_done;
        let bytes = memory.read(ring.address(place)).ok()?;
        let completion = ReceiveCompletion::from_bytes(bytes);
        if completion.phase() != ring.phase(place) {
            return None;
        }
        let address = layout.buffer_address(completion.buffer());
        let length = completion.captured_bytes().min(layout.buffer_bytes);
        Some((completion, memory.slice(address, length as usize).ok()?))
    }

    /// Frames taken so far.
    pub(crate) const fn consumed(&self) -> u32 {
        self.consumed
    }

    /// The next received frame.
    pub(crate) fn take(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<Option<ReceiveCompletion>, DeviceError> {
        let ring = &layout.receive_done;
        let bytes = platform.memory().read(ring.address(self.consumed))?;
        let completion = ReceiveCompletion::from_bytes(bytes);
        if completion.phase() != ring.phase(self.consumed) {
            return Ok(None);
        }
        self.consumed = self.consumed.wrapping_add(1);
        platform.spend(Work::Receive, 1);
        Ok(Some(completion))
    }
}

/// Transmit: posted frames, and which buffer each lies in: `None` if the next one lies there too.
#[derive(Debug)]
pub(crate) struct TransmitQueue {
    buffers: Vec<Option<u32>>,
    posted: u32,
    announced: u32,
    reclaimed: u32,
}

impl TransmitQueue {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            buffers: vec![None; layout.transmit.entries() as usize],
            posted: 0,
            announced: 0,
            reclaimed: 0,
        }
    }

    /// Whether there is room for so many frames.
    pub(crate) const fn has_room(&self, ring: &Ring, frames: u32) -> bool {
        frames <= ring.entries().saturating_sub(self.outstanding())
    }

    /// Posts a frame that lies in `buffer`, or in that of the next; `false` if the ring is full.
    pub(crate) fn post(
        &mut self,
        platform: &mut impl Platform,
        ring: &Ring,
        buffer: Option<u32>,
        descriptor: &TransmitDescriptor,
    ) -> Result<bool, DeviceError> {
        if !self.has_room(ring, 1) {
            return Ok(false);
        }
        platform.spend(Work::Transmit, 1);
        let address = ring.address(self.posted);
        platform.memory().write(address, &descriptor.into_bytes())?;
        let place = self.posted as usize % self.buffers.len();
        self.buffers[place] = buffer;
        self.posted = self.posted.wrapping_add(1);
        if self.posted.wrapping_sub(self.announced) >= SEND_BATCH {
            self.announce(platform);
        }
        Ok(true)
    }

    /// Tells the card about posted frames it does not know of.
    pub(crate) fn announce(&mut self, platform: &mut impl Platform) {
        if self.posted != self.announced {
            self.ring(platform);
        }
    }

    /// Tells the card about all posted frames: it may not have heard before.
    pub(crate) fn ring(&mut self, platform: &mut impl Platform) {
        self.announced = self.posted;
        write(platform, reg::TRANSMIT_TAIL, self.posted);
    }

    /// The tag of a frame that the card was given and has not said it sent, oldest first: the card began afresh.
    pub(crate) fn give_up(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<Option<u64>, DeviceError> {
        if self.reclaimed == self.posted {
            return Ok(None);
        }
        let address = layout.transmit.address(self.reclaimed);
        let descriptor = TransmitDescriptor::from_bytes(platform.memory().read(address)?);
        self.reclaimed = self.reclaimed.wrapping_add(1);
        Ok(Some(descriptor.ingress_tag()))
    }

    /// The buffer of a frame the card is done with, oldest first.
    pub(crate) fn reclaim(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<Option<u32>, DeviceError> {
        let head = u32::from_le_bytes(platform.memory().read(layout.transmit_head)?);
        while self.reclaimed != self.posted && head.wrapping_sub(self.reclaimed) as i32 > 0 {
            let buffer = self.buffers[self.reclaimed as usize % self.buffers.len()];
            self.reclaimed = self.reclaimed.wrapping_add(1);
            if buffer.is_some() {
                return Ok(buffer);
            }
        }
        Ok(None)
    }

    /// Frames posted and not yet sent.
    pub(crate) const fn outstanding(&self) -> u32 {
        self.posted.wrapping_sub(self.reclaimed)
    }
}

/// A ring the card writes and the driver consumes, telling the card how far it is.
///
/// Reports are numbered. Of one that was lost, doubled, damaged or late nothing is taken but that something is missing.
#[derive(Debug, Default)]
pub(crate) struct ReportQueue {
    consumed: u32,
    announced: u32,
    /// Number of the next report.
    expected: u32,
    /// Reports that did not come, or came damaged.
    missing: u64,
    /// Of these, those that somebody knows of.
    noted: u64,
    /// How many reports the card had written when it was asked last.
    produced: u32,
}

impl ReportQueue {
    /// The number of the report in a place, if that has come whole. Where one was lost, that of two ways round before is still
    /// there, with the same phase (its number tells), or nothing yet, which may have the right phase too.
    fn number_at(
        &self,
        memory: &HostMemory,
        ring: &Ring,
        place: u32,
    ) -> Result<Option<u32>, DeviceError> {
        let bytes: &[u8; 64] = memory.array(ring.address(place))?;
        if !has_come([bytes[0]], ring, place) {
            return Ok(None);
        }
        let number = number_of(bytes);
        // No more can have been lost than there are places.
        let beyond = number.wrapping_sub(self.expected) as i32;
        let is_one = beyond.unsigned_abs() <= ring.entries();
        Ok((is_one && is_whole(bytes)).then_some(number))
    }

    /// The cookie of the counter record in a place, if it has come; it is not checked.
    pub(crate) fn cookie_at(&self, memory: &HostMemory, ring: &Ring, place: u32) -> Option<Cookie> {
        let bytes: [u8; 8] = memory.read(ring.address(place)).ok()?;
        let [phase, .., a, b, c, d] = bytes;
        has_come([phase], ring, place).then(|| Cookie(u32::from_le_bytes([a, b, c, d])))
    }

    /// Reports taken so far.
    pub(crate) const fn consumed(&self) -> u32 {
        self.consumed
    }

    /// The next report, if it has come.
    fn take(
        &mut self,
        platform: &mut impl Platform,
        ring: &Ring,
    ) -> Result<Option<[u8; 64]>, DeviceError> {
        loop {
            let place = self.consumed;
            let Some(number) = self.number_at(platform.memory(), ring, place)? else {
                return Ok(None);
            };
            self.consumed = place.wrapping_add(1);
            let beyond = number.wrapping_sub(self.expected);
            if (beyond as i32) < 0 {
                continue;
            }
            self.missing += u64::from(beyond);
            self.expected = number.wrapping_add(1);
            return Ok(Some(platform.memory().read(ring.address(place))?));
        }
    }

    /// A place that stays empty while later ones are filled was lost. `produced` is how many reports the card says it has
    /// written: those that it had written when this was asked before must have come.
    pub(crate) fn supervise(
        &mut self,
        platform: &mut impl Platform,
        ring: &Ring,
        produced: u32,
    ) -> Result<(), DeviceError> {
        if self.skip_hole(platform, ring, u32::MAX)? {
            self.produced = produced;
            return Ok(());
        }
        let beyond = self.produced.wrapping_sub(self.expected);
        if (beyond as i32) > 0 {
            self.missing += u64::from(beyond);
            self.expected = self.produced;
        }
        self.produced = produced;
        Ok(())
    }

    /// Goes on to the next new report that has come, at most so many places ahead; whether there is one.
    pub(crate) fn skip_hole(
        &mut self,
        platform: &mut impl Platform,
        ring: &Ring,
        most: u32,
    ) -> Result<bool, DeviceError> {
        for ahead in 0..most.min(ring.entries()) {
            let place = self.consumed.wrapping_add(ahead);
            let number = self.number_at(platform.memory(), ring, place)?;
            if number.is_some_and(|number| number.wrapping_sub(self.expected) as i32 >= 0) {
                self.consumed = place;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many reports went missing since this was asked last.
    pub(crate) const fn newly_missing(&mut self) -> u64 {
        let new = self.missing - self.noted;
        self.noted = self.missing;
        new
    }

    /// The card began afresh.
    pub(crate) fn reset(&mut self) {
        *self = Self {
            missing: self.missing,
            noted: self.noted,
            ..Self::default()
        };
    }

    /// Gives the card the room back, once a quarter of the ring is consumed or when `now`.
    pub(crate) fn announce(
        &mut self,
        platform: &mut impl Platform,
        ring: &Ring,
        head: u32,
        now: bool,
    ) {
        let unannounced = self.consumed.wrapping_sub(self.announced);
        if unannounced >= ring.entries() / 4 || (now && unannounced > 0) {
            self.announced = self.consumed;
            write(platform, head, self.consumed);
        }
    }
}

/// The number of a report: aging reports and counter records have it in the same place.
fn number_of(bytes: &[u8; 64]) -> u32 {
    CounterRecord::from_bytes(*bytes).sequence()
}

/// Whether the card has written a report into its place on this way round the ring.
pub(crate) const fn has_come([first]: [u8; 1], ring: &Ring, place: u32) -> bool {
    (first & 1 == 1) == ring.phase(place)
}

/// The next aging report.
pub(crate) fn take_aging(
    queue: &mut ReportQueue,
    platform: &mut impl Platform,
    ring: &Ring,
) -> Result<Option<AgingReport>, DeviceError> {
    Ok(queue.take(platform, ring)?.map(AgingReport::from_bytes))
}

/// The next counter record.
pub(crate) fn take_counters(
    queue: &mut ReportQueue,
    platform: &mut impl Platform,
    ring: &Ring,
) -> Result<Option<CounterRecord>, DeviceError> {
    Ok(queue.take(platform, ring)?.map(CounterRecord::from_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_of_a_counter_record_lies_where_it_is_looked_for() {
        let bytes = CounterRecord::new().with_cookie(0x1234_5678).into_bytes();
        assert_eq!(bytes[4..8], 0x1234_5678_u32.to_le_bytes());
    }

    #[test]
    fn both_kinds_of_reports_have_their_number_in_one_place() {
        let aging = AgingReport::new().with_sequence(0x1234_5678).into_bytes();
        let counters = CounterRecord::new().with_sequence(0x1234_5678).into_bytes();
        assert_eq!([number_of(&aging), number_of(&counters)], [0x1234_5678; 2]);
    }
}
