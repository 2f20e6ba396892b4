//! Where connections live: chunks of slots addressed by a dense index, and the table that finds them.
//!
//! Chunks never move and the table is an array of its own, so a million connections cost no copying of connections.

use crate::connection::Connection;
use crate::ends::Ends;
use crate::hash::HashKey;
use crate::id::ConnectionId;
use crate::protocol::ProtocolState;
use crate::status::Status;
use crate::table::{Node, NodeKind, NodeTable};
use crate::timeout::Time;
use crate::tuple::{Direction, Tuple, Zone, ZoneScope};
use packet::prefetch;

/// Connections in a chunk: two megabytes of them. Memory that was never used costs nothing.
const CHUNK: usize = 1 << 14;

/// The chunk of an index, and the place in it.
#[inline]
const fn place(index: u32) -> (usize, usize) {
    (index as usize / CHUNK, index as usize % CHUNK)
}

/// The first node that a hash led to, for as long as the table does not change.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen(Node);

impl Seen {
    /// The index of its connection.
    pub(crate) fn index(self) -> u32 {
        self.0.index()
    }
}

/// Connections and their tuples. A slot whose connection is not CONFIRMED is free; its mark is one more than the index of the
/// slot that became free before it.
#[derive(Debug)]
pub(crate) struct Store {
    key: HashKey,
    chunks: Vec<Vec<Connection>>,
    /// One more than the index of the slot that became free last; 0 for none.
    free: u32,
    table: NodeTable,
    len: usize,
}

impl Store {
    pub(crate) fn new(key: HashKey) -> Self {
        Self {
            key,
            chunks: Vec::new(),
            free: 0,
            table: NodeTable::new(),
            len: 0,
        }
    }

    #[inline]
    pub(crate) fn hash(&self, tuple: &Tuple, zone: Zone) -> u32 {
        self.key.hash(tuple, zone.effective(Direction::Original))
    }

    /// The hash of an IPv4 tuple in the default zone; see [`HashKey::hash_v4`].
    #[inline]
    pub(crate) fn hash_v4(&self, ends: [u64; 2], protocol: u8) -> u32 {
        self.key.hash_v4(ends, protocol, 0)
    }

    /// The connection a hash leads to, if one node stands for both its tuples and `matches` makes something of the original
    /// one. Another kind of node in the way may be younger and meant (zones for one direction): that takes a closer look.
    #[inline]
    pub(crate) fn find_symmetric<T>(
        &self,
        hash: u32,
        matches: impl Fn(&Ends) -> Option<T>,
    ) -> Option<(ConnectionId, T)> {
        let (index, found) = self.table.find(hash, |node| {
            if node.kind() != NodeKind::Both {
                return Some(None);
            }
            let found = matches(self.slot(node.index())?.ends())?;
            Some(Some((node.index(), found)))
        })??;
        Some((name(index, self.slot(index)?), found))
    }

    /// Whether a connection has this tuple, as a new one in `zone` would have it in `direction`.
    pub(crate) fn holder(
        &self,
        tuple: &Tuple,
        direction: Direction,
        zone: Zone,
    ) -> Option<(ConnectionId, Direction)> {
        let hash = self.key.hash(tuple, zone.effective(direction));
        self.find_hashed(tuple, zone, hash)
    }

    /// The same, for a connection that `counts` is satisfied with.
    pub(crate) fn holder_but(
        &self,
        tuple: &Tuple,
        direction: Direction,
        zone: Zone,
        counts: impl Fn(&Connection) -> bool,
    ) -> Option<(ConnectionId, Direction)> {
        let hash = self.key.hash(tuple, zone.effective(direction));
        self.find_where(tuple, zone, hash, counts)
    }

