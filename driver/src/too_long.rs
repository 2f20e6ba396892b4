//! Packets that are longer than the link they would leave by can take: told to their sender, or sent in fragments.
//!
//! As a router does: RFC 1812, section 4.2.2.7 and 5.3.1 (fragments), RFC 1191 and RFC 8201 (messages that tell the MTU), RFC 1122,
//! section 3.2.2, and RFC 4443, section 2.4 (what no message may be sent about).

use packet::checksum::{checksum, finish, pseudo_header_v6, sum};
use packet::ethernet::ip_offset;
use packet::{Ipv4, Ipv6, Protocol, icmp, icmpv6};
use std::net::{Ipv4Addr, Ipv6Addr};

/// What becomes of a packet at a link with some MTU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It is short enough.
    Whole,
    /// It is too long, and may be sent in fragments.
    InFragments,
    /// It is too long, and its sender is to be told.
    Answered,
    /// It is too long, and nobody may be told.
    Dropped,
}

/// Where a router's messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Router {
    /// In IPv4.
    pub ipv4: Ipv4Addr,
    /// In IPv6.
    pub ipv6: Ipv6Addr,
}

impl Default for Router {
    /// The dummy address of RFC 7600, section 4.8, for routers that have none; and one for documentation (RFC 3849).
    fn default() -> Self {
        Self {
            ipv4: Ipv4Addr::new(192, 0, 0, 8),
            ipv6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        }
    }
}

/// What becomes of the packet in a frame, of which `frame` was captured, at a link whose MTU is `mtu` bytes; `room` bytes of
/// memory are there for all its fragments.
pub fn fit(frame: &[u8], mtu: u32, room: usize) -> Fit {
    let Some(ip) = ip_of(frame) else {
        return Fit::Whole;
    };
    if let Ok(ip) = Ipv4::new(ip) {
        return match u32::from(ip.total_len()) {
            length if length <= mtu => Fit::Whole,
            _ if !ip.dont_fragment() => match Plan::new(frame, mtu) {
                Some(plan) if plan.room_bytes() <= room => Fit::InFragments,
                _ => Fit::Dropped,
            },
            _ if may_tell_v4(frame, &ip) => Fit::Answered,
            _ => Fit::Dropped,
        };
    }
    match Ipv6::new(ip) {
        Ok(ip) if ip.total_len() <= mtu as usize => Fit::Whole,
        Ok(ip) if may_tell_v6(&ip) => Fit::Answered,
        Ok(_) => Fit::Dropped,
        Err(_) => Fit::Whole,
    }
}

fn ip_of(frame: &[u8]) -> Option<&[u8]> {
    frame.get(ip_offset(frame)?..)
}

/// RFC 1122, section 3.2.2.
fn may_tell_v4(frame: &[u8], ip: &Ipv4<'_>) -> bool {
    let is_error = ip.protocol() == Protocol::ICMP
        && ip
            .payload()
            .first()
            .is_none_or(|kind| icmp::is_error(*kind));
    let source = Ipv4Addr::from(ip.source());
    let of_one = !(source.is_unspecified()
        || source.is_multicast()
        || source.is_broadcast()
        || source.is_loopback());
    let destination = Ipv4Addr::from(ip.destination());
    let to_one = !(destination.is_multicast() || destination.is_broadcast()) && frame[0] & 1 == 0;
    of_one && to_one && !is_error && ip.fragment_offset_bytes() == 0
}

/// RFC 4443, section 2.4 (e): what is sent to many may be told about.
fn may_tell_v6(ip: &Ipv6<'_>) -> bool {
    const REDIRECT: u8 = 137;
    let source = Ipv6Addr::from(ip.source());
    let is_error = ip.upper_layer().is_ok_and(|upper| {
        let kind = ip.payload_from(upper.offset).first();
        upper.protocol == Protocol::ICMPV6
            && kind.is_none_or(|kind| icmpv6::is_error(*kind) || *kind == REDIRECT)
    });
    !(source.is_unspecified() || source.is_multicast() || is_error)
}

