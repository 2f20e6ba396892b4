//! Address translation in software: what rules want for new connections, and the packets of those that have it.

use crate::switch::Switch;
use conntrack_core::nat::{Manip, Target};
use conntrack_core::{Direction, Entered, Packet, Reason, Time, Tracker, Verdict};
use nic_model::random::Xorshift;
use std::ops::RangeInclusive;

/// What becomes of a new connection's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Translation {
    /// Where its packets really go (DNAT, REDIRECT).
    pub destination: Option<Target>,
    /// Where they seem to come from (SNAT, MASQUERADE, NETMAP).
    pub source: Option<Target>,
}

/// Ports that are chosen by chance: the same seed, the same ports.
#[derive(Debug, Clone)]
pub struct Chance(Xorshift);

impl Chance {
    /// A generator with a seed.
    pub const fn new(seed: u64) -> Self {
        Self(Xorshift::new(seed | 1))
    }

    fn among(&mut self, ports: &RangeInclusive<u16>) -> u16 {
        let count = u64::from(ports.end().saturating_sub(*ports.start())) + 1;
        ports
            .start()
            .saturating_add(((self.0.draw() >> 32) % count) as u16)
    }
}

/// Tracks a packet that arrived at `port` as a router does that has rules: `switch` is asked about a new connection, and whether it
/// is translated only if `translates`. The packet itself is rewritten by [`rewrite`]. What helpers would announce or change in
/// payloads is left alone.
pub fn track(
    tracker: &mut Tracker,
    (packet, port): (&Packet<'_>, u8),
    switch: &mut impl Switch,
    translates: bool,
    chance: &mut Chance,
    now: Time,
) -> Verdict {
    let mut entered = tracker.enter(packet, now);
    if let Entered::Unconfirmed(connection, _) = &entered {
        let marking = switch.marking(connection, port);
        let wanted = if translates {
            switch.translation(&connection.tuple(Direction::Original), port)
        } else {
            Translation::default()
        };
        if !marking.is_none() {
            tracker.mark(&mut entered, marking.mark);
            tracker.label(&mut entered, marking.labels, u128::MAX);
        }
        let mut random = |among: RangeInclusive<u16>| chance.among(&among);
        for (manip, target) in [
            (Manip::Destination, wanted.destination),
            (Manip::Source, wanted.source),
        ] {
            tracker.nat(&mut entered, manip, target.as_ref(), &mut random, now);
        }
    }
    tracker.leave(entered, now)
}

/// Writes a connection's translated addresses into a packet of it, which begins with its IP header: a fragment of a datagram
/// too.
///
/// # Errors
/// The packet is cut off and must be dropped.
pub fn rewrite(
    tracker: &mut Tracker,
    verdict: &Verdict,
    packet: &mut [u8],
    now: Time,
) -> Result<(), Reason> {
    let entered = Entered::Done(*verdict);
    for manip in [Manip::Destination, Manip::Source] {
        tracker.rewrite(&entered, manip, None, packet, now)?;
    }
    Ok(())
}
