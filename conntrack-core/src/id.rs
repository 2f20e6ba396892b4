//! Names of connections and helpers.

/// A stable name for a connection: a dense index that is used again after the connection is gone, and a generation that
/// tells one use from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl ConnectionId {
    /// A connection that is not in the table yet.
    pub(crate) const UNCONFIRMED: Self = Self::from_parts(u32::MAX, 0);

    /// The name made of these parts, as somebody kept them; it may name nothing.
    pub const fn from_parts(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// The index.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// A number for people, never 0, and another one for the next use of the index; it comes again after 4096 uses.
    pub const fn number(self) -> u32 {
        const INDEX_BITS: u32 = 20;
        (self.generation << INDEX_BITS ^ self.index).wrapping_add(1 << INDEX_BITS) | 1 << 31
    }

    /// The generation.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// A registered helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HelperId(pub(crate) u16);
