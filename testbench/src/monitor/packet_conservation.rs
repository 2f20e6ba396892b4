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
