//! How others print connections. One printer, one file.

mod calendar;
pub mod conntrack_events;
pub mod conntrack_expect;
pub mod conntrack_save;
pub mod conntrack_stats;
pub mod conntrack_tools;
pub mod conntrack_xml;
mod labels;
pub mod ovs_dpctl;
pub mod proc;
pub mod vyos;

pub use labels::LabelNames;

use crate::connection::Connection;
use crate::helper::text;
use crate::id::ConnectionId;
use crate::protocol::ProtocolState;
use crate::status::Status;
use crate::timeout::Time;
use crate::tracker::Tracker;
use crate::tuple::Tuple;
use packet::Protocol;
use std::fmt::{self, Write};
use std::net::IpAddr;

/// Connections that have not expired, in the order of their indices: what every list shows.
fn live(tracker: &Tracker, now: Time) -> impl Iterator<Item = (ConnectionId, &Connection)> {
    tracker
        .iter()
        .filter(move |(_, connection)| !connection.is_expired(now))
}

/// The names of `conntrack`; everything else is `unknown`.
const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        Protocol::ICMP => "icmp",
        Protocol::ICMPV6 => "icmpv6",
        Protocol::SCTP => "sctp",
        Protocol::GRE => "gre",
        Protocol::UDPLITE => "udplite",
        Protocol::DCCP => "dccp",
        _ => "unknown",
    }
}

/// Name and number of the network protocol.
const fn family_name(family: u8) -> (&'static str, u8) {
    if family == 4 {
        ("ipv4", 2)
    } else {
        ("ipv6", 10)
    }
}

/// The state of TCP, SCTP and DCCP by name.
const fn state_name(connection: &Connection) -> Option<&'static str> {
    match connection.protocol_state() {
        ProtocolState::Tcp(tcp) => Some(tcp.state.name()),
        ProtocolState::Sctp(sctp) => Some(sctp.state.name()),
        ProtocolState::Dccp(dccp) => Some(dccp.state.name()),
        _ => None,
    }
}

/// The one flag that is shown of an entry, with a space behind it.
const fn flag(status: Status) -> &'static str {
    if status.contains(Status::HW_OFFLOAD) {
        "[HW_OFFLOAD] "
    } else if status.contains(Status::OFFLOAD) {
        "[OFFLOAD] "
    } else if status.contains(Status::ASSURED) {
        "[ASSURED] "
    } else {
        ""
    }
}

/// An address as `/proc` has it: IPv6 addresses are not shortened.
fn full(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => text::all_digits(address.octets()),
    }
}

/// What follows the addresses of a tuple, each with a space behind it.
fn write_ids(out: &mut String, tuple: &Tuple) -> fmt::Result {
    let (source, destination) = (tuple.source_id, tuple.destination_id);
    match tuple.protocol() {
        Protocol::ICMP | Protocol::ICMPV6 => {
            let [icmp_type, code] = destination.to_be_bytes();
            write!(out, "type={icmp_type} code={code} id={source} ")
        }
        Protocol::GRE => write!(out, "srckey={source:#x} dstkey={destination:#x} "),
        protocol if has_ports(protocol) => {
            write!(out, "sport={source} dport={destination} ")
        }
        _ => Ok(()),
    }
}

/// Whether the tools print ports for a protocol. Those of DCCP are 0 in kernels that no longer track it.
const fn has_ports(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::TCP | Protocol::UDP | Protocol::SCTP | Protocol::UDPLITE | Protocol::DCCP
    )
}
