//! How long entries stay in hardware that nobody needs any more.

use crate::metrics::Times;
use conntrack_core::ConnectionId;
use driver::offload::RemoveCause;
use nic_model::clock::Picos;
use nic_model::datapath::trap::Reason;
use std::collections::BTreeMap;

/// Gathers it.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    /// When the FIN or RST came to software of connections that are still in hardware.
    closed: BTreeMap<ConnectionId, Picos>,
    /// From a connection's FIN or RST in software to the end of its removal.
    pub(super) after_close: Times,
    /// From the last packet that the hardware forwarded to the end of the removal, of connections that were idle.
    pub(super) after_idle: Times,
}

impl Lingering {
    /// A packet of a connection has come to software.
    pub(super) fn packet(&mut self, id: ConnectionId, reason: Reason, now: Picos) {
        if matches!(reason, Reason::TcpFin | Reason::TcpRst) {
            self.closed.entry(id).or_insert(now);
        }
    }

    /// A connection is out of hardware, which was hit last at `last_hit`, if it was.
    pub(super) fn removed(
        &mut self,
        id: ConnectionId,
        cause: RemoveCause,
        last_hit: Option<Picos>,
        now: Picos,
    ) {
        if let Some(at) = self.closed.remove(&id) {
            self.after_close.record(now - at);
        }
        if let Some(hit) = last_hit.filter(|_| cause == RemoveCause::Aged) {
            self.after_idle.record(now - hit);
        }
    }
}
