//! The way to the host: a packet buffer, prefetched receive buffers, DMA, completion, interrupt.

use super::{Chip, ChipEvent, DropReason};
use crate::clock::Picos;
use crate::datapath::parser::Parsed;
use crate::datapath::trap::Reason;
use crate::event::Schedule;
use crate::host::Outside;
use crate::host::descriptors::{ReceiveBuffer, ReceiveCompletion};
use crate::host::memory::DmaAddress;
use crate::host::registers as reg;
use crate::probe::RingIndex;
use std::collections::VecDeque;

/// Receive buffer descriptors fetched in one DMA read.
const FETCH_BATCH: u32 = 32;
/// Fetch more when fewer than this are left.
const FETCH_BELOW: usize = 64;

/// A frame that waits for its DMA.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    buffer: Option<ReceiveBuffer>,
    completion: ReceiveCompletion,
}

impl Default for ReceiveCompletion {
    fn default() -> Self {
        Self::new()
    }
}

/// State of the receive path.
#[derive(Debug)]
pub(super) struct ReceivePath {
    held: Vec<Held>,
    free: Vec<u32>,
    buffers: VecDeque<ReceiveBuffer>,
    fetched: u32,
    fetching: bool,
    completed: u32,
}

impl ReceivePath {
    pub(super) fn new(frames: u32) -> Self {
        Self {
            held: (0..frames).map(|_| Held::default()).collect(),
            free: (0..frames).rev().collect(),
            buffers: VecDeque::new(),
            fetched: 0,
            fetching: false,
            completed: 0,
        }
    }

    pub(super) fn held(&self) -> u64 {
        (self.held.len() - self.free.len()) as u64
    }

    /// Gives up a frame that waits for its DMA; its tag.
    pub(super) fn lose(&mut self, held: u32) -> Option<u64> {
        let place = self.held.get_mut(held as usize)?;
        place.buffer.take()?;
        self.free.push(held);
        Some(place.completion.ingress_tag())
    }

    /// No buffers, nothing fetched, nothing completed.
    pub(super) fn clear(&mut self) {
        self.buffers.clear();
        (self.fetched, self.fetching, self.completed) = (0, false, 0);
    }
}

