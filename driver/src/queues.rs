//! The driver's ends of the rings: what it has posted, what it has consumed.

use crate::device::{DeviceError, Layout, write};
use crate::platform::{Platform, Work};
use nic_model::host::descriptors::{
    AgingReport, CounterRecord, ReceiveBuffer, ReceiveCompletion, TransmitDescriptor,
};
use nic_model::host::registers as reg;
use nic_model::host::rings::Ring;

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
            self.announced = self.posted;
            write(platform, reg::RECEIVE_TAIL, self.posted);
        }
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

/// Transmit: posted frames, and which buffer each lies in.
#[derive(Debug)]
pub(crate) struct TransmitQueue {
    buffers: Vec<u32>,
    posted: u32,
    announced: u32,
    reclaimed: u32,
}

impl TransmitQueue {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            buffers: vec![0; layout.transmit.entries() as usize],
            posted: 0,
            announced: 0,
            reclaimed: 0,
        }
    }

    /// Posts a frame that lies in `buffer`; `false` if the ring is full.
    pub(crate) fn post(
        &mut self,
        platform: &mut impl Platform,
        ring: &Ring,
        buffer: u32,
        descriptor: &TransmitDescriptor,
    ) -> Result<bool, DeviceError> {
        if self.posted.wrapping_sub(self.reclaimed) >= ring.entries() {
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
            self.announced = self.posted;
            write(platform, reg::TRANSMIT_TAIL, self.posted);
        }
    }

    /// The buffer of a frame the card is done with, oldest first.
    pub(crate) fn reclaim(
        &mut self,
        platform: &mut impl Platform,
        layout: &Layout,
    ) -> Result<Option<u32>, DeviceError> {
        let head = u32::from_le_bytes(platform.memory().read(layout.transmit_head)?);
        if self.reclaimed == self.posted || head.wrapping_sub(self.reclaimed) as i32 <= 0 {
            return Ok(None);
        }
        let buffer = self.buffers[self.reclaimed as usize % self.buffers.len()];
        self.reclaimed = self.reclaimed.wrapping_add(1);
        Ok(Some(buffer))
    }

    /// Frames posted and not yet sent.
    pub(crate) const fn outstanding(&self) -> u32 {
        self.posted.wrapping_sub(self.reclaimed)
    }
}

/// A ring the card writes and the driver consumes, telling the card how far it is.
#[derive(Debug, Default)]
pub(crate) struct ReportQueue {
    consumed: u32,
    announced: u32,
}

impl ReportQueue {
    /// The next descriptor, if it has come.
    pub(crate) fn take<const N: usize>(
        &mut self,
        platform: &mut impl Platform,
        ring: &Ring,
        phase_of: impl Fn(&[u8; N]) -> bool,
    ) -> Result<Option<[u8; N]>, DeviceError> {
        let bytes = platform.memory().read::<N>(ring.address(self.consumed))?;
        if phase_of(&bytes) != ring.phase(self.consumed) {
            return Ok(None);
        }
        self.consumed = self.consumed.wrapping_add(1);
        Ok(Some(bytes))
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

/// The next aging report.
pub(crate) fn take_aging(
    queue: &mut ReportQueue,
    platform: &mut impl Platform,
    ring: &Ring,
) -> Result<Option<AgingReport>, DeviceError> {
    let phase = |bytes: &[u8; 64]| AgingReport::from_bytes(*bytes).phase();
    Ok(queue
        .take(platform, ring, phase)?
        .map(AgingReport::from_bytes))
}

/// The next counter record.
pub(crate) fn take_counters(
    queue: &mut ReportQueue,
    platform: &mut impl Platform,
    ring: &Ring,
) -> Result<Option<CounterRecord>, DeviceError> {
    let phase = |bytes: &[u8; 64]| CounterRecord::from_bytes(*bytes).phase();
    Ok(queue
        .take(platform, ring, phase)?
        .map(CounterRecord::from_bytes))
}
