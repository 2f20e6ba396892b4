//! DCCP generic header (RFC 4340).

use crate::error::{Error, fixed};

/// Length of the part of the generic header that both sequence-number sizes share.
pub const MIN_HEADER_LEN: usize = 12;

/// Request.
pub const REQUEST: u8 = 0;
/// Response.
pub const RESPONSE: u8 = 1;
/// Data.
pub const DATA: u8 = 2;
/// Acknowledgment.
pub const ACK: u8 = 3;
/// Data with acknowledgment.
pub const DATA_ACK: u8 = 4;
/// Close request.
pub const CLOSE_REQUEST: u8 = 5;
/// Close.
pub const CLOSE: u8 = 6;
/// Reset.
pub const RESET: u8 = 7;
/// Sync.
pub const SYNC: u8 = 8;
/// Acknowledgment of a sync.
pub const SYNC_ACK: u8 = 9;

/// A view of a DCCP packet.
#[derive(Debug, Clone, Copy)]
pub struct Dccp<'a> {
    header: &'a [u8; MIN_HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Dccp<'a> {
    /// Views `bytes`, which begin with the source port.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self {
            header: fixed(bytes)?,
            bytes,
        })
    }

    /// Source port.
    #[inline]
    pub fn source_port(&self) -> u16 {
        u16::from_be_bytes([self.header[0], self.header[1]])
    }

    /// Destination port.
    #[inline]
    pub fn destination_port(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    /// Header length as the data offset says, options included: 0 to 1020 bytes.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.header[4]) * 4
    }

    /// Checksum coverage: 0 covers all, `n` from 1 to 15 the header and `4 * (n - 1)` bytes of data.
    #[inline]
    pub fn checksum_coverage(&self) -> u8 {
        self.header[5] & 0x0f
    }

    /// Checksum as written.
    #[inline]
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }

    /// Packet type, 4 bits, such as [`REQUEST`].
    #[inline]
    pub fn packet_type(&self) -> u8 {
        (self.header[8] >> 1) & 0x0f
    }

    /// Whether sequence numbers have 48 rather than 24 bits.
    #[inline]
    pub fn extended_sequence(&self) -> bool {
        self.header[8] & 1 != 0
    }

    /// Sequence number; `None` if the 48-bit one was not captured whole.
    #[inline]
    pub fn sequence(&self) -> Option<u64> {
        if !self.extended_sequence() {
            return Some(
                u32::from_be_bytes([0, self.header[9], self.header[10], self.header[11]]).into(),
            );
        }
        let &[a, b, c, d] = self.bytes.get(MIN_HEADER_LEN..)?.first_chunk()?;
        Some(u64::from_be_bytes([
            0,
            0,
            self.header[10],
            self.header[11],
            a,
            b,
            c,
            d,
        ]))
    }

    /// Acknowledgment number; `None` if there is none, or the whole of it was not captured.
    #[inline]
    pub fn acknowledgment(&self) -> Option<u64> {
        if matches!(self.packet_type(), REQUEST | DATA) {
            return None;
        }
        if self.extended_sequence() {
            let &[_, _, a, b, c, d, e, f] = self.bytes.get(MIN_HEADER_LEN + 4..)?.first_chunk()?;
            return Some(u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        }
        let &[_, a, b, c] = self.bytes.get(MIN_HEADER_LEN..)?.first_chunk()?;
        Some(u32::from_be_bytes([0, a, b, c]).into())
    }

    /// The captured bytes that the checksum covers.
    #[inline]
    pub fn covered(&self) -> &'a [u8] {
        match usize::from(self.checksum_coverage()) {
            0 => self.bytes,
            coverage => self
                .bytes
                .get(..self.header_len() + (coverage - 1) * 4)
                .unwrap_or(self.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_sequence_numbers() {
        let mut bytes = [
            0,
            1,
            0,
            2,
            4,
            0x12,
            0xab,
            0xcd,
            REQUEST << 1,
            1,
            2,
            3,
            4,
            5,
            6,
            7,
        ];
        let dccp = Dccp::new(&bytes).unwrap();
        assert_eq!(
            (
                dccp.source_port(),
                dccp.destination_port(),
                dccp.header_len()
            ),
            (1, 2, 16)
        );
        assert_eq!((dccp.checksum_coverage(), dccp.checksum()), (2, 0xabcd));
        assert_eq!(
            (dccp.packet_type(), dccp.sequence()),
            (REQUEST, Some(0x01_0203))
        );
        bytes[8] = RESET << 1 | 1;
        let dccp = Dccp::new(&bytes).unwrap();
        assert_eq!(
            (dccp.packet_type(), dccp.sequence()),
            (RESET, Some(0x0203_0405_0607))
        );
        assert_eq!(Dccp::new(&bytes[..15]).unwrap().sequence(), None);
        assert_eq!(
            Dccp::new(&bytes[..11]).unwrap_err(),
            Error::TooShort {
                needed: 12,
                available: 11
            }
        );
    }

    #[test]
    fn coverage() {
        let mut bytes = [0; 24];
        bytes[4] = 4;
        let covered = |bytes: &[u8]| Dccp::new(bytes).unwrap().covered().len();
        assert_eq!(covered(&bytes), 24);
        bytes[5] = 1;
        assert_eq!(covered(&bytes), 16);
        bytes[5] = 2;
        assert_eq!(covered(&bytes), 20);
        bytes[5] = 15;
        assert_eq!(covered(&bytes), 24);
    }
}
