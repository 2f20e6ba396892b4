//! Writing translated addresses and ports into packets, checksums mended by what changed (RFC 1624).

use super::{Manip, end};
use crate::extension;
use crate::protocol::{icmp, icmpv6};
use crate::reason::Reason;
use crate::tuple::Tuple;
use packet::{Ipv6, Protocol, checksum, sctp};

/// Writes the source or the destination of `target` into the IP packet that begins at `at`, and into the transport header
/// behind it as far as that is there.
///
/// # Errors
/// A header is cut off ([`Reason::TransportTruncated`]): the packet must not be forwarded.
pub fn rewrite(packet: &mut [u8], at: usize, manip: Manip, target: &Tuple) -> Result<(), Reason> {
    let (transport, addresses) = layout(packet, at, target.family)?;
    let address_len = if target.family == 4 { 4 } else { 16 };
    let (old_address, address_at) = {
        let from = at + addresses + usize::from(manip == Manip::Destination) * address_len;
        let mut old = [0; 16];
        let bytes = packet.get(from..from + address_len);
        old[..address_len].copy_from_slice(bytes.ok_or(Reason::IpHeaderTruncated)?);
        (old, from)
    };
    let new_address = end(target, manip);
    let change = Change {
        old_address: &old_address[..address_len],
        new_address: &new_address[..address_len],
        manip,
        target,
    };
    if let Some(transport) = transport {
        let bytes = packet
            .get_mut(transport..)
            .ok_or(Reason::TransportTruncated)?;
        change.transport(bytes)?;
    }
    packet[address_at..address_at + address_len].copy_from_slice(change.new_address);
    if target.family == 4 {
        let field = [packet[at + 10], packet[at + 11]];
        let mended = change.addresses(u16::from_be_bytes(field));
        packet[at + 10..at + 12].copy_from_slice(&mended.to_be_bytes());
    }
    Ok(())
}

/// Where the transport header begins (none behind a later fragment's header), and where the addresses are in the IP header.
fn layout(packet: &[u8], at: usize, family: u8) -> Result<(Option<usize>, usize), Reason> {
    let header = packet.get(at..).ok_or(Reason::IpHeaderTruncated)?;
    if family == 4 {
        let header: &[u8; 20] = header.first_chunk().ok_or(Reason::IpHeaderTruncated)?;
        return Ok((Some(at + usize::from(header[0] & 15) * 4), 12));
    }
    let first: &[u8; 40] = header.first_chunk().ok_or(Reason::IpHeaderTruncated)?;
    let upper = extension::walk(header, Protocol(first[6])).ok();
    let transport = upper.filter(|upper| {
        upper
            .fragment
            .is_none_or(|fragment| fragment.offset_bytes == 0)
    });
    Ok((transport.map(|upper| at + upper.offset), 8))
}

/// What changes of a packet.
struct Change<'a> {
    old_address: &'a [u8],
    new_address: &'a [u8],
    manip: Manip,
    target: &'a Tuple,
}

