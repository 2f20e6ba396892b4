//! Replacing text in packets: lengths and checksums follow.

use crate::extension;
use crate::reason::Reason;
use packet::{Protocol, checksum};
use std::ops::Range;

/// Most bytes an IP packet can have.
const LONGEST: usize = 65_535;

/// Replaces bytes of the TCP or UDP payload of a whole packet; `range` counts from the start of the packet.
///
/// # Errors
/// The packet would be too long, or `range` is not in it.
pub(crate) fn replace(
    packet: &mut Vec<u8>,
    transport_at: usize,
    range: Range<usize>,
    with: &[u8],
) -> Result<(), Reason> {
    if range.start < transport_at || range.end > packet.len() || range.start > range.end {
        return Err(Reason::TransportLength);
    }
    if packet.len() - range.len() + with.len() > LONGEST {
        return Err(Reason::TransportLength);
    }
    packet.splice(range, with.iter().copied());
    let (transport_len, total) = (packet.len() - transport_at, packet.len());
    let v4 = packet[0] >> 4 == 4;
    let protocol = if v4 {
        let header_len = usize::from(packet[0] & 15) * 4;
        packet[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        packet[10..12].fill(0);
        let sum = checksum::checksum(&packet[..header_len]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        Protocol(packet[9])
    } else {
        packet[4..6].copy_from_slice(&((total - 40) as u16).to_be_bytes());
        let upper = extension::walk(packet, Protocol(packet[6]));
        upper.map_err(|_| Reason::ExtensionHeaders)?.protocol
    };
    if protocol == Protocol::UDP {
        let field = transport_at + 4..transport_at + 6;
        packet[field].copy_from_slice(&(transport_len as u16).to_be_bytes());
        // No checksum stays no checksum.
        if packet[transport_at + 6..transport_at + 8] == [0, 0] {
            return Ok(());
        }
    }
    mend(packet, transport_at, protocol);
    Ok(())
}

/// Writes the checksum of a TCP segment or UDP datagram.
fn mend(packet: &mut [u8], transport_at: usize, protocol: Protocol) {
    let at = transport_at + if protocol == Protocol::TCP { 16 } else { 6 };
    packet[at..at + 2].fill(0);
    let length = (packet.len() - transport_at) as u32;
    let pseudo = if packet[0] >> 4 == 4 {
        let narrow = |from: usize| packet[from..].first_chunk().copied().unwrap_or_default();
        checksum::pseudo_header_v4(narrow(12), narrow(16), protocol, length)
    } else {
        let wide = |from: usize| packet[from..].first_chunk().copied().unwrap_or_default();
        checksum::pseudo_header_v6(wide(8), wide(24), protocol, length)
    };
    let right = checksum::finish(pseudo + checksum::sum(&packet[transport_at..]));
    // For TCP 0 would do as well, but a checksum that is made anew is never 0 in Linux.
    let right = checksum::udp_nonzero(right);
    packet[at..at + 2].copy_from_slice(&right.to_be_bytes());
}
