//! VXLAN headers (RFC 7348).

use crate::error::{Error, fixed};

/// Length of the header.
pub const HEADER_LEN: usize = 8;
/// The UDP port IANA has given it.
pub const PORT: u16 = 4_789;

/// A view of a VXLAN packet: what is behind the UDP header.
#[derive(Debug, Clone, Copy)]
pub struct Vxlan<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Vxlan<'a> {
    /// Views `bytes`, which begin with the flags.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self {
            header: fixed(bytes)?,
            payload: &bytes[HEADER_LEN..],
        })
    }

    /// Whether the flag I is set, without which the identifier says nothing.
    #[inline]
    pub const fn has_vni(&self) -> bool {
        self.header[0] & 0x08 != 0
    }

    /// VXLAN network identifier, 24 bits.
    #[inline]
    pub const fn vni(&self) -> u32 {
        u32::from_be_bytes([0, self.header[4], self.header[5], self.header[6]])
    }

    /// Captured bytes of the Ethernet frame inside.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identifier_is_24_bits_behind_the_flags() {
        let bytes = [0x08, 0xff, 0xff, 0xff, 0x12, 0x34, 0x56, 0xff, 0xaa];
        let vxlan = Vxlan::new(&bytes).expect("a header");
        assert!(vxlan.has_vni());
        assert_eq!((vxlan.vni(), vxlan.payload()), (0x12_3456, &[0xaa][..]));
        assert!(Vxlan::new(&bytes[..7]).is_err());
    }
}