/// Writes a message about a packet in its place: to its sender, from the router, that it is longer than `mtu` bytes. The length
/// of the frame.
///
/// `buffer` begins with the `captured` bytes of the packet's frame. `None` if it is no IP packet, or there is no room.
pub(crate) fn answer(
    buffer: &mut [u8],
    captured: usize,
    mtu: u32,
    router: &Router,
) -> Option<usize> {
    let frame = buffer.get(..captured)?;
    let offset = ip_offset(frame)?;
    let is_v4 = frame.get(offset)? >> 4 == 4;
    let (header_bytes, most) = if is_v4 { (20, 576) } else { (40, 1_280) };
    let headers = header_bytes + 8;
    let quoted = (captured - offset).min(most - headers);
    if quoted < header_bytes {
        return None;
    }
    let length = offset + headers + quoted;
    let there = buffer.get_mut(..length.max(captured))?;
    there.copy_within(offset..offset + quoted, offset + headers);
    let (to, from) = there.get_mut(..12)?.split_at_mut(6);
    to.swap_with_slice(from);
    let (ip, message) = there[offset..length].split_at_mut(header_bytes);
    if is_v4 {
        about_v4(ip, message, mtu, router);
    } else {
        about_v6(ip, message, mtu, router);
    }
    Some(length)
}

