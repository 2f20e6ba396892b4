//! Faults of the card, to be injected: messages to the host that are lost, doubled, late, swapped or damaged, and a processor
//! that stands still or is slow.

use nic_model::clock::Picos;
use nic_model::random::Xorshift;

/// What the firmware writes into rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Message {
    /// Completions of commands.
    Completion = 0,
    /// Aging reports.
    Event = 1,
    /// Counter records.
    Counters = 2,
}

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// It is never written, though its place in the ring is taken.
    Lose,
    /// It is written twice.
    Duplicate,
    /// It is written so much later; those after it are not.
    Delay(Picos),
    /// One of its bits is turned.
    Corrupt,
    /// The next one is written before it.
    Reorder,
}

/// Which messages a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The first one at or after this time.
    At(Picos),
    /// The n-th of its kind, from 1.
    Nth(u64),
    /// One in so many, by chance.
    OneIn(u32),
}

/// A fault of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageFault {
    /// Messages of this kind.
    pub message: Message,
    /// What happens to them.
    pub harm: Harm,
    /// To which of them.
    pub when: When,
}

/// The faults that are to happen, and what has.
#[derive(Debug)]
pub(crate) struct Faults {
    armed: Vec<MessageFault>,
    seen: [u64; 3],
    random: Xorshift,
    struck: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            armed: Vec::new(),
            seen: [0; 3],
            random: Xorshift::new(1),
            struck: 0,
        }
    }
}

impl Faults {
    /// Arms one more.
    pub(crate) fn arm(&mut self, fault: MessageFault) {
        self.armed.push(fault);
    }

    /// Faults by chance are over.
    pub(crate) fn end_chance(&mut self) {
        let by_chance = |fault: &MessageFault| matches!(fault.when, When::OneIn(_));
        self.armed.retain(|fault| !by_chance(fault));
    }

    /// Chances are drawn from this seed on.
    pub(crate) fn seed(&mut self, seed: u64) {
        self.random = Xorshift::new(seed);
    }

    /// How many messages were harmed.
    pub(crate) const fn struck(&self) -> u64 {
        self.struck
    }

    /// What happens to a message that is written now. Costs nothing while no fault is armed.
    pub(crate) fn harm(&mut self, now: Picos, message: Message) -> Option<Harm> {
        if self.armed.is_empty() {
            return None;
        }
        let seen = &mut self.seen[message as usize];
        *seen += 1;
        let number = *seen;
        let random = &mut self.random;
        let strikes = |fault: &MessageFault| {
            fault.message == message
                && match fault.when {
                    When::At(at) => at <= now,
                    When::Nth(n) => n == number,
                    When::OneIn(n) => random.draw().is_multiple_of(u64::from(n.max(1))),
                }
        };
        let place = self.armed.iter().position(strikes)?;
        self.struck += 1;
        let fault = self.armed[place];
        if !matches!(fault.when, When::OneIn(_)) {
            self.armed.remove(place);
        }
        Some(fault.harm)
    }

    /// The bit of a message that is turned, if one is.
    pub(crate) fn bit_if(&mut self, harm: Option<Harm>) -> usize {
        match harm {
            Some(Harm::Corrupt) => (self.random.draw() % 512) as usize,
            _ => 0,
        }
    }
}

/// Whether the processor works, and how fast.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pulse {
    born: Picos,
    hung: Option<(Picos, Picos)>,
    lost: Picos,
    slow: Option<(u32, Picos)>,
}

impl Pulse {
    /// A processor that begins at `now`.
    pub(crate) fn begin(now: Picos) -> Self {
        Self {
            born: now,
            ..Self::default()
        }
    }

    /// It stands still until `until`, or longer if it does so already.
    pub(crate) fn hang(&mut self, now: Picos, until: Picos) {
        self.hung = match self.hung {
            Some((since, already)) if already > now => Some((since, already.max(until))),
            _ => Some((now, until)),
        };
    }

    /// It takes so many times as long for everything until `until`.
    pub(crate) fn slow(&mut self, factor: u32, until: Picos) {
        self.slow = Some((factor, until));
    }

    /// Until when it stands still, if it does.
    pub(crate) fn hung_until(&mut self, now: Picos) -> Option<Picos> {
        let (since, until) = self.hung?;
        if until > now {
            return Some(until);
        }
        self.lost += until - since;
        self.hung = None;
        None
    }

    /// Since when it stands still, if it has not gone on.
    pub(crate) const fn hung_since(&self) -> Option<Picos> {
        match self.hung {
            Some((since, _)) => Some(since),
            None => None,
        }
    }

    /// Milliseconds of its life.
    pub(crate) fn heartbeat(&self, now: Picos) -> u32 {
        let (still, now) = match self.hung {
            Some((since, until)) if until > now => (Picos::ZERO, since),
            Some((since, until)) => (until - since, now),
            None => (Picos::ZERO, now),
        };
        let lost = self.lost + still;
        (now.saturating_sub(self.born)
            .saturating_sub(lost)
            .as_nanos()
            / 1_000_000) as u32
    }

    /// How long something takes now.
    pub(crate) fn stretched(&self, now: Picos, duration: Picos) -> Picos {
        match self.slow {
            Some((factor, until)) if now < until => Picos(duration.0.saturating_mul(factor.into())),
            _ => duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_when_they_are_to() {
        let mut faults = Faults::default();
        let fault = |when| MessageFault {
            message: Message::Event,
            harm: Harm::Lose,
            when,
        };
        faults.arm(fault(When::Nth(2)));
        faults.arm(fault(When::At(Picos(50))));
        let mut strikes = |at| faults.harm(Picos(at), Message::Event).is_some();
        assert_eq!(
            [10, 20, 30, 60, 70].map(&mut strikes),
            [false, true, false, true, false]
        );
        assert_eq!(faults.harm(Picos(1), Message::Completion), None);
        assert_eq!(faults.struck(), 2);
    }

    #[test]
    fn a_processor_that_hangs_has_no_heartbeat() {
        let ms = Picos::from_millis;
        let mut pulse = Pulse::begin(ms(10));
        assert_eq!(pulse.heartbeat(ms(15)), 5);
        pulse.hang(ms(20), ms(50));
        assert_eq!(pulse.heartbeat(ms(40)), 10);
        assert_eq!(pulse.hung_until(ms(49)), Some(ms(50)));
        assert_eq!(pulse.heartbeat(ms(60)), 20);
        assert_eq!(pulse.hung_until(ms(60)), None);
        assert_eq!(pulse.heartbeat(ms(70)), 30);
    }
}
