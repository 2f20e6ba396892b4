//! How frames leave that came to software: whole, in fragments, or not at all, and perhaps a message goes back.

use super::*;
use nic_model::host::memory::DmaAddress;
use packet::ethernet::ip_offset;

impl Driver {
    /// Sends, holds or drops the frame in a buffer, and sees to the buffer; what was done in the end.
    pub(super) fn dispose(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        wanted: Disposition,
        translated: Option<&Verdict>,
    ) -> Result<Disposition, DeviceError> {
        let buffer = completion.buffer();
        let done = match wanted {
            Disposition::Held => return Ok(wanted),
            Disposition::Sent(port) => {
                let done = self.send_or_answer(platform, completion, port, translated)?;
                if matches!(done, Disposition::Sent(_) | Disposition::Answered) {
                    // The buffer is in use until the card has sent what lies there.
                    return Ok(done);
                }
                done
            }
            other => other,
        };
        self.receive.post(platform, &self.layout, buffer)?;
        Ok(done)
    }

    /// Sends a frame, whole or in fragments, or tells its sender that it is too long; what was done.
    fn send_or_answer(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        port: u8,
        translated: Option<&Verdict>,
    ) -> Result<Disposition, DeviceError> {
        Ok(match self.fit(platform, completion, port)? {
            Fit::Dropped => Disposition::DroppedTooLong,
            Fit::Answered if self.answer(platform, completion, port)? => Disposition::Answered,
            Fit::Answered => Disposition::DroppedRingFull,
            _ if !self.translate(platform, completion, translated)? => Disposition::DroppedInvalid,
            Fit::Whole if self.send(platform, completion, port)? => Disposition::Sent(port),
            Fit::InFragments if self.send_in_fragments(platform, completion, port)? => {
                Disposition::Sent(port)
            }
            Fit::Whole | Fit::InFragments => Disposition::DroppedRingFull,
        })
    }

    /// What becomes of a frame at the port it would leave by. Only a router tells or cuts.
    fn fit(
        &self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        port: u8,
    ) -> Result<Fit, DeviceError> {
        let mtu = self.mtu(port);
        if completion.wire_bytes() <= mtu {
            return Ok(Fit::Whole);
        }
        let (address, length) = self.frame_in(completion);
        let frame = platform.memory().slice(address, length)?;
        let silent = !self.config.route || self.config.flaws.has(Flaw::TooLongUnanswered);
        Ok(
            match too_long::fit(frame, mtu, self.layout.buffer_bytes as usize) {
                Fit::Answered if silent => Fit::Dropped,
                Fit::InFragments if !self.config.route => Fit::Dropped,
                fit => fit,
            },
        )
    }

    const fn mtu(&self, port: u8) -> u32 {
        self.layout.mtus[port as usize % 2]
    }

    /// Where a received frame lies, and how many bytes of it.
    pub(super) fn frame_in(&self, completion: &ReceiveCompletion) -> (DmaAddress, usize) {
        let length = completion.captured_bytes().min(self.layout.buffer_bytes);
        let address = self.layout.buffer_address(completion.buffer());
        (address, length as usize)
    }

    /// Tells the sender of a frame, in its place, that it is too long for a port; `false` if the transmit ring is full.
    fn answer(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        port: u8,
    ) -> Result<bool, DeviceError> {
        let (address, length) = self.frame_in(completion);
        let room = self.layout.buffer_bytes as usize;
        let buffer = platform.memory().slice_mut(address, room)?;
        let (mtu, router) = (self.mtu(port), &self.config.router);
        let Some(length) = too_long::answer(buffer, length, mtu, router) else {
            return Ok(false);
        };
        let message = TransmitDescriptor::new()
            .with_address(address.0)
            .with_captured_bytes(length as u32)
            .with_wire_bytes(length as u32)
            .with_ingress_tag(TransmitDescriptor::NO_TAG);
        let message = last_of(message, completion).with_port(completion.port());
        let buffer = Some(completion.buffer());
        let is_posted = (self.transmit).post(platform, &self.layout.transmit, buffer, &message)?;
        self.stats.answers += u64::from(is_posted);
        Ok(is_posted)
    }

