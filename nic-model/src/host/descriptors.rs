//! The bit layouts of everything that crosses PCIe in a ring. The first field named lies in the low bits of
//! the first byte; multi-byte fields are little-endian.
//!
//! Rings written by the card carry a phase bit: it is 1 on the card's first way round the ring, 0 on the
//! second, and so on, so that software can tell a new descriptor from an old one without reading a register.

use modular_bitfield::prelude::*;

/// What the driver posts in the receive buffer ring: one empty buffer.
#[bitfield(bytes = 16)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveBuffer {
    /// Where the frame is to be written.
    pub address: B64,
    /// Room in the buffer, bytes.
    pub length_bytes: B32,
    /// The driver's name for the buffer; comes back in the completion.
    pub buffer: B32,
}

/// One received frame.
#[bitfield(bytes = 48)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveCompletion {
    /// Phase of the ring.
    pub phase: bool,
    /// Why the frame came to the host: a `datapath::trap::Reason` code.
    pub reason: B7,
    /// Port it arrived at.
    pub port: B8,
    /// IP header checksum and TCP, UDP, ICMP checksum were verified and are right.
    pub checksums_good: bool,
    /// The frame hit a flow entry: `cookie` is valid.
    pub hit: bool,
    #[skip]
    __: B14,
    /// The buffer it lies in.
    pub buffer: B32,
    /// Bytes in the buffer.
    pub captured_bytes: B32,
    /// Length on the wire without FCS.
    pub wire_bytes: B32,
    /// Cookie of the entry it hit.
    pub cookie: B32,
    #[skip]
    __: B32,
    /// First bit at the port, nanoseconds on the card's clock.
    pub arrival_ns: B64,
    /// Number the port gave the frame; to be copied into the transmit descriptor if the frame is sent on.
    pub ingress_tag: B64,
    #[skip]
    __: B64,
}

/// One frame to send.
#[bitfield(bytes = 32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransmitDescriptor {
    /// Where the frame lies.
    pub address: B64,
    /// Bytes to send.
    pub captured_bytes: B32,
    /// Length on the wire without FCS (longer than `captured_bytes` only for frames cut by a capture).
    pub wire_bytes: B32,
    /// Port to send it by.
    pub port: B8,
    #[skip]
    __: B56,
    /// The received frame's tag, or all ones.
    pub ingress_tag: B64,
}

/// What a command asks for.
#[derive(Specifier, Debug, Clone, Copy, PartialEq, Eq)]
#[bits = 4]
pub enum Opcode {
    /// Does nothing and completes.
    Nop = 0,
    /// Puts an entry into the table.
    Insert = 1,
    /// Takes an entry out and reads its final counters.
    Delete = 2,
    /// Reads the counters of an entry.
    ReadCounters = 3,
}

/// A command to the firmware.
#[bitfield(bytes = 64)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// What to do.
    pub opcode: Opcode,
    #[skip]
    __: B4,
    /// Insert: decrement TTL or hop limit.
    pub decrement_ttl: bool,
    /// Insert: the originator is the key's lower endpoint.
    pub originator_is_lower: bool,
    #[skip]
    __: B22,
    /// Comes back in the completion.
    pub sequence: B32,
    /// Insert: name of the entry. Delete, read: the entry must carry this name.
    pub cookie: B32,
    /// Insert: egress port of packets from the key's lower endpoint.
    pub egress_lower_to_higher: B8,
    /// Insert: egress port of packets from the key's higher endpoint.
    pub egress_higher_to_lower: B8,
    #[skip]
    __: B16,
    /// Flow key, word 0.
    pub key_0: B64,
    /// Flow key, word 1.
    pub key_1: B64,
    /// Flow key, word 2.
    pub key_2: B64,
    /// Flow key, word 3.
    pub key_3: B64,
    /// Flow key, word 4.
    pub key_4: B64,
    #[skip]
    __: B64,
}

/// How a command ended.
#[derive(Specifier, Debug, Clone, Copy, PartialEq, Eq)]
#[bits = 4]
pub enum Status {
    /// Done.
    Done = 0,
    /// Insert: no place for the entry.
    TableFull = 1,
    /// Insert: an entry with this key is there already.
    Duplicate = 2,
    /// Delete, read: no entry with this key and cookie.
    NotFound = 3,
    /// The command's opcode or fields make no sense.
    Invalid = 4,
}

/// Completion of a command; counters are those of the entry at that moment (delete, read), or of the one that gave way (insert).
#[bitfield(bytes = 64)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandCompletion {
    /// Phase of the ring.
    pub phase: bool,
    #[skip]
    __: B3,
    /// How the command ended.
    pub status: Status,
    /// What it was.
    pub opcode: Opcode,
    /// Insert: another entry gave way; counters and last-seen time are its final ones.
    pub evicted: bool,
    #[skip]
    __: B3,
    /// Entries moved to make room.
    pub moves: B16,
    /// The command's sequence number.
    pub sequence: B32,
    /// The command's cookie.
    pub cookie: B32,
    /// Where the entry lies or lay.
    pub slot: B32,
    /// Packets lower to higher, modulo 2^32.
    pub packets_0: B32,
    /// Packets higher to lower, modulo 2^32.
    pub packets_1: B32,
    /// Bytes lower to higher, modulo 2^48.
    pub bytes_0: B48,
    /// Bytes higher to lower, modulo 2^48.
    pub bytes_1: B48,
    #[skip]
    __: B32,
    /// No packet hit the entry after this time, nanoseconds.
    pub last_seen_ns: B64,
    /// Insert: the cookie of the entry that gave way.
    pub evicted_cookie: B32,
    #[skip]
    __: B96,
}

/// An idle entry, reported by the aging engine.
#[bitfield(bytes = 32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgingReport {
    /// Phase of the ring.
    pub phase: bool,
    #[skip]
    __: B31,
    /// The entry's name.
    pub cookie: B32,
    /// No packet hit the entry after this time, nanoseconds.
    pub last_seen_ns: B64,
    /// Where it lies.
    pub slot: B32,
    #[skip]
    __: B96,
}

/// Counters of an entry that was hit since its last record.
#[bitfield(bytes = 64)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterRecord {
    /// Phase of the ring.
    pub phase: bool,
    #[skip]
    __: B31,
    /// The entry's name.
    pub cookie: B32,
    /// Packets lower to higher, modulo 2^32.
    pub packets_0: B32,
    /// Packets higher to lower, modulo 2^32.
    pub packets_1: B32,
    /// Bytes lower to higher, modulo 2^48.
    pub bytes_0: B48,
    /// Bytes higher to lower, modulo 2^48.
    pub bytes_1: B48,
    #[skip]
    __: B32,
    /// No packet hit the entry after this time, nanoseconds.
    pub last_seen_ns: B64,
    #[skip]
    __: B128,
    #[skip]
    __: B64,
}
