//! What sources were translated to: a client's socket gets the same address and port for all destinations, where it can.

use crate::connection::Connection;
use crate::id::ConnectionId;
use crate::tuple::{Direction, Tuple, Zone};
use std::collections::BTreeMap;

/// Where packets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    address: [u8; 16],
    id: u16,
    protocol: u8,
    family: u8,
    zone_id: u16,
}

impl Source {
    const fn new(tuple: &Tuple, zone: Zone) -> Self {
        Self {
            address: tuple.source,
            id: tuple.source_id,
            protocol: tuple.protocol,
            family: tuple.family,
            zone_id: zone.effective(Direction::Original),
        }
    }
}

/// A connection, and address and id its source is translated to.
type Mapped = (ConnectionId, [u8; 16], u16);

/// Connections whose source is translated, by the source they have.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<Source, Vec<Mapped>>);

impl Sources {
    /// Adds a connection.
    pub(crate) fn insert(&mut self, connection: &Connection, id: ConnectionId) {
        let Some(mapped) = connection.tuple(Direction::Reply).inverted() else {
            return;
        };
        let source = Source::new(&connection.original(), connection.zone());
        let mapped = (id, mapped.source, mapped.source_id);
        self.0.entry(source).or_default().push(mapped);
    }

    /// Forgets it.
    pub(crate) fn remove(&mut self, original: &Tuple, zone: Zone, id: ConnectionId) {
        let source = Source::new(original, zone);
        if let Some(connections) = self.0.get_mut(&source) {
            connections.retain(|(connection, ..)| *connection != id);
            if connections.is_empty() {
                self.0.remove(&source);
            }
        }
    }

    /// A tuple with the sources that its own was translated to, youngest first.
    pub(crate) fn of(&self, tuple: &Tuple, zone: Zone) -> impl Iterator<Item = Tuple> + '_ {
        let connections = self.0.get(&Source::new(tuple, zone));
        let tuple = *tuple;
        let translated = move |(_, source, source_id): &Mapped| Tuple {
            source: *source,
            source_id: *source_id,
            ..tuple
        };
        connections.into_iter().flatten().rev().map(translated)
    }
}