    /// Connections confirmed.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// One more than the largest index in use so far.
    pub(crate) fn index_end(&self) -> u32 {
        let full = self.chunks.len().saturating_sub(1);
        let last = self.chunks.last().map_or(0, Vec::len);
        (full * CHUNK + last) as u32
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Connection> {
        let (chunk, at) = place(index);
        self.chunks.get(chunk)?.get(at)
    }

    #[inline]
    pub(crate) fn slot_mut(&mut self, index: u32) -> Option<&mut Connection> {
        let (chunk, at) = place(index);
        self.chunks.get_mut(chunk)?.get_mut(at)
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.slot(id.index)
            .filter(|connection| is_named(connection, id))
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.slot_mut(id.index)
            .filter(|connection| is_named(connection, id))
    }

    /// The connection at an index, whatever its generation.
    pub(crate) fn at(&self, index: u32) -> Option<(ConnectionId, &Connection)> {
        let connection = self
            .slot(index)
            .filter(|connection| connection.status.contains(Status::CONFIRMED))?;
        Some((name(index, connection), connection))
    }

    /// Asks for the part of the table a hash leads to.
    #[inline]
    pub(crate) fn prefetch_table(&self, hash: u32) {
        self.table.prefetch(hash);
    }

    /// Goes on with what making the table larger has left to do.
    pub(crate) fn settle(&mut self) {
        const BUCKETS: usize = 16;
        self.table.move_some(BUCKETS);
    }

    /// Asks for the parts of the table a connection's nodes are in.
    #[inline]
    pub(crate) fn prefetch_nodes(&self, id: ConnectionId) {
        for (hash, _) in self.nodes(id.index).into_iter().flatten() {
            self.table.prefetch(hash);
        }
    }

    /// Asks for the connection a hash probably leads to; where it is.
    #[inline(always)]
    pub(crate) fn prefetch_connection(&self, hash: u32) -> Seen {
        let node = self.table.first(hash).unwrap_or_default();
        if let Some(connection) = self.slot(node.index()) {
            prefetch(connection);
        }
        // While the table grows, a look-up may begin elsewhere.
        if self.table.is_growing() {
            return Seen::default();
        }
        Seen(node)
    }

    /// Fetches the connection of an index.
    #[inline]
    pub(crate) fn prefetch_index(&self, index: u32) {
        if let Some(connection) = self.slot(index) {
            prefetch(connection);
        }
    }

    /// A number that is another one after a connection came or went.
    #[inline]
    pub(crate) const fn changes(&self) -> u32 {
        self.table.changes()
    }

    /// What `matches` makes of the connection that was seen where a hash leads to: the same as [`Store::find_symmetric`], if
    /// that is it, and the table has not changed.
    #[inline]
    pub(crate) fn find_seen<T>(
        &self,
        seen: Seen,
        matches: impl Fn(&Ends) -> Option<T>,
    ) -> Option<(ConnectionId, T)> {
        let node = seen.0;
        if node.kind() != NodeKind::Both {
            return None;
        }
        let connection = self.slot(node.index())?;
        let found = matches(connection.ends())?;
        Some((name(node.index(), connection), found))
    }

    /// The connection one of whose tuples this is; `hash` is [`Store::hash`].
    #[inline]
    pub(crate) fn find(
        &self,
        tuple: &Tuple,
        zone: Zone,
        hash: u32,
    ) -> Option<(ConnectionId, Direction)> {
        let found = self.find_hashed(tuple, zone, hash);
        if found.is_none() && zone.scope != ZoneScope::Both {
            return self.holder(tuple, Direction::Reply, zone);
        }
        found
    }

    #[inline]
    fn find_hashed(
        &self,
        tuple: &Tuple,
        zone: Zone,
        hash: u32,
    ) -> Option<(ConnectionId, Direction)> {
        self.find_where(tuple, zone, hash, |_| true)
    }

    #[inline]
    fn find_where(
        &self,
        tuple: &Tuple,
        zone: Zone,
        hash: u32,
        counts: impl Fn(&Connection) -> bool,
    ) -> Option<(ConnectionId, Direction)> {
        self.table.find(hash, |node| {
            let connection = self.slot(node.index())?;
            let original = connection.original();
            let direction = match node.kind() {
                NodeKind::Both => original.direction_of(tuple)?,
                NodeKind::Original if original == *tuple => Direction::Original,
                NodeKind::Reply if connection.tuple(Direction::Reply) == *tuple => Direction::Reply,
                _ => return None,
            };
            let in_zone =
                |direction| connection.zone().effective(direction) == zone.effective(direction);
            let direction = if in_zone(direction) {
                direction
            } else if node.kind() == NodeKind::Both
                && original == *tuple
                && in_zone(Direction::Original)
            {
                // A tuple that is its own mirror image is found in either direction.
                Direction::Original
            } else {
                return None;
            };
            counts(connection).then(|| (name(node.index(), connection), direction))
        })
    }

    /// The hash of both tuples of a connection, if one node stands for both.
    #[inline]
    pub(crate) fn symmetric_hash(&self, connection: &Connection) -> Option<u32> {
        let status = connection.status;
        let alone = connection.is_symmetric() && !status.contains(Status::NAT_CLASH);
        let zone_id = connection.zone().effective(Direction::Original);
        alone.then(|| self.key.hash_ends(connection.ends(), zone_id))
    }

    /// Whether no connection has a tuple of this one, which is symmetric and has this hash.
    #[inline]
    pub(crate) fn is_free(&self, connection: &Connection, hash: u32) -> bool {
        let original = connection.original();
        let taken = self.table.find(hash, |node| {
            let there = self.slot(node.index())?;
            let other = match node.kind() {
                NodeKind::Both | NodeKind::Original => there.original(),
                NodeKind::Reply => there.tuple(Direction::Reply),
            };
            // Its zone is for a closer look.
            original.direction_of(&other)
        });
        taken.is_none()
    }

    /// Puts a connection in; its tuples must not be there. `hash` is [`Store::symmetric_hash`], if that is known. `None` if
    /// no more fit.
    pub(crate) fn insert(
        &mut self,
        mut connection: Connection,
        hash: Option<u32>,
    ) -> Option<ConnectionId> {
        let index = match self.free.checked_sub(1) {
            Some(index) => {
                self.free = self.slot(index)?.mark;
                index
            }
            None => self.grow()?,
        };
        let slot = self.slot_mut(index)?;
        connection.generation = slot.generation.wrapping_add(1);
        connection.status = connection.status.with(Status::CONFIRMED);
        *slot = connection;
        let id = name(index, slot);
        if let Some(hash) = hash {
            self.table.insert(hash, Node::new(index, NodeKind::Both));
        } else {
            for (hash, node) in self.nodes(index).into_iter().flatten() {
                self.table.insert(hash, node);
            }
        }
        self.len += 1;
        Some(id)
    }

    /// The nodes the connection at an index has in the table.
    fn nodes(&self, index: u32) -> [Option<(u32, Node)>; 2] {
        let Some(connection) = self.slot(index) else {
            return [None; 2];
        };
        let node = |direction, kind| {
            let zone_id = connection.zone().effective(direction);
            let hash = self.key.hash(&connection.tuple(direction), zone_id);
            Some((hash, Node::new(index, kind)))
        };
        if connection.status.contains(Status::NAT_CLASH) {
            return [None, node(Direction::Reply, NodeKind::Reply)];
        }
        if let Some(hash) = self.symmetric_hash(connection) {
            return [Some((hash, Node::new(index, NodeKind::Both))), None];
        }
        [
            node(Direction::Original, NodeKind::Original),
            node(Direction::Reply, NodeKind::Reply),
        ]
    }

    fn grow(&mut self) -> Option<u32> {
        let index = self.index_end();
        if index as usize >= Node::MAX_CONNECTIONS {
            return None;
        }
        let (chunk, _) = place(index);
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut()?.push(vacant(0));
        Some(index)
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.get(id)?;
        for (hash, node) in self.nodes(id.index).into_iter().flatten() {
            self.table.remove(hash, node);
        }
        let next_free = self.free;
        let slot = self.slot_mut(id.index)?;
        let connection = std::mem::replace(slot, vacant(id.generation));
        slot.mark = next_free;
        self.free = id.index + 1;
        self.len -= 1;
        Some(connection)
    }

    /// Connections near where a hash lies in the table: candidates for early removal.
    pub(crate) fn neighbours(&self, hash: u32) -> Vec<ConnectionId> {
        /// Eight buckets of the kernel's table hold about as many nodes as this when it is full.
        const SLOTS: usize = 16;
        self.table
            .neighbourhood(hash, SLOTS)
            .filter_map(|node| self.at(node.index()).map(|(id, _)| id))
            .collect()
    }
}

#[inline]
fn is_named(connection: &Connection, id: ConnectionId) -> bool {
    connection.generation == id.generation && connection.status.contains(Status::CONFIRMED)
}

#[inline]
const fn name(index: u32, connection: &Connection) -> ConnectionId {
    ConnectionId {
        index,
        generation: connection.generation,
    }
}

/// What lies in a slot without a connection.
fn vacant(generation: u32) -> Connection {
    let nobody = Tuple {
        source: [0; 16],
        destination: [0; 16],
        source_id: 0,
        destination_id: 0,
        protocol: 0,
        family: 0,
    };
    let mut slot = Connection::new(&nobody, Zone::DEFAULT, ProtocolState::Generic);
    slot.generation = generation;
    slot.timeout = Time(0);
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_as_small_as_its_description_says() {
        assert_eq!(size_of::<Connection>(), 128);
    }
}
