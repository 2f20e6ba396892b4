//! Beside the invariants: whatever goes wrong is found and repaired within a bound. Judged in runs with faults.

use super::Ledger;
use crate::summary::{CauseCount, MonitorVerdict};
use driver::{Driver, ResetCause};
use nic_model::clock::Picos;

/// From the driver's first step to the last. It looks after the card every 100 ms: the card is ready at the next look after a
/// reset, its table is read, and what had to wait for that may need another look and another reading.
const REPAIRED_WITHIN: Picos = Picos::from_millis(2_000);
/// From a fault until it is found: a dead heartbeat takes the driver four looks.
pub(crate) const FOUND_WITHIN: Picos = Picos::from_millis(600);
/// From a fault until everything has settled: missing completions take the driver up to six waits of its patience (200 ms).
pub(crate) const SETTLED_WITHIN: Picos = Picos::from_millis(6_000);

/// From a command to its completion, once everything has settled.
const ANSWERED_WITHIN: Picos = Picos::from_millis(500);

const RESET_CAUSES: [(ResetCause, &str); ResetCause::ALL.len()] = [
    (ResetCause::ByItself, "resets by the card itself"),
    (ResetCause::DmaError, "resets after a DMA error"),
    (ResetCause::NoHeartbeat, "resets for want of a heartbeat"),
    (ResetCause::NoCompletion, "resets for want of completions"),
    (ResetCause::Update, "resets to begin another firmware"),
    (
        ResetCause::FirmwareRefused,
        "resets because the firmware was not one to work with",
    ),
];

/// Follows the driver's repairs.
#[derive(Debug, Default)]
pub struct Recovery {
    strikes: u64,
    began: Option<Picos>,
    longest: Picos,
    resets: [u64; ResetCause::ALL.len()],
    readings: u64,
    ledger: Ledger,
}

impl Recovery {
    /// Something has gone wrong.
    pub const fn struck(&mut self) {
        self.strikes += 1;
    }

    /// The driver takes a step.
    pub fn step(&mut self, step: driver::Recovery, now: Picos) {
        match step {
            driver::Recovery::Reset(cause) => {
                self.resets[cause as usize] += 1;
                // Another reset on the way is another repair.
                self.began = Some(now);
            }
            driver::Recovery::Reading => {
                self.readings += 1;
                self.began.get_or_insert(now);
            }
            driver::Recovery::Done => {
                let took = self.began.take().map_or(Picos::ZERO, |began| now - began);
                self.longest = self.longest.max(took);
                self.ledger.check(took <= REPAIRED_WITHIN, || {
                    format!("at {now} the driver had taken {took} to bring its view and the card's table together")
                });
            }
        }
    }

    /// The run is over and everything should have settled.
    pub fn finish(&mut self, driver: &Driver, now: Picos) {
        let gauges = driver.gauges(now);
        let (sending, commands) = (gauges.transmitting, gauges.commands);
        // A card that asks about idle entries is answered for ever: no command may wait for long.
        let answered = gauges.oldest_command_ns < ANSWERED_WITHIN.as_nanos();
        let settled = !driver.is_recovering() && sending == 0 && answered;
        self.ledger.check(settled, || {
            format!(
                "at {now}, long after the last fault, the driver still waits: {commands} commands, {sending} frames{}",
                if driver.is_recovering() { ", and repairs" } else { "" }
            )
        });
    }

    /// The verdict so far.
    pub fn verdict(&self) -> MonitorVerdict {
        let mut verdict = self.ledger.verdict(
            7,
            "recovery",
            "whatever goes wrong is found and repaired within its bound",
        );
        let causes = RESET_CAUSES.iter();
        let causes = causes.map(|(cause, name)| (*name, self.resets[*cause as usize]));
        let others = [
            ("faults at a time", self.strikes),
            ("readings of the table", self.readings),
            ("ns for the longest repair", self.longest.as_nanos()),
        ];
        verdict.counted = causes
            .chain(others)
            .filter(|(_, count)| *count > 0)
            .map(|(cause, count)| CauseCount {
                cause: cause.to_owned(),
                count,
            })
            .collect();
        verdict
    }
}
