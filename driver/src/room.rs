//! Room in the card's table: how full it may be, who gives way when it is, and how many connections a zone may have in it.

use crate::explain::Why;
use crate::offload::{Life, Records};
use crate::policy::bytes;
use conntrack_core::{Connection, ConnectionId, Tracker};
use std::collections::BTreeMap;

/// Who gives way when the table is as full as it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eviction {
    /// Nobody: the card says when it is full.
    #[default]
    None,
    /// The connection of which no packet was counted for longest, if that is long enough.
    LeastRecentlyUsed,
    /// The connection that has sent least, if the other has sent twice as much (counted while
    /// `net.netfilter.nf_conntrack_acct` is on).
    LeastTraffic,
}

impl Eviction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::LeastRecentlyUsed, Self::LeastTraffic];

    /// Its name, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::LeastRecentlyUsed => "lru",
            Self::LeastTraffic => "least-traffic",
        }
    }

    /// What it means, in a phrase.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::None => "nobody: the card says when it is full",
            Self::LeastRecentlyUsed => {
                "the one of which no packet was counted for longest, a second at least"
            }
            Self::LeastTraffic => "the one that sent least, if the other has sent twice as much",
        }
    }

    /// The one of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|eviction| eviction.name() == name)
    }
}

/// How much room connections may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomConfig {
    /// Who gives way.
    pub eviction: Eviction,
    /// How full the table may be before somebody has to, thousandths of its capacity.
    pub high_water_permille: u16,
    /// For how long no packet of a connection must have been counted before it gives way as the least recently used,
    /// milliseconds.
    pub idle_ms: u32,
    /// Connections a zone may have in hardware.
    pub zones: BTreeMap<u16, u32>,
    /// The same for zones that are not named; `None`: as many as there is room for.
    pub other_zones: Option<u32>,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            eviction: Eviction::None,
            high_water_permille: 950,
            idle_ms: 1_000,
            zones: BTreeMap::new(),
            other_zones: None,
        }
    }
}

impl RoomConfig {
    /// Connections of a zone that may be in hardware.
    pub(crate) fn limit(&self, zone: u16) -> Option<u32> {
        self.zones.get(&zone).copied().or(self.other_zones)
    }
}

/// Who is in whose zone, as far as zones have limits.
#[derive(Debug, Default)]
pub(crate) struct ZoneCounts {
    counts: BTreeMap<u16, u32>,
    /// The zone of each connection that is counted, by its index.
    of: BTreeMap<u32, u16>,
}

impl ZoneCounts {
    pub(crate) fn of_zone(&self, zone: u16) -> u32 {
        self.counts.get(&zone).copied().unwrap_or(0)
    }

    /// The zone a connection is counted in.
    pub(crate) fn zone_of(&self, index: u32) -> Option<u16> {
        self.of.get(&index).copied()
    }

    /// A connection is on its way into hardware.
    pub(crate) fn enter(&mut self, index: u32, zone: u16) {
        self.leave(index);
        self.of.insert(index, zone);
        *self.counts.entry(zone).or_default() += 1;
    }

    /// It is out again.
    pub(crate) fn leave(&mut self, index: u32) {
        let Some(zone) = self.of.remove(&index) else {
            return;
        };
        if let Some(count) = self.counts.get_mut(&zone) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&zone);
            }
        }
    }
}

/// Records looked at in search of somebody who gives way, and how many of them in hardware are enough.
const LOOK_AT: u32 = 256;
const ENOUGH: u32 = 16;

/// Looks for the one who gives way. As the hand of a clock, the search goes on where it ended last: everybody's turn comes.
#[derive(Debug, Default)]
pub(crate) struct Hand(u32);

impl Hand {
    /// Who gives way to `candidate`, and how many records were looked at.
    ///
    /// # Errors
    /// Nobody among those looked at may.
    pub(crate) fn victim(
        &mut self,
        config: &RoomConfig,
        (records, tracker): (&Records, &Tracker),
        (candidate, now_ms): (&Connection, u32),
    ) -> (Result<ConnectionId, Why>, u32) {
        let (mut best, mut found, mut looked_at) = (None, 0, 0);
        let records_len = records.len() as u32;
        while looked_at < LOOK_AT.min(records_len) && found < ENOUGH {
            self.0 = (self.0 + 1) % records_len;
            looked_at += 1;
            let Some((id, record)) = records.at(self.0) else {
                continue;
            };
            if record.life != Life::Installed {
                continue;
            }
            found += 1;
            let idle_ms = now_ms.saturating_sub(record.at_ms);
            let weight = match config.eviction {
                Eviction::None => continue,
                Eviction::LeastRecentlyUsed if idle_ms < config.idle_ms => continue,
                Eviction::LeastRecentlyUsed => u64::MAX - u64::from(idle_ms),
                Eviction::LeastTraffic => tracker.connection(id).map_or(0, bytes),
            };
            if best.is_none_or(|(least, _)| weight < least) {
                best = Some((weight, id));
            }
        }
        let is_enough = |weight: u64| {
            config.eviction != Eviction::LeastTraffic
                || weight.saturating_mul(2) <= bytes(candidate)
        };
        let victim = match best {
            Some((weight, id)) if is_enough(weight) => Ok(id),
            _ => Err(Why::NoVictim),
        };
        (victim, looked_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_counts_those_who_are_in() {
        let mut zones = ZoneCounts::default();
        zones.enter(1, 7);
        zones.enter(2, 7);
        zones.enter(2, 8);
        assert_eq!([7, 8].map(|zone| zones.of_zone(zone)), [1, 1]);
        zones.leave(1);
        zones.leave(1);
        assert_eq!([7, 8].map(|zone| zones.of_zone(zone)), [0, 1]);
    }

    #[test]
    fn a_named_zone_has_its_own_limit() {
        let config = RoomConfig {
            zones: BTreeMap::from([(3, 10)]),
            other_zones: Some(5),
            ..RoomConfig::default()
        };
        assert_eq!([3, 4].map(|zone| config.limit(zone)), [Some(10), Some(5)]);
        assert_eq!(RoomConfig::default().limit(3), None);
    }
}
