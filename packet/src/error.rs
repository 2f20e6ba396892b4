//! Why bytes are not the header they were taken for.

/// Why a view could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// The bytes end inside the header.
    #[error("header needs {needed} bytes but only {available} are there")]
    TooShort {
        /// Bytes the header needs.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// The IP version nibble is another than the view's.
    #[error("IP version is {0}")]
    BadVersion(u8),
    /// The header's own length field says less than the fixed part of the header.
    #[error("header length field says {0} bytes, less than the fixed header")]
    BadHeaderLength(usize),
    /// More IPv6 extension headers than [`crate::ipv6::MAX_EXTENSION_HEADERS`].
    #[error("more than {max} IPv6 extension headers")]
    HeaderChainTooDeep {
        /// Headers that would have been walked.
        max: u8,
    },
}

/// The first `N` bytes as an array, or how many are missing.
#[inline]
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], Error> {
    bytes.first_chunk::<N>().ok_or(Error::TooShort {
        needed: N,
        available: bytes.len(),
    })
}
