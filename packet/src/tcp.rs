//! TCP headers and options (RFC 9293, RFC 7323, RFC 2018).
//!
//! The data offset is handed out as it stands; whether it makes sense is for the reader to decide.

use crate::error::{Error, fixed};
use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign};

/// Length of a header without options.
pub const MIN_HEADER_LEN: usize = 20;
/// Room for options in a header.
pub const MAX_OPTIONS_LEN: usize = 40;

/// The control bits of a segment: the low 12 bits of the fourth 16-bit word, reserved bits included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The sender is done sending.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
    /// Congestion experienced, echoed.
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced.
    pub const CWR: Self = Self(0x80);
    /// Accurate ECN (RFC 9768), once the ECN nonce.
    pub const AE: Self = Self(0x100);

    /// Whether all flags of `other` are set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any flag of `other` is set.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for TcpFlags {
    type Output = Self;
    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for TcpFlags {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for TcpFlags {
    type Output = Self;
    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for TcpFlags {
    /// The names joined by `|`, or `none`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 9] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];
        let mut separator = "";
        for (bit, name) in NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                write!(formatter, "{separator}{name}")?;
                separator = "|";
            }
        }
        if separator.is_empty() {
            formatter.write_str("none")
        } else {
            Ok(())
        }
    }
}

/// A view of a TCP segment of which at least the fixed header was captured.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a> {
    header: &'a [u8; MIN_HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Tcp<'a> {
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

    /// Sequence number.
    #[inline]
    pub fn sequence(&self) -> u32 {
        u32::from_be_bytes([
            self.header[4],
            self.header[5],
            self.header[6],
            self.header[7],
        ])
    }

    /// Acknowledgment number, also when the ACK flag is not set.
    #[inline]
    pub fn acknowledgment(&self) -> u32 {
        u32::from_be_bytes([
            self.header[8],
            self.header[9],
            self.header[10],
            self.header[11],
        ])
    }

    /// Header length as the data offset says: 0 to 60 bytes, perhaps below 20 or beyond the captured bytes.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.header[12] >> 4) * 4
    }

    /// The control bits.
    #[inline]
    pub fn flags(&self) -> TcpFlags {
        TcpFlags(u16::from_be_bytes([
            self.header[12] & 0x0f,
            self.header[13],
        ]))
    }

    /// Receive window, not scaled.
    #[inline]
    pub fn window(&self) -> u16 {
        u16::from_be_bytes([self.header[14], self.header[15]])
    }

    /// Checksum as written.
    #[inline]
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[16], self.header[17]])
    }

    /// Urgent pointer.
    #[inline]
    pub fn urgent_pointer(&self) -> u16 {
        u16::from_be_bytes([self.header[18], self.header[19]])
    }

    /// Captured bytes of the options, padding included; empty where the data offset says there are none.
    #[inline]
    pub fn option_bytes(&self) -> &'a [u8] {
        let end = self.header_len().min(self.bytes.len());
        self.bytes.get(MIN_HEADER_LEN..end).unwrap_or(&[])
    }

    /// The options, one by one.
    #[inline]
    pub fn options(&self) -> TcpOptions<'a> {
        TcpOptions::new(self.option_bytes())
    }

    /// Captured bytes behind the header; empty where the data offset is beyond them.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes
            .get(self.header_len().max(MIN_HEADER_LEN)..)
            .unwrap_or(&[])
    }
}

/// A TCP option. A known kind whose length is not the one its RFC gives is [`TcpOption::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// Maximum segment size.
    Mss(u16),
    /// Window scale shift, as written (RFC 7323 caps it at 14).
    WindowScale(u8),
    /// Selective acknowledgments are welcome.
    SackPermitted,
    /// Selective acknowledgment: the blocks, 8 bytes each.
    Sack(&'a [u8]),
    /// Timestamps.
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// The newest value seen from the peer.
        echo_reply: u32,
    },
    /// Anything else.
    Other {
        /// Option kind.
        kind: u8,
        /// The option's data, without kind and length.
        data: &'a [u8],
    },
}

/// Iterator over TCP options.
///
/// Skips NOP. Stops at end-of-list, at a kind without a length byte, at a length below 2, and at an option longer than the bytes
/// left.
#[derive(Debug, Clone)]
pub struct TcpOptions<'a> {
    rest: &'a [u8],
}

impl<'a> TcpOptions<'a> {
    /// Iterates over raw option bytes.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = TcpOption<'a>;

    #[inline]
    fn next(&mut self) -> Option<TcpOption<'a>> {
        loop {
            match *self.rest {
                [1, ..] => self.rest = &self.rest[1..],
                [0, ..] | [] | [_] => {
                    self.rest = &[];
                    return None;
                }
                [kind, length, ..] => {
                    let length = usize::from(length);
                    if length < 2 || length > self.rest.len() {
                        self.rest = &[];
                        return None;
                    }
                    let (option, rest) = self.rest.split_at(length);
                    self.rest = rest;
                    return Some(TcpOption::parse(kind, &option[2..]));
                }
            }
        }
    }
}

