//! What the driver shows of itself: where each connection is and why, and how full everything is.

use super::*;
use crate::explain::Explanation;

/// How full everything is, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Commands that were not completed.
    pub commands: usize,
    /// Connections whose counters are to be asked for as soon as there is room for commands.
    pub asks: usize,
    /// Frames handed to the card that it has not sent.
    pub transmitting: u32,
    /// Fragments that are held.
    pub fragments: usize,
    /// Connections in hardware.
    pub installed: u64,
    /// Entries in hardware, as far as the driver knows.
    pub entries: u64,
    /// Entries the card's table can hold.
    pub capacity: u32,
    /// Counters that were given back and rest.
    pub resting_counters: u32,
    /// Time since the oldest command that was not completed was posted, nanoseconds.
    pub oldest_command_ns: u64,
}

impl Driver {
    /// How full everything is at `now`.
    pub fn gauges(&self, now: Picos) -> Gauges {
        let oldest = self.commands.oldest().unwrap_or(now);
        Gauges {
            commands: self.commands.outstanding(),
            asks: self.to_ask.len(),
            transmitting: self.transmit.outstanding(),
            fragments: self.held.len(),
            installed: self.records.installed(),
            entries: self.records.entries(),
            capacity: self.layout.table_capacity,
            resting_counters: self.pool.map_or(0, |pool| pool.resting()),
            oldest_command_ns: now.saturating_sub(oldest).as_nanos(),
        }
    }

    /// Where a connection is, and why; `None` if there is no such connection.
    pub fn explain(&self, id: ConnectionId) -> Option<Explanation> {
        let connection = self.tracker.connection(id)?;
        let record = self.records.get(id).copied().unwrap_or_default();
        let why = match record.life {
            Life::Installed if record.present == record.wanted => Why::Installed,
            Life::Installed => Why::Half,
            Life::Inserting => Why::Inserting,
            Life::Removing => Why::Removing,
            Life::Software => self
                .unfit(connection)
                .or(self.is_recovering().then_some(Why::Recovering))
                .or(record.why)
                .unwrap_or(Why::Unasked),
        };
        Some(Explanation {
            life: record.life,
            why,
            last_removal: record.cause,
            entries: record.present.len(),
        })
    }

    /// How many connections there are for each [`Why`].
    pub fn reasons(&self) -> [u64; Why::ALL.len()] {
        let mut counts = [0; Why::ALL.len()];
        for (id, _) in self.tracker.iter() {
            if let Some(explanation) = self.explain(id) {
                counts[explanation.why as usize] += 1;
            }
        }
        counts
    }
}

/// What an explorer of states tells states apart by.
impl Driver {
    /// Everything that decides what the driver does next but times and counts, as text: two drivers of the same outline behave
    /// alike. For tests that explore states, and to look at.
    pub fn outline(&self, now: Picos) -> String {
        use std::fmt::Write;
        let mut out = format!("{} {}", self.health.outline(), self.commands.outline());
        let collects = self.config.habits.collector.is_some();
        let asks = self.to_ask.iter().map(|id| id.index());
        let asks: Vec<u32> = asks.collect();
        write!(out, " {:?} {:?} {asks:?}", self.walk, self.reading).ok();
        for index in 0..self.records.len() as u32 {
            let Some((id, record)) = self.records.at(index) else {
                continue;
            };
            let connection = self.tracker.connection(id);
            let untouched = record.life == Life::Software && record.cause.is_none();
            if connection.is_none() && untouched {
                continue;
            }
            let waits = u64::from(record.at_ms) > now.as_nanos() / 1_000_000;
            let tracked = connection.map(|connection| {
                (
                    connection.tcp_state(),
                    connection.is_offloaded(),
                    connection.status(),
                )
            });
            write!(out, " {index}: {} {waits} {tracked:?}", record.outline()).ok();
            if collects {
                write!(out, " {}", record.at_ms).ok();
            }
        }
        out
    }
}
