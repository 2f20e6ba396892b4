//! SCTP common header, chunks, and the CRC-32C that covers them (RFC 9260).

use crate::error::{Error, fixed};

/// Length of the common header.
pub const HEADER_LEN: usize = 12;
/// Length of a chunk header.
pub const CHUNK_HEADER_LEN: usize = 4;

/// Payload data.
pub const DATA: u8 = 0;
/// Initiation.
pub const INIT: u8 = 1;
/// Initiation acknowledgment.
pub const INIT_ACK: u8 = 2;
/// Selective acknowledgment.
pub const SACK: u8 = 3;
/// Heartbeat request.
pub const HEARTBEAT: u8 = 4;
/// Heartbeat acknowledgment.
pub const HEARTBEAT_ACK: u8 = 5;
/// Abort.
pub const ABORT: u8 = 6;
/// Shutdown.
pub const SHUTDOWN: u8 = 7;
/// Shutdown acknowledgment.
pub const SHUTDOWN_ACK: u8 = 8;
/// Operation error.
pub const ERROR: u8 = 9;
/// State cookie.
pub const COOKIE_ECHO: u8 = 10;
/// Cookie acknowledgment.
pub const COOKIE_ACK: u8 = 11;
/// Shutdown complete.
pub const SHUTDOWN_COMPLETE: u8 = 14;

/// A view of an SCTP packet.
#[derive(Debug, Clone, Copy)]
pub struct Sctp<'a> {
    header: &'a [u8; HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Sctp<'a> {
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

    /// Verification tag.
    #[inline]
    pub fn verification_tag(&self) -> u32 {
        u32::from_be_bytes([
            self.header[4],
            self.header[5],
            self.header[6],
            self.header[7],
        ])
    }

    /// Checksum as written: a CRC-32C, least significant byte first.
    #[inline]
    pub fn checksum(&self) -> u32 {
        u32::from_le_bytes([
            self.header[8],
            self.header[9],
            self.header[10],
            self.header[11],
        ])
    }

    /// Whether the checksum over the captured bytes is right.
    #[inline]
    pub fn checksum_ok(&self) -> bool {
        packet_checksum(self.bytes) == Some(self.checksum())
    }

    /// The chunks, one by one.
    #[inline]
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks {
            bytes: self.bytes,
            offset: HEADER_LEN,
        }
    }
}

/// A chunk of an SCTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Chunk type, such as [`INIT`].
    pub chunk_type: u8,
    /// Flags, whose meaning depends on the type.
    pub flags: u8,
    /// Length of chunk header and value as written; perhaps below 4 or beyond the captured bytes.
    pub length: u16,
    /// Captured bytes of the value, cut at `length`.
    pub value: &'a [u8],
    /// Where the chunk begins, in bytes from the start of the SCTP header.
    pub offset: usize,
}

impl Chunk<'_> {
    /// The T bit of ABORT and SHUTDOWN COMPLETE: the verification tag is the receiver's own, reflected.
    #[inline]
    pub const fn tag_reflected(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Initiate tag of INIT and INIT ACK; `None` for others and when it was not captured.
    #[inline]
    pub fn initiate_tag(&self) -> Option<u32> {
        match self.chunk_type {
            INIT | INIT_ACK => self.value.first_chunk().map(|tag| u32::from_be_bytes(*tag)),
            _ => None,
        }
    }
}

/// Iterator over the chunks of an SCTP packet.
///
/// Gives every chunk whose four header bytes were captured, also one whose length makes no sense; behind a length of zero there
/// is nothing more to find and it stops.
#[derive(Debug, Clone)]
pub struct Chunks<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    #[inline]
    fn next(&mut self) -> Option<Chunk<'a>> {
        let rest = self.bytes.get(self.offset..)?;
        let &[chunk_type, flags, high, low] = rest.first_chunk()?;
        let length = u16::from_be_bytes([high, low]);
        let end = rest.len().min(usize::from(length));
        let chunk = Chunk {
            chunk_type,
            flags,
            length,
            value: rest.get(CHUNK_HEADER_LEN..end).unwrap_or(&[]),
            offset: self.offset,
        };
        // Chunks are padded to four bytes.
        self.offset = match length {
            0 => usize::MAX,
            _ => self.offset + usize::from(length).next_multiple_of(4),
        };
        Some(chunk)
    }
}

impl std::iter::FusedIterator for Chunks<'_> {}

/// The checksum an SCTP packet should carry: CRC-32C over it with the checksum field taken as zero.
///
/// `None` if the bytes end inside the common header. Write it with `to_le_bytes`.
pub fn packet_checksum(packet: &[u8]) -> Option<u32> {
    let (header, chunks) = packet.split_first_chunk::<HEADER_LEN>()?;
    let crc = crc32c_update(!0, &header[..8]);
    let crc = crc32c_update(crc, &[0; 4]);
    Some(!crc32c_update(crc, chunks))
}

