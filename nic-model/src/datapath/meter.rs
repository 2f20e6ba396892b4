//! Meters on the way to the host, so that a flood leaves room for the others: one for each reason, one for packets that would begin a
//! connection, and one for each group of flows.
//!
//! A meter is a token bucket, written as the generic cell rate algorithm (ITU-T I.371, annex A): it remembers when the next
//! packet would be due at its rate, and lets one pass that comes at most a burst earlier. A packet that one meter refuses takes
//! nothing from the others.

use super::trap::Reason;
use crate::clock::Picos;
use crate::config::MeterConfig;

/// A rate, and how far packets may run ahead of it.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Time between two packets; 0 for no limit.
    interval: Picos,
    /// How much earlier than due a packet may come.
    tolerance: Picos,
}

impl Rate {
    fn new(per_second: u32, burst_packets: u32) -> Self {
        let interval = match per_second {
            0 => 0,
            rate => 1_000_000_000_000 / u64::from(rate),
        };
        let burst = u64::from(burst_packets).saturating_sub(1);
        Self {
            interval: Picos(interval),
            tolerance: Picos(interval.saturating_mul(burst)),
        }
    }

    /// When the packet after this one is due, if this one may pass.
    #[inline]
    fn next_due(&self, due: Picos, now: Picos) -> Option<Picos> {
        let due = due.max(now);
        (self.interval == Picos::ZERO || due - now <= self.tolerance).then(|| due + self.interval)
    }
}

/// What a meter needs to know of a packet.
#[derive(Debug, Clone, Copy)]
pub struct Metered {
    /// Why it goes to the host.
    pub reason: Reason,
    /// It would begin a connection: TCP with SYN and without ACK, of no installed flow.
    pub opens: bool,
    /// A hash of its flow, if it has one.
    pub flow_hash: Option<u32>,
}

/// Why a packet may not go to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Too many go there for the same reason.
    Reason,
    /// Too many would begin a connection.
    Opening,
    /// Too many are of the same group of flows.
    Group,
}

/// All meters.
#[derive(Debug, Clone)]
pub struct Meters {
    reasons: [(Rate, Picos); Reason::ALL.len()],
    opening: (Rate, Picos),
    group_rate: Rate,
    /// When the next packet of each group is due.
    groups: Vec<Picos>,
}

impl Meters {
    /// Meters of a configuration, full.
    pub fn new(config: &MeterConfig) -> Self {
        let meter = |per_second| (Rate::new(per_second, config.burst_packets), Picos::ZERO);
        Self {
            reasons: config.rates().map(meter),
            opening: meter(config.opening_per_s),
            group_rate: Rate::new(config.group_per_s, config.group_burst_packets),
            groups: vec![Picos::ZERO; config.groups as usize],
        }
    }

    /// Lets a packet pass to the host at `now`.
    ///
    /// # Errors
    /// One of its meters does not.
    #[inline]
    pub fn admit(&mut self, packet: &Metered, now: Picos) -> Result<(), Excess> {
        let (rate, due) = &mut self.reasons[usize::from(packet.reason.code())];
        let next = rate.next_due(*due, now).ok_or(Excess::Reason)?;
        let (opening, opening_due) = &mut self.opening;
        let next_opening = if packet.opens {
            opening.next_due(*opening_due, now).ok_or(Excess::Opening)?
        } else {
            *opening_due
        };
        let groups = self.groups.len() as u64;
        if let Some(hash) = packet.flow_hash
            && groups > 0
        {
            // The highest bits of the product tell the group, whatever the number of groups.
            let mixed = hash.wrapping_mul(0x9e37_79b1);
            let group = &mut self.groups[((u64::from(mixed) * groups) >> 32) as usize];
            *group = (self.group_rate.next_due(*group, now)).ok_or(Excess::Group)?;
        }
        (*due, *opening_due) = (next, next_opening);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of(reason: Reason) -> Metered {
        Metered {
            reason,
            opens: false,
            flow_hash: None,
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let config = MeterConfig {
            miss_per_s: 1_000_000,
            burst_packets: 10,
            ..MeterConfig::default()
        };
        let mut meters = Meters::new(&config);
        let at = Picos::from_millis(1);
        let passed = |meters: &mut Meters, reason, at| {
            (0..100)
                .filter(|_| meters.admit(&of(reason), at).is_ok())
                .count()
        };
        assert_eq!(passed(&mut meters, Reason::Miss, at), 10);
        assert_eq!(
            passed(&mut meters, Reason::TcpFin, at),
            100,
            "another reason has no limit"
        );
        assert_eq!(
            passed(&mut meters, Reason::Miss, at + Picos::from_micros(3)),
            3
        );
        // Ten times the rate for a second: what passes is the rate, and the burst once.
        let offered = (0..10_000_000u64).map(|n| Picos::from_secs(1) + Picos(n * 100_000));
        let passed = offered.filter(|at| meters.admit(&of(Reason::Miss), *at).is_ok());
        let passed = passed.count();
        assert!((1_000_000..=1_000_010).contains(&passed), "{passed}");
    }

    #[test]
    fn a_flood_of_openings_leaves_the_rest_alone() {
        let mut meters = Meters::new(&MeterConfig {
            opening_per_s: 1_000,
            burst_packets: 5,
            ..MeterConfig::default()
        });
        let open = Metered {
            opens: true,
            ..of(Reason::Miss)
        };
        let passed = (0..100).filter(|_| meters.admit(&open, Picos::ZERO).is_ok());
        assert_eq!(passed.count(), 5);
        assert_eq!(meters.admit(&open, Picos::ZERO), Err(Excess::Opening));
        assert_eq!(meters.admit(&of(Reason::Miss), Picos::ZERO), Ok(()));
    }

    #[test]
    fn one_flow_does_not_take_the_share_of_another() {
        let mut meters = Meters::new(&MeterConfig {
            groups: 64,
            group_per_s: 1_000,
            group_burst_packets: 3,
            miss_per_s: 1_000,
            burst_packets: 6,
            ..MeterConfig::default()
        });
        let from = |hash| Metered {
            flow_hash: Some(hash),
            ..of(Reason::Miss)
        };
        let passed = (0..100).filter(|_| meters.admit(&from(1), Picos::ZERO).is_ok());
        assert_eq!(passed.count(), 3);
        assert_eq!(meters.admit(&from(1), Picos::ZERO), Err(Excess::Group));
        // What the group refused took nothing from the meter of the reason: three of its six are left.
        let others = (2..10).map(|hash| meters.admit(&from(hash), Picos::ZERO));
        let others: Vec<Result<(), Excess>> = others.collect();
        assert_eq!(others.iter().filter(|other| other.is_ok()).count(), 3);
        assert_eq!(others.last(), Some(&Err(Excess::Reason)));
    }
}
