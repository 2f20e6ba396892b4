//! What sources were translated to: a client's socket gets the same address and port for all destinations, where it can.

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

/// Connections whose source is translated, by the source they have.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<Source, Vec<ConnectionId>>);

impl Sources {
    /// Adds a connection with this original tuple.
    pub(crate) fn insert(&mut self, original: &Tuple, zone: Zone, id: ConnectionId) {
        let source = Source::new(original, zone);
        self.0.entry(source).or_default().push(id);
    }

    /// Forgets it.
    pub(crate) fn remove(&mut self, original: &Tuple, zone: Zone, id: ConnectionId) {
        let source = Source::new(original, zone);
        if let Some(connections) = self.0.get_mut(&source) {
            connections.retain(|connection| *connection != id);
            if connections.is_empty() {
                self.0.remove(&source);
            }
        }
    }

    /// Connections from the source of a tuple, youngest first.
    pub(crate) fn of(&self, tuple: &Tuple, zone: Zone) -> impl Iterator<Item = ConnectionId> + '_ {
        let connections = self.0.get(&Source::new(tuple, zone));
        connections.into_iter().flatten().rev().copied()
    }
}
