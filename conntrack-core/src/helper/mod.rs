//! Helpers read what connections say, to learn what further connections they announce. One protocol, one file.
//!
//! A rule gives a new connection its helper ([`Tracker::assign_helper`](crate::Tracker::assign_helper)); every packet of it
//! is then shown to the helper once all rules have let it pass ([`Tracker::help`](crate::Tracker::help)). The helper may
//! announce connections ([`Talk::expect`]), replace text where addresses are translated ([`Talk::replace`]), or have the
//! packet dropped.
//!
//! A helper from outside this crate is a type that implements [`Helper`], registered with
//! [`Tracker::register_helper`](crate::Tracker::register_helper):
//!
//! ```
//! use conntrack_core::helper::{Helper, Policy, Talk};
//! use conntrack_core::{Config, Expectation, HashKey, Reason, Tracker};
//! use packet::Protocol;
//! use std::sync::Arc;
//!
//! /// A client says "GIVE port": the server will connect to that port.
//! #[derive(Debug)]
//! struct Give;
//!
//! impl Helper for Give {
//!     fn name(&self) -> &str {
//!         "give"
//!     }
//!     fn protocol(&self) -> Protocol {
//!         Protocol::TCP
//!     }
//!     fn policies(&self) -> &[Policy] {
//!         const { &[Policy::only(1, 60)] }
//!     }
//!     fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason> {
//!         let text = std::str::from_utf8(talk.payload()).unwrap_or_default();
//!         let Some(port) = text.strip_prefix("GIVE ").and_then(|port| port.trim().parse().ok()) else {
//!             return Ok(());
//!         };
//!         let [there, back] = [talk.direction(), talk.direction().other()].map(|direction| *talk.tuple(direction));
//!         let expectation = Expectation::new(Protocol::TCP, there.family, Some(back.source), back.destination, port);
//!         talk.expect(expectation).map_err(|_| Reason::HelperRefused)
//!     }
//! }
//!
//! let mut tracker = Tracker::new(Config::default(), HashKey([1, 2]));
//! let id = tracker.register_helper(Arc::new(Give));
//! assert_eq!(tracker.helper_named("give", Protocol::TCP), Some(id));
//! ```

pub mod amanda;
pub mod broadcast;
mod built_in;
pub mod ftp;
pub mod h323;
pub mod irc;
pub mod pptp;
pub mod sane;
pub mod sip;
pub mod snmp;
pub mod talk;
pub mod text;
pub mod tftp;

pub use crate::id::HelperId;
pub(crate) use built_in::built_in;
pub use talk::Talk;

use crate::expectation::Expectation;
use crate::reason::Reason;
use crate::timeout::Time;
use crate::tuple::Tuple;
use packet::Protocol;
use std::fmt::Debug;
use std::sync::Arc;

/// What a class of expectations may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Its name; empty if the helper has one class only.
    pub name: &'static str,
    /// Most expectations of one connection; the oldest makes room. 0 for no limit.
    pub most: usize,
    /// How long one lives.
    pub span: Time,
}

impl Policy {
    /// The policy of a helper with one class.
    pub const fn only(most: usize, seconds: u64) -> Self {
        Self {
            name: "",
            most,
            span: Time::from_secs(seconds),
        }
    }
}

/// What a connection's helper may remember from packet to packet.
pub type Memory = [u32; 12];

/// Reads what connections say.
pub trait Helper: Debug + Send + Sync {
    /// The name rules and listings use.
    fn name(&self) -> &str;

    /// The protocol of connections it is for.
    fn protocol(&self) -> Protocol;

    /// The IP version of connections it is for; both without.
    fn family(&self) -> Option<u8> {
        None
    }

    /// The classes of its expectations; at least one.
    fn policies(&self) -> &[Policy];

    /// A packet of a connection of its.
    ///
    /// # Errors
    /// The packet must be dropped.
    fn help(&self, talk: &mut Talk<'_>) -> Result<(), Reason>;

    /// Another expectation that is given up when this one is met. `tuples` are those of the connection that announced both,
    /// `memory` what the helper remembers of it.
    fn rival(&self, _memory: &Memory, _tuples: &[Tuple; 2], _met: &Expectation) -> Option<Tuple> {
        None
    }

    /// Original tuples of connections that end with one of its, or that are not expected any longer then: those that go on
    /// with what it has agreed on. `tuples` are its own, `memory` what the helper remembered of it.
    fn siblings(&self, _memory: &Memory, _tuples: &[Tuple; 2]) -> Vec<Tuple> {
        Vec::new()
    }
}

/// The helper of this name for connections of this protocol: the latest, if there are several.
pub(crate) fn named(
    helpers: &[Arc<dyn Helper>],
    name: &str,
    protocol: Protocol,
) -> Option<HelperId> {
    let found = helpers
        .iter()
        .rposition(|helper| helper.name() == name && helper.protocol() == protocol);
    found.map(|at| HelperId(at as u16))
}

/// A connection's helper and what it remembers.
#[derive(Debug, Clone)]
pub(crate) struct Help {
    pub(crate) id: HelperId,
    pub(crate) helper: Arc<dyn Helper>,
    pub(crate) memory: Memory,
}
