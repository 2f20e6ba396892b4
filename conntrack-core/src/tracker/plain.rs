//! What almost all packets are: data, or an acknowledgment, of an established TCP connection, over IPv4 without options.
//!
//! The same that happens to every packet happens to them, but what cannot happen is not asked about. Whatever is out of the
//! ordinary, of the packet or of its connection, is left to the path of every packet before anything is changed.

use super::{ChecksumStatus, Packet, Tracker};
use crate::connection::Connection;
use crate::id::ConnectionId;
use crate::protocol::ProtocolState;
use crate::protocol::tcp::TcpState;
use crate::status::Status;
use crate::timeout::Time;
use crate::tuple::{Direction, Tuple, Zone};
use crate::verdict::{CtInfo, Verdict};
use packet::checksum;

const TCP: u8 = 6;
/// Length of both headers without options.
const HEADERS: usize = 40;

/// A plain segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    /// Source, destination, as in the header.
    addresses: [[u8; 4]; 2],
    ports: [u16; 2],
    seq: u32,
    ack: u32,
    /// Sequence number after it.
    end: u32,
    /// Not scaled.
    window: u16,
    total_len: u16,
    hash: u32,
}

impl Plain {
    /// What a packet of which [`Tracker::plain_hash`] gave this hash says.
    #[inline(always)]
    pub(super) fn read(bytes: &[u8], hash: u32) -> Option<Self> {
        let header: &[u8; HEADERS] = bytes.first_chunk()?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let long = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let quad = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let total_len = word(2);
        let headers_len = 20 + u32::from(header[32] >> 4) * 4;
        let seq = long(24);
        Some(Self {
            addresses: [quad(12), quad(16)],
            ports: [word(20), word(22)],
            seq,
            ack: long(28),
            end: seq.wrapping_add(u32::from(total_len) - headers_len),
            window: word(34),
            total_len,
            hash,
        })
    }
}

impl Tracker {
    /// The hash of a packet, if it is a plain one, and right. What else it says is read again when it is needed: that costs
    /// less than to keep it.
    #[inline(always)]
    pub(super) fn plain_hash(&self, packet: &Packet<'_>) -> Option<u32> {
        let bytes = packet.bytes;
        let header: &[u8; HEADERS] = bytes.first_chunk()?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        /// FIN, SYN, RST, ACK and URG.
        const FLAGS: u8 = 0x37;
        const ACK: u8 = 0x10;
        /// More fragments, and the offset; not "do not fragment".
        const FRAGMENT: u16 = 0x3fff;
        let total = usize::from(word(2));
        let ordinary = (header[0] == 0x45)
            & (header[9] == TCP)
            & (word(6) & FRAGMENT == 0)
            & (header[33] & FLAGS == ACK)
            & (packet.zone == Zone::DEFAULT)
            & !packet.untracked;
        if !ordinary || total < HEADERS || total > bytes.len() || total > packet.wire_len {
            return None;
        }
        let header_len = usize::from(header[32] >> 4) * 4;
        if header_len != 20 && !has_timestamp_alone(&bytes[..total], header_len) {
            return None;
        }
        let verify = self.config.checksum && packet.checksum == ChecksumStatus::Unknown;
        if !checksums_ok(header, &bytes[HEADERS..total], verify) {
            return None;
        }
        // Address and port of each end, as one number.
        let end = |address: usize, port: usize| {
            let bytes = [
                header[address],
                header[address + 1],
                header[address + 2],
                header[address + 3],
            ];
            u64::from(u32::from_be_bytes(bytes)) << 16 | u64::from(word(port))
        };
        Some(self.store.hash_v4([end(12, 20), end(16, 22)], TCP))
    }

