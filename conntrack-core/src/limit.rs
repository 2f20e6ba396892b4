//! How many connections there are of a kind: per address, per zone, per whatever a rule asks for (nft's `ct count`, xt_connlimit,
//! the connection limits of Open vSwitch zones).
//!
//! ```
//! use conntrack_core::limit::ConnectionCounts;
//! use conntrack_core::{Config, HashKey, Packet, Time, Tracker};
//!
//! let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
//! let mut per_host = ConnectionCounts::new();
//! // A UDP datagram from 192.0.2.1:4000 to 198.51.100.1:53, without payload or checksum.
//! let query = [
//!     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0x8e, 0x9b, 192, 0, 2, 1, 198, 51, 100, 1,
//!     0x0f, 0xa0, 0, 53, 0, 8, 0, 0,
//! ];
//! let now = Time::from_secs(1);
//! let entered = tracker.enter(&Packet::whole(&query), now);
//! let count = per_host.count([192, 0, 2, 1], &entered, &tracker, now);
//! assert_eq!(count, 1);
//! if count <= 100 {
//!     tracker.leave(entered, now);
//! }
//! ```

use crate::protocol::tcp::TcpState;
use crate::timeout::Time;
use crate::tracker::{Entered, Tracker};
use crate::tuple::{Direction, Tuple, Zone};
use std::collections::BTreeMap;

/// Connections by key.
#[derive(Debug, Clone, Default)]
pub struct ConnectionCounts<K> {
    keys: BTreeMap<K, Vec<(Tuple, Zone)>>,
}

impl<K: Ord> ConnectionCounts<K> {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
        }
    }

    /// Connections of this key that are there, and the packet's, which counts from now on. Those of TCP that are over
    /// (TIME_WAIT, CLOSE) do not count any longer, nor do those whose first packet was dropped in the end.
    pub fn count(&mut self, key: K, entered: &Entered, tracker: &Tracker, now: Time) -> usize {
        let own = match entered {
            Entered::Unconfirmed(connection, _) => {
                Some((connection.tuple(Direction::Original), connection.zone()))
            }
            Entered::Done(verdict) => verdict
                .connection
                .and_then(|id| tracker.connection(id))
                .map(|connection| (connection.tuple(Direction::Original), connection.zone())),
        };
        let known = self.keys.entry(key).or_default();
        known.retain(|there| Some(*there) == own || counts(there, tracker, now));
        if let Some(own) = own
            && !known.contains(&own)
        {
            known.push(own);
        }
        known.len()
    }

    /// Forgets keys without connections.
    pub fn collect(&mut self, tracker: &Tracker, now: Time) {
        self.keys.retain(|_, known| {
            known.retain(|there| counts(there, tracker, now));
            !known.is_empty()
        });
    }

    /// Keys that have, or lately had, connections.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Whether a connection is there and not over.
fn counts((tuple, zone): &(Tuple, Zone), tracker: &Tracker, now: Time) -> bool {
    let found = tracker.find(tuple, *zone);
    let connection = found.and_then(|(id, _)| tracker.connection(id));
    connection.is_some_and(|connection| {
        let over = matches!(
            connection.tcp_state(),
            Some(TcpState::TimeWait | TcpState::Close)
        );
        !over && !connection.is_expired(now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, HashKey, Packet};
    use packet::TcpFlags;
    use packet::build::FrameBuilder;

    const NOW: Time = Time::from_secs(1);

    fn segment(port: u16, from_client: bool, flags: u16, seq: u32, ack: u32) -> Vec<u8> {
        let builder = FrameBuilder::new().ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let builder = if from_client {
            builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(port, 80)
        } else {
            builder.ipv4([10, 0, 0, 2], [10, 0, 0, 1]).tcp(80, port)
        };
        builder.flags(TcpFlags(flags)).seq(seq).ack(ack).build()[14..].to_vec()
    }

    fn counted(
        counts: &mut ConnectionCounts<u8>,
        tracker: &mut Tracker,
        packet: &[u8],
        limit: usize,
    ) -> usize {
        let entered = tracker.enter(&Packet::whole(packet), NOW);
        let count = counts.count(0, &entered, tracker, NOW);
        if count <= limit {
            tracker.leave(entered, NOW);
        }
        count
    }

    #[test]
    fn only_what_is_there_and_not_over_counts() {
        let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
        let mut counts = ConnectionCounts::new();
        let syn = |port| segment(port, true, 2, 100, 0);
        assert_eq!(counted(&mut counts, &mut tracker, &syn(1), 2), 1);
        assert_eq!(counted(&mut counts, &mut tracker, &syn(2), 2), 2);
        // The same connection once more is no other one; a third one is too many, and was not there after that.
        assert_eq!(counted(&mut counts, &mut tracker, &syn(1), 2), 2);
        assert_eq!(counted(&mut counts, &mut tracker, &syn(3), 2), 3);
        assert_eq!(counted(&mut counts, &mut tracker, &syn(3), 2), 3);
        // A reset connection makes room.
        let answer = segment(1, false, 0x12, 500, 101);
        counted(&mut counts, &mut tracker, &answer, 2);
        let reset = segment(1, true, 4, 101, 0);
        tracker.track(&Packet::whole(&reset), NOW);
        assert_eq!(counted(&mut counts, &mut tracker, &syn(3), 2), 2);
        tracker.flush(NOW);
        counts.collect(&tracker, NOW);
        assert!(counts.is_empty());
    }
}
