//! Software connection tracking with the semantics of Linux `nf_conntrack`.
//!
//! Connection tracking answers one question for every packet: to which conversation does it belong, and is it a
//! plausible next packet of it? A conversation is a [`Connection`], found by the packet's [`Tuple`]: addresses,
//! protocol and ports. Each connection has two, one for each direction. The packet that makes a connection gives
//! the *original* direction; its mirror image is the *reply* direction. The answer is a [`Verdict`].
//!
//! The path of a packet through [`Tracker::track`]: the checks of the IP layer, reassembly of fragments
//! ([`fragment`]), look-up of the tuple or creation of a connection, the protocol's own opinion ([`protocol`]),
//! timeout and accounting. [`Tracker::enter`] ends there; [`Tracker::confirm`] makes a new connection visible to
//! others, as the kernel does after the last rule has let its packet pass.
//!
//! The crate does no I/O and has no clock, thread, random source or global: time ([`Time`]) and the hash key
//! ([`HashKey`]) are passed in. The same packets at the same times give the same verdicts, always.
//!
//! ```
//! use conntrack_core::{Config, CtInfo, HashKey, Packet, Time, Tracker};
//!
//! let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
//! // A UDP datagram from 192.0.2.1:4000 to 198.51.100.1:53, without payload or checksum.
//! let query = [
//!     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0x8e, 0x9b, 192, 0, 2, 1, 198, 51, 100, 1,
//!     0x0f, 0xa0, 0, 53, 0, 8, 0, 0,
//! ];
//! let verdict = tracker.track(&Packet::whole(&query), Time::from_secs(1));
//! assert_eq!(verdict.ctinfo, CtInfo::New);
//! assert_eq!(verdict.ct_state(&tracker), "new|trk");
//! assert_eq!(tracker.len(), 1);
//! ```

#![forbid(unsafe_code)]

pub mod changes;
pub mod connection;
pub mod dump;
mod ends;
pub mod event;
pub mod expectation;
mod extension;
pub mod fragment;
mod gre_keys;
mod hash;
pub mod helper;
mod id;
pub mod limit;
mod masters;
pub mod nat;
mod offload;
mod parse;
pub mod policy;
pub mod protocol;
pub mod reason;
pub mod stats;
pub mod status;
mod store;
pub mod sysctl;
mod table;
pub mod timeout;
mod tracker;
pub mod tuple;
pub mod verdict;

pub use changes::Changes;
pub use connection::{Connection, ConnectionId};
pub use event::{DestroyCause, Event, EventKind};
pub use expectation::Expectation;
pub use hash::HashKey;
pub use policy::TimeoutPolicy;
pub use reason::Reason;
pub use stats::Stats;
pub use status::Status;
pub use sysctl::{Config, SysctlError};
pub use timeout::Time;
pub use tracker::{Ahead, ChecksumStatus, Entered, Packet, Tracker};
pub use tuple::{Direction, Tuple, Zone, ZoneScope};
pub use verdict::{CtInfo, Verdict};