/// "Fragmentation needed" (RFC 792; RFC 1191, section 4).
fn about_v4(ip: &mut [u8], message: &mut [u8], mtu: u32, router: &Router) {
    const INTERNETWORK_CONTROL: u8 = 0xc0;
    let length = (ip.len() + message.len()) as u16;
    let mtu = (mtu.min(u32::from(u16::MAX)) as u16).to_be_bytes();
    message[..8].copy_from_slice(&[3, 4, 0, 0, 0, 0, mtu[0], mtu[1]]);
    let sum = checksum(message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    // The packet that is quoted begins with its own header: its source is at 12.
    let sender = [message[20], message[21], message[22], message[23]];
    let [high, low] = length.to_be_bytes();
    ip[..12].copy_from_slice(&[
        0x45,
        INTERNETWORK_CONTROL,
        high,
        low,
        0,
        0,
        0x40,
        0,
        64,
        Protocol::ICMP.0,
        0,
        0,
    ]);
    ip[12..16].copy_from_slice(&router.ipv4.octets());
    ip[16..20].copy_from_slice(&sender);
    let sum = checksum(ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
}

/// "Packet too big" (RFC 4443, section 3.2).
fn about_v6(ip: &mut [u8], message: &mut [u8], mtu: u32, router: &Router) {
    let length = message.len();
    message[..4].copy_from_slice(&[2, 0, 0, 0]);
    message[4..8].copy_from_slice(&mtu.to_be_bytes());
    let mut sender = [0; 16];
    sender.copy_from_slice(&message[16..32]);
    let from = router.ipv6.octets();
    let pseudo = pseudo_header_v6(from, sender, Protocol::ICMPV6, length as u32);
    let sum = finish(pseudo + sum(message)).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let [high, low] = (length as u16).to_be_bytes();
    ip[..8].copy_from_slice(&[0x60, 0, 0, 0, high, low, Protocol::ICMPV6.0, 64]);
    ip[8..24].copy_from_slice(&from);
    ip[24..40].copy_from_slice(&sender);
}

/// A frame in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it begins.
    pub(crate) offset: usize,
    /// Its bytes there.
    pub(crate) captured_bytes: usize,
    /// Its length on the wire without FCS, bytes.
    pub(crate) wire_bytes: usize,
}

/// How a packet is cut.
struct Plan {
    /// Where the IP header begins.
    offset: usize,
    /// Bytes in front of the payload: Ethernet and IP header.
    headers: usize,
    /// Payload of each fragment but the last, bytes.
    each: usize,
    /// Payload in all, and what of it was captured.
    payload: usize,
    captured: usize,
}

impl Plan {
    /// `None` if it is no IPv4 packet or no byte of payload fits.
    fn new(frame: &[u8], mtu: u32) -> Option<Self> {
        let offset = ip_offset(frame)?;
        let ip = Ipv4::new(frame.get(offset..)?).ok()?;
        let headers = offset + ip.header_len();
        let each = (mtu as usize).checked_sub(ip.header_len())? / 8 * 8;
        (each > 0).then(|| Self {
            offset,
            headers,
            each,
            payload: usize::from(ip.total_len()).saturating_sub(ip.header_len()),
            captured: ip.payload().len(),
        })
    }

    fn count(&self) -> usize {
        self.payload.div_ceil(self.each).max(1)
    }

    /// Memory for all fragments, bytes.
    fn room_bytes(&self) -> usize {
        self.count() * self.headers + self.captured
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut offset = 0;
        let piece = |number| {
            let from = number * self.each;
            let kept = self.captured.saturating_sub(from).min(self.each);
            let piece = Piece {
                offset,
                captured_bytes: self.headers + kept,
                wire_bytes: self.headers + (self.payload - from).min(self.each),
            };
            offset += piece.captured_bytes;
            piece
        };
        (0..self.count()).map(piece).collect()
    }
}

/// Cuts the packet of a frame into fragments of at most `mtu` bytes (RFC 791, section 3.2), one behind the other in the buffer
/// that begins with the `captured` bytes of the frame. `None` as [`fit`] has told.
pub(crate) fn split(buffer: &mut [u8], captured: usize, mtu: u32) -> Option<Vec<Piece>> {
    let plan = Plan::new(buffer.get(..captured)?, mtu)?;
    if plan.room_bytes() > buffer.len() {
        return None;
    }
    let headers = buffer[..plan.headers].to_vec();
    let pieces = plan.pieces();
    // From behind, so that nothing is written over that is still to be moved.
    for (number, piece) in pieces.iter().enumerate().rev() {
        let begin = piece.offset + plan.headers;
        let from = plan.headers + number * plan.each;
        let kept = piece.captured_bytes - plan.headers;
        if kept > 0 {
            buffer.copy_within(from..from + kept, begin);
        }
        buffer[piece.offset..begin].copy_from_slice(&headers);
        let ip = &mut buffer[piece.offset + plan.offset..begin];
        let length = piece.wire_bytes - plan.offset;
        let is_last = number + 1 == pieces.len();
        write_fragment_header(ip, length as u16, (number * plan.each / 8) as u16, is_last);
    }
    Some(pieces)
}

/// Makes the header of the whole packet that of a fragment, `units` of 8 bytes behind the packet's first byte.
fn write_fragment_header(ip: &mut [u8], length: u16, units: u16, is_last: bool) {
    const MORE: u16 = 0x2000;
    const OFFSET: u16 = 0x1fff;
    let whole = u16::from_be_bytes([ip[6], ip[7]]);
    let flags = (whole & !OFFSET) | if is_last { 0 } else { MORE };
    let offset = (whole & OFFSET).wrapping_add(units) & OFFSET;
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    ip[6..8].copy_from_slice(&(flags | offset).to_be_bytes());
    if units > 0 {
        keep_copied(&mut ip[20..]);
    }
    ip[10..12].fill(0);
    let sum = checksum(ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
}

/// Options without the copied flag are in the first fragment alone (RFC 791, section 3.1): no-operation takes their place.
fn keep_copied(options: &mut [u8]) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const COPIED: u8 = 0x80;
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        let length = match kind {
            END => return,
            NO_OPERATION => 1,
            _ => usize::from(options.get(at + 1).copied().unwrap_or(0)),
        };
        let Some(option) = options.get_mut(at..at + length).filter(|o| !o.is_empty()) else {
            return;
        };
        if kind & COPIED == 0 {
            option.fill(NO_OPERATION);
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::build::FrameBuilder;
    use packet::{Ethernet, Icmp, Icmpv6};
    use proptest::prelude::*;

    const ROOM: usize = 2_048;

    fn udp_v4(payload: usize, dont_fragment: bool) -> Vec<u8> {
        let payload: Vec<u8> = (0..payload).map(|at| at as u8).collect();
        let builder = FrameBuilder::new().ethernet([2; 6], [4; 6]);
        let mut frame = builder
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
            .udp(1_000, 53)
            .payload(&payload)
            .build();
        frame[14 + 6] = if dont_fragment { 0x40 } else { 0 };
        fix_header(&mut frame[14..34]);
        frame
    }

    fn fix_header(ip: &mut [u8]) {
        ip[10..12].fill(0);
        let sum = checksum(ip).to_be_bytes();
        ip[10..12].copy_from_slice(&sum);
    }

    fn udp_v6(payload: usize) -> Vec<u8> {
        let builder = FrameBuilder::new().ethernet([2; 6], [4; 6]);
        let (a, b) = ([0x20; 16], [0x30; 16]);
        let builder = builder.ipv6(a, b).udp(1_000, 53);
        builder.payload(&vec![7; payload]).build()
    }

    #[test]
    fn what_is_too_long_is_told_cut_or_dropped() {
        let short = udp_v4(100, true);
        assert_eq!(fit(&short, 128, ROOM), Fit::Whole);
        assert_eq!(fit(&short, 127, ROOM), Fit::Answered);
        assert_eq!(fit(&udp_v4(100, false), 127, ROOM), Fit::InFragments);
        assert_eq!(fit(&udp_v4(1_400, false), 127, ROOM), Fit::InFragments);
        assert_eq!(
            fit(&udp_v4(1_400, false), 68, ROOM),
            Fit::Dropped,
            "no room for so many headers"
        );
        assert_eq!(fit(&udp_v6(100), 148, ROOM), Fit::Whole);
        assert_eq!(fit(&udp_v6(100), 147, ROOM), Fit::Answered);
        let mut arp = short;
        arp[12..14].copy_from_slice(&[8, 6]);
        assert_eq!(fit(&arp, 68, ROOM), Fit::Whole);
    }

    #[test]
    fn nobody_is_told_about_messages_fragments_and_what_is_for_many() {
        let good = udp_v4(600, true);
        let with = |changes: &[(usize, u8)]| {
            let mut frame = good.clone();
            for (at, byte) in changes {
                frame[*at] = *byte;
            }
            fit(&frame, 576, ROOM)
        };
        assert_eq!(with(&[]), Fit::Answered);
        for changes in [
            &[(0, 0x01)][..],
            &[(14 + 7, 0x10)],
            &[(14 + 12, 0), (14 + 13, 0), (14 + 14, 0), (14 + 15, 0)],
            &[(14 + 12, 224)],
            &[(14 + 16, 239)],
            &[(14 + 9, 1), (34, 3)],
        ] {
            assert_eq!(with(changes), Fit::Dropped, "{changes:?}");
        }
        assert_eq!(with(&[(14 + 9, 1), (34, 8)]), Fit::Answered, "an echo");
        let mut v6 = udp_v6(2_000);
        v6[14 + 24] = 0xff;
        assert_eq!(fit(&v6, 1_500, 0), Fit::Answered, "to many");
        v6[14 + 8] = 0xff;
        assert_eq!(fit(&v6, 1_500, 0), Fit::Dropped, "from many");
        let mut v6 = udp_v6(2_000);
        (v6[14 + 6], v6[14 + 40]) = (58, 2);
        assert_eq!(fit(&v6, 1_500, 0), Fit::Dropped, "a message");
    }

    #[test]
    fn the_sender_learns_the_mtu_and_which_packet_it_is_about() {
        let frame = udp_v4(1_400, true);
        let mut buffer = frame.clone();
        buffer.resize(ROOM, 0);
        let length = answer(&mut buffer, frame.len(), 1_280, &Router::default()).unwrap();
        assert_eq!(length, 14 + 576);
        let ethernet = Ethernet::new(&buffer[..length]).unwrap();
        assert_eq!(buffer[..6], frame[6..12]);
        assert_eq!(buffer[6..12], frame[..6]);
        let ip = Ipv4::new(ethernet.payload()).unwrap();
        assert!(ip.header_checksum_ok() && ip.is_whole());
        assert_eq!(
            (ip.source(), ip.destination()),
            ([192, 0, 0, 8], [10, 0, 0, 1])
        );
        let message = Icmp::new(ip.payload()).unwrap();
        assert!(message.checksum_ok());
        assert_eq!((message.message_type(), message.code()), (3, 4));
        assert_eq!(message.sequence(), 1_280, "the MTU");
        assert_eq!(message.payload(), &frame[14..14 + 548]);
    }

    #[test]
    fn so_does_one_of_ipv6() {
        let frame = udp_v6(1_400);
        let mut buffer = frame.clone();
        buffer.resize(ROOM, 0);
        let length = answer(&mut buffer, frame.len(), 1_300, &Router::default()).unwrap();
        assert_eq!(length, 14 + 1_280);
        let ip = Ipv6::new(&buffer[14..length]).unwrap();
        assert_eq!(ip.destination(), [0x20; 16]);
        let l4 = ip.payload();
        assert!(packet::checksum::l4_ok_v6(
            ip.source(),
            ip.destination(),
            ip.next_header(),
            l4
        ));
        let message = Icmpv6::new(l4).unwrap();
        assert_eq!((message.message_type(), message.code()), (2, 0));
        assert_eq!(message.word(), 1_300);
        assert_eq!(message.payload(), &frame[14..14 + 1_232]);
    }

    #[test]
    fn of_a_short_capture_what_there_is_is_quoted() {
        let frame = udp_v4(1_400, true);
        let mut buffer = frame[..60].to_vec();
        assert_eq!(answer(&mut buffer, 60, 1_280, &Router::default()), None);
        buffer.resize(ROOM, 0);
        let length = answer(&mut buffer, 60, 1_280, &Router::default());
        assert_eq!(length, Some(60 + 28));
    }

    #[test]
    fn options_are_in_the_first_fragment_alone_unless_they_are_to_be_copied() {
        let mut options = [7, 4, 4, 9, 1, 131, 3, 4, 68, 4, 5, 0, 0, 9];
        keep_copied(&mut options);
        assert_eq!(options, [1, 1, 1, 1, 1, 131, 3, 4, 1, 1, 1, 1, 0, 9]);
        let mut lying = [7, 200, 1];
        keep_copied(&mut lying);
        assert_eq!(lying, [7, 200, 1]);
        keep_copied(&mut [7, 0, 1]);
    }

    proptest! {
        #[test]
        fn fragments_make_the_packet_again(
            payload in 0_usize..1_500,
            mtu in 68_u32..1_500,
            offset in 0_u16..100,
            more: bool,
            tag: bool,
            cut in 0_usize..1_600,
        ) {
            let mut frame = udp_v4(payload, false);
            let field = offset | if more { 0x2000 } else { 0 };
            frame[20..22].copy_from_slice(&field.to_be_bytes());
            fix_header(&mut frame[14..34]);
            if tag {
                frame.splice(12..12, [0x81, 0, 0, 5]);
            }
            let l2 = if tag { 18 } else { 14 };
            let captured = frame.len().min(cut.max(l2 + 20));
            let mut buffer = frame[..captured].to_vec();
            buffer.resize(8_192, 0xee);
            let whole = usize::from(Ipv4::new(&frame[l2..]).unwrap().total_len());
            prop_assume!(whole > mtu as usize);
            prop_assert_eq!(fit(&frame[..captured], mtu, 8_192), Fit::InFragments);
            let pieces = split(&mut buffer, captured, mtu).unwrap();
            let mut bytes = Vec::new();
            let mut units = usize::from(offset);
            for (number, piece) in pieces.iter().enumerate() {
                let is_last = number + 1 == pieces.len();
                let frame_again = &buffer[piece.offset..piece.offset + piece.captured_bytes];
                prop_assert_eq!(&frame_again[..l2], &frame[..l2]);
                let ip = Ipv4::new(&frame_again[l2..]).unwrap();
                prop_assert!(ip.header_checksum_ok());
                prop_assert_eq!(usize::from(ip.total_len()) + l2, piece.wire_bytes);
                prop_assert!(u32::from(ip.total_len()) <= mtu);
                prop_assert_eq!(ip.more_fragments(), more || !is_last);
                prop_assert_eq!(usize::from(ip.fragment_offset_bytes()), units * 8);
                let payload = usize::from(ip.total_len()) - 20;
                prop_assert!(is_last || payload % 8 == 0);
                units += payload / 8;
                bytes.extend_from_slice(ip.payload());
            }
            let there = &frame[l2 + 20..captured.min(l2 + whole)];
            prop_assert_eq!(&bytes[..], there);
        }

        #[test]
        fn no_frame_makes_it_panic(
            frame in proptest::collection::vec(any::<u8>(), 0..200),
            version in prop_oneof![Just(0x45_u8), Just(0x4f), Just(0x60)],
            mtu in 0_u32..2_000,
        ) {
            let mut frame = frame;
            if frame.len() > 20 {
                let kind = if version == 0x60 { [0x86, 0xdd] } else { [8, 0] };
                frame[12..14].copy_from_slice(&kind);
                frame[14] = version;
            }
            let captured = frame.len();
            fit(&frame, mtu, ROOM);
            frame.resize(ROOM, 0);
            answer(&mut frame.clone(), captured, mtu, &Router::default());
            split(&mut frame, captured, mtu);
        }
    }
}
