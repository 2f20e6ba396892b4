//! What the driver needs of the machine it runs on: time, the card's registers, memory the card can reach.
//!
//! On a real host these are a clock, a mapped BAR and DMA memory, and [`Platform::spend`] does nothing. In the
//! testbench time passes as the work is reported, so that a slow host is a slow host.

use nic_model::clock::Picos;
use nic_model::host::memory::HostMemory;

/// A piece of work the host's processor does for the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Waking up and looking at empty rings.
    Poll,
    /// Taking a received frame from the ring.
    Receive,
    /// Tracking a packet of a connection that is known.
    Track,
    /// Tracking a packet that makes a connection.
    TrackNew,
    /// Putting a frame into the transmit ring.
    Transmit,
    /// Deciding on an offload and writing a command.
    Command,
    /// Handling a command's completion.
    Completion,
    /// Adding one counter record to its connection.
    CounterRecord,
    /// Handling one aging report.
    AgingReport,
    /// Writing a register.
    RegisterWrite,
    /// Reading a register.
    RegisterRead,
    /// Looking at one table entry for expiry.
    Expire,
}

/// The machine the driver runs on.
pub trait Platform {
    /// Time on the host's clock.
    fn now(&self) -> Picos;

    /// The processor did `work` `times` times.
    fn spend(&mut self, work: Work, times: u32);

    /// Reads a register of the card.
    fn read_register(&mut self, offset: u32) -> u32;

    /// Writes a register of the card.
    fn write_register(&mut self, offset: u32, value: u32);

    /// The memory the card can reach.
    fn memory(&mut self) -> &mut HostMemory;
}
