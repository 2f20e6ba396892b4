//! What almost all packets are: data, or an acknowledgment, of an established TCP connection, over IPv4 without options.
//!
//! The same that happens to every packet happens to them, but what cannot happen is not asked about. Whatever is out of the
//! ordinary, of the packet or of its connection, is left to the path of every packet before anything is changed.

use super::{ChecksumStatus, Packet, Tracker};
use crate::connection::Connection;
use crate::ends::{Ends, pair};
use crate::id::ConnectionId;
use crate::protocol::ProtocolState;
use crate::protocol::tcp::{Plain, TcpState};
use crate::status::Status;
use crate::store::Seen;
use crate::timeout::Time;
use crate::tuple::{Direction, Zone};
use crate::verdict::{CtInfo, Verdict};
use packet::{Protocol, checksum};

const TCP: u8 = Protocol::TCP.0;
/// Length of both headers without options.
const HEADERS: usize = 40;

type Headers = [u8; HEADERS];

/// Bytes of a header from a place on that is known when this is compiled.
#[inline(always)]
fn bytes<const N: usize>(header: &Headers, at: usize) -> [u8; N] {
    header[at..].first_chunk().copied().unwrap_or([0; N])
}

#[inline(always)]
fn two(header: &Headers, at: usize) -> u16 {
    u16::from_be_bytes(bytes(header, at))
}

#[inline(always)]
fn four(header: &Headers, at: usize) -> u32 {
    u32::from_be_bytes(bytes(header, at))
}

#[inline(always)]
fn eight(header: &Headers, at: usize) -> u64 {
    u64::from_be_bytes(bytes(header, at))
}

impl Tracker {
    /// The hash of a packet, if it is a plain one, and right. What else it says is read again when it is needed: that costs
    /// less than to keep it.
    #[inline(always)]
    pub(super) fn plain_hash(&self, packet: &Packet<'_>) -> Option<u32> {
        let bytes = packet.bytes;
        let header: &Headers = bytes.first_chunk()?;
        /// FIN, SYN, RST, ACK and URG.
        const FLAGS: u8 = 0x37;
        const ACK: u8 = 0x10;
        /// Version and header length; more fragments, and the offset, but not "do not fragment".
        const KIND: u64 = 0xff00_0000_0000_3fff;
        const ORDINARY: u64 = 0x4500_0000_0000_0000;
        let first = u64::from_ne_bytes(self::bytes(header, 0));
        let total = usize::from(two(header, 2));
        let ordinary = (first & KIND.to_be() == ORDINARY.to_be())
            & (header[9] == TCP)
            & (header[33] & FLAGS == ACK)
            & (packet.zone == Zone::DEFAULT)
            & !packet.untracked
            & (total >= HEADERS)
            & (total <= packet.wire_len);
        if !ordinary {
            return None;
        }
        let rest = bytes.get(HEADERS..total)?;
        let header_len = usize::from(header[32] >> 4) * 4;
        if header_len != 20 && !has_timestamp_alone(rest, header_len) {
            return None;
        }
        let verify = self.config.checksum && packet.checksum == ChecksumStatus::Unknown;
        if !checksums_ok(header, &bytes[..total], verify) {
            return None;
        }
        let ends = pair(eight(header, 12), four(header, 20));
        Some(self.store.hash_v4(ends, TCP))
    }

    /// Tracks a packet of which [`Tracker::plain_hash`] gave a hash, if it is one of an established connection; `None`, and
    /// nothing has changed, if it is anything else.
    #[inline(always)]
    pub(super) fn track_plain(
        &mut self,
        packet: &[u8],
        hash: u32,
        seen: Seen,
        now: Time,
    ) -> Option<Verdict> {
        let header: &Headers = packet.first_chunk()?;
        let (addresses, ports) = (eight(header, 12), four(header, 20));
        let direction =
            |ends: &Ends| ends.direction_v4(Protocol::TCP, Zone::DEFAULT.id, addresses, ports);
        let found = self.store.find_seen(seen, direction);
        let (id, direction) = found.or_else(|| self.store.find_symmetric(hash, direction))?;
        let connection = self.store.slot_mut(id.index())?;
        if !is_ordinary(connection, now) {
            return None;
        }
        let ProtocolState::Tcp(track) = &mut connection.protocol else {
            return None;
        };
        if track.state != TcpState::Established {
            return None;
        }
        let total_len = two(header, 2);
        let headers_len = 20 + u32::from(header[32] >> 4) * 4;
        let seq = four(header, 24);
        let segment = Plain {
            seq,
            ack: four(header, 28),
            end: seq.wrapping_add(u32::from(total_len).wrapping_sub(headers_len)),
            window: two(header, 34),
        };
        let span = track.established(&segment, direction, &self.config)?;
        connection.timeout = now + span;
        if self.config.acct {
            let counters = &mut connection.counters[direction.index()];
            counters.packets += 1;
            counters.bytes += u64::from(total_len);
        }
        Some(verdict(id, direction, total_len))
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

/// Whether the TCP options are a timestamp as everybody writes it, and nothing else; `rest` begins with them.
#[inline]
fn has_timestamp_alone(rest: &[u8], header_len: usize) -> bool {
    const NOP_NOP_TIMESTAMP: [u8; 4] = [1, 1, 8, 10];
    header_len == 32 && rest.len() >= 12 && rest[..4] == NOP_NOP_TIMESTAMP
}

/// Whether the checksums of both headers are right; that of TCP only if it is to be verified.
#[inline]
fn checksums_ok(header: &Headers, packet: &[u8], verify: bool) -> bool {
    let (words, _) = header.as_chunks::<4>();
    let word = |at: usize| u64::from(u32::from_ne_bytes(words[at]));
    let addresses = word(3) + word(4);
    if !checksum::is_complete(word(0) + word(1) + word(2) + addresses) {
        return false;
    }
    if !verify {
        return true;
    }
    let [high, low] = (packet.len() as u16 - 20).to_be_bytes();
    let pseudo = addresses + u64::from(u32::from_ne_bytes([0, TCP, high, low]));
    let fixed = word(5) + word(6) + word(7) + word(8) + word(9);
    checksum::is_complete(pseudo + fixed + checksum::native_sum(packet, HEADERS))
}

/// Whether nothing of a connection asks for a closer look.
#[inline]
fn is_ordinary(connection: &Connection, now: Time) -> bool {
    const WANTED: u32 = Status::CONFIRMED.0 | Status::SEEN_REPLY.0 | Status::ASSURED.0;
    const UNWANTED: u32 = Status::PRIVATE.0
        | Status::OFFLOAD.0
        | Status::HW_OFFLOAD.0
        | Status::SEQ_ADJUST.0
        | Status::FIXED_TIMEOUT.0
        | Status::NAT_CLASH.0;
    (connection.status.0 & (WANTED | UNWANTED) == WANTED)
        & (connection.timeout > now)
        & connection.extension.is_none()
}
