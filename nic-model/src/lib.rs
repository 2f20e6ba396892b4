//! A cycle-approximate SmartNIC.
//!
//! The model is read like a block diagram: [`chip`] says which stage feeds which, [`datapath`] holds the stages,
//! [`flow_table`] the tables, [`memory`] where they lie, [`aging`] the engine that finds idle entries, [`host`] the contract with the driver.
//! Time is one line of picoseconds ([`clock`]); a stage is a resource ([`stage`]) that a packet passes in one
//! step, however many cycles that stands for; everything else is an ordered [`event`].
//!
//! The chip knows packets and flows. It does not know Linux, connection states, or any driver: it matches keys,
//! traps what it is configured to trap, counts, and ages. Whoever drives it sees registers, rings in host memory
//! and an interrupt, and nothing else.

pub mod aging;
pub mod chip;
pub mod clock;
pub mod config;
pub mod datapath;
pub mod event;
pub mod flow_table;
pub mod frame;
pub mod host;
pub mod layout;
pub mod memory;
pub mod probe;
pub mod random;
pub mod stage;
pub mod stats;

pub use chip::{Chip, ChipEvent, DropReason, Fate, Notice};
pub use clock::Picos;
pub use config::NicConfig;
pub use datapath::trap::Reason;
