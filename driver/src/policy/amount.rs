//! Offload what has sent so much already: short connections never cost an insertion.

use super::Policy;
use conntrack_core::{Connection, Direction};

/// After so many packets, both directions together.
pub(super) struct Packets(pub(super) u64);

/// After so many bytes, both directions together.
pub(super) struct Bytes(pub(super) u64);

impl Policy for Packets {
    fn name(&self) -> String {
        format!("packets:{}", self.0)
    }

    fn wants(&mut self, connection: &Connection) -> bool {
        let packets = Direction::ALL.map(|direction| connection.counters(direction).packets);
        packets.into_iter().fold(0, u64::saturating_add) >= self.0
    }
}

impl Policy for Bytes {
    fn name(&self) -> String {
        format!("bytes:{}", self.0)
    }

    fn wants(&mut self, connection: &Connection) -> bool {
        let bytes = Direction::ALL.map(|direction| connection.counters(direction).bytes);
        bytes.into_iter().fold(0, u64::saturating_add) >= self.0
    }
}
