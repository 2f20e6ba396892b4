//! Each packet to its protocol.

use crate::changes::Changes;
use crate::connection::Connection;
use crate::parse::Network;
use crate::protocol::{
    Context, Outcome, ProtocolState, dccp, gre, icmp, icmpv6, sctp, tcp, udp, udplite,
};
use crate::reason::Reason;
use crate::status::Status;
use crate::sysctl::Config;
use crate::timeout::Time;
use crate::tuple::Tuple;
use packet::Protocol;

/// The protocol state of a connection that begins with this packet.
pub(super) fn begin(
    network: &Network<'_>,
    tuple: &Tuple,
    verify: bool,
    config: &Config,
    now: Time,
) -> Result<ProtocolState, Reason> {
    Ok(match network.protocol() {
        Protocol::TCP => {
            let segment = tcp::segment(network, verify)?;
            ProtocolState::Tcp(tcp::TcpTrack::begin(&segment, config)?)
        }
        Protocol::UDP => {
            udp::check(network, verify)?;
            ProtocolState::Udp(udp::UdpState::new(false, now))
        }
        Protocol::UDPLITE => {
            udplite::check(network, verify)?;
            ProtocolState::Udp(udp::UdpState::new(true, now))
        }
        Protocol::SCTP => {
            let sctp = sctp::check(network, verify)?;
            ProtocolState::Sctp(sctp::SctpState::begin(&sctp, network.l4)?)
        }
        Protocol::DCCP if config.dccp => {
            let packet = dccp::check(network, verify)?;
            ProtocolState::Dccp(dccp::DccpState::begin(&packet)?)
        }
        Protocol::GRE => ProtocolState::Gre,
        Protocol::ICMP | Protocol::ICMPV6 => {
            let [icmp_type, _] = tuple.destination_id.to_be_bytes();
            let v4 = network.protocol() == Protocol::ICMP;
            let request = if v4 {
                icmp::is_request(icmp_type)
            } else {
                icmpv6::is_request(icmp_type)
            };
            if !request {
                return Err(Reason::IcmpNotRequest);
            }
            if v4 {
                ProtocolState::Icmp
            } else {
                ProtocolState::Icmpv6
            }
        }
        _ => ProtocolState::Generic,
    })
}

/// What the protocol thinks of a packet of this connection.
#[inline]
pub(super) fn packet(
    connection: &mut Connection,
    network: &Network<'_>,
    verify: bool,
    context: &Context<'_>,
    changed: &mut Changes,
) -> Outcome {
    let status = &mut connection.status;
    let checked = match &mut connection.protocol {
        ProtocolState::Tcp(track) => tcp::segment(network, verify).map(|mut segment| {
            if status.contains(Status::SEQ_ADJUST)
                && let Some(shifts) = connection.extension.as_ref().and_then(|own| own.shifts)
            {
                segment.ack_shift = shifts.of_acknowledgment(context.direction, segment.ack);
            }
            let mut shrink_to = None;
            let left = connection.timeout - context.now;
            let outcome = track.packet(&segment, status, left, &mut shrink_to, context, changed);
            if let Some(span) = shrink_to {
                connection.timeout = context.now + span;
            }
            outcome
        }),
        ProtocolState::Udp(state) if state.lite => {
            udplite::check(network, verify).map(|()| state.packet(status, context, changed))
        }
        ProtocolState::Udp(state) => {
            udp::check(network, verify).map(|()| state.packet(status, context, changed))
        }
        ProtocolState::Sctp(state) => sctp::check(network, verify)
            .map(|sctp| state.packet(&sctp, network.l4, status, context, changed)),
        ProtocolState::Dccp(state) => dccp::check(network, verify)
            .map(|packet| state.packet(&packet, status, context, changed)),
        ProtocolState::Gre => Ok(gre::packet(status, context, changed)),
        ProtocolState::Icmp => Ok(Outcome::Accept(context.config.icmp_timeout)),
        ProtocolState::Icmpv6 => Ok(Outcome::Accept(context.config.icmpv6_timeout)),
        ProtocolState::Generic => Ok(Outcome::Accept(context.config.generic_timeout)),
    };
    checked.unwrap_or_else(Outcome::Invalid)
}