/// CRC-32C (Castagnoli) of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !crc32c_update(!0, bytes)
}

/// Continues a CRC whose register is `crc`, eight bytes per step.
fn crc32c_update(mut crc: u32, bytes: &[u8]) -> u32 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let [a, b, c, d, e, f, g, h] = *chunk;
        let [i, j, k, l] = (crc ^ u32::from_le_bytes([a, b, c, d])).to_le_bytes();
        crc = CRC32C[7][i as usize]
            ^ CRC32C[6][j as usize]
            ^ CRC32C[5][k as usize]
            ^ CRC32C[4][l as usize]
            ^ CRC32C[3][e as usize]
            ^ CRC32C[2][f as usize]
            ^ CRC32C[1][g as usize]
            ^ CRC32C[0][h as usize];
    }
    for &byte in rest {
        crc = (crc >> 8) ^ CRC32C[0][(crc as u8 ^ byte) as usize];
    }
    crc
}

/// `CRC32C[n][b]`: the register after byte `b` and `n` zero bytes, for eight bytes at a time.
static CRC32C: [[u32; 256]; 8] = crc32c_tables();

const fn crc32c_tables() -> [[u32; 256]; 8] {
    const POLYNOMIAL_REFLECTED: u32 = 0x82f6_3b78;
    let mut tables = [[0_u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL_REFLECTED & (crc & 1).wrapping_neg());
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        byte = 0;
        while byte < 256 {
            let shorter = tables[table - 1][byte];
            tables[table][byte] = (shorter >> 8) ^ tables[0][(shorter & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The test vectors of RFC 3720, appendix B.4.
    #[test]
    fn crc32c_vectors() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn eight_at_a_time_is_one_at_a_time(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let slow = bytes.iter().fold(!0, |crc, byte| crc32c_update(crc, &[*byte]));
            prop_assert_eq!(crc32c(&bytes), !slow);
        }
    }

    fn packet(chunks: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x0b, 0x59, 0x0b, 0x5a, 0, 0, 0, 9, 0, 0, 0, 0];
        bytes.extend(chunks);
        let crc = packet_checksum(&bytes).unwrap();
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn fields_and_checksum() {
        let mut bytes = packet(&[1, 0, 0, 8, 0xde, 0xad, 0xbe, 0xef]);
        let sctp = Sctp::new(&bytes).unwrap();
        assert_eq!(
            (
                sctp.source_port(),
                sctp.destination_port(),
                sctp.verification_tag()
            ),
            (2905, 2906, 9)
        );
        assert!(sctp.checksum_ok());
        let chunk = sctp.chunks().next().unwrap();
        assert_eq!(
            (chunk.chunk_type, chunk.initiate_tag()),
            (INIT, Some(0xdead_beef))
        );
        bytes[3] ^= 1;
        assert!(!Sctp::new(&bytes).unwrap().checksum_ok());
        assert_eq!(
            Sctp::new(&bytes[..11]).unwrap_err(),
            Error::TooShort {
                needed: 12,
                available: 11
            }
        );
    }

    #[test]
    fn chunks_are_padded_to_four() {
        let bytes = packet(&[10, 0, 0, 5, 42, 0, 0, 0, 6, 1, 0, 4]);
        let chunks: Vec<_> = Sctp::new(&bytes).unwrap().chunks().collect();
        assert_eq!(chunks.len(), 2);
        assert_eq!(
            (chunks[0].chunk_type, chunks[0].value, chunks[0].offset),
            (COOKIE_ECHO, &[42][..], 12)
        );
        assert_eq!(
            (
                chunks[1].chunk_type,
                chunks[1].tag_reflected(),
                chunks[1].offset
            ),
            (ABORT, true, 20)
        );
    }

    #[test]
    fn lying_chunk_lengths_are_harmless() {
        let chunks = |tail: &[u8]| -> Vec<(u8, u16, usize)> {
            let bytes = packet(tail);
            let sctp = Sctp::new(&bytes).unwrap();
            sctp.chunks()
                .map(|chunk| (chunk.chunk_type, chunk.length, chunk.value.len()))
                .collect()
        };
        assert_eq!(chunks(&[0, 0, 0, 0, 1, 0, 0, 4]), [(0, 0, 0)], "zero stops");
        assert_eq!(
            chunks(&[0, 0, 0, 2, 1, 0, 0, 4]),
            [(0, 2, 0), (1, 4, 0)],
            "below 4 counts as 4"
        );
        assert_eq!(
            chunks(&[0, 0, 0xff, 0xff, 1]),
            [(0, 0xffff, 1)],
            "beyond the packet"
        );
        assert_eq!(chunks(&[0, 0, 4]), [], "cut header");
    }
}
