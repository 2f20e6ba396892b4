//! Offload what has sent so much already: short connections never cost an insertion.

use super::{Candidate, Policy, bytes, packets};
use crate::explain::Why;

/// After so many packets, both directions together.
pub(super) struct Packets(pub(super) u64);

/// After so many bytes, both directions together.
pub(super) struct Bytes(pub(super) u64);

impl Policy for Packets {
    fn name(&self) -> String {
        format!("packets:{}", self.0)
    }

    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why> {
        if packets(candidate.connection) >= self.0 {
            return Ok(());
        }
        Err(Why::FewPackets)
    }
}

impl Policy for Bytes {
    fn name(&self) -> String {
        format!("bytes:{}", self.0)
    }

    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why> {
        if bytes(candidate.connection) >= self.0 {
            return Ok(());
        }
        Err(Why::FewBytes)
    }
}
