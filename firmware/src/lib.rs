//! The control processor of the NIC, and the board: chip and processor together.
//!
//! The firmware fetches commands from host memory by DMA, executes them one at a time ([`command`]), reports
//! idle entries the aging engine found ([`aging_service`]), and streams the counters of entries that were hit
//! ([`counter_service`]). What goes wrong it writes down (`error_log`), and it can be replaced while the card forwards.
//! Everything it does takes cycles of its own clock ([`processor`]). [`board`] is the whole card with its narrow edge: register
//! write and read, frame in, time passes; DMA, interrupt and frame out on the other side.

pub mod aging_service;
pub mod board;
pub mod command;
pub mod counter_service;
mod dump;
mod error_log;
pub mod fault;
mod flash;
mod outbox;
pub mod processor;

pub use board::{Board, BoardEvent};
