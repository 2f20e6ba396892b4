//! GRE headers: version 0 (RFC 2784, RFC 2890) and version 1, the one PPTP uses (RFC 2637).

use crate::error::{Error, fixed};
use crate::ethernet::EtherType;

/// Length of the part every GRE header has.
pub const MIN_HEADER_LEN: usize = 4;
/// The protocol type of version 1: PPP.
pub const PROTOCOL_PPP: EtherType = EtherType(0x880b);

/// Version 0: a checksum and a reserved word follow.
const CHECKSUM: u16 = 0x8000;
/// Version 0: a routing field follows (RFC 1701, abandoned); there is a checksum word too.
const ROUTING: u16 = 0x4000;
/// A key follows; in version 1 payload length and call id.
const KEY: u16 = 0x2000;
/// A sequence number follows.
const SEQUENCE: u16 = 0x1000;
/// Version 1: an acknowledgment number follows.
const ACKNOWLEDGMENT: u16 = 0x0080;

/// A view of a GRE packet.
///
/// Optional fields are `None` both when the flags say they are absent and when they were not captured.
#[derive(Debug, Clone, Copy)]
pub struct Gre<'a> {
    header: &'a [u8; MIN_HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Gre<'a> {
    /// Views `bytes`, which begin with the flags.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self {
            header: fixed(bytes)?,
            bytes,
        })
    }

    /// Flags and version as one word.
    #[inline]
    pub fn flags(&self) -> u16 {
        u16::from_be_bytes([self.header[0], self.header[1]])
    }

    /// Version, 3 bits.
    #[inline]
    pub fn version(&self) -> u8 {
        self.header[1] & 7
    }

    /// What the payload is.
    #[inline]
    pub fn protocol(&self) -> EtherType {
        EtherType(u16::from_be_bytes([self.header[2], self.header[3]]))
    }

    #[inline]
    fn has(&self, flag: u16) -> bool {
        self.flags() & flag != 0
    }

    /// Whether there is a checksum word (never in version 1).
    #[inline]
    pub fn has_checksum(&self) -> bool {
        self.version() == 0 && self.has(CHECKSUM | ROUTING)
    }

    /// Where the key is: behind the checksum word.
    #[inline]
    fn key_offset(&self) -> usize {
        MIN_HEADER_LEN + if self.has_checksum() { 4 } else { 0 }
    }

    #[inline]
    fn sequence_offset(&self) -> usize {
        self.key_offset() + if self.has(KEY) { 4 } else { 0 }
    }

    #[inline]
    fn acknowledgment_offset(&self) -> usize {
        self.sequence_offset() + if self.has(SEQUENCE) { 4 } else { 0 }
    }

    #[inline]
    fn has_acknowledgment(&self) -> bool {
        self.version() == 1 && self.has(ACKNOWLEDGMENT)
    }

    /// Length of the header by its flags; perhaps beyond the captured bytes. The abandoned routing field of RFC 1701 is
    /// not counted in.
    #[inline]
    pub fn header_len(&self) -> usize {
        self.acknowledgment_offset() + if self.has_acknowledgment() { 4 } else { 0 }
    }

    #[inline]
    fn word(&self, present: bool, offset: usize) -> Option<u32> {
        if !present {
            return None;
        }
        self.bytes
            .get(offset..)?
            .first_chunk()
            .map(|word| u32::from_be_bytes(*word))
    }

    /// Checksum of version 0.
    #[inline]
    pub fn checksum(&self) -> Option<u16> {
        self.word(self.version() == 0 && self.has(CHECKSUM), MIN_HEADER_LEN)
            .map(|word| (word >> 16) as u16)
    }

    /// Key of version 0; in version 1 payload length and call id as one word.
    #[inline]
    pub fn key(&self) -> Option<u32> {
        self.word(self.has(KEY), self.key_offset())
    }

    /// Payload length of version 1.
    #[inline]
    pub fn payload_len(&self) -> Option<u16> {
        if self.version() == 1 {
            self.key().map(|key| (key >> 16) as u16)
        } else {
            None
        }
    }

    /// Call id of version 1: the peer's call that the packet belongs to.
    #[inline]
    pub fn call_id(&self) -> Option<u16> {
        if self.version() == 1 {
            self.key().map(|key| key as u16)
        } else {
            None
        }
    }

    /// Sequence number.
    #[inline]
    pub fn sequence(&self) -> Option<u32> {
        self.word(self.has(SEQUENCE), self.sequence_offset())
    }

    /// Acknowledgment number of version 1.
    #[inline]
    pub fn acknowledgment(&self) -> Option<u32> {
        self.word(self.has_acknowledgment(), self.acknowledgment_offset())
    }

    /// Captured bytes behind the header.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.header_len()..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_0_plain_and_with_everything() {
        let gre = Gre::new(&[0, 0, 8, 0, 42]).unwrap();
        assert_eq!(
            (gre.version(), gre.protocol(), gre.header_len()),
            (0, EtherType::IPV4, 4)
        );
        assert_eq!(
            (gre.checksum(), gre.key(), gre.sequence(), gre.call_id()),
            (None, None, None, None)
        );
        assert_eq!(gre.payload(), [42]);

        let bytes = [0xb0, 0, 8, 0, 0xab, 0xcd, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 42];
        let gre = Gre::new(&bytes).unwrap();
        assert_eq!(
            (gre.checksum(), gre.key(), gre.sequence()),
            (Some(0xabcd), Some(7), Some(9))
        );
        assert_eq!(
            (gre.header_len(), gre.payload(), gre.acknowledgment()),
            (16, &[42][..], None)
        );
    }

    #[test]
    fn version_1() {
        let bytes = [
            0x30, 0x81, 0x88, 0x0b, 0, 1, 0, 77, 0, 0, 0, 3, 0, 0, 0, 2, 42,
        ];
        let gre = Gre::new(&bytes).unwrap();
        assert_eq!((gre.version(), gre.protocol()), (1, PROTOCOL_PPP));
        assert_eq!((gre.payload_len(), gre.call_id()), (Some(1), Some(77)));
        assert_eq!(
            (gre.sequence(), gre.acknowledgment(), gre.payload()),
            (Some(3), Some(2), &[42][..])
        );
    }

    #[test]
    fn cut_fields_are_absent() {
        let bytes = [0xb0, 0, 8, 0, 0xab, 0xcd, 0, 0, 0, 0];
        let gre = Gre::new(&bytes).unwrap();
        assert_eq!(
            (gre.checksum(), gre.key(), gre.sequence(), gre.payload()),
            (Some(0xabcd), None, None, &[][..])
        );
        assert_eq!(
            Gre::new(&bytes[..3]).unwrap_err(),
            Error::TooShort {
                needed: 4,
                available: 3
            }
        );
    }
}
