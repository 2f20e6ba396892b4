//! What a driver that puts connections into hardware needs of the tracker.

use crate::id::ConnectionId;
use crate::protocol::ProtocolState;
use crate::protocol::tcp::TcpState;
use crate::status::Status;
use crate::timeout::Time;
use crate::tracker::Tracker;
use crate::tuple::Direction;

impl Tracker {
    /// The connection is in a flow table now, in hardware if `hardware`. It no longer expires here: whoever offloaded
    /// it decides. Windows are not checked for the packets that still come this way, because the others pass unseen
    /// (as the kernel's act_ct sets both directions liberal).
    pub fn set_offloaded(&mut self, id: ConnectionId, hardware: bool) -> bool {
        let Some(connection) = self.store.get_mut(id) else {
            return false;
        };
        let bits = if hardware {
            Status::OFFLOAD.with(Status::HW_OFFLOAD)
        } else {
            Status::OFFLOAD
        };
        connection.status = connection.status.with(bits);
        if let ProtocolState::Tcp(tcp) = &mut connection.protocol {
            tcp.set_unseen(true);
        }
        true
    }

    /// Windows of a TCP connection are not checked any more, both ways, for as long as it lives (as the kernel's act_ct has it for
    /// what it offloads).
    pub fn set_liberal(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.store.get_mut(id) else {
            return false;
        };
        if let ProtocolState::Tcp(tcp) = &mut connection.protocol {
            tcp.set_liberal();
        }
        true
    }

    /// A TCP connection whose end was seen elsewhere is CLOSE, with the timeout of that state from `now` (as the kernel's flow table
    /// leaves one on teardown after a FIN or RST).
    pub fn close(&mut self, id: ConnectionId, now: Time) -> bool {
        let span = self.config().tcp_timeout_close;
        let Some(connection) = self.store.get_mut(id) else {
            return false;
        };
        if let ProtocolState::Tcp(tcp) = &mut connection.protocol {
            tcp.state = TcpState::Close;
            connection.timeout = now + span;
        }
        true
    }

    /// Adds packets and bytes that were counted elsewhere.
    pub fn account(
        &mut self,
        id: ConnectionId,
        direction: Direction,
        packets: u64,
        bytes: u64,
    ) -> bool {
        let Some(connection) = self.store.get_mut(id) else {
            return false;
        };
        let counters = &mut connection.counters[direction.index()];
        counters.packets = counters.packets.saturating_add(packets);
        counters.bytes = counters.bytes.saturating_add(bytes);
        true
    }

    /// Hardware forwarded packets of a connection that is not said to be in hardware: before that was known, or while it was on
    /// its way out. Windows are learnt anew; the timeout of its state counts from `last_seen` if that is later.
    pub fn passed_unseen(&mut self, id: ConnectionId, last_seen: Time) -> bool {
        let config = self.config().clone();
        let Some(connection) = self.store.get_mut(id) else {
            return false;
        };
        if let ProtocolState::Tcp(tcp) = &mut connection.protocol {
            tcp.forget_windows();
        }
        let span = connection.state_timeout(&config);
        connection.timeout = connection.timeout.max(last_seen + span);
        true
    }

    /// The connection is back in software alone. Windows are learnt anew, and the timeout is that of its state, counted
    /// from `last_seen`, the last packet anybody saw (as the kernel's flow table leaves it on teardown).
    pub fn resume_software(&mut self, id: ConnectionId, last_seen: Time, now: Time) -> bool {
        let config = self.config().clone();
        let Some(connection) = self.store.get_mut(id) else {
            return false;
        };
        connection.status = connection
            .status
            .without(Status::OFFLOAD.with(Status::HW_OFFLOAD));
        let assured = connection.status.contains(Status::ASSURED);
        let span = match &mut connection.protocol {
            ProtocolState::Tcp(tcp) => {
                tcp.set_unseen(false);
                tcp.forget_windows();
                tcp.state.timeout(&config)
            }
            ProtocolState::Udp(_) if assured => config.udp_timeout_stream,
            ProtocolState::Udp(_) => config.udp_timeout,
            _ => config.generic_timeout,
        };
        connection.timeout = connection.timeout.max(last_seen.min(now) + span);
        true
    }
}
