//! Hardware counters into software entries: by difference to what was read last, so that counters may wrap; or as they are, if
//! reading clears them.

use crate::flaw::{Flaw, Flaws};
use crate::observer::Observer;
use crate::offload::Record;
use conntrack_core::{ConnectionId, Tracker};
use nic_model::config::CounterConfig;
use nic_model::datapath::counter::CounterFormat;
use nic_model::flow_table::entry::KeyDirection;
use nic_model::host::descriptors::{CommandCompletion, TableRecord};

/// Counters of an entry as some report gives them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) packets: [u32; 2],
    pub(crate) bytes: [u64; 2],
    /// When a packet hit the entry last, nanoseconds of the host's clock.
    pub(crate) last_seen_ns: u64,
}

impl Reading {
    /// Those of an entry of the table.
    pub(crate) fn of_entry(entry: &TableRecord) -> Self {
        Self {
            packets: [entry.packets_0(), entry.packets_1()],
            bytes: [entry.bytes_0(), entry.bytes_1()],
            last_seen_ns: entry.last_seen_ns(),
        }
    }

    /// Those of a completion.
    pub(crate) fn of(completion: &CommandCompletion) -> Self {
        Self {
            packets: [completion.packets_0(), completion.packets_1()],
            bytes: [completion.bytes_0(), completion.bytes_1()],
            last_seen_ns: completion.last_seen_ns(),
        }
    }
}

/// What counters show of packets and bytes that they had not shown when they were read last.
fn beyond(now: (u32, u64), last: (u32, u64), counters: &CounterConfig) -> (u64, u64) {
    if counters.clear_on_read {
        return (now.0.into(), now.1);
    }
    let format = CounterFormat::new(counters);
    let packets = now.0.wrapping_sub(last.0) & format.most_packets;
    let bytes = now.1.wrapping_sub(last.1) & format.most_bytes;
    (packets.into(), bytes)
}

/// Whether a reading is older than the last one: nobody forwards half of what a wide counter holds between two.
fn is_older(now: u64, last: u64, counters: &CounterConfig) -> bool {
    let most = CounterFormat::new(counters).most_bytes;
    let wide = counters.byte_bits >= 40 && !counters.clear_on_read;
    wide && now.wrapping_sub(last) & most > most / 2
}

/// Adds what a reading shows beyond the last one to the connection.
pub(crate) fn apply(
    reading: &Reading,
    record: &mut Record,
    (part, counters, flaws): (usize, &CounterConfig, Flaws),
    id: ConnectionId,
    tracker: &mut Tracker,
    observer: &mut impl Observer,
) -> (u64, u64) {
    let mut total = (0, 0);
    if flaws.has(Flaw::CountersReadZero) {
        return total;
    }
    for key_direction in [KeyDirection::LowerToHigher, KeyDirection::HigherToLower] {
        let i = key_direction.index();
        if record.is_split() && key_direction != record.served(part) {
            continue;
        }
        let last = if record.is_split() { part } else { i };
        if is_older(reading.bytes[i], record.bytes[last], counters) {
            continue;
        }
        let (packets, bytes) = beyond(
            (reading.packets[i], reading.bytes[i]),
            (record.packets[last], record.bytes[last]),
            counters,
        );
        if !flaws.has(Flaw::LastReadingForgotten) {
            record.packets[last] = reading.packets[i];
            record.bytes[last] = reading.bytes[i];
        }
        if packets == 0 && bytes == 0 {
            continue;
        }
        record.idle.take(part);
        let mut direction = record.direction(part, key_direction);
        if flaws.has(Flaw::DirectionsSwapped) {
            direction = direction.other();
        }
        let found = tracker.account(id, direction, packets, bytes);
        observer.synchronised(id, direction, packets, bytes, found);
        total.0 += packets;
        total.1 += bytes;
    }
    total
}
