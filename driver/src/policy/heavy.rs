//! Offload heavy hitters: those that send more than their share of what software sees, found with a fixed number of counters.
//!
//! The sketch is Space-Saving (Metwally, Agrawal, El Abbadi, ICDT 2005): a connection without a counter takes over that of the
//! lightest one, with its count as the possible error. With N counters, whoever sent more than one Nth of all bytes has one.
//! Counts are halved every second, so that what was heavy once does not stay so.

use super::{Candidate, Policy};
use crate::explain::Why;
use conntrack_core::{ConnectionId, Time};
use std::collections::{BTreeMap, BTreeSet};

/// How often counts are halved.
const HALF_LIFE: Time = Time::from_secs(1);
/// Most counters a sketch may have.
const MOST: usize = 1 << 16;

#[derive(Debug, Clone, Copy)]
struct Count {
    bytes: u64,
    /// Of these, those that may be of others.
    error: u64,
}

/// The sketch and the policy on it.
pub(super) struct Heavy {
    counters: usize,
    counts: BTreeMap<ConnectionId, Count>,
    /// The same, lightest first.
    by_weight: BTreeSet<(u64, ConnectionId)>,
    /// All bytes, halved likewise.
    total: u64,
    halved: Time,
}

impl Heavy {
    /// A sketch of so many counters; `None` if that is none or too many.
    pub(super) fn new(counters: u64) -> Option<Self> {
        let counters = usize::try_from(counters).ok()?;
        (1..=MOST).contains(&counters).then(|| Self {
            counters,
            counts: BTreeMap::new(),
            by_weight: BTreeSet::new(),
            total: 0,
            halved: Time(0),
        })
    }

    fn add(&mut self, id: ConnectionId, bytes: u64) -> Count {
        let mut count = match self.counts.remove(&id) {
            Some(count) => {
                self.by_weight.remove(&(count.bytes, id));
                count
            }
            None if self.counts.len() < self.counters => Count { bytes: 0, error: 0 },
            None => {
                let lightest = self.by_weight.pop_first();
                let (weight, other) = lightest.unwrap_or((0, id));
                self.counts.remove(&other);
                Count {
                    bytes: weight,
                    error: weight,
                }
            }
        };
        count.bytes += bytes;
        self.counts.insert(id, count);
        self.by_weight.insert((count.bytes, id));
        self.total += bytes;
        count
    }

    fn halve(&mut self, now: Time) {
        let mut times = (now.0.saturating_sub(self.halved.0) / HALF_LIFE.0).min(63) as u32;
        if times == 0 {
            return;
        }
        if self.counts.is_empty() {
            times = 63;
        }
        self.halved = now;
        self.total >>= times;
        for count in self.counts.values_mut() {
            count.bytes >>= times;
            count.error >>= times;
        }
        self.counts.retain(|_, count| count.bytes > 0);
        let counts = self.counts.iter();
        self.by_weight = counts.map(|(id, count)| (count.bytes, *id)).collect();
    }
}

impl Policy for Heavy {
    fn name(&self) -> String {
        format!("heavy:{}", self.counters)
    }

    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why> {
        self.halve(candidate.now);
        let count = self.add(candidate.id, candidate.packet_bytes.into());
        let sure = count.bytes - count.error;
        // One packet alone shows nothing, however little else there is.
        let is_first = count.bytes <= u64::from(candidate.packet_bytes);
        if !is_first && sure.saturating_mul(self.counters as u64) > self.total {
            return Ok(());
        }
        Err(Why::NotHeavy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pressure;
    use super::super::tests::{ask, connections};
    use super::*;

    #[test]
    fn the_heavy_are_told_from_many_more_than_there_are_counters() {
        let (tracker, ids) = connections(1_000, 53);
        let mut policy = Heavy::new(16).expect("a sketch");
        let mut wanted = BTreeSet::new();
        for round in 0..4_000u64 {
            // Every fourth packet is of one of three; the others take turns.
            let id = if round % 4 == 0 {
                ids[(round / 4 % 3) as usize]
            } else {
                ids[3 + (round as usize * 7) % 997]
            };
            let at = Time(round * 100_000);
            if ask(
                &mut policy,
                (&tracker, id),
                (at, 1_000),
                Pressure::default(),
            )
            .is_ok()
            {
                wanted.insert(id);
            }
            assert!(policy.counts.len() <= 16 && policy.by_weight.len() == policy.counts.len());
        }
        assert_eq!(wanted, ids[..3].iter().copied().collect());
    }

    #[test]
    fn what_was_heavy_is_forgotten() {
        let (tracker, ids) = connections(2, 53);
        let mut policy = Heavy::new(2).expect("a sketch");
        let mut ask = |id: usize, s: u64| {
            let at = Time::from_secs(s);
            ask(
                &mut policy,
                (&tracker, ids[id]),
                (at, 900),
                Pressure::default(),
            )
            .is_ok()
        };
        assert!(!ask(0, 0) && ask(0, 0));
        assert!(!ask(1, 40) && ask(1, 40));
    }
}
