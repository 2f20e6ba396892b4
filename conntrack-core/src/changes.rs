//! What of a connection changed.

/// What changed of a connection, as bits with the kernel's numbers (`IPCT_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes(pub u16);

impl Changes {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The first reply was seen.
    pub const REPLY: Self = Self(1 << 3);
    /// It became ASSURED.
    pub const ASSURED: Self = Self(1 << 4);
    /// The protocol's state.
    pub const PROTOCOL: Self = Self(1 << 5);
    /// The mark.
    pub const MARK: Self = Self(1 << 7);
    /// The security context.
    pub const SECMARK: Self = Self(1 << 9);
    /// The labels.
    pub const LABEL: Self = Self(1 << 10);

    /// Whether all of `other` changed.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds `what` if it is so.
    #[inline]
    pub(crate) fn note(&mut self, what: Self, so: bool) {
        self.0 |= what.0 * u16::from(so);
    }
}
