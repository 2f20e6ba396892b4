//! The running kernel as the judge of `conntrack-core`: the same packets through both, every difference told.
//!
//! [`kernel`] is a network namespace with Linux connection tracking in it, [`ours`] the crate; [`judge`] puts a
//! [`case`] before both, packet by packet. Cases come from captures or from [`generate`]; [`fuzz`] makes them by the
//! million and [`shrink`]s those that show a difference. Time stands still: everything happens at one instant.

pub mod case;
pub mod clock;
pub mod compare;
pub mod coverage;
pub mod fuzz;
pub mod generate;
pub mod judge;
pub mod kernel;
pub mod ours;
pub mod pcap;
pub mod record;
pub mod rules;
pub mod shrink;
