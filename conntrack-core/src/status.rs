//! Status bits of a connection.

use crate::changes::Changes;

/// Status bits, with the values ctnetlink exports (`CTA_STATUS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Status(pub u32);

impl Status {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// Matched an expectation when it was made.
    pub const EXPECTED: Self = Self(1 << 0);
    /// Packets were seen in both directions.
    pub const SEEN_REPLY: Self = Self(1 << 1);
    /// Not to be dropped early.
    pub const ASSURED: Self = Self(1 << 2);
    /// In the table.
    pub const CONFIRMED: Self = Self(1 << 3);
    /// Source is translated.
    pub const SRC_NAT: Self = Self(1 << 4);
    /// Destination is translated.
    pub const DST_NAT: Self = Self(1 << 5);
    /// TCP sequence numbers are adjusted.
    pub const SEQ_ADJUST: Self = Self(1 << 6);
    /// It is decided how the source is translated.
    pub const SRC_NAT_DONE: Self = Self(1 << 7);
    /// It is decided how the destination is translated.
    pub const DST_NAT_DONE: Self = Self(1 << 8);
    /// Being deleted.
    pub const DYING: Self = Self(1 << 9);
    /// The timeout is not refreshed by packets.
    pub const FIXED_TIMEOUT: Self = Self(1 << 10);
    /// In the table in reply direction alone, because another connection has its original tuple.
    pub const NAT_CLASH: Self = Self(1 << 12);
    /// A rule gave it a helper.
    pub const HELPER: Self = Self(1 << 13);
    /// In a software flow table.
    pub const OFFLOAD: Self = Self(1 << 14);
    /// In hardware.
    pub const HW_OFFLOAD: Self = Self(1 << 15);

    /// Not the kernel's, never shown: the zone counts in the original direction alone.
    pub(crate) const ZONE_ORIGINAL: Self = Self(1 << 30);
    /// Not the kernel's, never shown: the zone counts in the reply direction alone.
    pub(crate) const ZONE_REPLY: Self = Self(1 << 29);
    /// What is never shown.
    pub(crate) const PRIVATE: Self = Self(0xffff_0000);

    /// Not the kernel's, never shown: these changes wait to be told with the connection's next packet that is forwarded.
    pub(crate) const fn untold(changes: Changes) -> Self {
        Self((changes.0 as u32) << 16 & !Self::ZONE_ORIGINAL.0 & !Self::ZONE_REPLY.0)
    }

    /// The changes that wait, which do so no longer.
    pub(crate) const fn take_untold(&mut self) -> Changes {
        let bits = self.0 & Self::untold(Changes(u16::MAX)).0;
        self.0 &= !bits;
        Changes((bits >> 16) as u16)
    }

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` too.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}
