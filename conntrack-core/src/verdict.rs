//! What the tracker says of a packet.

use crate::id::ConnectionId;
use crate::reason::Reason;
use crate::status::Status;
use crate::tuple::Direction;
use serde::Serialize;

/// How a packet relates to connections, with the kernel's names, and what happened to packets that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CtInfo {
    /// Belongs to a connection that has seen no reply, in original direction.
    New,
    /// Belongs to a connection with packets in both directions, in original direction.
    Established,
    /// The same, in reply direction.
    EstablishedReply,
    /// Starts or accompanies something an existing connection announced, or an ICMP error about its reply direction.
    Related,
    /// An ICMP error about a connection's original direction.
    RelatedReply,
    /// Could not be tracked, or is no plausible packet of its connection.
    Invalid,
    /// Deliberately not tracked (neighbour discovery, multicast listener reports).
    Untracked,
    /// A fragment held until its datagram is complete.
    Fragment,
    /// Refused before or by connection tracking.
    Dropped,
}

impl CtInfo {
    /// The name, in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Established => "ESTABLISHED",
            Self::EstablishedReply => "ESTABLISHED_REPLY",
            Self::Related => "RELATED",
            Self::RelatedReply => "RELATED_REPLY",
            Self::Invalid => "INVALID",
            Self::Untracked => "UNTRACKED",
            Self::Fragment => "FRAGMENT",
            Self::Dropped => "DROPPED",
        }
    }

    /// The flags Open vSwitch shows as `ct_state`, in its order `new|est|rel|rpl|inv|trk|snat|dnat`.
    pub fn ct_state(self, status: Status) -> String {
        let mut flags: Vec<&str> = match self {
            Self::New => vec!["new"],
            Self::Established => vec!["est"],
            Self::EstablishedReply => vec!["est", "rpl"],
            Self::Related => vec!["rel"],
            Self::RelatedReply => vec!["rel", "rpl"],
            Self::Invalid => vec!["inv"],
            Self::Untracked | Self::Fragment | Self::Dropped => return String::new(),
        };
        flags.push("trk");
        if status.contains(Status::SRC_NAT) {
            flags.push("snat");
        }
        if status.contains(Status::DST_NAT) {
            flags.push("dnat");
        }
        flags.join("|")
    }
}

/// What the tracker says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How it relates to connections.
    pub ctinfo: CtInfo,
    /// The connection it belongs to; a reset before any reply has ended it already.
    pub connection: Option<ConnectionId>,
    /// Its direction in that connection.
    pub direction: Option<Direction>,
    /// The packet made the connection.
    pub created: bool,
    /// IP bytes added to the connection's counters; 0 if the packet was not accounted.
    pub counted_bytes: u32,
    /// Why it is INVALID or DROPPED.
    pub reason: Option<Reason>,
}

impl Verdict {
    pub(crate) const fn bare(ctinfo: CtInfo, reason: Option<Reason>) -> Self {
        Self {
            ctinfo,
            connection: None,
            direction: None,
            created: false,
            counted_bytes: 0,
            reason,
        }
    }
}
