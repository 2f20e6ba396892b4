//! Reassembly ahead of tracking: fragments are held until their datagram is whole, and the datagram is tracked once.
//!
//! Limits as the kernel's: a datagram that is not complete in time is given up (30 s for IPv4, `frag6_timeout` for IPv6),
//! memory is bounded, and what overlaps what is there already makes all of that be forgotten (RFC 5722, which Linux applies
//! to IPv4 too), unless it is nothing new.

use crate::extension::Upper;
use crate::reason::Reason;
use crate::sysctl::Config;
use crate::timeout::Time;
use crate::tuple::{Zone, widen};
use packet::ipv6::{FRAGMENT_HEADER_LEN, HEADER_LEN};
use packet::{Ipv4, Ipv6, Protocol, checksum};
use std::collections::BTreeMap;

/// How long an incomplete IPv4 datagram is kept (`net.ipv4.ipfrag_time`).
const IPV4_TIMEOUT: Time = Time::from_secs(30);
/// Longest datagram of IPv4, payload of one of IPv6, bytes.
const MAX_DATAGRAM_BYTES: usize = 65_535;
/// Accounting for one piece beside its bytes.
const PIECE_OVERHEAD_BYTES: usize = 64;
/// Accounting for a datagram beside its pieces: also for one of which nothing fit to keep came.
const QUEUE_BYTES: usize = 192;

/// What fragments of one datagram have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: [u8; 16],
    destination: [u8; 16],
    identification: u32,
    protocol: u8,
    family: u8,
    zone: Zone,
}

#[derive(Debug)]
struct Piece {
    offset: usize,
    /// Length on the wire.
    length: usize,
    /// What was captured of it.
    bytes: Vec<u8>,
    /// It came behind the one before it, when that was the last.
    joined: bool,
}

#[derive(Debug)]
struct Queue {
    begun: Time,
    pieces: Vec<Piece>,
    total: Option<usize>,
    /// Headers up to the fragmentable part, from the fragment at offset 0.
    head: Option<Vec<u8>>,
    held_bytes: usize,
    /// The farthest end of a fragment so far.
    farthest: usize,
}

/// Incomplete datagrams.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    queues: BTreeMap<Key, Queue>,
    held_bytes: usize,
}

/// What became of a fragment.
#[derive(Debug)]
pub(crate) enum Reassembled {
    /// It is held.
    Held,
    /// It completed a datagram: the whole packet, and whether all of it was captured.
    Whole {
        packet: Vec<u8>,
        complete_capture: bool,
    },
    /// It was dropped.
    Dropped(Reason),
    /// It is not fit to be put together, and goes on as it is.
    Passed,
}

/// One fragment, as either IP version presents it.
struct Fragment<'a> {
    key: Key,
    offset: usize,
    more: bool,
    length: usize,
    bytes: &'a [u8],
    head: Vec<u8>,
}

impl Reassembly {
    /// An IPv4 fragment.
    pub(crate) fn ipv4(
        &mut self,
        ip: &Ipv4<'_>,
        bytes: &[u8],
        zone: Zone,
        now: Time,
        config: &Config,
    ) -> Reassembled {
        let header_len = ip.header_len();
        let mut head = bytes[..header_len].to_vec();
        head[6..8].fill(0);
        let mut length = usize::from(ip.total_len()).saturating_sub(header_len);
        if ip.more_fragments() {
            // What the next offset cannot follow is cut off.
            length -= length % 8;
        }
        let fragment = Fragment {
            key: Key {
                source: widen(ip.source()),
                destination: widen(ip.destination()),
                identification: ip.identification().into(),
                protocol: ip.protocol().0,
                family: 4,
                zone,
            },
            offset: ip.fragment_offset_bytes().into(),
            more: ip.more_fragments(),
            length,
            bytes: &ip.payload()[..ip.payload().len().min(length)],
            head,
        };
        self.add(fragment, now, config)
    }