    /// Sends a frame in fragments, which lie in its buffer one behind the other: the last one has its tag.
    fn send_in_fragments(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        port: u8,
    ) -> Result<bool, DeviceError> {
        let (address, length) = self.frame_in(completion);
        let (mtu, room) = (self.mtu(port), self.layout.buffer_bytes as usize);
        let buffer = platform.memory().slice_mut(address, room)?;
        if let Some(l3_offset) = ip_offset(buffer) {
            decrement_ttl(buffer, l3_offset);
        }
        let pieces = too_long::split(buffer, length, mtu).unwrap_or_default();
        let ring = &self.layout.transmit;
        let Some(last) = pieces.len().checked_sub(1) else {
            return Ok(false);
        };
        if !self.transmit.has_room(ring, pieces.len() as u32) {
            return Ok(false);
        }
        for (number, piece) in pieces.iter().enumerate() {
            let fragment = TransmitDescriptor::new()
                .with_address(address.offset(piece.offset as u64).0)
                .with_captured_bytes(piece.captured_bytes as u32)
                .with_wire_bytes(piece.wire_bytes as u32)
                .with_port(port);
            let (fragment, buffer) = if number == last {
                let last = last_of(fragment, completion);
                let tag = completion.ingress_tag();
                (last.with_ingress_tag(tag), Some(completion.buffer()))
            } else {
                (fragment.with_ingress_tag(TransmitDescriptor::NO_TAG), None)
            };
            self.transmit.post(platform, ring, buffer, &fragment)?;
        }
        self.stats.fragments_made += last as u64;
        Ok(true)
    }

    /// Writes translated addresses into a frame, if its verdict is given; whether it can be sent.
    fn translate(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        translated: Option<&Verdict>,
    ) -> Result<bool, DeviceError> {
        let Some(verdict) = translated else {
            return Ok(true);
        };
        let now = self.time(platform);
        let (address, length) = self.frame_in(completion);
        let frame = platform.memory().slice_mut(address, length)?;
        let Some(packet) = ip_offset(frame).and_then(|offset| frame.get_mut(offset..)) else {
            return Ok(true);
        };
        Ok(translation::rewrite(&mut self.tracker, verdict, packet, now).is_ok())
    }

    fn send(
        &mut self,
        platform: &mut impl Platform,
        completion: &ReceiveCompletion,
        port: u8,
    ) -> Result<bool, DeviceError> {
        let (address, length) = self.frame_in(completion);
        if self.config.route {
            let frame = platform.memory().slice_mut(address, length)?;
            if let Some(l3_offset) = ip_offset(frame) {
                decrement_ttl(frame, l3_offset);
            }
        }
        let frame = TransmitDescriptor::new()
            .with_address(address.0)
            .with_captured_bytes(length as u32)
            .with_wire_bytes(completion.wire_bytes())
            .with_port(port)
            .with_ingress_tag(completion.ingress_tag());
        let frame = last_of(frame, completion);
        let buffer = Some(completion.buffer());
        self.transmit
            .post(platform, &self.layout.transmit, buffer, &frame)
    }

    /// The rest of a datagram shares the fate of the fragment that decided it.
    pub(super) fn release(
        &mut self,
        platform: &mut impl Platform,
        key: &fragments::DatagramKey,
        fate: Disposition,
        translated: Option<&Verdict>,
        observer: &mut impl Observer,
    ) -> Result<(), DeviceError> {
        let wanted = match fate {
            Disposition::Sent(_) => fate,
            _ => Disposition::DroppedFragment,
        };
        for completion in self.held.release(key) {
            let done = self.dispose(platform, &completion, wanted, translated)?;
            observer.released(completion.ingress_tag(), done, platform.now());
        }
        Ok(())
    }
}

/// Nothing that leaves after this is left of a received frame: its barrier, if there was one, may have it back.
fn last_of(descriptor: TransmitDescriptor, completion: &ReceiveCompletion) -> TransmitDescriptor {
    let barred = completion.reason() == Reason::Barrier.code();
    descriptor
        .with_barred(barred)
        .with_cookie(completion.cookie())
}
