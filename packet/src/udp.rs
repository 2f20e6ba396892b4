//! UDP (RFC 768) and UDP-Lite (RFC 3828) headers.

use crate::error::{Error, fixed};

/// Length of the header of both.
pub const HEADER_LEN: usize = 8;

/// A view of a UDP datagram.
#[derive(Debug, Clone, Copy)]
pub struct Udp<'a> {
    header: &'a [u8; HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Udp<'a> {
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

    /// Length of header and payload as the header says; perhaps below 8 or beyond the captured bytes.
    #[inline]
    pub fn length(&self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]])
    }

    /// Checksum as written; 0 means none was computed.
    #[inline]
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }

    /// Captured bytes of the datagram, cut at `length`: what the checksum covers.
    #[inline]
    pub fn datagram(&self) -> &'a [u8] {
        self.bytes
            .get(..usize::from(self.length()))
            .unwrap_or(self.bytes)
    }

    /// Captured bytes behind the header, cut at `length`.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.datagram().get(HEADER_LEN..).unwrap_or(&[])
    }
}

/// A view of a UDP-Lite datagram: UDP whose length field says how much the checksum covers.
#[derive(Debug, Clone, Copy)]
pub struct UdpLite<'a> {
    header: &'a [u8; HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> UdpLite<'a> {
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

    /// Bytes the checksum covers, from the start of the header; 0 means all. 1 to 7 are invalid.
    #[inline]
    pub fn checksum_coverage(&self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]])
    }

    /// Checksum as written; 0 is invalid.
    #[inline]
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }

    /// The captured bytes the checksum covers.
    #[inline]
    pub fn covered(&self) -> &'a [u8] {
        match usize::from(self.checksum_coverage()) {
            0 => self.bytes,
            coverage => self.bytes.get(..coverage).unwrap_or(self.bytes),
        }
    }

    /// Captured bytes behind the header.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn udp_fields() {
        let bytes = [0, 53, 0x9c, 0x40, 0, 10, 0xab, 0xcd, 1, 2, 3];
        let udp = Udp::new(&bytes).unwrap();
        assert_eq!((udp.source_port(), udp.destination_port()), (53, 40_000));
        assert_eq!(
            (udp.length(), udp.checksum(), udp.payload()),
            (10, 0xabcd, &[1, 2][..])
        );
        assert_eq!(udp.datagram(), &bytes[..10]);
        assert_eq!(
            Udp::new(&bytes[..7]).unwrap_err(),
            Error::TooShort {
                needed: 8,
                available: 7
            }
        );
    }

    #[test]
    fn a_lying_length_is_harmless() {
        let mut bytes = [0, 53, 0, 53, 0, 3, 0, 0, 1];
        assert_eq!(Udp::new(&bytes).unwrap().payload(), []);
        bytes[4] = 0xff;
        assert_eq!(Udp::new(&bytes).unwrap().payload(), [1]);
    }

    #[test]
    fn udplite_coverage() {
        let mut bytes = [0, 53, 0x9c, 0x40, 0, 8, 0xab, 0xcd, 1, 2];
        let covered = |bytes: &[u8]| UdpLite::new(bytes).unwrap().covered().len();
        assert_eq!(covered(&bytes), 8);
        bytes[5] = 0;
        assert_eq!(covered(&bytes), 10);
        bytes[5] = 200;
        assert_eq!(covered(&bytes), 10);
        assert_eq!(UdpLite::new(&bytes).unwrap().payload(), [1, 2]);
    }
}