    /// An IPv6 fragment.
    pub(crate) fn ipv6(
        &mut self,
        ip: &Ipv6<'_>,
        upper: &Upper,
        bytes: &[u8],
        zone: Zone,
        now: Time,
        config: &Config,
    ) -> Reassembled {
        let Some(header) = upper.fragment else {
            return Reassembled::Dropped(Reason::FragmentInvalid);
        };
        let data_at = header.header_offset + FRAGMENT_HEADER_LEN;
        let length = ip.total_len().saturating_sub(data_at);
        let key = Key {
            source: ip.source(),
            destination: ip.destination(),
            identification: header.identification,
            protocol: 0,
            family: 6,
            zone,
        };
        if header.offset_bytes == 0 && !headers_complete(upper, ip.total_len()) {
            return Reassembled::Passed;
        }
        if data_at > ip.total_len() {
            return Reassembled::Dropped(Reason::FragmentInvalid);
        }
        if usize::from(header.offset_bytes) + length > MAX_DATAGRAM_BYTES {
            return Reassembled::Passed;
        }
        if header.more && !length.is_multiple_of(8) {
            self.forget(&key);
            return Reassembled::Passed;
        }
        let mut head = bytes[..header.header_offset].to_vec();
        if let Some(next_header) = head.get_mut(header.previous_next_header_offset) {
            *next_header = header.next_header.0;
        }
        let end = bytes.len().min(ip.total_len());
        let fragment = Fragment {
            key,
            offset: header.offset_bytes.into(),
            more: header.more,
            length,
            bytes: bytes.get(data_at..end).unwrap_or(&[]),
            head,
        };
        self.add(fragment, now, config)
    }

    fn add(&mut self, fragment: Fragment<'_>, now: Time, config: &Config) -> Reassembled {
        self.expire(now, config);
        let end = fragment.offset + fragment.length;
        let cost = fragment.bytes.len() + PIECE_OVERHEAD_BYTES;
        if (self.held_bytes + QUEUE_BYTES + cost) as u64 > config.frag6_high_thresh {
            return Reassembled::Dropped(Reason::FragmentMemory);
        }
        let held_bytes = &mut self.held_bytes;
        let queue = self.queues.entry(fragment.key).or_insert_with(|| {
            *held_bytes += QUEUE_BYTES;
            Queue {
                begun: now,
                pieces: Vec::new(),
                total: None,
                head: None,
                held_bytes: QUEUE_BYTES,
                farthest: 0,
            }
        });
        match queue.add(&fragment, end) {
            Ok(true) => {}
            Ok(false) => return Reassembled::Held,
            // IPv6 is more patient.
            Err(Reason::FragmentInvalid) if fragment.key.family == 6 => {
                return Reassembled::Dropped(Reason::FragmentInvalid);
            }
            Err(reason) => {
                self.forget(&fragment.key);
                return Reassembled::Dropped(reason);
            }
        }
        queue.held_bytes += cost;
        self.held_bytes += cost;
        let Some(whole) = queue.assemble() else {
            return Reassembled::Held;
        };
        self.forget(&fragment.key);
        whole
    }

    fn forget(&mut self, key: &Key) {
        if let Some(queue) = self.queues.remove(key) {
            self.held_bytes -= queue.held_bytes;
        }
    }

    /// Gives up datagrams that were not completed in time.
    pub(crate) fn expire(&mut self, now: Time, config: &Config) {
        if self.queues.is_empty() {
            return;
        }
        let held = &mut self.held_bytes;
        self.queues.retain(|key, queue| {
            let limit = if key.family == 4 {
                IPV4_TIMEOUT
            } else {
                config.frag6_timeout
            };
            let keep = now - queue.begun < limit;
            if !keep {
                *held -= queue.held_bytes;
            }
            keep
        });
    }

    /// Datagrams being put together.
    pub(crate) fn len(&self) -> usize {
        self.queues.len()
    }
}

