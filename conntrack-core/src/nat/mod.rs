//! Address and port translation, as Linux does it: one half of a connection's translation is decided when its first packet
//! comes in (destination), the other when it leaves (source); every packet is rewritten accordingly.
//!
//! [`Tracker::nat`](crate::Tracker::nat) decides, [`Tracker::rewrite`](crate::Tracker::rewrite) rewrites. What is decided is
//! the connection's reply tuple: the original one never changes. Once any rule translates, each new connection must be given
//! to both decisions, also when no rule is for it ([`Target`] `None`): where two connections would get the same reply tuple,
//! one of them gets another source port even so.
//!
//! ```
//! use conntrack_core::nat::{Manip, Range, Target};
//! use conntrack_core::{Config, Direction, HashKey, Packet, Time, Tracker};
//!
//! let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
//! let target = Target::To(Range::address("203.0.113.7".parse()?));
//! // A UDP datagram from 192.0.2.1:4000 to 198.51.100.1:53, without payload or checksum.
//! let mut query = [
//!     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0x8e, 0x9b, 192, 0, 2, 1, 198, 51, 100, 1,
//!     0x0f, 0xa0, 0, 53, 0, 8, 0, 0,
//! ];
//! let now = Time::from_secs(1);
//! // A real one is a random generator's.
//! let mut random = |among: std::ops::RangeInclusive<u16>| *among.start();
//! let mut entered = tracker.enter(&Packet::whole(&query), now);
//! tracker.nat(&mut entered, Manip::Destination, None, &mut random, now);
//! tracker.rewrite(&entered, Manip::Destination, None, &mut query, now)?;
//! tracker.nat(&mut entered, Manip::Source, Some(&target), &mut random, now);
//! tracker.rewrite(&entered, Manip::Source, None, &mut query, now)?;
//! let verdict = tracker.leave(entered, now);
//! assert_eq!(query[12..16], [203, 0, 113, 7]);
//! let connection = tracker.connection(verdict.connection.unwrap()).unwrap();
//! assert_eq!(connection.tuple(Direction::Reply).to_string(), "udp 198.51.100.1:53>203.0.113.7:4000");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod choose;
pub(crate) mod mangle;
mod port;
pub mod rewrite;
pub(crate) mod sequence;
mod sources;
mod target;

pub(crate) use choose::{Candidates, choose};
pub(crate) use sources::Sources;
pub(crate) use target::Bounds;
pub use target::{Ports, Random, Range, Target};

use crate::status::Status;
use crate::tuple::{Direction, Tuple};
use std::ops::RangeInclusive;

/// A random generator: gives one of these numbers, each as likely as the others. What lies outside counts as the nearest.
pub type Chance<'a> = dyn FnMut(RangeInclusive<u16>) -> u16 + 'a;

/// Which end of a packet is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Manip {
    /// The source, when the packet leaves.
    Source,
    /// The destination, when it comes in.
    Destination,
}

impl Manip {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }

    /// The bit that says that it was decided.
    pub(crate) const fn done(self) -> Status {
        match self {
            Self::Source => Status::SRC_NAT_DONE,
            Self::Destination => Status::DST_NAT_DONE,
        }
    }

    /// The bit that says that packets of the original direction are changed by it.
    pub(crate) const fn changed(self) -> Status {
        match self {
            Self::Source => Status::SRC_NAT,
            Self::Destination => Status::DST_NAT,
        }
    }

    /// Whether packets of this direction of a connection with these bits are changed by it: what the one direction has at
    /// its source, the other has at its destination.
    pub(crate) const fn applies(self, status: Status, direction: Direction) -> bool {
        let manip = match direction {
            Direction::Original => self,
            Direction::Reply => self.other(),
        };
        status.contains(manip.changed())
    }
}

/// The source, or the destination, of a tuple.
pub(crate) const fn end(tuple: &Tuple, manip: Manip) -> [u8; 16] {
    match manip {
        Manip::Source => tuple.source,
        Manip::Destination => tuple.destination,
    }
}

/// The same to write to.
pub(crate) const fn end_mut(tuple: &mut Tuple, manip: Manip) -> &mut [u8; 16] {
    match manip {
        Manip::Source => &mut tuple.source,
        Manip::Destination => &mut tuple.destination,
    }
}