impl std::iter::FusedIterator for TcpOptions<'_> {}

impl<'a> TcpOption<'a> {
    #[inline]
    fn parse(kind: u8, data: &'a [u8]) -> Self {
        match (kind, data) {
            (2, &[high, low]) => Self::Mss(u16::from_be_bytes([high, low])),
            (3, &[shift]) => Self::WindowScale(shift),
            (4, []) => Self::SackPermitted,
            (5, blocks) if !blocks.is_empty() && blocks.len() % 8 == 0 => Self::Sack(blocks),
            (8, &[a, b, c, d, e, f, g, h]) => Self::Timestamps {
                value: u32::from_be_bytes([a, b, c, d]),
                echo_reply: u32::from_be_bytes([e, f, g, h]),
            },
            _ => Self::Other { kind, data },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(data_offset: u8, flags: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2];
        bytes.extend([data_offset << 4 | 1, flags, 0x20, 0, 0xab, 0xcd, 0, 9]);
        bytes.extend(options);
        bytes
    }

    #[test]
    fn fields() {
        let bytes = segment(5, 0x12, &[7, 7]);
        let tcp = Tcp::new(&bytes).unwrap();
        assert_eq!((tcp.source_port(), tcp.destination_port()), (40_000, 443));
        assert_eq!(
            (tcp.sequence(), tcp.acknowledgment(), tcp.window()),
            (1, 2, 0x2000)
        );
        assert_eq!(
            (tcp.header_len(), tcp.checksum(), tcp.urgent_pointer()),
            (20, 0xabcd, 9)
        );
        assert_eq!(tcp.flags(), TcpFlags::SYN | TcpFlags::ACK | TcpFlags::AE);
        assert_eq!(tcp.flags().to_string(), "SYN|ACK|AE");
        assert!(tcp.flags().contains(TcpFlags::SYN | TcpFlags::ACK));
        assert!(!tcp.flags().contains(TcpFlags::SYN | TcpFlags::FIN));
        assert!(tcp.flags().intersects(TcpFlags::SYN | TcpFlags::FIN));
        assert_eq!(tcp.payload(), [7, 7]);
        assert_eq!(TcpFlags::NONE.to_string(), "none");
    }

    #[test]
    fn options_of_a_linux_syn() {
        let options = [
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 3, 3, 7,
        ];
        let bytes = segment(10, 2, &options);
        let tcp = Tcp::new(&bytes).unwrap();
        assert_eq!(tcp.option_bytes(), options);
        assert_eq!(
            tcp.options().collect::<Vec<_>>(),
            [
                TcpOption::Mss(1460),
                TcpOption::SackPermitted,
                TcpOption::Timestamps {
                    value: 7,
                    echo_reply: 9
                },
                TcpOption::WindowScale(7),
            ]
        );
    }

    #[test]
    fn options_stop_at_nonsense() {
        let read = |bytes| TcpOptions::new(bytes).collect::<Vec<_>>();
        assert_eq!(
            read(&[3, 3, 7, 0, 3, 3, 8]),
            [TcpOption::WindowScale(7)],
            "end of list"
        );
        assert_eq!(
            read(&[3, 3, 7, 5, 1, 4, 2]),
            [TcpOption::WindowScale(7)],
            "length below 2"
        );
        assert_eq!(
            read(&[3, 3, 7, 2, 4, 5]),
            [TcpOption::WindowScale(7)],
            "longer than what is left"
        );
        assert_eq!(read(&[1, 1, 1, 2]), [], "kind without length");
        assert_eq!(
            read(&[3, 4, 7, 7]),
            [TcpOption::Other {
                kind: 3,
                data: &[7, 7]
            }],
            "wrong length"
        );
        assert_eq!(
            read(&[5, 10, 1, 2, 3, 4, 5, 6, 7, 8]),
            [TcpOption::Sack(&[1, 2, 3, 4, 5, 6, 7, 8])]
        );
    }

    #[test]
    fn a_lying_data_offset_is_harmless() {
        let bytes = segment(15, 2, &[1, 1]);
        let tcp = Tcp::new(&bytes).unwrap();
        assert_eq!(
            (tcp.header_len(), tcp.option_bytes(), tcp.payload()),
            (60, &[1, 1][..], &[][..])
        );
        let bytes = segment(0, 2, &[1, 1]);
        let tcp = Tcp::new(&bytes).unwrap();
        assert_eq!(
            (tcp.header_len(), tcp.option_bytes(), tcp.payload()),
            (0, &[][..], &[1, 1][..])
        );
        assert_eq!(
            Tcp::new(&bytes[..19]).unwrap_err(),
            Error::TooShort {
                needed: 20,
                available: 19
            }
        );
    }
}
