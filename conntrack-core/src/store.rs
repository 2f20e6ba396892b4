//! Where connections live: chunks of slots addressed by a dense index, and the table that finds them.
//!
//! Chunks never move and the table is an array of its own, so a million connections cost no copying of connections.

use crate::connection::{Connection, ConnectionId};
use crate::table::{HashKey, Node, NodeTable};
use crate::tuple::{Direction, Tuple, Zone};

const CHUNK: usize = 1_024;

#[derive(Debug)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

/// Connections and their tuples.
#[derive(Debug)]
pub(crate) struct Store {
    key: HashKey,
    chunks: Vec<Vec<Slot>>,
    free: Vec<u32>,
    table: NodeTable,
    len: usize,
}

impl Store {
    pub(crate) fn new(key: HashKey) -> Self {
        Self {
            key,
            chunks: Vec::new(),
            free: Vec::new(),
            table: NodeTable::new(),
            len: 0,
        }
    }

    pub(crate) fn hash(&self, tuple: &Tuple, zone: Zone) -> u32 {
        self.key.hash(tuple, zone)
    }

    /// Connections confirmed.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// One more than the largest index in use so far.
    pub(crate) fn index_end(&self) -> u32 {
        self.chunks.iter().map(Vec::len).sum::<usize>() as u32
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        self.chunks
            .get(index as usize / CHUNK)?
            .get(index as usize % CHUNK)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.chunks
            .get_mut(index as usize / CHUNK)?
            .get_mut(index as usize % CHUNK)
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let slot = self.slot(id.index)?;
        slot.connection
            .as_ref()
            .filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slot_mut(id.index)?;
        let generation = slot.generation;
        slot.connection
            .as_mut()
            .filter(|_| generation == id.generation)
    }

    /// The connection at an index, whatever its generation.
    pub(crate) fn at(&self, index: u32) -> Option<(ConnectionId, &Connection)> {
        let slot = self.slot(index)?;
        let id = ConnectionId {
            index,
            generation: slot.generation,
        };
        slot.connection.as_ref().map(|connection| (id, connection))
    }

    /// Reads the table early.
    #[inline]
    pub(crate) fn touch_table(&self, hash: u32) -> Option<Node> {
        let (stored, node) = self.table.touch(hash);
        (stored == hash).then_some(node)
    }

    /// Reads a connection early.
    #[inline]
    pub(crate) fn touch_connection(&self, node: Node) -> u64 {
        self.slot(node.index())
            .and_then(|slot| slot.connection.as_ref())
            .map_or(0, |connection| {
                connection.timeout.0 ^ u64::from(connection.tuples[0].source_id)
            })
    }

    /// The connection one of whose tuples this is.
    #[inline]
    pub(crate) fn find(
        &self,
        tuple: &Tuple,
        zone: Zone,
        hash: u32,
    ) -> Option<(ConnectionId, Direction)> {
        let node = self.table.find(hash, |node| {
            self.slot(node.index())
                .and_then(|slot| slot.connection.as_ref())
                .is_some_and(|connection| {
                    connection.tuples[node.direction().index()] == *tuple && connection.zone == zone
                })
        })?;
        let generation = self.slot(node.index())?.generation;
        Some((
            ConnectionId {
                index: node.index(),
                generation,
            },
            node.direction(),
        ))
    }

    /// Puts a connection in; its tuples must not be there.
    pub(crate) fn insert(&mut self, connection: Connection) -> ConnectionId {
        let hashes = [0, 1].map(|i| self.key.hash(&connection.tuples[i], connection.zone));
        let index = self.free.pop().unwrap_or_else(|| self.grow());
        let mut generation = 0;
        if let Some(slot) = self.slot_mut(index) {
            slot.generation = slot.generation.wrapping_add(1);
            slot.connection = Some(connection);
            generation = slot.generation;
        }
        self.table
            .insert(hashes[0], Node::new(index, Direction::Original));
        self.table
            .insert(hashes[1], Node::new(index, Direction::Reply));
        self.len += 1;
        ConnectionId { index, generation }
    }

    fn grow(&mut self) -> u32 {
        let index = self.index_end();
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(Slot {
                generation: 0,
                connection: None,
            });
        }
        index
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let slot = self
            .slot_mut(id.index)
            .filter(|slot| slot.generation == id.generation)?;
        let connection = slot.connection.take()?;
        self.free.push(id.index);
        self.len -= 1;
        for direction in [Direction::Original, Direction::Reply] {
            let hash = self.key.hash(connection.tuple(direction), connection.zone);
            self.table.remove(hash, Node::new(id.index, direction));
        }
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
