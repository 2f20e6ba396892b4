//! Connections that were announced hold on to the one that announced them: one that has ended is not forgotten as long as
//! one of them lives, and its source is still taken for translated as it was (Linux frees a connection when the last
//! reference to it is gone).

use crate::connection::Connection;
use crate::id::ConnectionId;
use crate::tuple::{Tuple, Zone};
use std::collections::BTreeMap;

/// A connection that nobody holds on to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) id: ConnectionId,
    pub(crate) original: Tuple,
    pub(crate) zone: Zone,
    master: Option<ConnectionId>,
}

/// Who holds on to whom.
#[derive(Debug, Default)]
pub(crate) struct Masters {
    /// Connections in the table, or not gone yet, that were announced by this one.
    announced: BTreeMap<ConnectionId, u32>,
    ended: BTreeMap<ConnectionId, Gone>,
}

impl Masters {
    /// A connection came into the table.
    pub(crate) fn came(&mut self, connection: &Connection) {
        if let Some((master, _)) = connection.master() {
            *self.announced.entry(master).or_default() += 1;
        }
    }

    /// A connection has ended; it is gone, and with it perhaps some that ended before, unless somebody holds on to it.
    pub(crate) fn ended(&mut self, id: ConnectionId, connection: &Connection) -> Vec<Gone> {
        let own = Gone {
            id,
            original: connection.original(),
            zone: connection.zone(),
            master: connection.master().map(|(master, _)| master),
        };
        if self.announced.contains_key(&id) {
            self.ended.insert(id, own);
            return Vec::new();
        }
        let mut gone = vec![own];
        let mut next = own.master;
        while let Some(master) = next {
            next = self.let_go(master).and_then(|last| {
                gone.push(last);
                last.master
            });
        }
        gone
    }

    /// One that was announced by this one is gone; so is this one, if it was the last and it has ended.
    fn let_go(&mut self, master: ConnectionId) -> Option<Gone> {
        let count = self.announced.get_mut(&master)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.announced.remove(&master);
        self.ended.remove(&master)
    }

    /// Whether nobody holds on to anybody.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.announced.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ProtocolState;

    const fn id(index: u32) -> ConnectionId {
        ConnectionId::from_parts(index, 1)
    }

    fn announced_by(master: Option<u32>) -> Connection {
        let tuple = Tuple {
            source: [0; 16],
            destination: [0; 16],
            source_id: 1,
            destination_id: 2,
            protocol: 17,
            family: 4,
        };
        let mut connection = Connection::new(&tuple, Zone::DEFAULT, ProtocolState::Generic);
        if let Some(master) = master {
            connection.extend().master = Some((id(master), tuple));
        }
        connection
    }

    #[test]
    fn the_last_of_a_family_takes_those_before_it_along() {
        let mut masters = Masters::default();
        let family = [None, Some(0), Some(1), Some(1)].map(announced_by);
        for connection in &family {
            masters.came(connection);
        }
        let mut end = |n: u32| -> Vec<u32> {
            let gone = masters.ended(id(n), &family[n as usize]);
            gone.iter().map(|gone| gone.id.index()).collect()
        };
        assert_eq!(end(0), []);
        assert_eq!(end(2), [2]);
        assert_eq!(end(1), []);
        assert_eq!(end(3), [3, 1, 0]);
        assert!(masters.is_empty() && masters.ended.is_empty());
    }
}
