//! Faults of a run: what goes wrong, and when. Scripted in a scenario, or drawn by `ctnic soak`.

use crate::scenario::ScenarioError;
use firmware::Board;
use firmware::fault::{Harm, Message, MessageFault, When};
use nic_model::chip::Reset;
use nic_model::clock::Picos;
use nic_model::random::Xorshift;
use serde::{Deserialize, Serialize};

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Completions of commands are not written.
    LoseCompletion,
    /// They are written twice.
    DuplicateCompletion,
    /// They come `by_us` later than those behind them.
    DelayCompletion,
    /// One of their bits is turned.
    CorruptCompletion,
    /// They change places with the next.
    ReorderCompletion,
    /// Aging reports are not written.
    LoseEvent,
    /// They are written twice.
    DuplicateEvent,
    /// One of their bits is turned.
    CorruptEvent,
    /// They change places with the next.
    ReorderEvent,
    /// Counter records are not written.
    LoseCounters,
    /// They are written twice.
    DuplicateCounters,
    /// One of their bits is turned.
    CorruptCounters,
    /// Doorbells are lost: as many as `count`.
    LoseDoorbell,
    /// Interrupts are lost: as many as `count`.
    LoseInterrupt,
    /// A DMA error stops the rings.
    DmaError,
    /// Nothing crosses PCIe for `for_ms`.
    PcieStall,
    /// TLPs come damaged and are sent again: as many as `count`.
    PcieReplay,
    /// The firmware stands still for `for_ms` (0: until it is reset).
    Hang,
    /// The firmware takes `factor` times as long for everything, for `for_ms`.
    Slow,
    /// The card begins afresh; its table stays.
    Reset,
    /// The card begins afresh; its table is empty.
    FullReset,
    /// Others have the host's core for `for_ms`.
    HostStarved,
    /// Bits of an entry in the card's table turn over: `count` of them at once. What comes of it depends on `memory.protection`.
    TableBitFlip,
    /// The driver's process is killed, and after `for_ms` another one begins with its state file.
    DriverKilled,
    /// Somebody sets the card's clock: it jumps by `step_ms`.
    ClockStep,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::LoseCompletion,
        Self::DuplicateCompletion,
        Self::DelayCompletion,
        Self::CorruptCompletion,
        Self::ReorderCompletion,
        Self::LoseEvent,
        Self::DuplicateEvent,
        Self::CorruptEvent,
        Self::ReorderEvent,
        Self::LoseCounters,
        Self::DuplicateCounters,
        Self::CorruptCounters,
        Self::LoseDoorbell,
        Self::LoseInterrupt,
        Self::DmaError,
        Self::PcieStall,
        Self::PcieReplay,
        Self::Hang,
        Self::Slow,
        Self::Reset,
        Self::FullReset,
        Self::HostStarved,
        Self::TableBitFlip,
        Self::DriverKilled,
        Self::ClockStep,
    ];

    /// What it does to messages of the firmware, if it is about them.
    const fn harm(self, by: Picos) -> Option<(Message, Harm)> {
        Some(match self {
            Self::LoseCompletion => (Message::Completion, Harm::Lose),
            Self::DuplicateCompletion => (Message::Completion, Harm::Duplicate),
            Self::DelayCompletion => (Message::Completion, Harm::Delay(by)),
            Self::CorruptCompletion => (Message::Completion, Harm::Corrupt),
            Self::ReorderCompletion => (Message::Completion, Harm::Reorder),
            Self::LoseEvent => (Message::Event, Harm::Lose),
            Self::DuplicateEvent => (Message::Event, Harm::Duplicate),
            Self::CorruptEvent => (Message::Event, Harm::Corrupt),
            Self::ReorderEvent => (Message::Event, Harm::Reorder),
            Self::LoseCounters => (Message::Counters, Harm::Lose),
            Self::DuplicateCounters => (Message::Counters, Harm::Duplicate),
            Self::CorruptCounters => (Message::Counters, Harm::Corrupt),
            _ => return None,
        })
    }
}

/// One fault, as a scenario says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// When, milliseconds of simulated time. Of messages: the first one from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// Of messages: the n-th of its kind, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Of messages: one in so many, by chance, while there is traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_in: Option<u32>,
    /// How long it lasts, milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub for_ms: u64,
    /// How much later something comes, microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub by_us: u64,
    /// How far a clock jumps, forward or back, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_ms: Option<i64>,
    /// How many times as long something takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<u32>,
    /// How many are lost, or come damaged; how many bits turn over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

const fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Fault {
    /// A fault of this kind at a time.
    pub const fn at(kind: FaultKind, at_ms: u64) -> Self {
        Self {
            kind,
            at_ms: Some(at_ms),
            nth: None,
            one_in: None,
            for_ms: 0,
            by_us: 0,
            step_ms: None,
            factor: None,
            count: None,
        }
    }

    /// Whether it says exactly when, in a way that its kind knows.
    ///
    /// # Errors
    /// It does not; the message says what is wrong.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let ways = u8::from(self.at_ms.is_some())
            + u8::from(self.nth.is_some())
            + u8::from(self.one_in.is_some());
        let wrong = if ways != 1 {
            "say when: one of at_ms, nth, one_in"
        } else if self.at_ms.is_none() && self.kind.harm(Picos::ZERO).is_none() {
            "only completions, events and counters can be counted: say at_ms"
        } else if self.nth == Some(0) || self.one_in == Some(0) || self.factor == Some(0) {
            "nth, one_in and factor are 1 or more"
        } else if self.kind == FaultKind::DelayCompletion && self.by_us == 0 {
            "say by how much: by_us"
        } else if (self.kind == FaultKind::ClockStep) != self.step_ms.is_some() {
            "a clock-step, and no other, says how far the clock jumps: step_ms, such as -3600000"
        } else {
            return Ok(());
        };
        let kind = serde_json::to_string(&self.kind).unwrap_or_default();
        Err(ScenarioError::value("kind", kind, wrong))
    }

    fn message(&self) -> Option<MessageFault> {
        let (message, harm) = self.kind.harm(Picos::from_micros(self.by_us))?;
        let when = match (self.at_ms, self.nth, self.one_in) {
            (_, Some(n), _) => When::Nth(n),
            (_, _, Some(n)) => When::OneIn(n),
            (at, ..) => When::At(Picos::from_millis(at.unwrap_or(0))),
        };
        Some(MessageFault {
            message,
            harm,
            when,
        })
    }
}

/// What the host's side has to do about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnHost {
    Nothing,
    LoseInterrupts(u32),
    Starve(Picos),
    Reset(Reset),
    Kill(Picos),
}

/// The faults that are still to come, soonest last.
#[derive(Debug)]
pub(crate) struct FaultPlan {
    coming: Vec<(Picos, Fault)>,
    any: bool,
    over: Picos,
    /// Which entry is hit.
    chance: Xorshift,
}

impl FaultPlan {
    /// Arms the faults of messages and lays out the others in time.
    pub(crate) fn new(faults: &[Fault], seed: u64, board: &mut Board) -> Self {
        board.seed_faults(seed);
        let (mut coming, mut over) = (Vec::new(), Picos::ZERO);
        for fault in faults {
            let lasts = fault.at_ms.unwrap_or(0).saturating_add(fault.for_ms);
            over = over.max(Picos::from_millis(lasts));
            match fault.message() {
                Some(message) => board.harm(message),
                None => coming.push((Picos::from_millis(fault.at_ms.unwrap_or(0)), fault.clone())),
            }
        }
        coming.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Self {
            coming,
            any: !faults.is_empty(),
            over,
            chance: Xorshift::new(seed | 1),
        }
    }

    /// When the last one that comes at a time is over.
    pub(crate) const fn over(&self) -> Picos {
        self.over
    }

    /// When the next one strikes.
    pub(crate) fn next_due(&self) -> Picos {
        self.coming.last().map_or(Picos::NEVER, |(at, _)| *at)
    }

    /// Whether there are any.
    pub(crate) const fn any(&self) -> bool {
        self.any
    }

    /// The next one strikes the board now, or is for the host.
    pub(crate) fn strike(&mut self, board: &mut Board) -> OnHost {
        let Some((now, fault)) = self.coming.pop() else {
            return OnHost::Nothing;
        };
        let until = now + Picos::from_millis(fault.for_ms);
        let count = fault.count.unwrap_or(1);
        match fault.kind {
            FaultKind::LoseDoorbell => board.lose_doorbells(count),
            FaultKind::LoseInterrupt => return OnHost::LoseInterrupts(count),
            FaultKind::DmaError => board.fail_dma(now),
            FaultKind::PcieStall => board.chip_mut().stall_link(until),
            FaultKind::PcieReplay => board.chip_mut().damage_link(count),
            FaultKind::Hang if fault.for_ms == 0 => board.hang(now, Picos::NEVER),
            FaultKind::Hang => board.hang(now, until),
            FaultKind::Slow => board.slow(fault.factor.unwrap_or(10), until),
            FaultKind::Reset => return OnHost::Reset(Reset::Function),
            FaultKind::FullReset => return OnHost::Reset(Reset::Full),
            FaultKind::HostStarved => return OnHost::Starve(until),
            FaultKind::DriverKilled => return OnHost::Kill(until),
            FaultKind::ClockStep => {
                let step_ns = fault.step_ms.unwrap_or(0).saturating_mul(1_000_000);
                board.chip_mut().step_clock(step_ns);
            }
            FaultKind::TableBitFlip => {
                board.flip_bits(now, self.chance.draw() >> 16, count);
            }
            _ => {}
        }
        OnHost::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_when_in_a_way_its_kind_knows() {
        let read = |text: &str| toml::from_str::<Fault>(text).expect(text).check();
        assert!(read("kind = \"lose-completion\"\nnth = 3").is_ok());
        assert!(read("kind = \"reset\"\nat_ms = 3").is_ok());
        for wrong in [
            "kind = \"reset\"",
            "kind = \"reset\"\nnth = 3",
            "kind = \"lose-event\"\nnth = 3\none_in = 4",
            "kind = \"delay-completion\"\nat_ms = 4",
            "kind = \"clock-step\"\nat_ms = 4",
            "kind = \"reset\"\nat_ms = 4\nstep_ms = 5",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_kind_is_listed_and_reads_as_it_is_written() {
        for kind in FaultKind::ALL {
            let fault = Fault {
                factor: Some(1),
                ..Fault::at(kind, 5)
            };
            let text = toml::to_string(&fault).expect("it can be written");
            assert_eq!(toml::from_str::<Fault>(&text).expect(&text), fault);
        }
    }
}
