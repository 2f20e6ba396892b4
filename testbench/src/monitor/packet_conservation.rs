//! Invariant 1: received = transmitted + dropped (by reason) + consumed + in flight.

use super::Ledger;
use crate::summary::MonitorVerdict;
use nic_model::clock::Picos;
use std::collections::BTreeMap;

/// Follows every frame from its port to where it ends.
#[derive(Debug, Default)]
pub struct PacketConservation {
    received: u64,
    ended: u64,
    /// Frames that the host made and that ended; those that left by a port.
    made: u64,
    made_left: u64,
    /// Frames on their way through the host: when they arrived.
    in_flight: BTreeMap<u64, Picos>,
    ledger: Ledger,
}

impl PacketConservation {
    /// A frame reached a port and ended in hardware at once: forwarded or dropped.
    #[inline]
    pub fn ended_in_hardware(&mut self) {
        self.received += 1;
        self.ended += 1;
    }

    /// A frame reached a port and goes to the host.
    pub fn to_host(&mut self, tag: u64, arrival: Picos) {
        self.received += 1;
        self.in_flight.insert(tag, arrival);
    }

    /// A frame that went to the host left by a port, or was dropped there or on the way; when it had arrived.
    pub fn ended(&mut self, tag: u64, now: Picos, how: &str) -> Option<Picos> {
        let arrival = self.in_flight.remove(&tag);
        self.ledger.check(arrival.is_some(), || {
            format!("at {now} frame {tag} was {how}, but it is not in flight: it never arrived or has ended before")
        });
        self.ended += u64::from(arrival.is_some());
        arrival
    }

    /// A frame that the host made (a message, a fragment) left by a port, or was dropped there or on the way.
    pub const fn made_ended(&mut self, left: bool) {
        self.made += 1;
        self.made_left += left as u64;
    }

    /// Frames that the host made and that left by a port.
    pub const fn made_left(&self) -> u64 {
        self.made_left
    }

    /// How many frames the host has made in all.
    pub fn host_made(&mut self, made: u64, now: Picos) {
        let ended = self.made;
        self.ledger.check(made == ended, || {
            format!("the host made {made} frames, {ended} accounted for at {now}")
        });
    }

    /// The run is over and everything has settled.
    pub fn finish(&mut self, now: Picos) {
        for (tag, arrival) in std::mem::take(&mut self.in_flight) {
            self.ledger.check(false, || {
                format!("frame {tag}, arrived at {arrival}, was still nowhere at {now}")
            });
        }
        let (received, ended) = (self.received, self.ended);
        self.ledger.check(received == ended, || {
            format!("{received} frames received, {ended} accounted for at {now}")
        });
    }

    /// The verdict so far.
    pub fn verdict(&self) -> MonitorVerdict {
        let mut verdict = self.ledger.verdict(
            1,
            "packet conservation",
            "received = transmitted + dropped by reason + consumed by the host + in flight",
        );
        // A frame that ends in hardware is checked by being counted on both sides.
        verdict.checks += self.received;
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_makes_leaves_or_is_dropped() {
        for (made, violations) in [(2, 0), (3, 1)] {
            let mut monitor = PacketConservation::default();
            monitor.made_ended(true);
            monitor.made_ended(false);
            assert_eq!(monitor.made_left(), 1);
            monitor.host_made(made, Picos(9));
            assert_eq!(monitor.verdict().violations, violations);
        }
    }

    #[test]
    fn a_lost_and_a_doubled_frame_are_found() {
        let mut monitor = PacketConservation::default();
        monitor.ended_in_hardware();
        monitor.to_host(7, Picos(1));
        monitor.to_host(8, Picos(2));
        assert_eq!(monitor.ended(7, Picos(3), "sent"), Some(Picos(1)));
        assert_eq!(monitor.ended(7, Picos(4), "sent"), None);
        monitor.finish(Picos(9));
        let verdict = monitor.verdict();
        assert_eq!(verdict.violations, 3, "{:?}", verdict.first);
        assert!(verdict.first[0].contains("frame 7") && verdict.first[1].contains("frame 8"));
    }
}