impl Change<'_> {
    /// A checksum over the address.
    fn addresses(&self, checksum: u16) -> u16 {
        checksum::update_bytes(checksum, self.old_address, self.new_address)
    }

    fn transport(&self, bytes: &mut [u8]) -> Result<(), Reason> {
        match self.target.protocol() {
            Protocol::TCP => self.ports(bytes, 20, |change, bytes, old, new| {
                change.mend(bytes, 16, old, new);
            }),
            Protocol::UDP => self.ports(bytes, 8, |change, bytes, old, new| {
                if bytes[6..8] != [0, 0] {
                    change.mend_nonzero(bytes, old, new);
                }
            }),
            Protocol::UDPLITE => self.ports(bytes, 8, Self::mend_nonzero),
            // Without a tracker for it, it has no ports that could be translated.
            Protocol::DCCP if self.target.has_ports() => {
                self.ports(bytes, 12, |change, bytes, old, new| {
                    change.mend(bytes, 6, old, new);
                })
            }
            Protocol::SCTP => self.ports(bytes, 12, |_, bytes, _, _| {
                if let Some(right) = sctp::packet_checksum(bytes) {
                    bytes[8..12].copy_from_slice(&right.to_le_bytes());
                }
            }),
            Protocol::ICMP => self.icmp(bytes),
            Protocol::ICMPV6 => self.icmpv6(bytes),
            Protocol::GRE => self.gre(bytes),
            _ => Ok(()),
        }
    }

    /// Writes the port; `mend` is called with the old and the new one if the header is there up to `header_len`.
    fn ports(
        &self,
        bytes: &mut [u8],
        header_len: usize,
        mend: impl FnOnce(&Self, &mut [u8], u16, u16),
    ) -> Result<(), Reason> {
        /// What an ICMP error quotes at least.
        const QUOTED: usize = 8;
        if bytes.len() < QUOTED {
            return Err(Reason::TransportTruncated);
        }
        let (at, new) = match self.manip {
            Manip::Source => (0, self.target.source_id),
            Manip::Destination => (2, self.target.destination_id),
        };
        let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
        if bytes.len() >= header_len {
            mend(self, bytes, old, new);
        }
        Ok(())
    }

    /// The checksum at `at`, over the pseudo header and a word that changed.
    fn mend(&self, bytes: &mut [u8], at: usize, old: u16, new: u16) {
        let before = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let after = checksum::update_u16(self.addresses(before), old, new);
        bytes[at..at + 2].copy_from_slice(&after.to_be_bytes());
    }

    /// The same for UDP, where 0 means that there is none.
    fn mend_nonzero(&self, bytes: &mut [u8], old: u16, new: u16) {
        self.mend(bytes, 6, old, new);
        let mended = checksum::udp_nonzero(u16::from_be_bytes([bytes[6], bytes[7]]));
        bytes[6..8].copy_from_slice(&mended.to_be_bytes());
    }

    fn icmp(&self, bytes: &mut [u8]) -> Result<(), Reason> {
        let header: &mut [u8; 8] = bytes.first_chunk_mut().ok_or(Reason::TransportTruncated)?;
        if icmp::counterpart(header[0]).is_some() {
            let old = u16::from_be_bytes([header[4], header[5]]);
            let before = u16::from_be_bytes([header[2], header[3]]);
            let after = checksum::update_u16(before, old, self.target.source_id);
            header[2..4].copy_from_slice(&after.to_be_bytes());
            header[4..6].copy_from_slice(&self.target.source_id.to_be_bytes());
        }
        Ok(())
    }

    fn icmpv6(&self, bytes: &mut [u8]) -> Result<(), Reason> {
        let header: &mut [u8; 8] = bytes.first_chunk_mut().ok_or(Reason::TransportTruncated)?;
        let mut mended = self.addresses(u16::from_be_bytes([header[2], header[3]]));
        if icmpv6::is_echo(header[0]) {
            let old = u16::from_be_bytes([header[4], header[5]]);
            mended = checksum::update_u16(mended, old, self.target.source_id);
            header[4..6].copy_from_slice(&self.target.source_id.to_be_bytes());
        }
        header[2..4].copy_from_slice(&mended.to_be_bytes());
        Ok(())
    }

    /// The call id of PPTP's GRE is its destination's; in plain GRE there is nothing to translate.
    fn gre(&self, bytes: &mut [u8]) -> Result<(), Reason> {
        let header: &mut [u8; 8] = bytes.first_chunk_mut().ok_or(Reason::TransportTruncated)?;
        match header[1] & 7 {
            _ if self.manip == Manip::Source => Ok(()),
            0 => Ok(()),
            1 => {
                header[6..8].copy_from_slice(&self.target.destination_id.to_be_bytes());
                Ok(())
            }
            _ => Err(Reason::GreVersion),
        }
    }
}

/// An ICMP error about a translated connection: the packet it quotes is put back as its sender sent it, and the error's own
/// header is rewritten. `quoted` is the tuple to restore the quoted packet to, `target` the one for the outer header.
///
/// # Errors
/// A header is cut off.
pub(crate) fn rewrite_error(
    packet: &mut [u8],
    transport_at: usize,
    manip: Manip,
    quoted: &Tuple,
    target: &Tuple,
) -> Result<(), Reason> {
    const ICMP_HEADER: usize = 8;
    rewrite(packet, transport_at + ICMP_HEADER, manip.other(), quoted)?;
    let outer = Tuple {
        protocol: if target.family == 4 {
            Protocol::ICMP.0
        } else {
            Protocol::ICMPV6.0
        },
        ..*target
    };
    let pseudo = pseudo_header(packet, transport_at, target.family)?;
    let message = packet
        .get_mut(transport_at..)
        .ok_or(Reason::TransportTruncated)?;
    message[2..4].fill(0);
    let right = checksum::finish(pseudo + checksum::sum(message));
    message[2..4].copy_from_slice(&right.to_be_bytes());
    rewrite(packet, 0, manip, &outer)
}

/// Partial sum of the pseudo header of an ICMP message; ICMP has none in IPv4.
fn pseudo_header(packet: &[u8], transport_at: usize, family: u8) -> Result<u32, Reason> {
    if family == 4 {
        return Ok(0);
    }
    let ip = Ipv6::new(packet).map_err(|_| Reason::IpHeaderTruncated)?;
    let length = (packet.len() - transport_at) as u32;
    Ok(checksum::pseudo_header_v6(
        ip.source(),
        ip.destination(),
        Protocol::ICMPV6,
        length,
    ))
}

/// Where the transport header of a packet begins, if it has one, and whether it holds an ICMP error with a whole header.
pub(crate) fn error_at(packet: &[u8], family: u8) -> Option<usize> {
    let at = layout(packet, 0, family).ok()?.0?;
    let icmp_type = *packet.get(at)?;
    let protocol = match family {
        4 => Protocol(packet[9]),
        _ => extension::walk(packet, Protocol(packet[6])).ok()?.protocol,
    };
    let is_error = match (family, protocol) {
        (4, Protocol::ICMP) => icmp::is_error(icmp_type),
        (6, Protocol::ICMPV6) => icmpv6::is_error(icmp_type),
        _ => false,
    };
    is_error.then_some(at)
}

/// Whether the checksum of an ICMP message is right.
pub(crate) fn error_checksum_ok(packet: &[u8], transport_at: usize, family: u8) -> bool {
    let Ok(pseudo) = pseudo_header(packet, transport_at, family) else {
        return false;
    };
    let message = packet.get(transport_at..).unwrap_or(&[]);
    checksum::finish(pseudo + checksum::sum(message)) == 0
}
