//! The way from the host: descriptors by DMA, frames by DMA, the egress port, the count written back.

use super::{Chip, ChipEvent, PORTS};
use crate::clock::Picos;
use crate::event::Schedule;
use crate::flow_table::entry::flag;
use crate::host::Outside;
use crate::host::descriptors::TransmitDescriptor;
use crate::host::memory::DmaAddress;
use crate::host::registers as reg;
use crate::host::rings::Ring;
use crate::probe::RingIndex;

/// Transmit descriptors fetched in one DMA read.
const FETCH_BATCH: u32 = 16;
/// Longest frame the port takes from the host, bytes.
const MAX_FRAME_BYTES: u32 = 1 << 18;

/// State of the transmit path.
#[derive(Debug, Default)]
pub(super) struct TransmitPath {
    fetched: u32,
    fetching: bool,
    payloads_outstanding: u32,
    done: u32,
}

/// What a frame carries behind Ethernet header and VLAN tags, bytes; 0 if that is not IP.
fn ip_bytes(frame: &[u8], wire_len: u32) -> u32 {
    let offset = packet::ethernet::ip_offset(frame);
    offset.map_or(0, |offset| wire_len.saturating_sub(offset as u32))
}

impl Chip {
    pub(super) fn fetch_transmit(&mut self, now: Picos, schedule: &mut impl Schedule<ChipEvent>) {
        let posted = self
            .registers
            .written(reg::TRANSMIT_TAIL)
            .wrapping_sub(self.transmit.fetched);
        if self.transmit.fetching || posted == 0 {
            return;
        }
        let ring = self.transmit_ring();
        let first = self.transmit.fetched;
        let count = ring.contiguous(first, posted.min(ring.entries()).min(FETCH_BATCH));
        if count == 0 {
            return;
        }
        self.transmit.fetching = true;
        let done = self.dma_read(
            now,
            ring.address(first),
            count as usize * size_of::<TransmitDescriptor>(),
        );
        schedule.schedule(done, ChipEvent::TransmitFetched { first, count });
    }

    pub(super) fn transmit_fetched(
        &mut self,
        now: Picos,
        first: u32,
        count: u32,
        schedule: &mut impl Schedule<ChipEvent>,
        outside: &mut impl Outside,
    ) {
        self.transmit.fetching = false;
        let ring = self.transmit_ring();
        for number in (0..count).map(|i| first.wrapping_add(i)) {
            let Ok(bytes) = outside.memory().read(ring.address(number)) else {
                return self.dma_failed();
            };
            let descriptor = TransmitDescriptor::from_bytes(bytes);
            let length = descriptor.captured_bytes().min(MAX_FRAME_BYTES) as usize;
            let done = self.dma_read(now, DmaAddress(descriptor.address()), length);
            self.transmit.payloads_outstanding += 1;
            schedule.schedule(done, ChipEvent::TransmitPayload { number, descriptor });
        }
        self.transmit.fetched = first.wrapping_add(count);
        self.probe
            .ring(now, RingIndex::TransmitFetched, self.transmit.fetched);
        self.fetch_transmit(now, schedule);
    }

    pub(super) fn transmit_payload(
        &mut self,
        now: Picos,
        number: u32,
        descriptor: &TransmitDescriptor,
        schedule: &mut impl Schedule<ChipEvent>,
        outside: &mut impl Outside,
    ) {
        self.transmit.payloads_outstanding = self.transmit.payloads_outstanding.saturating_sub(1);
        self.send(now, descriptor, outside);
        self.transmit.done = number.wrapping_add(1);
        self.probe
            .ring(now, RingIndex::TransmitDone, self.transmit.done);
        if self.transmit.payloads_outstanding == 0 {
            let value = self.transmit.done;
            let address = self.registers.address(reg::TRANSMIT_HEAD_LOW);
            let at = self.pcie_write(now, address, size_of::<u32>());
            schedule.schedule(at, ChipEvent::TransmitHead { value });
        }
    }

    fn send(&mut self, now: Picos, descriptor: &TransmitDescriptor, outside: &mut impl Outside) {
        let length = descriptor.captured_bytes();
        let (tag, port) = (descriptor.ingress_tag(), descriptor.port());
        if descriptor.barred() {
            self.give_back(now, descriptor.cookie());
        }
        let address = DmaAddress(descriptor.address());
        let frame = outside.memory().slice(address, length as usize);
        let Some(frame) = frame.ok().filter(|_| length <= MAX_FRAME_BYTES) else {
            outside.frame_dropped(tag, now);
            return self.dma_failed();
        };
        let wire_len = descriptor.wire_bytes().max(length).min(MAX_FRAME_BYTES);
        let ready = now + self.timing.cycle;
        let egress = usize::from(port) % PORTS;
        let fits = ip_bytes(frame, wire_len) <= self.mtus[egress];
        let departs = fits.then(|| self.ports[egress].transmit(ready, wire_len));
        match departs.flatten() {
            Some(departs) => {
                self.stats.host_sent_frames += 1;
                self.probe.egress(port, departs, wire_len, None);
                outside.frame_out(port, address, length as usize, tag, departs);
            }
            None => {
                self.stats.host_send_dropped += 1;
                outside.frame_dropped(tag, now);
            }
        }
    }

    /// A packet that a barrier held has passed the host; after the last, the entry forwards.
    fn give_back(&mut self, now: Picos, cookie: u32) {
        let Some(slot) = self.barriers.leave(cookie) else {
            return;
        };
        // Where the entry has moved meanwhile, its next packet opens it.
        if self
            .table
            .state(slot)
            .is_some_and(|state| state.cookie() == cookie)
        {
            self.barriers.end(cookie);
            self.table
                .with_state(slot, |state| state.clear(flag::BARRIER));
            self.memory.written(now, slot, &mut self.pcie);
        }
    }

    fn transmit_ring(&self) -> Ring {
        self.registers.ring(
            reg::TRANSMIT_BASE_LOW,
            reg::TRANSMIT_ENTRIES,
            size_of::<TransmitDescriptor>() as u32,
        )
    }
}
