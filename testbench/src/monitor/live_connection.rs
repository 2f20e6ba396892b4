//! Invariant 3: software never expires a connection whose hardware entry was hit within its timeout.

use super::Ledger;
use crate::frame::FrameMeta;
use crate::summary::MonitorVerdict;
use conntrack_core::{Config, Connection, DestroyCause, Direction};
use nic_model::clock::Picos;
use packet::prefetch;

/// Remembers when each flow was last hit in hardware.
#[derive(Debug, Default)]
pub struct LiveConnection {
    last_hit: Vec<Picos>,
    ledger: Ledger,
}

impl LiveConnection {
    /// Asks for a flow's last hit, so that it is at hand when its packet comes.
    #[inline]
    pub fn prefetch(&self, flow: u32) {
        if let Some(hit) = self.last_hit.get(flow as usize) {
            prefetch(hit);
        }
    }

    /// The hardware forwarded a packet of `flow`.
    #[inline]
    pub fn hit(&mut self, flow: u32, now: Picos) {
        if flow == FrameMeta::NO_FLOW {
            return;
        }
        let index = flow as usize;
        if index >= self.last_hit.len() {
            const STEP: usize = 1 << 14;
            self.last_hit
                .reserve_exact((index + 1 - self.last_hit.len()).max(STEP));
            self.last_hit.resize(index + 1, Picos::ZERO);
        }
        self.last_hit[index] = now;
    }

    /// When the hardware forwarded a packet of `flow` last, if it did.
    pub fn last_hit(&self, flow: u32) -> Option<Picos> {
        let hit = self.last_hit.get(flow as usize).copied()?;
        (hit != Picos::ZERO).then_some(hit)
    }

    /// A connection of `flow` is gone from software.
    pub fn destroyed(
        &mut self,
        flow: Option<u32>,
        last: &Connection,
        cause: DestroyCause,
        config: &Config,
        now: Picos,
    ) {
        if cause != DestroyCause::Timeout {
            return;
        }
        let hit = flow
            .and_then(|flow| self.last_hit(flow))
            .unwrap_or_default();
        let timeout = Picos::from_nanos(last.state_timeout(config).0);
        // The clock of conntrack counts whole nanoseconds.
        let alive = hit != Picos::ZERO && now + Picos(1_000) < hit + timeout;
        self.ledger.check(!alive, || {
            format!(
                "{} expired in software at {now}, but the hardware forwarded a packet of it at {hit}, {} before; its \
                 timeout is {timeout}",
                last.tuple(Direction::Original),
                now - hit
            )
        });
    }

    /// The verdict so far.
    pub fn verdict(&self) -> MonitorVerdict {
        self.ledger.verdict(
            3,
            "no live connection dies",
            "software never expires a connection whose hardware entry was hit within its timeout",
        )
    }
}
