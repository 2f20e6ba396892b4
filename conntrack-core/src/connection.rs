//! A connection: two tuples, a state, a timeout, counters.

use crate::ends::Ends;
use crate::helper::Help;
pub use crate::id::ConnectionId;
use crate::nat::Manip;
use crate::nat::sequence::Shifts;
use crate::policy::TimeoutPolicy;
use crate::protocol::ProtocolState;
use crate::protocol::tcp::TcpState;
use crate::status::Status;
use crate::sysctl::Config;
use crate::timeout::Time;
use crate::tuple::{Direction, Tuple, Zone, ZoneScope};
use packet::Protocol;
use std::sync::Arc;

/// Packets and bytes (IP lengths) of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The translation of an expected connection: which ends become which address and port, in order.
pub(crate) type Following = [Option<(Manip, [u8; 16], Option<u16>)>; 2];

/// What few connections have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extension {
    /// The tuple of replies, where it is not the mirror image of the original one.
    pub(crate) reply: Option<Tuple>,
    /// Who announced it, and its original tuple.
    pub(crate) master: Option<(ConnectionId, Tuple)>,
    /// The translation that it gets from there.
    pub(crate) follow: Option<Following>,
    /// Its helper.
    pub(crate) help: Option<Help>,
    /// Its sequence numbers' shifts.
    pub(crate) shifts: Option<Shifts>,
    /// Its labels.
    pub(crate) labels: u128,
    /// Its security context.
    pub(crate) security_context: Option<Arc<str>>,
    /// When it was confirmed, if that is recorded.
    pub(crate) started: Option<Time>,
    /// Its timeouts, if they are not the usual ones.
    pub(crate) policy: Option<Arc<TimeoutPolicy>>,
    /// The interface its packets must leave by: it is masqueraded behind it.
    pub(crate) interface: Option<u32>,
}

/// A connection.
///
/// Two lines of the cache: what a look-up compares is in the first, with all that most protocols keep; what TCP keeps and
/// the counters fill the second.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct Connection {
    ends: Ends,
    /// When it expires; before confirmation, the span it will then live.
    pub(crate) timeout: Time,
    pub(crate) extension: Option<Box<Extension>>,
    pub(crate) status: Status,
    /// Tells one use of its index from the next; kept while the index is free.
    pub(crate) generation: u32,
    pub(crate) mark: u32,
    pub(crate) protocol: ProtocolState,
    pub(crate) counters: [Counters; 2],
}

impl Connection {
    /// A connection that is not in the table yet.
    pub(crate) fn new(original: &Tuple, zone: Zone, protocol: ProtocolState) -> Self {
        let status = match zone.scope {
            _ if zone.id == 0 => Status::NONE,
            ZoneScope::Both => Status::NONE,
            ZoneScope::Original => Status::ZONE_ORIGINAL,
            ZoneScope::Reply => Status::ZONE_REPLY,
        };
        Self {
            ends: Ends::new(original, zone.id),
            timeout: Time(0),
            extension: None,
            status,
            generation: 0,
            mark: 0,
            protocol,
            counters: [Counters {
                packets: 0,
                bytes: 0,
            }; 2],
        }
    }

    /// The tuple of packets in this direction.
    pub fn tuple(&self, direction: Direction) -> Tuple {
        match direction {
            Direction::Original => self.original(),
            Direction::Reply => self.reply(),
        }
    }

    #[inline]
    pub(crate) fn original(&self) -> Tuple {
        self.ends.tuple()
    }

    fn reply(&self) -> Tuple {
        let translated = self.extension.as_ref().and_then(|more| more.reply);
        translated.unwrap_or_else(|| {
            let original = self.original();
            // A tuple without a mirror image begins no connection.
            original.inverted().unwrap_or(original)
        })
    }

    #[inline]
    pub(crate) const fn ends(&self) -> &Ends {
        &self.ends
    }

    /// IP protocol number, as a name.
    pub const fn protocol(&self) -> Protocol {
        self.ends.protocol()
    }

    /// Gives it another reply tuple.
    pub(crate) fn set_reply(&mut self, reply: Tuple) {
        let mirror = self.original().inverted() == Some(reply);
        self.extend().reply = (!mirror).then_some(reply);
    }

    /// What few connections have, made if it has nothing of it yet.
    pub(crate) fn extend(&mut self) -> &mut Extension {
        self.extension.get_or_insert_default()
    }

    /// Its timeouts, if they are not the usual ones.
    #[inline]
    pub(crate) fn policy(&self) -> Option<&TimeoutPolicy> {
        self.extension.as_ref()?.policy.as_deref()
    }

