//! Geneve headers (RFC 8926).

use crate::error::{Error, fixed};
use crate::ethernet::EtherType;

/// Length of the part every header has.
pub const MIN_HEADER_LEN: usize = 8;
/// The UDP port IANA has given it.
pub const PORT: u16 = 6_081;

/// A view of a Geneve packet: what is behind the UDP header.
#[derive(Debug, Clone, Copy)]
pub struct Geneve<'a> {
    header: &'a [u8; MIN_HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Geneve<'a> {
    /// Views `bytes`, which begin with version and length of the options.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self {
            header: fixed(bytes)?,
            bytes,
        })
    }

    /// Version; 0 is the one there is.
    #[inline]
    pub const fn version(&self) -> u8 {
        self.header[0] >> 6
    }

    /// Whether the flag O is set: a packet between the tunnel's ends, which carries no tenant's traffic.
    #[inline]
    pub const fn is_control(&self) -> bool {
        self.header[1] & 0x80 != 0
    }

    /// Whether the flag C is set: there are options that a receiver must understand.
    #[inline]
    pub const fn is_critical(&self) -> bool {
        self.header[1] & 0x40 != 0
    }

    /// What the payload is.
    #[inline]
    pub const fn protocol(&self) -> EtherType {
        EtherType(u16::from_be_bytes([self.header[2], self.header[3]]))
    }

    /// Virtual network identifier, 24 bits.
    #[inline]
    pub const fn vni(&self) -> u32 {
        u32::from_be_bytes([0, self.header[4], self.header[5], self.header[6]])
    }

    /// Length of the header with its options; perhaps beyond the captured bytes.
    #[inline]
    pub const fn header_len(&self) -> usize {
        MIN_HEADER_LEN + (self.header[0] & 0x3f) as usize * 4
    }

    /// Captured bytes of what is inside.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.header_len()..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_lie_between_header_and_payload() {
        let mut bytes = vec![0x02, 0x40, 0x65, 0x58, 0x00, 0x00, 0x2a, 0x00];
        bytes.extend([0; 8]);
        bytes.push(0xaa);
        let geneve = Geneve::new(&bytes).expect("a header");
        assert_eq!((geneve.version(), geneve.vni()), (0, 42));
        assert!(geneve.is_critical() && !geneve.is_control());
        assert_eq!(geneve.protocol(), EtherType::BRIDGED);
        assert_eq!((geneve.header_len(), geneve.payload()), (16, &[0xaa][..]));
        let cut = Geneve::new(&bytes[..12]).expect("a header");
        assert!(cut.payload().is_empty());
    }
}
