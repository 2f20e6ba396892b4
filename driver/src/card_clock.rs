//! The card's clock, as the host sees it.
//!
//! Times in what the card writes are of its own clock, which may be stepped while the host's goes on: by somebody who sets the
//! time. Every message says how often that had happened when it was written, its era; of an era whose clock was looked at, times
//! are known exactly, of one that nobody has seen a time is taken for now: a connection may live longer for it, but none dies.

use crate::device::{Layout, read};
use crate::flaw::{Flaw, Flaws};
use crate::platform::Platform;
use nic_model::host::registers as reg;

/// Eras that messages can tell apart.
const ERAS: usize = 8;

/// What is known of the card's clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct CardClock {
    flaws: Flaws,
    /// How often it had been stepped when it was looked at last.
    steps: u32,
    /// What makes a time of each era one of the host's clock, modulo 2^64; by the era's number modulo 8.
    offsets: [Option<u64>; ERAS],
}

impl CardClock {
    /// A clock that nobody has looked at.
    pub(crate) fn new(flaws: Flaws) -> Self {
        Self {
            flaws,
            ..Self::default()
        }
    }

    /// Looks at the clock.
    pub(crate) fn look(&mut self, platform: &mut impl Platform, version: u32) {
        /// It may be stepped between two reads, but not for ever.
        const ATTEMPTS: u32 = 3;
        if version < Layout::CLOCK {
            self.offsets = [Some(0); ERAS];
            return;
        }
        let mut steps = read(platform, reg::CLOCK_STEPS);
        for _ in 0..ATTEMPTS {
            let high = read(platform, reg::CLOCK_HIGH);
            let low = read(platform, reg::CLOCK_LOW);
            let host_ns = platform.now().as_nanos();
            let carried = high != read(platform, reg::CLOCK_HIGH);
            let card_ns = u64::from(low) | u64::from(high) << 32;
            let before = std::mem::replace(&mut steps, read(platform, reg::CLOCK_STEPS));
            if steps == before && !carried {
                return self.learn(steps, host_ns.wrapping_sub(card_ns));
            }
        }
    }

    fn learn(&mut self, steps: u32, offset: u64) {
        let passed = steps.wrapping_sub(self.steps);
        for unseen in 1..passed.min(ERAS as u32 + 1) {
            self.offsets[self.steps.wrapping_add(unseen) as usize % ERAS] = None;
        }
        self.steps = steps;
        self.offsets[steps as usize % ERAS] = Some(offset);
    }

    /// A time that a message of an era says, on the host's clock, nanoseconds: not later than now.
    pub(crate) fn host_ns(
        &mut self,
        platform: &mut impl Platform,
        version: u32,
        (era, card_ns): (u8, u64),
    ) -> u64 {
        if self.flaws.has(Flaw::ClockStepsIgnored) {
            return card_ns;
        }
        let era = usize::from(era) % ERAS;
        if self.offsets[era].is_none() {
            self.look(platform, version);
        }
        let now_ns = platform.now().as_nanos();
        match self.offsets[era] {
            Some(offset) => card_ns.wrapping_add(offset).min(now_ns),
            None => now_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain_board::PlainBoard;
    use nic_model::clock::Picos;
    use nic_model::config::KeyConfig;

    const SECOND: i64 = 1_000_000_000;

    fn board() -> PlainBoard {
        let board = PlainBoard::new(4, &KeyConfig::default(), 1 << 16);
        board.of_version(Layout::CLOCK)
    }

    fn seconds(board: &mut PlainBoard, now: u64) {
        board.now = Picos::from_secs(now);
    }

    #[test]
    fn times_of_an_era_that_was_seen_stay_known() {
        let (mut board, mut clock) = (board(), CardClock::default());
        let ns = |seconds: u64| seconds * SECOND as u64;
        seconds(&mut board, 100);
        clock.look(&mut board, Layout::CLOCK);
        board.step_clock(3_600 * SECOND);
        seconds(&mut board, 110);
        let mut of = |board: &mut PlainBoard, era, card_s| {
            clock.host_ns(board, Layout::CLOCK, (era, ns(card_s)))
        };
        assert_eq!(of(&mut board, 0, 90), ns(90), "written before the step");
        assert_eq!(of(&mut board, 1, 3_705), ns(105));
        assert_eq!(of(&mut board, 0, 91), ns(91), "late");
        board.step_clock(-7_200 * SECOND);
        let before_zero = ns(120).wrapping_sub(ns(3_600));
        seconds(&mut board, 130);
        let time = (2, before_zero);
        assert_eq!(clock.host_ns(&mut board, Layout::CLOCK, time), ns(120));
    }

    #[test]
    fn what_nobody_knows_is_taken_for_now() {
        let (mut board, mut clock) = (board(), CardClock::default());
        seconds(&mut board, 50);
        clock.look(&mut board, Layout::CLOCK);
        for _ in 0..2 {
            board.step_clock(-20 * SECOND);
        }
        let now = board.now.as_nanos();
        let ask = |clock: &mut CardClock, board: &mut PlainBoard, era, card_ns| {
            clock.host_ns(board, Layout::CLOCK, (era, card_ns))
        };
        assert_eq!(ask(&mut clock, &mut board, 1, 5), now, "an era unseen");
        let forty = 40 * SECOND as u64;
        assert_eq!(ask(&mut clock, &mut board, 2, 5), forty + 5);
        assert_eq!(ask(&mut clock, &mut board, 2, u64::MAX / 2), now, "to come");
        // Eight steps later its number stands for another one.
        (0..8).for_each(|_| board.step_clock(SECOND));
        clock.look(&mut board, Layout::CLOCK);
        assert_eq!(ask(&mut clock, &mut board, 1, 5), now);
    }

    #[test]
    fn a_card_that_does_not_tell_its_clock_has_the_host_s() {
        let (mut board, mut clock) = (board(), CardClock::default());
        seconds(&mut board, 9);
        clock.look(&mut board, Layout::MARKINGS - 1);
        let time = clock.host_ns(&mut board, Layout::MARKINGS - 1, (0, 7));
        assert_eq!(time, 7);
    }
}