impl Queue {
    /// Takes a fragment in; whether it had anything new.
    fn add(&mut self, fragment: &Fragment<'_>, end: usize) -> Result<bool, Reason> {
        let beyond = if fragment.more {
            end > self.farthest && self.total.is_some()
        } else {
            end < self.farthest || self.total.is_some_and(|total| end != total)
        };
        if beyond {
            return Err(Reason::FragmentInvalid);
        }
        self.farthest = self.farthest.max(end);
        if !fragment.more {
            self.total = Some(end);
        }
        if fragment.length == 0 {
            return Err(Reason::FragmentInvalid);
        }
        if self.contains(fragment.offset, end) {
            return Ok(false);
        }
        let at = self
            .pieces
            .partition_point(|piece| piece.offset < fragment.offset);
        let overlaps_next = self.pieces.get(at).is_some_and(|next| next.offset < end);
        let overlaps_previous = at
            .checked_sub(1)
            .and_then(|i| self.pieces.get(i))
            .is_some_and(|previous| previous.offset + previous.length > fragment.offset);
        if overlaps_next || overlaps_previous {
            return Err(Reason::FragmentOverlap);
        }
        let last = self.pieces.last();
        let joined = last.is_some_and(|last| last.offset + last.length == fragment.offset);
        if fragment.offset == 0 {
            self.head = Some(fragment.head.clone());
        }
        self.pieces.insert(
            at,
            Piece {
                offset: fragment.offset,
                length: fragment.length,
                bytes: fragment.bytes.to_vec(),
                joined,
            },
        );
        Ok(true)
    }

    /// Whether pieces that came one behind the other cover all of this.
    fn contains(&self, offset: usize, end: usize) -> bool {
        let mut start = 0;
        self.pieces.iter().any(|piece| {
            if !piece.joined {
                start = piece.offset;
            }
            start <= offset && end <= piece.offset + piece.length
        })
    }

    /// The whole packet, once there is no gap.
    fn assemble(&self) -> Option<Reassembled> {
        let total = self.total?;
        let head = self.head.as_ref()?;
        let have: usize = self.pieces.iter().map(|piece| piece.length).sum();
        if have != total {
            return None;
        }
        let mut packet = head.clone();
        let mut complete_capture = true;
        for piece in &self.pieces {
            packet.extend_from_slice(&piece.bytes);
            complete_capture &= piece.bytes.len() == piece.length;
            packet.resize(head.len() + piece.offset + piece.length, 0);
        }
        // IPv6 does not count its own header.
        let uncounted = if packet[0] >> 4 == 6 { HEADER_LEN } else { 0 };
        if packet.len() - uncounted > MAX_DATAGRAM_BYTES {
            return Some(Reassembled::Dropped(Reason::FragmentInvalid));
        }
        set_length(&mut packet, head.len());
        Some(Reassembled::Whole {
            packet,
            complete_capture,
        })
    }
}

/// Writes the whole packet's length into its header, and the IPv4 header checksum.
fn set_length(packet: &mut [u8], head_len: usize) {
    let total = packet.len();
    if packet[0] >> 4 == 4 {
        packet[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        packet[10..12].fill(0);
        let sum = checksum::finish(checksum::sum(&packet[..head_len]));
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        packet[4..6].copy_from_slice(&((total - 40) as u16).to_be_bytes());
    }
}

/// Whether a first fragment has all headers up to the transport's, as it must (RFC 7112). Linux does not look at one whose
/// extension headers it cannot follow.
fn headers_complete(upper: &Upper, total_len: usize) -> bool {
    if upper.broken {
        return true;
    }
    let needed = match upper.protocol {
        Protocol::TCP => 20,
        Protocol::UDP | Protocol::ICMPV6 => 8,
        _ => 1,
    };
    upper.offset + needed <= total_len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HashKey, Packet, Tracker};

    #[test]
    fn fragments_without_anything_in_them_cannot_fill_the_memory() {
        let config = Config::default();
        let most = config.frag6_high_thresh as usize / QUEUE_BYTES;
        let mut tracker = Tracker::new(config, HashKey([1, 2]));
        // Payload: a fragment header alone, at offset 8.
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, 44, 64];
        for host in [1, 2] {
            packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
        }
        packet.extend([17, 0, 0, 9, 0, 0, 0, 0]);
        for id in 0..2 * most as u32 {
            packet[44..].copy_from_slice(&id.to_be_bytes());
            tracker.track(&Packet::whole(&packet), Time::from_secs(1));
        }
        assert!(tracker.fragments_pending() > 0);
        assert!(tracker.fragments_pending() <= most);
    }
}
