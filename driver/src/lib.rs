//! The host driver: owns connection tracking, decides what goes into hardware, and brings back what the hardware saw.
//!
//! A [`Driver`] sits between a card, reached only by registers, rings and an interrupt ([`platform`], [`device`]), and a
//! [`Switch`] that says where packets go. Every packet the hardware did not forward is tracked in software; a
//! [`policy`] decides which connections to offload; [`offload`] keeps the life of each offloaded connection; `sync`
//! adds hardware counters to the software entries.
//!
//! To integrate it: implement [`Platform`] for your machine and [`Switch`] for your pipeline, call
//! [`Driver::start`] once, and [`Driver::poll`] from the interrupt handler until it says [`Progress::Idle`].
//! `examples/switch.rs` is a whole switch in about a hundred lines.

#![forbid(unsafe_code)]

mod card_clock;
mod commands;
mod counter_pool;
pub mod device;
mod driver;
mod entries;
pub mod explain;
pub mod flaw;
mod fragments;
pub mod habits;
pub mod observer;
pub mod offload;
pub mod plain_board;
pub mod platform;
pub mod policy;
pub mod profile;
mod queues;
pub mod room;
mod steps;
pub mod switch;
mod sync;
pub mod too_long;
pub mod translation;

pub use device::DeviceError;
pub use driver::{
    CardError, Clock, Driver, DriverConfig, DriverStats, Gauges, Progress, SavedState, TICK,
    Update, UpdateError,
};
pub use explain::{Explanation, Why};
pub use flaw::{Flaw, Flaws};
pub use habits::{AtClose, CollectorConfig, Counting, Habits};
pub use observer::{Disposition, Observer, PacketReport, Recovery, ResetCause};
pub use platform::{Platform, Work};
pub use policy::Selection;
pub use profile::{PROFILES, Profile};
pub use room::{Eviction, RoomConfig};
pub use switch::{Egress, Received, Switch, TwoPort};
pub use too_long::Router;
pub use translation::Translation;
