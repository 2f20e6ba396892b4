//! ICMP for IPv4 (RFC 792, RFC 950).

use crate::checksum;
use crate::error::{Error, fixed};

/// Length of the header up to the identifier and sequence number (or what stands in their place).
pub const HEADER_LEN: usize = 8;

/// Echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Destination unreachable.
pub const DESTINATION_UNREACHABLE: u8 = 3;
/// Source quench (deprecated).
pub const SOURCE_QUENCH: u8 = 4;
/// Redirect.
pub const REDIRECT: u8 = 5;
/// Echo request.
pub const ECHO_REQUEST: u8 = 8;
/// Router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 9;
/// Router solicitation.
pub const ROUTER_SOLICITATION: u8 = 10;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 11;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 12;
/// Timestamp request.
pub const TIMESTAMP_REQUEST: u8 = 13;
/// Timestamp reply.
pub const TIMESTAMP_REPLY: u8 = 14;
/// Information request (deprecated).
pub const INFORMATION_REQUEST: u8 = 15;
/// Information reply (deprecated).
pub const INFORMATION_REPLY: u8 = 16;
/// Address mask request (deprecated).
pub const ADDRESS_MASK_REQUEST: u8 = 17;
/// Address mask reply (deprecated).
pub const ADDRESS_MASK_REPLY: u8 = 18;

/// A view of an ICMP message.
#[derive(Debug, Clone, Copy)]
pub struct Icmp<'a> {
    header: &'a [u8; HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Icmp<'a> {
    /// Views `bytes`, which begin with the message type.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self {
            header: fixed(bytes)?,
            bytes,
        })
    }

    /// Message type, such as [`ECHO_REQUEST`].
    #[inline]
    pub fn message_type(&self) -> u8 {
        self.header[0]
    }

    /// Code within the type.
    #[inline]
    pub fn code(&self) -> u8 {
        self.header[1]
    }

    /// Checksum as written.
    #[inline]
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    /// Identifier of a query (bytes 4 and 5, whatever the type).
    #[inline]
    pub fn identifier(&self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]])
    }

    /// Sequence number of a query (bytes 6 and 7, whatever the type); the next-hop MTU of "fragmentation needed".
    #[inline]
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }

    /// Captured bytes behind the first eight: echo data, or the packet an error quotes.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or(&[])
    }

    /// Whether the message reports an error about the packet it quotes.
    #[inline]
    pub fn is_error(&self) -> bool {
        is_error(self.header[0])
    }

    /// Whether the checksum over the captured bytes is right.
    #[inline]
    pub fn checksum_ok(&self) -> bool {
        checksum::checksum(self.bytes) == 0
    }
}

/// Whether messages of this type quote the packet they complain about.
#[inline]
pub const fn is_error(message_type: u8) -> bool {
    matches!(
        message_type,
        DESTINATION_UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
    )
}

/// Whether messages of this type are queries or answers to them, with an identifier and a sequence number.
#[inline]
pub const fn has_identifier(message_type: u8) -> bool {
    matches!(
        message_type,
        ECHO_REQUEST | ECHO_REPLY | TIMESTAMP_REQUEST..=ADDRESS_MASK_REPLY
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let mut bytes = [8, 0, 0, 0, 0x12, 0x34, 0, 1, 7, 7];
        let sum = checksum::checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        let icmp = Icmp::new(&bytes).unwrap();
        assert_eq!(
            (icmp.message_type(), icmp.code(), icmp.checksum()),
            (ECHO_REQUEST, 0, sum)
        );
        assert_eq!(
            (icmp.identifier(), icmp.sequence(), icmp.payload()),
            (0x1234, 1, &[7, 7][..])
        );
        assert!(icmp.checksum_ok() && !icmp.is_error());
        bytes[9] = 8;
        assert!(!Icmp::new(&bytes).unwrap().checksum_ok());
        assert_eq!(
            Icmp::new(&bytes[..7]).unwrap_err(),
            Error::TooShort {
                needed: 8,
                available: 7
            }
        );
    }

    #[test]
    fn kinds_of_messages() {
        let errors: Vec<u8> = (0..=255).filter(|&kind| is_error(kind)).collect();
        assert_eq!(errors, [3, 4, 5, 11, 12]);
        let queries: Vec<u8> = (0..=255).filter(|&kind| has_identifier(kind)).collect();
        assert_eq!(queries, [0, 8, 13, 14, 15, 16, 17, 18]);
    }
}
