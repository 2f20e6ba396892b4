//! Frames on their way to the board: a burst of them, and where they come from.
//!
//! A [`Burst`] owns the bytes of up to [`Burst::CAPACITY`] frames in one buffer that is reused,
//! so that millions of packets cost no allocation. Each frame carries what the testbench knows
//! about it and the chip must find out by itself: which flow it belongs to. The monitors judge the
//! board by that independent knowledge.

use nic_model::clock::Picos;
use nic_model::frame::FrameBuffer;

/// What the testbench knows of one frame besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameMeta {
    /// When the first bit reaches the port.
    pub arrival: Picos,
    /// Port of the NIC the frame arrives at (0 = client side, 1 = server side).
    pub port: u8,
    /// Frame length on the wire in bytes, without FCS; at least the captured length.
    pub wire_len: u32,
    /// Flow the frame belongs to, dense from 0, both directions alike; [`FrameMeta::NO_FLOW`] if none.
    pub flow: u32,
    /// 1-based number of the frame in its source (file order for a capture).
    pub number: u64,
}

impl FrameMeta {
    /// The frame belongs to no flow (ARP, LLDP, a damaged header).
    pub const NO_FLOW: u32 = u32::MAX;
}

/// Up to [`Burst::CAPACITY`] frames in order of arrival.
#[derive(Debug, Default)]
pub struct Burst {
    bytes: Vec<u8>,
    frames: Vec<(FrameMeta, u32, u32)>,
}

impl Burst {
    /// How many frames enter a stage together (see "Work in bursts" in the architecture).
    pub const CAPACITY: usize = 32;

    /// Forgets all frames and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }

    /// How many more frames fit.
    pub fn room(&self) -> usize {
        Self::CAPACITY.saturating_sub(self.frames.len())
    }

    /// Number of frames in the burst.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether the burst holds no frame.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Appends a frame whose captured bytes are `bytes`. The caller keeps arrival times non-decreasing.
    #[inline]
    pub fn push(&mut self, meta: FrameMeta, bytes: &[u8]) {
        debug_assert!(self.room() > 0, "a burst holds {} frames", Self::CAPACITY);
        self.bytes.extend_from_slice(&[0; FrameBuffer::HEADROOM]);
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        self.frames.push((meta, start, self.bytes.len() as u32));
    }

    /// The `index`-th frame: what is known of it, and its captured bytes.
    #[inline]
    pub fn frame(&self, index: usize) -> (&FrameMeta, &[u8]) {
        let (meta, start, end) = &self.frames[index];
        (meta, &self.bytes[*start as usize..*end as usize])
    }

    /// The `index`-th frame, its bytes to change.
    #[inline]
    pub fn frame_mut(&mut self, index: usize) -> (&FrameMeta, FrameBuffer<'_>) {
        let (meta, start, end) = &self.frames[index];
        let begin = *start as usize - FrameBuffer::HEADROOM;
        let buffer = &mut self.bytes[begin..*end as usize];
        (meta, FrameBuffer::new(buffer, FrameBuffer::HEADROOM))
    }

    /// Arrival of the first frame, if any.
    pub fn first_arrival(&self) -> Option<Picos> {
        self.frames.first().map(|(meta, _, _)| meta.arrival)
    }
}

/// A source of frames in order of arrival.
pub trait Traffic {
    /// Appends frames to `burst` while it has room; leaves it as it was when the source is exhausted.
    fn fill(&mut self, burst: &mut Burst);

    /// Frames this source will give in all, if known (for the progress bar).
    fn total_frames(&self) -> Option<u64>;

    /// Number of flows numbered so far: every [`FrameMeta::flow`] given is below it.
    fn flow_count(&self) -> u32;
}