impl Chip {
    /// Takes a frame into the packet buffer and starts its DMA.
    #[expect(
        clippy::too_many_arguments,
        reason = "one frame with all that is known of it"
    )]
    pub(super) fn give_to_host(
        &mut self,
        now: Picos,
        reason: Reason,
        cookie: Option<u32>,
        port: u8,
        frame: &[u8],
        wire_len: u32,
        first_bit: Picos,
        parsed: &Parsed,
        ingress_tag: u64,
        schedule: &mut impl Schedule<ChipEvent>,
    ) -> Result<(), DropReason> {
        let Some(buffer) = self.receive.buffers.front().copied() else {
            return Err(DropReason::NoReceiveBuffer);
        };
        if frame.len() as u64 > u64::from(buffer.length_bytes()) {
            return Err(DropReason::TooLongForBuffer);
        }
        let held = self.receive.free.pop().ok_or(DropReason::HostBufferFull)?;
        self.receive.buffers.pop_front();
        let place = &mut self.receive.held[held as usize];
        place.bytes.clear();
        place.bytes.extend_from_slice(frame);
        place.buffer = Some(buffer);
        place.completion = ReceiveCompletion::new()
            .with_reason(reason.code())
            .with_port(port)
            .with_checksums_good(parsed.checksums_good)
            .with_hit(cookie.is_some())
            .with_buffer(buffer.buffer())
            .with_captured_bytes(frame.len() as u32)
            .with_wire_bytes(wire_len)
            .with_cookie(cookie.unwrap_or(0))
            .with_arrival_ns(self.told_time.ns(first_bit))
            .with_ingress_tag(ingress_tag)
            .with_zone(parsed.class.zone)
            .with_ip_offset(parsed.ip_offset)
            .with_tunnel(parsed.way.tunnel as u8)
            .with_tunnel_id(parsed.way.tunnel_id);
        self.pcie_write(now, DmaAddress(buffer.address()), frame.len());
        let ahead = self.receive.held() as u32 - 1;
        let number = self.receive.completed.wrapping_add(ahead);
        let completion = self.completion_ring().address(number);
        let done = self.pcie_write(now, completion, size_of::<ReceiveCompletion>());
        schedule.schedule(done, ChipEvent::FrameDelivered { held });
        self.probe.host_queue(now, self.receive.held());
        self.fetch_buffers(now, schedule);
        Ok(())
    }

    pub(super) fn frame_delivered(&mut self, now: Picos, held: u32, outside: &mut impl Outside) {
        let place = &mut self.receive.held[held as usize];
        self.receive.free.push(held);
        let Some(buffer) = place.buffer.take() else {
            return;
        };
        let ring = self.completion_ring();
        let place = &mut self.receive.held[held as usize];
        let number = self.receive.completed;
        let completion = place.completion.with_phase(ring.phase(number));
        let memory = outside.memory();
        let written = memory
            .write(DmaAddress(buffer.address()), &place.bytes)
            .and_then(|()| memory.write(ring.address(number), &completion.into_bytes()));
        if written.is_err() {
            let tag = place.completion.ingress_tag();
            self.dma_failed();
            self.stats.count_drop(DropReason::Reset);
            outside.frame_lost(tag, now);
            return;
        }
        self.receive.completed = number.wrapping_add(1);
        self.probe
            .ring(now, RingIndex::ReceiveCompleted, self.receive.completed);
        self.probe.host_queue(now, self.receive.held());
        self.deliver_interrupt(now, outside);
    }

    /// Fetches more buffer descriptors if few are left and the driver has posted some.
    pub(super) fn fetch_buffers(&mut self, now: Picos, schedule: &mut impl Schedule<ChipEvent>) {
        let posted = self
            .registers
            .written(reg::RECEIVE_TAIL)
            .wrapping_sub(self.receive.fetched);
        if self.receive.fetching || posted == 0 || self.receive.buffers.len() >= FETCH_BELOW {
            return;
        }
        let ring = self.buffer_ring();
        // A tail further ahead than the ring is long is a driver's mistake; take what can be there.
        let count = ring.contiguous(
            self.receive.fetched,
            posted.min(ring.entries()).min(FETCH_BATCH),
        );
        if count == 0 {
            return;
        }
        self.receive.fetching = true;
        let first = self.receive.fetched;
        let done = self.dma_read(
            now,
            ring.address(first),
            count as usize * size_of::<ReceiveBuffer>(),
        );
        schedule.schedule(done, ChipEvent::BuffersFetched { first, count });
    }

    pub(super) fn buffers_fetched(
        &mut self,
        now: Picos,
        first: u32,
        count: u32,
        schedule: &mut impl Schedule<ChipEvent>,
        outside: &mut impl Outside,
    ) {
        self.receive.fetching = false;
        let ring = self.buffer_ring();
        for number in (0..count).map(|i| first.wrapping_add(i)) {
            match outside.memory().read(ring.address(number)) {
                Ok(bytes) => self
                    .receive
                    .buffers
                    .push_back(ReceiveBuffer::from_bytes(bytes)),
                Err(_) => return self.dma_failed(),
            }
        }
        self.receive.fetched = first.wrapping_add(count);
        self.probe
            .ring(now, RingIndex::ReceiveFetched, self.receive.fetched);
        self.fetch_buffers(now, schedule);
    }

    fn completion_ring(&self) -> crate::host::rings::Ring {
        self.registers.ring(
            reg::RECEIVE_DONE_LOW,
            reg::RECEIVE_ENTRIES,
            size_of::<ReceiveCompletion>() as u32,
        )
    }

    fn buffer_ring(&self) -> crate::host::rings::Ring {
        self.registers.ring(
            reg::RECEIVE_BASE_LOW,
            reg::RECEIVE_ENTRIES,
            size_of::<ReceiveBuffer>() as u32,
        )
    }
}
