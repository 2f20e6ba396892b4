//! How connections end: expiry, deletion, and making room.

use super::Tracker;
use super::nat::Translation;
use crate::changes::Changes;
use crate::connection::Connection;
use crate::event::{DestroyCause, Event, EventKind};
use crate::id::ConnectionId;
use crate::protocol::ProtocolState;
use crate::protocol::dccp::DccpStateName;
use crate::protocol::sctp::SctpStateName;
use crate::protocol::tcp::TcpState;
use crate::status::Status;
use crate::timeout::Time;
use crate::verdict::Verdict;
use packet::Protocol;

/// Connections whose places in the table are asked for before the first of them is destroyed.
const TOGETHER: usize = 32;

impl Tracker {
    /// Makes room near where a new connection would lie; whether it did. As the kernel looks at up to eight buckets and stops
    /// behind the first in which it found a victim, so are here up to eight groups of as many connections as a bucket of its
    /// full table holds.
    pub(super) fn early_drop(&mut self, hash: u32, now: Time) -> bool {
        /// Nodes in a bucket of the kernel's table when it is full: two for each connection, as many buckets as connections.
        const GROUP: usize = 2;
        for group in self.store.neighbours(hash).chunks(GROUP) {
            let mut dropped = 0;
            for id in group {
                dropped += usize::from(self.drop_early(*id, now));
            }
            if dropped > 0 {
                return true;
            }
        }
        false
    }

    fn drop_early(&mut self, id: ConnectionId, now: Time) -> bool {
        let Some(connection) = self.store.get(id) else {
            return false;
        };
        if connection.is_expired(now) {
            return self.destroy(id, DestroyCause::Timeout, now);
        }
        if connection.status.contains(Status::ASSURED) || connection.is_offloaded() {
            return false;
        }
        self.stats.early_drop += 1;
        self.destroy(id, DestroyCause::EarlyDrop, now)
    }

    /// Deletes a connection; whether it was there.
    pub fn delete(&mut self, id: ConnectionId, now: Time) -> bool {
        self.destroy(id, DestroyCause::Deleted, now)
    }

    /// Deletes all connections.
    pub fn flush(&mut self, now: Time) {
        for index in 0..self.store.index_end() {
            if let Some(id) = self.store.at(index).map(|(id, _)| id) {
                self.destroy(id, DestroyCause::Deleted, now);
            }
        }
    }

    /// Looks at the next `most` indices, round and round, and destroys what has expired; how many were. While the table is
    /// almost full (95 % of `nf_conntrack_max`), connections that are not ASSURED, or that are closing, are as good as expired.
    pub fn collect(&mut self, now: Time, most: u32) -> usize {
        self.reassembly.expire(now, &self.config);
        self.store.settle();
        let end = self.store.index_end();
        let mut left = most.min(end) as usize;
        let mut destroyed = 0;
        let mut ended = Vec::with_capacity(TOGETHER);
        while left > 0 {
            let count = left.min(TOGETHER);
            left -= count;
            for _ in 0..count {
                let index = self.collect_at % end;
                self.collect_at = index + 1;
                let Some((id, connection)) = self.store.at(index) else {
                    continue;
                };
                let cause = if connection.is_expired(now) {
                    DestroyCause::Timeout
                } else if self.is_almost_full(ended.len()) && is_dispensable(connection) {
                    DestroyCause::EarlyDrop
                } else {
                    continue;
                };
                self.store.prefetch_nodes(id);
                ended.push((id, cause));
            }
            for (id, cause) in ended.drain(..) {
                destroyed += usize::from(self.destroy(id, cause, now));
            }
        }
        destroyed
    }

    /// A connection ends, or does not come about: the keys of PPTP's calls go with the first of them.
    pub(super) fn forget_keys(&mut self, connection: &Connection) {
        if connection.protocol() == Protocol::GRE
            && let Some((master, _)) = connection.master()
        {
            self.keys.remove(master);
        }
    }

    /// Whether it is without so many that are about to go.
    fn is_almost_full(&self, going: usize) -> bool {
        let enough = self.config.max / 100 * 95;
        enough != 0 && (self.store.len() - going) as u64 >= enough
    }

    pub(super) fn destroy(&mut self, id: ConnectionId, cause: DestroyCause, now: Time) -> bool {
        let Some(mut last) = self.store.remove(id) else {
            return false;
        };
        last.status = last.status.with(Status::DYING);
        // A packet ends its connection in other ways.
        if cause != DestroyCause::Timeout {
            self.ended = Some((id, Translation::of(&last)));
        }
        self.forget_keys(&last);
        // Mostly nobody was announced, and none of this costs anything.
        if self.masters.is_empty() {
            if last.status.contains(Status::SRC_NAT) {
                self.sources.remove(&last.original(), last.zone(), id);
            }
        } else {
            for gone in self.masters.ended(id, &last) {
                self.sources.remove(&gone.original, gone.zone, gone.id);
            }
        }
        let extension = last.extension.as_ref();
        let siblings = extension.and_then(|own| own.help.as_ref()).map(|help| {
            let tuples = crate::Direction::ALL.map(|direction| last.tuple(direction));
            let siblings = help.helper.siblings(&help.memory, &tuples);
            (siblings, last.zone())
        });
        if self.record_events {
            let last = Box::new(last);
            self.event(id, EventKind::Destroy { cause, last }, now);
        }
        if let Some((siblings, zone)) = siblings {
            self.keys.remove(id);
            self.end_siblings(&siblings, zone, now);
        }
        if !self.expectations.is_empty() {
            self.forget_expectations_of(id, now);
        }
        true
    }

    /// Tells what changed of a packet's connection.
    #[inline]
    pub(super) fn tell(&mut self, verdict: &Verdict, now: Time) {
        if !self.record_events {
            return;
        }
        let Some(id) = verdict.connection else {
            return;
        };
        let connection = self.store.get_mut(id);
        let changes =
            connection.map_or(Changes::NONE, |connection| connection.status.take_untold());
        if changes != Changes::NONE {
            self.event(id, EventKind::Update(changes), now);
        }
    }

    pub(super) fn event(&mut self, connection: ConnectionId, kind: EventKind, at: Time) {
        if self.record_events {
            self.events.push(Event {
                at,
                connection,
                kind,
            });
        }
    }
}

/// Whether a connection can make way for others: none whose loss would be noticed.
fn is_dispensable(connection: &Connection) -> bool {
    if connection.is_offloaded() {
        return false;
    }
    if !connection.status.contains(Status::ASSURED) {
        return true;
    }
    match &connection.protocol {
        ProtocolState::Tcp(tcp) => matches!(
            tcp.state,
            TcpState::FinWait
                | TcpState::CloseWait
                | TcpState::LastAck
                | TcpState::TimeWait
                | TcpState::Close
        ),
        ProtocolState::Sctp(sctp) => matches!(
            sctp.state,
            SctpStateName::ShutdownSent
                | SctpStateName::ShutdownReceived
                | SctpStateName::ShutdownAckSent
        ),
        ProtocolState::Dccp(dccp) => dccp.state >= DccpStateName::CloseRequest,
        _ => false,
    }
}
