//! Hardware counters into software entries: by difference to what was read last, so that counters may wrap.

use crate::observer::Observer;
use crate::offload::Record;
use conntrack_core::{ConnectionId, Tracker};
use nic_model::flow_table::entry::KeyDirection;

/// Byte counters wrap at 48 bits.
const BYTES_MASK: u64 = (1 << 48) - 1;

/// Counters of an entry as some report gives them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) packets: [u32; 2],
    pub(crate) bytes: [u64; 2],
}

/// Adds what a reading shows beyond the last one to the connection.
pub(crate) fn apply(
    reading: &Reading,
    record: &mut Record,
    part: usize,
    id: ConnectionId,
    tracker: &mut Tracker,
    observer: &mut impl Observer,
) -> (u64, u64) {
    let mut total = (0, 0);
    for key_direction in [KeyDirection::LowerToHigher, KeyDirection::HigherToLower] {
        let i = key_direction.index();
        if record.is_split() && key_direction != record.served(part) {
            continue;
        }
        let last = if record.is_split() { part } else { i };
        let packets = u64::from(reading.packets[i].wrapping_sub(record.packets[last]));
        let bytes = reading.bytes[i].wrapping_sub(record.bytes[last]) & BYTES_MASK;
        record.packets[last] = reading.packets[i];
        record.bytes[last] = reading.bytes[i];
        if packets == 0 && bytes == 0 {
            continue;
        }
        record.idle.take(part);
        let direction = record.direction(part, key_direction);
        let found = tracker.account(id, direction, packets, bytes);
        observer.synchronised(id, direction, packets, bytes, found);
        total.0 += packets;
        total.1 += bytes;
    }
    total
}
