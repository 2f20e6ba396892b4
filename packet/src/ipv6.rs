//! IPv6 headers and the walk over extension headers to the upper layer (RFC 8200).
//!
//! Options inside extension headers are not interpreted. Jumbograms (RFC 2675) are not known: their payload
//! length of zero reads as an empty packet.

use crate::error::{Error, fixed};
use crate::protocol::Protocol;

/// Length of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Length of a fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 8;
/// Extension headers [`Ipv6::upper_layer`] walks before it gives up. More than any real packet has; it bounds the time
/// a hostile one can take.
pub const MAX_EXTENSION_HEADERS: u8 = 64;

/// Where the upper-layer header of an IPv6 packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpperLayer {
    /// What is there. Of a fragment that is not the first, the protocol its fragment header names.
    pub protocol: Protocol,
    /// Where it begins, in bytes from the start of the IPv6 header; at most the captured length.
    pub offset: usize,
    /// The fragment header, if there was one (the first, should there be several).
    pub fragment: Option<FragmentHeader>,
    /// Extension headers walked, the fragment header included.
    pub extension_headers: u8,
}

/// The fragment header of an IPv6 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentHeader {
    /// Where this fragment's payload belongs in the fragmentable part.
    pub offset_bytes: u16,
    /// Whether fragments follow this one.
    pub more: bool,
    /// Identification, common to the fragments of a packet.
    pub identification: u32,
    /// Next header: the protocol of what was fragmented.
    pub next_header: Protocol,
    /// Where the fragment header begins, from the start of the IPv6 header.
    pub header_offset: usize,
    /// Where the `next header` byte is that names the fragment header (what reassembly overwrites).
    pub previous_next_header_offset: usize,
}