    /// Whether the reply tuple is the mirror image of the original one, in the same zone.
    pub(crate) fn is_symmetric(&self) -> bool {
        let mirrored = self
            .extension
            .as_ref()
            .is_none_or(|extension| extension.reply.is_none());
        mirrored && self.zone().scope == ZoneScope::Both
    }

    /// Its zone.
    #[inline]
    pub const fn zone(&self) -> Zone {
        let scope = if self.status.contains(Status::ZONE_ORIGINAL) {
            ZoneScope::Original
        } else if self.status.contains(Status::ZONE_REPLY) {
            ZoneScope::Reply
        } else {
            ZoneScope::Both
        };
        Zone {
            id: self.ends.zone_id(),
            scope,
        }
    }

    /// Its status bits.
    pub const fn status(&self) -> Status {
        self.status.without(Status::PRIVATE)
    }

    /// The name of its helper.
    pub fn helper(&self) -> Option<&str> {
        let help = self.extension.as_ref()?.help.as_ref()?;
        Some(help.helper.name())
    }

    /// The connection that announced it, and that one's original tuple. It may be gone.
    pub fn master(&self) -> Option<(ConnectionId, Tuple)> {
        self.extension.as_ref()?.master
    }

    /// Where TCP's sequence numbers are shifted because text was replaced, and by how much before and after there, in both
    /// directions.
    pub fn sequence_shifts(&self) -> Option<[(u32, i32, i32); 2]> {
        let shifts = self.extension.as_ref()?.shifts?;
        self.status
            .contains(Status::SEQ_ADJUST)
            .then(|| shifts.0.map(crate::nat::sequence::Shift::parts))
    }

    /// Its mark (0 if none was set).
    pub const fn mark(&self) -> u32 {
        self.mark
    }

    /// Its labels, a bit each.
    pub fn labels(&self) -> u128 {
        self.extension
            .as_ref()
            .map_or(0, |extension| extension.labels)
    }

    /// Sets the labels in `mask` to those in `labels`; whether that changed any.
    pub(crate) fn replace_labels(&mut self, labels: u128, mask: u128) -> bool {
        let old = self.labels();
        let new = old & !mask | labels & mask;
        if new != old {
            self.extend().labels = new;
        }
        new != old
    }

    /// Its security context.
    pub fn security_context(&self) -> Option<&str> {
        self.extension.as_ref()?.security_context.as_deref()
    }

    /// When it was confirmed, if `nf_conntrack_timestamp` was on then.
    pub fn started(&self) -> Option<Time> {
        self.extension.as_ref()?.started
    }

    /// Packets and bytes in this direction.
    pub const fn counters(&self, direction: Direction) -> Counters {
        self.counters[direction.index()]
    }

    /// The TCP state; `None` for other protocols.
    pub const fn tcp_state(&self) -> Option<TcpState> {
        match &self.protocol {
            ProtocolState::Tcp(tcp) => Some(tcp.state),
            _ => None,
        }
    }

    /// The state of its protocol.
    pub const fn protocol_state(&self) -> &ProtocolState {
        &self.protocol
    }

    /// Time left; zero once expired. An offloaded connection does not expire here.
    pub fn remaining(&self, now: Time) -> Time {
        self.timeout - now
    }

    /// Whether it is expired. An offloaded one never is: whoever offloaded it decides.
    pub fn is_expired(&self, now: Time) -> bool {
        self.timeout <= now && self.status.contains(Status::CONFIRMED) && !self.is_offloaded()
    }

    /// How long it lives after a packet, in its present state, disregarding unacknowledged data and retransmissions.
    pub fn state_timeout(&self, config: &Config) -> Time {
        match &self.protocol {
            ProtocolState::Tcp(tcp) => tcp.state.timeout(config),
            ProtocolState::Udp(_) if self.status.contains(Status::ASSURED) => {
                config.udp_timeout_stream
            }
            ProtocolState::Udp(_) => config.udp_timeout,
            _ => config.generic_timeout,
        }
    }

    /// Whether it is in a flow table, software or hardware.
    pub const fn is_offloaded(&self) -> bool {
        self.status.0 & (Status::OFFLOAD.0 | Status::HW_OFFLOAD.0) != 0
    }

    /// Sets the timeout to `span` from `now`, unless it is fixed.
    pub(crate) fn refresh(&mut self, span: Time, now: Time) {
        if self.status.contains(Status::FIXED_TIMEOUT) {
            return;
        }
        self.timeout = if self.status.contains(Status::CONFIRMED) {
            now + span
        } else {
            span
        };
    }
}
