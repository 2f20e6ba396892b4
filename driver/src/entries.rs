//! The entries that a connection has in the card: one that serves both directions, or one for each.

use conntrack_core::{Connection, Direction, Tuple};
use nic_model::config::{Entries, KeyConfig};
use nic_model::flow_table::entry::{Endpoint, KeyDirection, Way};
use nic_model::flow_table::{FlowKey, Rewrite};

/// Which way packets of the original and of the reply direction come, as far as keys hold that.
pub(crate) type Ways = [Way; 2];

/// One entry of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) key: FlowKey,
    /// The only direction it serves, if there are two entries.
    pub(crate) only: Option<KeyDirection>,
    pub(crate) originator_is_lower: bool,
    pub(crate) rewrite: Rewrite,
}

impl Entry {
    /// Commands that its insertion takes.
    fn commands(&self) -> u32 {
        1 + u32::from(self.rewrite != Rewrite::default())
    }
}

/// All entries of a connection, that of the original direction first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    entries: [Option<Entry>; 2],
    /// The original direction alone, although the connection needs both.
    pub(crate) one_way: bool,
}

impl Plan {
    /// What a card with such keys needs for a connection.
    pub(crate) fn of(connection: &Connection, card: &KeyConfig, ways: &Ways) -> Self {
        let translated = is_translated(connection);
        if card.entries == Entries::Both && !translated {
            let tuple = connection.tuple(Direction::Original);
            let (key, direction) = both_ways(&tuple, connection, card);
            let entry = Entry {
                key: key.by_way_of(ways[0].seen_by(card)),
                only: None,
                originator_is_lower: direction == KeyDirection::LowerToHigher,
                rewrite: Rewrite::default(),
            };
            return Self {
                entries: [Some(entry), None],
                one_way: false,
            };
        }
        let entries =
            Direction::ALL.map(|direction| Some(one_way(connection, direction, card, ways)));
        Self {
            entries,
            one_way: false,
        }
    }

    /// The entry of the original direction alone.
    pub(crate) fn one_way(connection: &Connection, card: &KeyConfig, ways: &Ways) -> Self {
        let entry = one_way(connection, Direction::Original, card, ways);
        Self {
            entries: [Some(entry), None],
            one_way: true,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        1 + usize::from(self.entries[1].is_some())
    }

    /// Commands that the insertion of all takes.
    pub(crate) fn commands(&self) -> u32 {
        self.iter().map(|(_, entry)| entry.commands()).sum()
    }

    /// Number and entry of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let numbered = self.entries.iter().enumerate();
        numbered.filter_map(|(part, entry)| Some((part, entry.as_ref()?)))
    }
}

/// Whether replies do not simply come from where packets went to.
fn is_translated(connection: &Connection) -> bool {
    let [original, reply] = Direction::ALL.map(|direction| connection.tuple(direction));
    original.inverted() != Some(reply)
}

/// The entry of one direction.
fn one_way(connection: &Connection, direction: Direction, card: &KeyConfig, ways: &Ways) -> Entry {
    let tuple = connection.tuple(direction);
    let from_originator = direction == Direction::Original;
    let (key, only, key_direction) = if card.entries == Entries::EachWay {
        let [source, destination] = ends(&tuple);
        let zone = zone(connection, card);
        let key = FlowKey::one_way(source, destination, tuple.protocol, tuple.family, zone);
        (key, None, KeyDirection::LowerToHigher)
    } else {
        let (key, key_direction) = both_ways(&tuple, connection, card);
        (key, Some(key_direction), key_direction)
    };
    let way = ways[usize::from(!from_originator)];
    Entry {
        key: key.by_way_of(way.seen_by(card)),
        only,
        originator_is_lower: from_originator == (key_direction == KeyDirection::LowerToHigher),
        rewrite: rewrite(&tuple, connection.tuple(direction.other()).inverted()),
    }
}

fn both_ways(tuple: &Tuple, connection: &Connection, card: &KeyConfig) -> (FlowKey, KeyDirection) {
    let [source, destination] = ends(tuple);
    let zone = zone(connection, card);
    FlowKey::new(source, destination, tuple.protocol, tuple.family, zone)
}

fn zone(connection: &Connection, card: &KeyConfig) -> u16 {
    if card.zone { connection.zone().id } else { 0 }
}

fn ends(tuple: &Tuple) -> [Endpoint; 2] {
    let source = Endpoint {
        address: tuple.source,
        port: tuple.source_id,
    };
    let destination = Endpoint {
        address: tuple.destination,
        port: tuple.destination_id,
    };
    [source, destination]
}

/// What makes packets of one tuple those of another.
fn rewrite(from: &Tuple, to: Option<Tuple>) -> Rewrite {
    let Some(to) = to else {
        return Rewrite::default();
    };
    let [source, destination] = ends(from);
    let [new_source, new_destination] = ends(&to);
    Rewrite {
        source: (source != new_source).then_some(new_source),
        destination: (destination != new_destination).then_some(new_destination),
        ..Rewrite::default()
    }
}
