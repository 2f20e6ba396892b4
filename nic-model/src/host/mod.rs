//! The hardware/software contract: what the driver sees of the card, and nothing more.
//!
//! [`registers`] in a memory-mapped window, [`descriptors`] in [`rings`] that lie in host [`memory`],
//! data moved by DMA over [`pcie`], and an [`interrupt`]. Both sides use these declarations; the driver
//! has no other way to the card.

pub mod descriptors;
pub mod image;
pub mod interrupt;
pub mod iommu;
pub mod last_level_cache;
pub mod memory;
pub mod pcie;
pub mod registers;
pub mod rings;
pub mod seal;

use crate::clock::Picos;
use memory::{DmaAddress, HostMemory};

/// What the card reaches on the other side of its edge: host memory by DMA, the interrupt line, the wire.
pub trait Outside {
    /// Host memory; a DMA completes when its bytes are read or written here.
    fn memory(&mut self) -> &mut HostMemory;

    /// The card raises its interrupt; the host's handler runs at `at`.
    fn interrupt(&mut self, at: Picos);

    /// The first bit of a frame the host sent leaves `port` at `at`; its `length` bytes lie at `address`. `ingress_tag` is the one of the received
    /// frame it carries on, or [`NO_TAG`].
    fn frame_out(
        &mut self,
        port: u8,
        address: DmaAddress,
        length: usize,
        ingress_tag: u64,
        at: Picos,
    );

    /// A frame the host sent was dropped in the card.
    fn frame_dropped(&mut self, ingress_tag: u64, at: Picos);

    /// A received frame was lost in the card on its way to the host: it was reset, or its DMA failed.
    fn frame_lost(&mut self, ingress_tag: u64, at: Picos) {
        let _ = (ingress_tag, at);
    }
}

/// The tag of a frame that did not come from a port.
pub const NO_TAG: u64 = u64::MAX;
