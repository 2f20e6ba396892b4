//! Two new connections that want the same tuple: who comes second.
//!
//! It takes packets entered before others are confirmed, or a translation that found no free port.

use super::Tracker;
use crate::connection::Connection;
use crate::id::ConnectionId;
use crate::reason::Reason;
use crate::status::Status;
use crate::timeout::Time;
use crate::tuple::Direction;
use crate::verdict::Verdict;
use packet::Protocol;

/// How long a connection lives that is in the table in reply direction alone.
const REPLY_ONLY_SPAN: Time = Time::from_secs(1);

impl Tracker {
    /// The connection that has a tuple of a new one: its original tuple, or else its reply. One that has expired but is still
    /// there has it too.
    pub(super) fn clash(&self, connection: &Connection) -> Option<(ConnectionId, Direction)> {
        Direction::ALL.into_iter().find_map(|direction| {
            let id = self.holder_of(connection, direction)?;
            Some((id, direction))
        })
    }

    fn holder_of(&self, connection: &Connection, direction: Direction) -> Option<ConnectionId> {
        let tuple = connection.tuple(direction);
        let (id, _) = self.store.holder(&tuple, direction, connection.zone())?;
        Some(id)
    }

    /// The packet goes to the connection that was first, if both are the same flow. Else the new one is put in for its
    /// replies alone if it can, for a second; if it cannot, the packet is dropped. Only protocols without a handshake.
    pub(super) fn resolve(
        &mut self,
        mut connection: Connection,
        (holder, direction): (ConnectionId, Direction),
        verdict: Verdict,
        now: Time,
    ) -> Verdict {
        let protocol = connection.protocol();
        self.forget_keys(&connection);
        let resolvable = matches!(protocol, Protocol::UDP | Protocol::UDPLITE | Protocol::GRE);
        if !resolvable {
            return self.insert_failed(Reason::Clash, now);
        }
        if let Some(verdict) = self.merge(&connection, holder, verdict) {
            return verdict;
        }
        let replies = match direction {
            Direction::Original => self.holder_of(&connection, Direction::Reply),
            Direction::Reply => Some(holder),
        };
        if let Some(holder) = replies {
            let merged = self.merge(&connection, holder, verdict);
            return merged.unwrap_or_else(|| self.insert_failed(Reason::Clash, now));
        }
        self.stats.clash_resolve += 1;
        connection.status = connection
            .status
            .with(Status::FIXED_TIMEOUT)
            .with(Status::NAT_CLASH);
        connection.timeout = now + REPLY_ONLY_SPAN;
        self.insert(connection, None, verdict, now)
    }

    /// Gives the packet and what was counted of it to another connection, if that has the same tuples, either way round.
    fn merge(
        &mut self,
        connection: &Connection,
        holder: ConnectionId,
        mut verdict: Verdict,
    ) -> Option<Verdict> {
        let tuples = Direction::ALL.map(|direction| connection.tuple(direction));
        let there = self.store.get_mut(holder)?;
        let others = Direction::ALL.map(|direction| there.tuple(direction));
        let same = tuples == others && connection.zone() == there.zone();
        let mirrored = tuples == [others[1], others[0]] && connection.zone() == there.zone();
        if !same && !mirrored {
            return None;
        }
        for direction in Direction::ALL {
            let to = if same { direction } else { direction.other() };
            let counted = connection.counters(direction);
            let counters = &mut there.counters[to.index()];
            counters.packets += counted.packets;
            counters.bytes += counted.bytes;
        }
        self.stats.clash_resolve += 1;
        verdict.connection = Some(holder);
        verdict.created = false;
        Some(verdict)
    }
}
