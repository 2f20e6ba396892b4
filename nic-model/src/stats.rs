//! Counts of everything the chip did, kept by the chip itself: to look at, never to act on.

use crate::chip::DropReason;
use crate::datapath::trap::Reason;

/// Packets and their bytes (frame lengths on the wire without FCS).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The counts.
#[derive(Debug, Clone, Default)]
pub struct ChipStats {
    /// Frames that reached a port.
    pub received_frames: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Table look-ups.
    pub lookups: u64,
    /// Frames forwarded without the host.
    pub forwarded_frames: u64,
    /// Their bytes.
    pub forwarded_bytes: u64,
    /// Packets counted in entries, those dropped at a congested egress port included.
    pub counted_packets: u64,
    /// Their IP bytes.
    pub counted_bytes: u64,
    /// Frames given to the host, by reason code.
    pub to_host: [Count; Reason::ALL.len()],
    /// Frames dropped, by reason code.
    pub dropped: [u64; DropReason::ALL.len()],
    /// Copies sent by rules of the classifier, and copies there was no room for.
    pub mirrored: [u64; 2],
    /// Frames that were being sent on already when their FCS turned out to be wrong (cut-through).
    pub stomped_frames: u64,
    /// Frames sent for the host.
    pub host_sent_frames: u64,
    /// Frames of the host dropped at a congested port.
    pub host_send_dropped: u64,
    /// Insertions that found a place.
    pub table_inserted: u64,
    /// Entries removed.
    pub table_removed: u64,
    /// Entries that gave way to others.
    pub table_evicted: u64,
    /// Most entries at once.
    pub table_peak: u32,
    /// Most stash entries at once.
    pub stash_peak: u32,
    /// DMA accesses outside host memory.
    pub dma_errors: u64,
}

impl ChipStats {
    #[inline]
    pub(crate) fn count_to_host(&mut self, reason: Reason, bytes: u32) {
        let count = &mut self.to_host[usize::from(reason.code())];
        count.packets += 1;
        count.bytes += u64::from(bytes);
    }

    pub(crate) fn count_drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }

    pub(crate) fn note_occupancy(&mut self, entries: u32, stash: u32) {
        self.table_peak = self.table_peak.max(entries);
        self.stash_peak = self.stash_peak.max(stash);
    }

    /// Frames given to the host for any reason.
    pub fn to_host_total(&self) -> Count {
        self.to_host
            .iter()
            .fold(Count::default(), |sum, count| Count {
                packets: sum.packets + count.packets,
                bytes: sum.bytes + count.bytes,
            })
    }

    /// Frames dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}
