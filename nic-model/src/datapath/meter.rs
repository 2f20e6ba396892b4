//! Meters on the way to the host: each reason has a rate of its own, so that a flood of one kind leaves room for the others.
//!
//! A meter is a token bucket, written as the generic cell rate algorithm (ITU-T I.371, annex A): it remembers when the next
//! packet would be due at its rate, and lets one pass that comes at most a burst earlier.

use super::trap::Reason;
use crate::clock::Picos;
use crate::config::MeterConfig;

/// One meter.
#[derive(Debug, Clone, Copy)]
struct Meter {
    /// Time between two packets at the rate; 0 for no limit.
    interval: Picos,
    /// How much earlier than due a packet may come.
    tolerance: Picos,
    due: Picos,
}

/// The meters of all reasons.
#[derive(Debug, Clone)]
pub struct Meters([Meter; Reason::ALL.len()]);

impl Meters {
    /// Meters of a configuration, full.
    pub fn new(config: &MeterConfig) -> Self {
        let burst = u64::from(config.burst_packets).saturating_sub(1);
        Self(config.rates().map(|per_second| {
            let interval = match per_second {
                0 => 0,
                rate => 1_000_000_000_000 / u64::from(rate),
            };
            Meter {
                interval: Picos(interval),
                tolerance: Picos(interval.saturating_mul(burst)),
                due: Picos::ZERO,
            }
        }))
    }

    /// Whether a packet that goes to the host for `reason` at `now` may pass.
    #[inline]
    pub fn admit(&mut self, reason: Reason, now: Picos) -> bool {
        let meter = &mut self.0[usize::from(reason.code())];
        if meter.interval == Picos::ZERO {
            return true;
        }
        let due = meter.due.max(now);
        if due - now > meter.tolerance {
            return false;
        }
        meter.due = due + meter.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let config = MeterConfig {
            miss_per_s: 1_000_000,
            burst_packets: 10,
            ..MeterConfig::default()
        };
        let mut meters = Meters::new(&config);
        let at = Picos::from_millis(1);
        let passed =
            |meters: &mut Meters, reason, at| (0..100).filter(|_| meters.admit(reason, at)).count();
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
        let passed = offered.filter(|at| meters.admit(Reason::Miss, *at)).count();
        assert!((1_000_000..=1_000_010).contains(&passed), "{passed}");
    }
}
