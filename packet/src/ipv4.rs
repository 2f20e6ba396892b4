//! IPv4 headers (RFC 791). Options are handed out as bytes, not parsed: nobody here acts on them.

use crate::checksum;
use crate::error::{Error, fixed};
use crate::protocol::Protocol;

/// Length of a header without options.
pub const MIN_HEADER_LEN: usize = 20;
/// Length of a header with all the options it can have.
pub const MAX_HEADER_LEN: usize = 60;

/// A view of an IPv4 packet, which may be captured shorter than it was on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Ipv4<'a> {
    header: &'a [u8; MIN_HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Ipv4<'a> {
    /// Views `bytes`, which begin with the version nibble. The whole header, options included, must be there.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let header: &[u8; MIN_HEADER_LEN] = fixed(bytes)?;
        if header[0] >> 4 != 4 {
            return Err(Error::BadVersion(header[0] >> 4));
        }
        let view = Self { header, bytes };
        let header_len = view.header_len();
        if header_len < MIN_HEADER_LEN {
            return Err(Error::BadHeaderLength(header_len));
        }
        if header_len > bytes.len() {
            return Err(Error::TooShort {
                needed: header_len,
                available: bytes.len(),
            });
        }
        Ok(view)
    }

    #[inline]
    fn word(&self, high: u8, low: u8) -> u16 {
        u16::from_be_bytes([high, low])
    }

    /// Header length in bytes, options included: 20 to 60.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.header[0] & 0x0f) * 4
    }

    /// Differentiated services code point, 6 bits.
    #[inline]
    pub fn dscp(&self) -> u8 {
        self.header[1] >> 2
    }

    /// Explicit congestion notification, 2 bits.
    #[inline]
    pub fn ecn(&self) -> u8 {
        self.header[1] & 3
    }

    /// Length of header and payload as the header says; may be below `header_len` or beyond the captured bytes.
    #[inline]
    pub fn total_len(&self) -> u16 {
        self.word(self.header[2], self.header[3])
    }

    /// Identification, common to the fragments of a packet.
    #[inline]
    pub fn identification(&self) -> u16 {
        self.word(self.header[4], self.header[5])
    }

    /// Whether fragmenting is forbidden.
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        self.header[6] & 0x40 != 0
    }

    /// Whether fragments follow this one.
    #[inline]
    pub fn more_fragments(&self) -> bool {
        self.header[6] & 0x20 != 0
    }

    /// Where this fragment's payload belongs in the packet: 0 to 65528.
    #[inline]
    pub fn fragment_offset_bytes(&self) -> u16 {
        self.word(self.header[6], self.header[7]) << 3
    }

    /// Whether this is a fragment (first, middle or last) rather than a whole packet.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.word(self.header[6], self.header[7]) & 0x3fff != 0
    }

    /// Time to live.
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.header[8]
    }

    /// Protocol of the payload.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        Protocol(self.header[9])
    }

    /// Header checksum as written.
    #[inline]
    pub fn header_checksum(&self) -> u16 {
        self.word(self.header[10], self.header[11])
    }

    /// Whether the header checksum is right.
    #[inline]
    pub fn header_checksum_ok(&self) -> bool {
        let options = self.option_bytes();
        let mut sum = checksum::sum_20(self.header);
        if !options.is_empty() {
            sum += checksum::sum(options);
        }
        checksum::finish(sum) == 0
    }

    /// Whether the header has options.
    #[inline]
    pub fn has_options(&self) -> bool {
        self.header[0] & 0x0f > 5
    }

    /// The options, padding included.
    #[inline]
    pub fn option_bytes(&self) -> &'a [u8] {
        self.bytes
            .get(MIN_HEADER_LEN..self.header_len())
            .unwrap_or(&[])
    }

    /// Source address.
    #[inline]
    pub fn source(&self) -> [u8; 4] {
        [
            self.header[12],
            self.header[13],
            self.header[14],
            self.header[15],
        ]
    }

    /// Destination address.
    #[inline]
    pub fn destination(&self) -> [u8; 4] {
        [
            self.header[16],
            self.header[17],
            self.header[18],
            self.header[19],
        ]
    }

    /// Captured bytes behind the header, cut at `total_len` (what follows is link-layer padding).
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let end = self.bytes.len().min(usize::from(self.total_len()));
        self.bytes.get(self.header_len()..end).unwrap_or(&[])
    }

    /// Whether the packet was captured as long as it says it is.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.bytes.len() >= usize::from(self.total_len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of RFC 1071-style textbooks: checksum 0xb861.
    const HEADER: [u8; 20] = [
        0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00,
        0x01, 0xc0, 0xa8, 0x00, 0xc7,
    ];

    #[test]
    fn fields() {
        let ip = Ipv4::new(&HEADER).unwrap();
        assert_eq!((ip.header_len(), ip.total_len(), ip.ttl()), (20, 0x73, 64));
        assert_eq!(ip.protocol(), Protocol::UDP);
        assert!(
            ip.dont_fragment() && !ip.more_fragments() && !ip.is_fragment() && !ip.has_options()
        );
        assert_eq!(
            (ip.source(), ip.destination()),
            ([192, 168, 0, 1], [192, 168, 0, 199])
        );
        assert!(ip.header_checksum_ok() && !ip.is_whole());
        assert_eq!(ip.header_checksum(), 0xb861);
        assert!(ip.payload().is_empty());
    }

    #[test]
    fn each_single_bit_error_is_seen_by_the_checksum() {
        for bit in 0..HEADER.len() * 8 {
            let mut bytes = HEADER;
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(ip) = Ipv4::new(&bytes) {
                assert!(!ip.header_checksum_ok(), "bit {bit}");
            }
        }
    }

    #[test]
    fn refuses_what_is_no_ipv4_header() {
        assert_eq!(
            Ipv4::new(&HEADER[..19]).unwrap_err(),
            Error::TooShort {
                needed: 20,
                available: 19
            }
        );
        let mut bytes = HEADER;
        bytes[0] = 0x65;
        assert_eq!(Ipv4::new(&bytes).unwrap_err(), Error::BadVersion(6));
        bytes[0] = 0x44;
        assert_eq!(Ipv4::new(&bytes).unwrap_err(), Error::BadHeaderLength(16));
        bytes[0] = 0x46;
        assert_eq!(
            Ipv4::new(&bytes).unwrap_err(),
            Error::TooShort {
                needed: 24,
                available: 20
            }
        );
    }

    #[test]
    fn payload_ends_at_total_length() {
        let mut bytes = HEADER.to_vec();
        bytes.extend([1, 2, 3, 4]);
        bytes[3] = 22;
        assert_eq!(Ipv4::new(&bytes).unwrap().payload(), [1, 2]);
        bytes[3] = 19;
        assert!(Ipv4::new(&bytes).unwrap().payload().is_empty());
    }

    #[test]
    fn fragments() {
        let mut bytes = HEADER;
        (bytes[6], bytes[7]) = (0x20, 0x00);
        let first = Ipv4::new(&bytes).unwrap();
        assert!(
            first.is_fragment() && first.more_fragments() && first.fragment_offset_bytes() == 0
        );
        (bytes[6], bytes[7]) = (0x1f, 0xff);
        let last = Ipv4::new(&bytes).unwrap();
        assert!(
            last.is_fragment() && !last.more_fragments() && last.fragment_offset_bytes() == 65528
        );
    }
}