/// A view of an IPv6 packet, which may be captured shorter than it was on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Ipv6<'a> {
    header: &'a [u8; HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Ipv6<'a> {
    /// Views `bytes`, which begin with the version nibble.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let header: &[u8; HEADER_LEN] = fixed(bytes)?;
        if header[0] >> 4 != 6 {
            return Err(Error::BadVersion(header[0] >> 4));
        }
        Ok(Self { header, bytes })
    }

    /// Traffic class (DSCP and ECN).
    #[inline]
    pub fn traffic_class(&self) -> u8 {
        (self.header[0] << 4) | (self.header[1] >> 4)
    }

    /// Flow label, 20 bits.
    #[inline]
    pub fn flow_label(&self) -> u32 {
        u32::from_be_bytes([0, self.header[1] & 0x0f, self.header[2], self.header[3]])
    }

    /// Bytes behind the fixed header as it says; may be beyond the captured bytes.
    #[inline]
    pub fn payload_len(&self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]])
    }

    /// Length of the whole packet as the header says.
    #[inline]
    pub fn total_len(&self) -> usize {
        HEADER_LEN + usize::from(self.payload_len())
    }

    /// What follows the fixed header: an extension header or the upper layer.
    #[inline]
    pub fn next_header(&self) -> Protocol {
        Protocol(self.header[6])
    }

    /// Hop limit.
    #[inline]
    pub fn hop_limit(&self) -> u8 {
        self.header[7]
    }

    /// Source address.
    #[inline]
    pub fn source(&self) -> [u8; 16] {
        let mut address = [0; 16];
        address.copy_from_slice(&self.header[8..24]);
        address
    }

    /// Destination address.
    #[inline]
    pub fn destination(&self) -> [u8; 16] {
        let mut address = [0; 16];
        address.copy_from_slice(&self.header[24..40]);
        address
    }

    /// Captured bytes behind the fixed header, cut at `total_len`.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let end = self.bytes.len().min(self.total_len());
        self.bytes.get(HEADER_LEN..end).unwrap_or(&[])
    }

    /// Captured bytes from `offset` (as in [`UpperLayer::offset`]) on, cut at `total_len`.
    #[inline]
    pub fn payload_from(&self, offset: usize) -> &'a [u8] {
        let end = self.bytes.len().min(self.total_len());
        self.bytes.get(offset..end).unwrap_or(&[])
    }

    /// Whether the packet was captured as long as it says it is.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.bytes.len() >= self.total_len()
    }

    /// Finds the upper layer behind hop-by-hop, routing, destination, authentication and fragment headers.
    ///
    /// The walk stops behind the header of a fragment that is not the first: what follows is no header. It fails
    /// when an extension header is cut off, by the capture or by the packet's own length.
    #[inline]
    pub fn upper_layer(&self) -> Result<UpperLayer, Error> {
        let upper = UpperLayer {
            protocol: self.next_header(),
            offset: HEADER_LEN,
            fragment: None,
            extension_headers: 0,
        };
        if is_extension_header(upper.protocol) {
            self.walk(upper)
        } else {
            Ok(upper)
        }
    }

    /// Apart from `upper_layer` so that the common packet without extension headers stays in a few instructions.
    #[inline(never)]
    fn walk(&self, mut upper: UpperLayer) -> Result<UpperLayer, Error> {
        let end = self.bytes.len().min(self.total_len());
        let packet = self.bytes.get(..end).unwrap_or(self.bytes);
        // The next-header field of the fixed header; of extension headers it is the first byte.
        let mut previous_next_header_offset = 6;
        while is_extension_header(upper.protocol) {
            if upper.extension_headers == MAX_EXTENSION_HEADERS {
                return Err(Error::HeaderChainTooDeep {
                    max: MAX_EXTENSION_HEADERS,
                });
            }
            let too_short = |needed| Error::TooShort {
                needed,
                available: end,
            };
            // Every extension header is at least 8 bytes long.
            let header: &[u8; 8] = packet
                .get(upper.offset..)
                .and_then(<[u8]>::first_chunk)
                .ok_or(too_short(upper.offset + 8))?;
            let next = Protocol(header[0]);
            let length = match upper.protocol {
                Protocol::IPV6_FRAGMENT => FRAGMENT_HEADER_LEN,
                Protocol::AH => (usize::from(header[1]) + 2) * 4,
                _ => (usize::from(header[1]) + 1) * 8,
            };
            if upper.offset + length > end {
                return Err(too_short(upper.offset + length));
            }
            upper.extension_headers += 1;
            let is_fragment = upper.protocol == Protocol::IPV6_FRAGMENT;
            if is_fragment {
                let fragment =
                    FragmentHeader::parse(header, upper.offset, previous_next_header_offset);
                upper.fragment.get_or_insert(fragment);
                if fragment.offset_bytes != 0 {
                    upper.protocol = next;
                    upper.offset += length;
                    return Ok(upper);
                }
            }
            previous_next_header_offset = upper.offset;
            upper.protocol = next;
            upper.offset += length;
        }
        Ok(upper)
    }
}

impl FragmentHeader {
    fn parse(header: &[u8; 8], header_offset: usize, previous_next_header_offset: usize) -> Self {
        let word = u16::from_be_bytes([header[2], header[3]]);
        Self {
            offset_bytes: word & 0xfff8,
            more: word & 1 != 0,
            identification: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            next_header: Protocol(header[0]),
            header_offset,
            previous_next_header_offset,
        }
    }
}

