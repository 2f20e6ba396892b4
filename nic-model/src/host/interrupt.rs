//! The interrupt: armed by software, fired once, moderated.
//!
//! The driver arms the interrupt when it has found nothing more to do. The card fires when something was
//! delivered since it last fired and the moderation time has passed, or when so much was delivered that it does not wait for
//! that, and is then silent until it is armed again. Because arming looks at deliveries that happened in between, no delivery
//! is ever slept through.

use crate::clock::Picos;
use crate::config::PcieConfig;

/// The state of the interrupt line.
#[derive(Debug, Clone)]
pub struct Interrupt {
    latency: Picos,
    moderation: Picos,
    enough: u32,
    armed: bool,
    pending: u32,
    /// Fired, but the handler is not to run before this time, and deliveries that it will find: enough of them bring it forward.
    waiting: Option<(Picos, u32)>,
    earliest: Picos,
    fired: u64,
}

impl Interrupt {
    /// Disarmed, nothing pending.
    pub fn new(config: &PcieConfig) -> Self {
        Self {
            latency: Picos::from_nanos(config.interrupt_latency_ns.into()),
            moderation: Picos::from_nanos(config.interrupt_moderation_ns.into()),
            enough: match config.interrupt_deliveries {
                0 => u32::MAX,
                deliveries => deliveries,
            },
            armed: false,
            pending: 0,
            waiting: None,
            earliest: Picos::ZERO,
            fired: 0,
        }
    }

    /// Software arms the interrupt at `now`; when the handler runs if it fires at once.
    pub fn arm(&mut self, now: Picos) -> Option<Picos> {
        self.armed = true;
        self.waiting = None;
        self.fire(now)
    }

    /// Something was delivered to the host at `now`; when the handler runs if this fires, or brings forward what was to fire
    /// later.
    pub fn deliver(&mut self, now: Picos) -> Option<Picos> {
        self.pending = self.pending.saturating_add(1);
        if let Some((later, found)) = &mut self.waiting
            && *later > now
        {
            *found = found.saturating_add(1);
            if *found < self.enough {
                return None;
            }
            self.waiting = None;
            self.pending = 0;
            self.earliest = now + self.moderation;
            return Some(now + self.latency);
        }
        self.fire(now)
    }

    fn fire(&mut self, now: Picos) -> Option<Picos> {
        if !self.armed || self.pending == 0 {
            return None;
        }
        let enough = self.pending >= self.enough;
        let at = if enough { now } else { now.max(self.earliest) };
        self.armed = false;
        self.waiting = (at > now).then_some((at, self.pending));
        self.pending = 0;
        self.earliest = at + self.moderation;
        self.fired += 1;
        Some(at + self.latency)
    }

    /// Interrupts fired so far.
    pub const fn fired(&self) -> u64 {
        self.fired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_before_arming_fires_on_arming() {
        let mut interrupt = Interrupt::new(&PcieConfig::default());
        assert_eq!(interrupt.deliver(Picos(5)), None);
        assert!(interrupt.arm(Picos(10)).is_some());
        assert_eq!(
            interrupt.deliver(Picos(11)),
            None,
            "silent until armed again"
        );
        assert!(interrupt.arm(Picos(12)).is_some());
        assert_eq!(interrupt.fired(), 2);
    }

    #[test]
    fn enough_deliveries_do_not_wait() {
        let config = PcieConfig {
            interrupt_deliveries: 3,
            ..PcieConfig::default()
        };
        let latency = Picos::from_nanos(config.interrupt_latency_ns.into());
        let mut interrupt = Interrupt::new(&config);
        interrupt.arm(Picos::ZERO);
        interrupt.deliver(Picos(1)).expect("fires");
        interrupt.arm(Picos(2));
        let moderated = interrupt.deliver(Picos(3)).expect("fires later");
        assert_eq!(interrupt.deliver(Picos(4)), None);
        let forward = interrupt.deliver(Picos(5)).expect("the third");
        assert_eq!(forward, Picos(5) + latency);
        assert!(forward < moderated);
        assert_eq!(
            interrupt.deliver(Picos(6)),
            None,
            "silent until armed again"
        );
        assert_eq!(interrupt.fired(), 2);
    }

    #[test]
    fn interrupts_keep_their_distance() {
        let config = PcieConfig::default();
        let mut interrupt = Interrupt::new(&config);
        interrupt.arm(Picos::ZERO);
        let first = interrupt.deliver(Picos(1)).expect("fires");
        interrupt.arm(Picos(2));
        let second = interrupt.deliver(Picos(3)).expect("fires");
        assert_eq!(
            second - first,
            Picos::from_nanos(config.interrupt_moderation_ns.into())
        );
    }
}
