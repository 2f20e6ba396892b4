//! Whose source keys PPTP's GRE packets have: their headers name the destination's alone.

use crate::id::ConnectionId;
use crate::tuple::Tuple;

/// Tuples of calls, by the control connection they were agreed on.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<(ConnectionId, [Tuple; 2])>);

impl Keys {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes a call's tuples; whether they could be noted: a connection has one call, and may agree on the same once more.
    /// If it agrees on another one with the same way there, but another way back, neither is known any longer.
    pub(crate) fn insert(&mut self, master: ConnectionId, tuples: [Tuple; 2]) -> bool {
        let key = |tuple: &Tuple| (tuple.source, tuple.destination, tuple.destination_id);
        let Some((_, known)) = self.0.iter().find(|(there, _)| *there == master) else {
            self.0.push((master, tuples));
            return true;
        };
        let [same_there, same_back] = [0, 1].map(|way| key(&known[way]) == key(&tuples[way]));
        if same_there && !same_back {
            self.remove(master);
        }
        same_there && same_back
    }

    pub(crate) fn remove(&mut self, master: ConnectionId) {
        self.0.retain(|(there, _)| *there != master);
    }

    /// The key of the source of a packet whose tuple has it not; 0 if nobody knows.
    pub(crate) fn source_key(&self, tuple: &Tuple) -> u16 {
        let all = self.0.iter().flat_map(|(_, tuples)| tuples);
        let mut met = all.filter(|known| {
            known.source == tuple.source
                && known.destination == tuple.destination
                && known.destination_id == tuple.destination_id
                && known.family == tuple.family
        });
        met.next().map_or(0, |known| known.source_id)
    }
}