    /// Tracks a plain packet of an established connection; `None`, and nothing has changed, if it is anything else.
    #[inline(always)]
    pub(super) fn track_plain(&mut self, plain: &Plain, now: Time) -> Option<Verdict> {
        let (id, connection, direction) = self
            .store
            .find_symmetric(plain.hash, |original| direction(plain, original))?;
        if !is_ordinary(connection, now) {
            return None;
        }
        let ProtocolState::Tcp(track) = &mut connection.protocol else {
            return None;
        };
        if track.state != TcpState::Established {
            return None;
        }
        let Plain {
            seq,
            ack,
            end,
            window,
            ..
        } = *plain;
        let span = track.established(seq, ack, end, window, direction, &self.config)?;
        connection.refresh(span, now);
        if self.config.acct {
            let counters = &mut connection.counters[direction.index()];
            counters.packets += 1;
            counters.bytes += u64::from(plain.total_len);
        }
        Some(verdict(id, direction, plain.total_len))
    }
}

fn verdict(id: ConnectionId, direction: Direction, total_len: u16) -> Verdict {
    Verdict {
        ctinfo: [CtInfo::Established, CtInfo::EstablishedReply][direction.index()],
        connection: Some(id),
        direction: Some(direction),
        created: false,
        counted_bytes: total_len.into(),
        reason: None,
    }
}

/// Whether the TCP options are a timestamp as everybody writes it, and nothing else.
#[inline]
fn has_timestamp_alone(packet: &[u8], header_len: usize) -> bool {
    const NOP_NOP_TIMESTAMP: [u8; 4] = [1, 1, 8, 10];
    header_len == 32 && packet.len() >= 52 && packet[40..44] == NOP_NOP_TIMESTAMP
}

/// Whether the checksums of both headers are right; that of TCP only if it is to be verified.
#[inline]
fn checksums_ok(header: &[u8; HEADERS], rest: &[u8], verify: bool) -> bool {
    let (words, _) = header.as_chunks::<4>();
    let word = |at: usize| u64::from(u32::from_ne_bytes(words[at]));
    let addresses = word(3) + word(4);
    if !checksum::is_complete(word(0) + word(1) + word(2) + addresses) {
        return false;
    }
    if !verify {
        return true;
    }
    let [high, low] = (rest.len() as u16 + 20).to_be_bytes();
    let pseudo = addresses + u64::from(u32::from_ne_bytes([0, TCP, high, low]));
    let fixed = word(5) + word(6) + word(7) + word(8) + word(9);
    checksum::is_complete(pseudo + fixed + checksum::native_sum(rest))
}

/// The direction in which a packet goes in a connection with this original tuple, if it is one of its.
#[inline]
fn direction(plain: &Plain, original: &Tuple) -> Option<Direction> {
    let narrow = |address: &[u8; 16]| {
        u64::from(u32::from_ne_bytes([
            address[0], address[1], address[2], address[3],
        ]))
    };
    let [source, destination] = plain
        .addresses
        .map(|address| u64::from(u32::from_ne_bytes(address)));
    let (a, b) = (narrow(&original.source), narrow(&original.destination));
    let [from, to] = plain.ports.map(u64::from);
    let (c, d) = (
        u64::from(original.source_id),
        u64::from(original.destination_id),
    );
    let other_kind = u64::from(original.protocol ^ TCP) | u64::from(original.family ^ 4);
    let same = (source ^ a) | (destination ^ b) | (from ^ c) | (to ^ d) | other_kind;
    let mirrored = (source ^ b) | (destination ^ a) | (from ^ d) | (to ^ c) | other_kind;
    // Which of both is a matter of chance: no branch on it.
    (same.min(mirrored) == 0).then(|| Direction::from_index(usize::from(mirrored == 0)))
}

/// Whether nothing of a connection asks for a closer look.
#[inline]
fn is_ordinary(connection: &Connection, now: Time) -> bool {
    const WANTED: u32 = Status::CONFIRMED.0 | Status::SEEN_REPLY.0 | Status::ASSURED.0;
    const UNWANTED: u32 = Status::PRIVATE.0
        | Status::OFFLOAD.0
        | Status::HW_OFFLOAD.0
        | Status::SEQ_ADJUST.0
        | Status::NAT_CLASH.0;
    (connection.status.0 & (WANTED | UNWANTED) == WANTED)
        & (connection.timeout > now)
        & connection.extension.is_none()
        & (connection.zone() == Zone::DEFAULT)
}
