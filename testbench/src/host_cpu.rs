//! The host's processor: one core that runs the driver, and what each piece of work costs.

use driver::Work;
use nic_model::clock::Picos;
use serde::{Deserialize, Serialize};

/// Cost of each piece of work, nanoseconds. The defaults stand for a kernel-like driver on a server core; they are
/// assumptions, chosen so that the software path saturates near one million packets per second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostCosts {
    /// Waking up and finding nothing.
    pub poll_ns: u32,
    /// Taking a frame from the ring.
    pub receive_ns: u32,
    /// Tracking a packet of a known connection.
    pub track_ns: u32,
    /// Tracking a packet that makes a connection.
    pub track_new_ns: u32,
    /// Sending a frame.
    pub transmit_ns: u32,
    /// Deciding on and writing a command.
    pub command_ns: u32,
    /// Handling a completion.
    pub completion_ns: u32,
    /// Adding one counter record.
    pub counter_record_ns: u32,
    /// Handling one aging report.
    pub aging_report_ns: u32,
    /// Writing a register (posted).
    pub register_write_ns: u32,
    /// Reading a register (a round trip over PCIe).
    pub register_read_ns: u32,
    /// Looking at one connection for expiry.
    pub expire_ns: u32,
}

impl Default for HostCosts {
    fn default() -> Self {
        Self {
            poll_ns: 100,
            receive_ns: 150,
            track_ns: 350,
            track_new_ns: 900,
            transmit_ns: 200,
            command_ns: 150,
            completion_ns: 100,
            counter_record_ns: 60,
            aging_report_ns: 100,
            register_write_ns: 20,
            register_read_ns: 800,
            expire_ns: 2,
        }
    }
}

impl HostCosts {
    const fn of(&self, work: Work) -> u32 {
        match work {
            Work::Poll => self.poll_ns,
            Work::Receive => self.receive_ns,
            Work::Track => self.track_ns,
            Work::TrackNew => self.track_new_ns,
            Work::Transmit => self.transmit_ns,
            Work::Command => self.command_ns,
            Work::Completion => self.completion_ns,
            Work::CounterRecord => self.counter_record_ns,
            Work::AgingReport => self.aging_report_ns,
            Work::RegisterWrite => self.register_write_ns,
            Work::RegisterRead => self.register_read_ns,
            Work::Expire => self.expire_ns,
        }
    }
}

/// How often the driver's housekeeping runs.
pub(crate) const TICK: Picos = driver::TICK;

/// The core: asleep until an interrupt or the timer, or working.
#[derive(Debug)]
pub struct HostCpu {
    costs: HostCosts,
    /// Time on this core: never before the work done.
    pub(crate) now: Picos,
    polling: bool,
    interrupt_at: Picos,
    lose_interrupts: u32,
    interrupts_lost: u64,
    next_tick: Picos,
    /// Time spent working.
    pub(crate) busy: Picos,
}

/// What the core does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostStep {
    Poll,
    Tick,
}

impl HostCpu {
    pub(crate) fn new(costs: &HostCosts) -> Self {
        Self {
            costs: costs.clone(),
            now: Picos::ZERO,
            polling: false,
            interrupt_at: Picos::NEVER,
            lose_interrupts: 0,
            interrupts_lost: 0,
            next_tick: TICK,
            busy: Picos::ZERO,
        }
    }

    /// When the core next does something.
    #[inline]
    pub(crate) fn next_due(&self) -> Picos {
        if self.polling {
            return self.now;
        }
        self.interrupt_at.min(self.next_tick).max(self.now)
    }

    /// Begins what is due at [`HostCpu::next_due`].
    pub(crate) fn begin(&mut self) -> HostStep {
        let due = self.next_due();
        self.now = due;
        if self.next_tick <= due {
            self.next_tick = due + TICK;
            // An interrupt may have been lost: look into the rings as well.
            self.polling = true;
            return HostStep::Tick;
        }
        self.interrupt_at = Picos::NEVER;
        self.polling = true;
        HostStep::Poll
    }

    /// The driver wants its next tick after so long, unless one comes earlier anyway.
    pub(crate) fn tick_within(&mut self, after: Picos) {
        self.next_tick = self.next_tick.min(self.now + after);
    }

    /// The driver found nothing more to do and armed the interrupt.
    pub(crate) fn sleep(&mut self) {
        self.polling = false;
    }

    /// The card's interrupt reaches the core at `at`.
    pub(crate) fn interrupt(&mut self, at: Picos) {
        if self.lose_interrupts > 0 {
            self.lose_interrupts -= 1;
            self.interrupts_lost += 1;
            return;
        }
        self.interrupt_at = self.interrupt_at.min(at);
    }

    /// The next so many interrupts never reach the core.
    pub(crate) const fn lose_interrupts(&mut self, interrupts: u32) {
        self.lose_interrupts = interrupts;
    }

    /// Interrupts that never reached the core.
    pub(crate) const fn interrupts_lost(&self) -> u64 {
        self.interrupts_lost
    }

    /// Others have the core until `until`.
    pub(crate) fn starve(&mut self, until: Picos) {
        self.now = self.now.max(until);
    }

    /// Whether the driver works or is about to.
    pub(crate) fn is_awake(&self) -> bool {
        self.polling || self.interrupt_at != Picos::NEVER
    }

    pub(crate) fn spend(&mut self, work: Work, times: u32) {
        let cost = Picos::from_nanos(u64::from(self.costs.of(work)) * u64::from(times));
        self.now += cost;
        self.busy += cost;
    }
}
