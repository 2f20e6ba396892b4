//! Every signal, declared once: its place in the block diagram, its width, and the names of its values.

use super::{MOVE, NO_REASON, RingIndex, SEARCH};
use crate::chip::{DropReason, PORTS};
use crate::datapath::trap::Reason;
use crate::host::registers;
use waveforms::{Design, SignalId};

/// A stage that takes packets: `valid` while one is offered, `ready` while it would be taken, `occupancy` packets inside.
#[derive(Clone, Copy)]
pub(super) struct Handshake {
    pub(super) valid: SignalId,
    pub(super) ready: SignalId,
    pub(super) occupancy: SignalId,
}

#[derive(Clone, Copy)]
pub(super) struct PortSignals {
    pub(super) rx_valid: SignalId,
    pub(super) rx_length: SignalId,
    pub(super) rx_fifo_bytes: SignalId,
    pub(super) tx_valid: SignalId,
    pub(super) tx_length: SignalId,
}

#[derive(Clone, Copy)]
pub(super) struct Dma {
    pub(super) valid: SignalId,
    pub(super) bytes: SignalId,
    pub(super) outstanding: SignalId,
}

macro_rules! signals {
    ($($name:ident: $kind:ident($($argument:expr),*),)*) => {
        /// All signals of the board.
        pub(super) struct Signals {
            $(pub(super) $name: signals!(@type $kind),)*
        }

        impl Signals {
            /// Declares every signal; the design is what view files and triggers are made from.
            pub(super) fn declare(design: &mut Design) -> Self {
                Self { $($name: $kind(design, $($argument),*),)* }
            }
        }
    };
    (@type number) => { SignalId };
    (@type named) => { SignalId };
    (@type stage) => { Handshake };
    (@type dma) => { Dma };
    (@type ports) => { [PortSignals; PORTS] };
    (@type rings) => { [SignalId; RingIndex::ALL.len()] };
}

signals! {
    ports: ports(),
    parser: stage("board.parser"),
    parser_port: number("board.parser.port", 1),
    parser_length: number("board.parser.length", 18),
    parser_header_bytes: number("board.parser.header_bytes", 11),
    classifier: stage("board.classifier"),
    classifier_searches: number("board.classifier.searches", 8),
    classifier_zone: number("board.classifier.zone", 16),
    hash: stage("board.hash"),
    hash_first: number("board.hash.choice_1", 32),
    hash_second: number("board.hash.choice_2", 32),
    lookup: stage("board.lookup"),
    lookup_hit: number("board.lookup.hit", 1),
    lookup_miss: number("board.lookup.miss", 1),
    lookup_stash: number("board.lookup.stash", 1),
    lookup_slot: number("board.lookup.slot", 32),
    lookup_cookie: number("board.lookup.cookie", 32),
    lower_ip: number("board.lookup.lower_ip", 64),
    lower_ip_high: number("board.lookup.lower_ip_high", 64),
    lower_port: number("board.lookup.lower_port", 16),
    higher_ip: number("board.lookup.higher_ip", 64),
    higher_ip_high: number("board.lookup.higher_ip_high", 64),
    higher_port: number("board.lookup.higher_port", 16),
    protocol: number("board.lookup.protocol", 8),
    memory_outstanding: number("board.memory.outstanding", 16),
    memory_cache_miss: number("board.memory.cache_miss", 1),
    trap_valid: number("board.trap.valid", 1),
    trap_reason: named("board.trap.reason", 5, reasons()),
    behind_ct: stage("board.behind_ct"),
    behind_ct_searches: number("board.behind_ct.searches", 8),
    behind_ct_mark: number("board.behind_ct.mark", 32),
    behind_ct_labels: number("board.behind_ct.labels", 64),
    behind_ct_labels_high: number("board.behind_ct.labels_high", 64),
    counter_valid: number("board.counter.valid", 1),
    counter_wait: number("board.counter.waiting", 8),
    rewrite_valid: number("board.rewrite.valid", 1),
    rewrite_fields: number("board.rewrite.fields", 8),
    drop_valid: number("board.drop.valid", 1),
    drop_reason: named("board.drop.reason", DROP_REASON_BITS, drops()),
    host_held_frames: number("board.host.receive.held_frames", 17),
    rings: rings(),
    dma_read: dma("board.host.dma_read"),
    dma_write: dma("board.host.dma_write"),
    doorbell_write: number("board.host.registers.write", 1),
    doorbell_offset: named("board.host.registers.offset", 12, register_names()),
    doorbell_value: number("board.host.registers.value", 32),
    interrupt: number("board.host.interrupt", 1),
    table_entries: number("board.table.entries", 32),
    table_stash: number("board.table.stash", 11),
    table_moves: number("board.table.moves", 32),
    insertion_state: named("board.insertion.state", 2, [(0, "idle"), (SEARCH, "search"), (MOVE, "move")]),
    insertion_visited: number("board.insertion.visited_buckets", 16),
    insertion_moves: number("board.insertion.moves", 16),
    insertion_full: number("board.insertion.full", 1),
    aging_scan: number("board.aging.scan", 1),
    aging_block: number("board.aging.block", 32),
    aging_found: number("board.aging.found", 16),
    firmware_busy: number("board.firmware.busy", 1),
    firmware_opcode: named("board.firmware.opcode", 5, OPCODES),
    firmware_queue: number("board.firmware.queue", 16),
}