/// Whether `protocol` is an extension header that the walk looks behind. ESP is not: what follows is encrypted.
#[inline]
pub const fn is_extension_header(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::HOP_BY_HOP
            | Protocol::IPV6_ROUTING
            | Protocol::IPV6_FRAGMENT
            | Protocol::AH
            | Protocol::DESTINATION_OPTIONS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet whose `next_header` and body are given.
    fn packet(next_header: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x6a, 0xb1, 0x23, 0x45, 0, body.len() as u8, next_header, 63];
        bytes.extend([1; 16]);
        bytes.extend([2; 16]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn fields() {
        let bytes = packet(17, &[9, 9]);
        let ip = Ipv6::new(&bytes).unwrap();
        assert_eq!((ip.traffic_class(), ip.flow_label()), (0xab, 0x12345));
        assert_eq!(
            (ip.payload_len(), ip.total_len(), ip.hop_limit()),
            (2, 42, 63)
        );
        assert_eq!((ip.source(), ip.destination()), ([1; 16], [2; 16]));
        let upper = ip.upper_layer().unwrap();
        assert_eq!(
            (upper.protocol, upper.offset, upper.extension_headers),
            (Protocol::UDP, 40, 0)
        );
        assert_eq!(ip.payload_from(upper.offset), [9, 9]);
        assert!(ip.is_whole());
    }

    #[test]
    fn walks_the_chain_to_the_upper_layer() {
        let mut body = vec![43, 0, 0, 0, 0, 0, 0, 0]; // hop-by-hop, then routing
        body.extend([51, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // routing of 16 bytes, then AH
        body.extend([44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // AH of 12 bytes, then fragment
        body.extend([60, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef]); // first fragment, then destination options
        body.extend([6, 0, 0, 0, 0, 0, 0, 0]);
        body.extend([7; 3]);
        let bytes = packet(0, &body);
        let ip = Ipv6::new(&bytes).unwrap();
        let upper = ip.upper_layer().unwrap();
        assert_eq!(
            (upper.protocol, upper.offset, upper.extension_headers),
            (Protocol::TCP, 92, 5)
        );
        assert_eq!(ip.payload_from(upper.offset), [7; 3]);
        let fragment = upper.fragment.unwrap();
        assert_eq!(
            (
                fragment.offset_bytes,
                fragment.more,
                fragment.identification
            ),
            (0, true, 0xdead_beef)
        );
        assert_eq!(
            (fragment.header_offset, fragment.previous_next_header_offset),
            (76, 64)
        );
        assert_eq!(fragment.next_header, Protocol::DESTINATION_OPTIONS);
    }

    #[test]
    fn a_later_fragment_ends_the_walk() {
        // Its payload begins with bytes that would read as a destination options header.
        let bytes = packet(44, &[60, 0, 0x05, 0xa8, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0, 0]);
        let upper = Ipv6::new(&bytes).unwrap().upper_layer().unwrap();
        assert_eq!(
            (upper.protocol, upper.offset),
            (Protocol::DESTINATION_OPTIONS, 48)
        );
        let fragment = upper.fragment.unwrap();
        assert_eq!((fragment.offset_bytes, fragment.more), (1448, false));
        assert_eq!(fragment.previous_next_header_offset, 6);
    }

    #[test]
    fn a_cut_or_endless_chain_is_an_error() {
        let bytes = packet(0, &[6, 1, 0, 0, 0, 0, 0, 0]);
        let error = Ipv6::new(&bytes).unwrap().upper_layer().unwrap_err();
        assert_eq!(
            error,
            Error::TooShort {
                needed: 56,
                available: 48
            }
        );
        let chain: Vec<u8> = [60, 0, 0, 0, 0, 0, 0, 0].repeat(31);
        let mut bytes = packet(60, &chain);
        let error = Ipv6::new(&bytes).unwrap().upper_layer().unwrap_err();
        assert_eq!(
            error,
            Error::TooShort {
                needed: 296,
                available: 288
            }
        );
        (bytes[4], bytes[5]) = (2, 8);
        bytes.extend(chain.repeat(2));
        let error = Ipv6::new(&bytes).unwrap().upper_layer().unwrap_err();
        assert_eq!(error, Error::HeaderChainTooDeep { max: 64 });
    }

    #[test]
    fn refuses_what_is_no_ipv6_header() {
        assert_eq!(
            Ipv6::new(&[0x60; 39]).unwrap_err(),
            Error::TooShort {
                needed: 40,
                available: 39
            }
        );
        assert_eq!(Ipv6::new(&[0x40; 40]).unwrap_err(), Error::BadVersion(4));
    }
}
