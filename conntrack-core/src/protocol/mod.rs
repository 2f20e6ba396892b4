//! What each protocol thinks of a packet. One protocol, one file.

pub mod dccp;
pub mod gre;
pub mod icmp;
pub mod icmpv6;
pub mod sctp;
pub mod tcp;
pub mod udp;
pub(crate) mod udplite;

use crate::reason::Reason;
use crate::status::Status;
use crate::sysctl::Config;
use crate::timeout::Time;
use crate::tuple::Direction;

/// The state a protocol keeps for a connection.
#[derive(Debug, Clone)]
pub enum ProtocolState {
    /// TCP.
    Tcp(tcp::TcpTrack),
    /// UDP and UDP-Lite.
    Udp(udp::UdpState),
    /// SCTP.
    Sctp(sctp::SctpState),
    /// DCCP.
    Dccp(dccp::DccpState),
    /// GRE.
    Gre,
    /// ICMP.
    Icmp,
    /// ICMPv6.
    Icmpv6,
    /// Everything else.
    Generic,
}

/// What a protocol decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A good packet: refresh to this span and account it.
    Accept(Time),
    /// Good enough to let pass, but neither refreshed nor accounted.
    Ignore,
    /// Not a plausible packet.
    Invalid(Reason),
    /// The connection is over and this packet begins another: look it up again.
    Repeat,
    /// Account the packet and delete the connection.
    AcceptAndKill,
}

/// The circumstances of a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) direction: Direction,
    pub(crate) now: Time,
    /// The packet's connection is not confirmed: this is its first packet.
    pub(crate) first: bool,
}

/// Status bits a protocol may set.
pub(crate) fn assure(status: &mut Status) -> bool {
    let news = !status.contains(Status::ASSURED);
    *status = status.with(Status::ASSURED);
    news
}
