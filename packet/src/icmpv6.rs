//! ICMPv6 (RFC 4443), neighbour discovery (RFC 4861) and multicast listener discovery (RFC 2710, RFC 3810) by type.

use crate::error::{Error, fixed};

/// Length of the header up to the identifier and sequence number (or what stands in their place).
pub const HEADER_LEN: usize = 8;

/// Destination unreachable.
pub const DESTINATION_UNREACHABLE: u8 = 1;
/// Packet too big.
pub const PACKET_TOO_BIG: u8 = 2;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 3;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 4;
/// Echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Echo reply.
pub const ECHO_REPLY: u8 = 129;
/// Multicast listener query.
pub const LISTENER_QUERY: u8 = 130;
/// Multicast listener report.
pub const LISTENER_REPORT: u8 = 131;
/// Multicast listener done.
pub const LISTENER_DONE: u8 = 132;
/// Router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// Router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// Neighbour solicitation.
pub const NEIGHBOR_SOLICITATION: u8 = 135;
/// Neighbour advertisement.
pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// Redirect.
pub const REDIRECT: u8 = 137;
/// Node information query.
pub const NODE_INFORMATION_QUERY: u8 = 139;
/// Node information response.
pub const NODE_INFORMATION_RESPONSE: u8 = 140;
/// Version 2 multicast listener report.
pub const LISTENER_REPORT_V2: u8 = 143;

/// A view of an ICMPv6 message.
#[derive(Debug, Clone, Copy)]
pub struct Icmpv6<'a> {
    header: &'a [u8; HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Icmpv6<'a> {
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

    /// Checksum as written; it covers a pseudo header ([`crate::checksum::l4_ok_v6`]).
    #[inline]
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    /// Identifier of an echo (bytes 4 and 5, whatever the type).
    #[inline]
    pub fn identifier(&self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]])
    }

    /// Sequence number of an echo (bytes 6 and 7, whatever the type).
    #[inline]
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }

    /// Bytes 4 to 7 as one word: the MTU of "packet too big", the pointer of "parameter problem".
    #[inline]
    pub fn word(&self) -> u32 {
        u32::from_be_bytes([
            self.header[4],
            self.header[5],
            self.header[6],
            self.header[7],
        ])
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
}

/// Whether messages of this type are errors: all with the high bit clear.
#[inline]
pub const fn is_error(message_type: u8) -> bool {
    message_type < 128
}

/// Whether messages of this type are queries or answers to them, with an identifier.
#[inline]
pub const fn has_identifier(message_type: u8) -> bool {
    matches!(
        message_type,
        ECHO_REQUEST | ECHO_REPLY | NODE_INFORMATION_QUERY | NODE_INFORMATION_RESPONSE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let bytes = [2, 0, 0xab, 0xcd, 0, 0, 5, 0, 0x60];
        let icmp = Icmpv6::new(&bytes).unwrap();
        assert_eq!(
            (icmp.message_type(), icmp.code(), icmp.checksum()),
            (PACKET_TOO_BIG, 0, 0xabcd)
        );
        assert_eq!(
            (icmp.word(), icmp.identifier(), icmp.sequence()),
            (1280, 0, 1280)
        );
        assert_eq!(icmp.payload(), [0x60]);
        assert!(icmp.is_error() && !is_error(ECHO_REQUEST));
        assert_eq!(
            Icmpv6::new(&bytes[..7]).unwrap_err(),
            Error::TooShort {
                needed: 8,
                available: 7
            }
        );
    }
}
