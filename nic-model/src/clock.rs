//! Time: one line of picoseconds for everything, and clock domains that count cycles of their own.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A point on the time line, or a span of it, in picoseconds since the start of the run (213 days fit).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Picos(pub u64);

impl Picos {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// Later than every event.
    pub const NEVER: Self = Self(u64::MAX);

    /// `ns` nanoseconds, saturating.
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns.saturating_mul(1_000))
    }

    /// `us` microseconds, saturating.
    pub const fn from_micros(us: u64) -> Self {
        Self(us.saturating_mul(1_000_000))
    }

    /// `ms` milliseconds, saturating.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000_000))
    }

    /// `s` seconds, saturating.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000_000_000))
    }

    /// Whole nanoseconds, rounded down.
    pub const fn as_nanos(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole nanoseconds, rounded up.
    pub const fn as_nanos_up(self) -> u64 {
        self.0.div_ceil(1_000)
    }

    /// Seconds as a real number, for people and plots.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 * 1e-12
    }

    /// The span from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// The sum, or [`Picos::NEVER`] where it would not fit.
    #[must_use]
    pub const fn saturating_add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Add for Picos {
    type Output = Self;
    #[inline]
    fn add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign for Picos {
    #[inline]
    fn add_assign(&mut self, span: Self) {
        *self = *self + span;
    }
}

impl Sub for Picos {
    type Output = Self;
    #[inline]
    fn sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Picos {
    /// The largest unit in which the number is at least one, three decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ps = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1_000 => (ps, "ps"),
            1_000..1_000_000 => (ps / 1e3, "ns"),
            1_000_000..1_000_000_000 => (ps / 1e6, "us"),
            1_000_000_000..1_000_000_000_000 => (ps / 1e9, "ms"),
            _ => (ps / 1e12, "s"),
        };
        write!(f, "{value:.3} {unit}")
    }
}

/// A clock: converts a component's cycles to picoseconds, once, at the component's edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDomain {
    period_ps: u64,
}

impl ClockDomain {
    /// A clock of `frequency_khz` kilohertz. The period is rounded to the nearest picosecond.
    ///
    /// A frequency of zero is taken as one kilohertz: configurations are validated before they get here.
    pub const fn from_khz(frequency_khz: u64) -> Self {
        let khz = if frequency_khz == 0 { 1 } else { frequency_khz };
        Self {
            period_ps: (1_000_000_000 + khz / 2) / khz,
        }
    }

    /// Length of one cycle.
    pub const fn period(self) -> Picos {
        Picos(self.period_ps)
    }

    /// Length of `cycles` cycles.
    #[inline]
    pub const fn cycles(self, cycles: u64) -> Picos {
        Picos(cycles.saturating_mul(self.period_ps))
    }
}

/// The time that a card tells: that of its own clock, moved by whoever has set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ToldTime {
    /// Nanoseconds it is ahead, modulo 2^64.
    ahead_ns: u64,
    steps: u32,
}

impl ToldTime {
    /// Moves it by so many nanoseconds.
    pub const fn step(&mut self, by_ns: i64) {
        self.ahead_ns = self.ahead_ns.wrapping_add_signed(by_ns);
        self.steps = self.steps.wrapping_add(1);
    }

    /// How often it was stepped, modulo 2^32.
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// The same modulo 8, as messages have it.
    pub const fn era(&self) -> u8 {
        (self.steps % 8) as u8
    }

    /// What it says at a time, nanoseconds modulo 2^64.
    pub const fn ns(&self, at: Picos) -> u64 {
        self.of_ns(at.as_nanos())
    }

    /// What it says so many nanoseconds after power-on.
    pub const fn of_ns(&self, ns: u64) -> u64 {
        ns.wrapping_add(self.ahead_ns)
    }

    /// The same, rounded up.
    pub const fn ns_up(&self, at: Picos) -> u64 {
        self.of_ns(at.as_nanos_up())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_of_250_mhz_is_4_ns() {
        let clock = ClockDomain::from_khz(250_000);
        assert_eq!(clock.period(), Picos(4_000));
        assert_eq!(clock.cycles(3), Picos::from_nanos(12));
    }

    #[test]
    fn times_print_in_the_unit_people_read() {
        assert_eq!(Picos(999).to_string(), "999.000 ps");
        assert_eq!(Picos::from_nanos(1_500).to_string(), "1.500 us");
        assert_eq!(Picos::from_secs(90).to_string(), "90.000 s");
    }

    #[test]
    fn sums_saturate_instead_of_wrapping() {
        assert_eq!(Picos::NEVER + Picos(1), Picos::NEVER);
        assert_eq!(Picos(1) - Picos(2), Picos::ZERO);
    }
}