/// Width of the signal that says why a frame was dropped; 0 is none.
pub(super) const DROP_REASON_BITS: u32 = 4;

/// What the firmware works on, as [`super::Probe::firmware`] is told.
const OPCODES: [(u64, &str); 17] = [
    (0, "nop"),
    (1, "insert"),
    (2, "delete"),
    (3, "read-counters"),
    (4, "rewrite"),
    (5, "touch"),
    (6, "update"),
    (7, "dump"),
    (8, "read-log"),
    (9, "write-image"),
    (10, "accept-image"),
    (11, "marking"),
    (12, "mark"),
    (16, "aging-report"),
    (17, "counter-batch"),
    (18, "place"),
    (19, "invalid"),
];

fn reasons() -> Vec<(u64, &'static str)> {
    let codes = Reason::ALL
        .iter()
        .map(|reason| (u64::from(reason.code()), reason.name()));
    [(NO_REASON, "none")].into_iter().chain(codes).collect()
}

fn drops() -> Vec<(u64, &'static str)> {
    let codes = DropReason::ALL
        .iter()
        .map(|reason| (*reason as u64 + 1, reason.name()));
    [(0, "none")].into_iter().chain(codes).collect()
}

fn register_names() -> Vec<(u64, &'static str)> {
    let map = registers::MAP.iter();
    map.map(|register| (u64::from(register.offset), register.name))
        .collect()
}

fn number(design: &mut Design, path: &str, width_bits: u32) -> SignalId {
    let (scope, name) = path.rsplit_once('.').unwrap_or(("", path));
    let scope = design.scope(scope);
    design.signal(scope, name, width_bits)
}

fn named(
    design: &mut Design,
    path: &str,
    width_bits: u32,
    names: impl IntoIterator<Item = (u64, &'static str)>,
) -> SignalId {
    let signal = number(design, path, width_bits);
    design.enumerate(signal, names);
    signal
}

fn stage(design: &mut Design, scope: &str) -> Handshake {
    let valid = number(design, &format!("{scope}.valid"), 1);
    let ready = number(design, &format!("{scope}.ready"), 1);
    design.begin_with(ready, 1);
    Handshake {
        valid,
        ready,
        occupancy: number(design, &format!("{scope}.occupancy"), 16),
    }
}

fn dma(design: &mut Design, scope: &str) -> Dma {
    Dma {
        valid: number(design, &format!("{scope}.valid"), 1),
        bytes: number(design, &format!("{scope}.bytes"), 20),
        outstanding: number(design, &format!("{scope}.outstanding"), 16),
    }
}

fn ports(design: &mut Design) -> [PortSignals; PORTS] {
    std::array::from_fn(|port| {
        let mut signal =
            |name: &str, width| number(design, &format!("board.port{port}.{name}"), width);
        PortSignals {
            rx_valid: signal("rx.valid", 1),
            rx_length: signal("rx.length", 18),
            rx_fifo_bytes: signal("rx.fifo_bytes", 28),
            tx_valid: signal("tx.valid", 1),
            tx_length: signal("tx.length", 18),
        }
    })
}

fn rings(design: &mut Design) -> [SignalId; RingIndex::ALL.len()] {
    RingIndex::ALL.map(|index| number(design, index.path(), 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::descriptors::Opcode;

    #[test]
    fn every_opcode_has_its_name() {
        for (code, name, _) in Opcode::LAYOUT.values {
            let known = OPCODES.iter().find(|(known, _)| *known == u64::from(*code));
            let known = known.map(|(_, name)| name.replace('-', ""));
            assert_eq!(known, Some(name.to_lowercase()));
        }
    }
}
