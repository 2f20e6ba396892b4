//! What rules and people attach to connections: marks, labels, security contexts, timeouts.

use super::{Entered, Tracker};
use crate::changes::Changes;
use crate::connection::Connection;
use crate::event::EventKind;
use crate::id::ConnectionId;
use crate::policy::TimeoutPolicy;
use crate::protocol::ProtocolState;
use crate::status::Status;
use crate::timeout::Time;
use std::sync::Arc;

impl Tracker {
    /// A packet's connection, which a rule changes; what it changes is told with the packet.
    fn change(
        &mut self,
        entered: &mut Entered,
        what: Changes,
        change: impl FnOnce(&mut Connection) -> bool,
    ) {
        match entered {
            Entered::Unconfirmed(connection, _) => {
                change(connection);
            }
            Entered::Done(verdict) => {
                let connection = verdict.connection.and_then(|id| self.store.get_mut(id));
                if let Some(connection) = connection
                    && change(connection)
                    && self.record_events
                {
                    connection.status = connection.status.with(Status::untold(what));
                }
            }
        }
    }

    /// The connection of this name, which somebody changes, and is told at once; whether it is there.
    fn change_now(
        &mut self,
        id: ConnectionId,
        what: Changes,
        now: Time,
        change: impl FnOnce(&mut Connection) -> bool,
    ) -> bool {
        let Some(connection) = self.store.get_mut(id) else {
            return false;
        };
        if change(connection) {
            self.event(id, EventKind::Update(what), now);
        }
        true
    }

    /// Sets the mark of a packet's connection, as a rule does it.
    pub fn mark(&mut self, entered: &mut Entered, mark: u32) {
        self.change(entered, Changes::MARK, |connection| {
            std::mem::replace(&mut connection.mark, mark) != mark
        });
    }

    /// Sets how long a connection lives from `now` if nothing comes (as `conntrack -U --timeout`); whether there is one.
    pub fn set_timeout(&mut self, id: ConnectionId, span: Time, now: Time) -> bool {
        let Some(connection) = self.store.get_mut(id) else {
            return false;
        };
        connection.refresh(span, now);
        true
    }

    /// Sets a connection's mark on somebody's request; whether it is there.
    pub fn set_mark(&mut self, id: ConnectionId, mark: u32, now: Time) -> bool {
        self.change_now(id, Changes::MARK, now, |connection| {
            std::mem::replace(&mut connection.mark, mark) != mark
        })
    }

    /// Sets labels of a packet's connection, as a rule does it: those in `mask` to those in `labels`.
    pub fn label(&mut self, entered: &mut Entered, labels: u128, mask: u128) {
        self.change(entered, Changes::LABEL, |connection| {
            connection.replace_labels(labels, mask)
        });
    }

    /// Sets a connection's labels on somebody's request; whether it is there.
    pub fn set_labels(&mut self, id: ConnectionId, labels: u128, mask: u128, now: Time) -> bool {
        self.change_now(id, Changes::LABEL, now, |connection| {
            connection.replace_labels(labels, mask)
        })
    }

    /// Gives a packet's connection a security context, as `CONNSECMARK --save` does it: none before may be there.
    pub fn secure(&mut self, entered: &mut Entered, context: &Arc<str>) {
        self.change(entered, Changes::SECMARK, |connection| {
            let own = &mut connection.extend().security_context;
            let new = own.is_none();
            own.get_or_insert_with(|| Arc::clone(context));
            new
        });
    }

    /// Gives a new connection other timeouts, as a rule does it; whether they are for its protocol. Connections in the
    /// table keep what they have.
    pub fn set_policy(&mut self, entered: &mut Entered, policy: &Arc<TimeoutPolicy>) -> bool {
        let Entered::Unconfirmed(connection, _) = entered else {
            return false;
        };
        let fits = policy.protocol() == connection.protocol();
        if fits {
            let config = policy.over(&self.config);
            connection.timeout = match &connection.protocol {
                // Whatever its first packet was, until the next one.
                ProtocolState::Tcp(_) => config.tcp_timeout_syn_sent,
                ProtocolState::Udp(_) => config.udp_timeout,
                ProtocolState::Sctp(_) => config.sctp_timeout_closed,
                ProtocolState::Dccp(_) => config.dccp_timeout_request,
                ProtocolState::Gre => config.gre_timeout,
                ProtocolState::Icmp => config.icmp_timeout,
                ProtocolState::Icmpv6 => config.icmpv6_timeout,
                ProtocolState::Generic => config.generic_timeout,
            };
            connection.extend().policy = Some(Arc::clone(policy));
        }
        fits
    }
}
