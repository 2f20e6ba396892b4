//! As `conntrack -L -o extended` prints.

use crate::connection::{Connection, Status};
use crate::protocol::ProtocolState;
use crate::timeout::Time;
use crate::tracker::Tracker;
use crate::tuple::{Direction, Tuple, ZoneScope};
use packet::Protocol;
use std::fmt::{self, Write};

/// What to print beside the plain line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// `-o extended`: the network protocol first.
    pub extended: bool,
    /// Packet and byte counters (as the tool prints when `nf_conntrack_acct` is on).
    pub counters: bool,
}

impl Options {
    /// `-o extended` with accounting on.
    pub const EXTENDED: Self = Self {
        extended: true,
        counters: true,
    };
}

/// All connections in the order of their indices, one line each, those that have expired left out.
pub fn list(tracker: &Tracker, now: Time, options: Options) -> String {
    let mut out = String::new();
    for (_, connection) in tracker
        .iter()
        .filter(|(_, connection)| !connection.is_expired(now))
    {
        out.push_str(&line(connection, now, options));
        out.push('\n');
    }
    out
}

/// One connection, without the line's end.
pub fn line(connection: &Connection, now: Time, options: Options) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    write_line(&mut out, connection, now, options).ok();
    out.truncate(out.trim_end().len());
    out
}

fn write_line(
    out: &mut String,
    connection: &Connection,
    now: Time,
    options: Options,
) -> fmt::Result {
    let original = connection.tuple(Direction::Original);
    let status = connection.status();
    if options.extended {
        let (name, number) = if original.family == 4 {
            ("ipv4", 2)
        } else {
            ("ipv6", 10)
        };
        write!(out, "{name:<8} {number} ")?;
    }
    write!(
        out,
        "{:<8} {} ",
        protocol_name(original.protocol()),
        original.protocol
    )?;
    if !connection.is_offloaded() {
        write!(out, "{} ", connection.remaining(now).as_secs())?;
    }
    match connection.protocol_state() {
        ProtocolState::Tcp(tcp) => write!(out, "{} ", tcp.state.name())?,
        ProtocolState::Sctp(sctp) => write!(out, "{} ", sctp.state.name())?,
        _ => {}
    }
    for direction in [Direction::Original, Direction::Reply] {
        write_tuple(out, &connection.tuple(direction))?;
        match (connection.zone().scope, direction) {
            (ZoneScope::Original, Direction::Original) => {
                write!(out, "zone-orig={} ", connection.zone().id)?;
            }
            (ZoneScope::Reply, Direction::Reply) => {
                write!(out, "zone-reply={} ", connection.zone().id)?;
            }
            _ => {}
        }
        if options.counters {
            let counters = connection.counters(direction);
            write!(
                out,
                "packets={} bytes={} ",
                counters.packets, counters.bytes
            )?;
        }
        if direction == Direction::Original && !status.contains(Status::SEEN_REPLY) {
            out.push_str("[UNREPLIED] ");
        }
    }
    if status.contains(Status::HW_OFFLOAD) {
        out.push_str("[HW_OFFLOAD] ");
    } else if status.contains(Status::OFFLOAD) {
        out.push_str("[OFFLOAD] ");
    } else if status.contains(Status::ASSURED) {
        out.push_str("[ASSURED] ");
    }
    write!(out, "mark={} ", connection.mark())?;
    let zone = connection.zone();
    if zone.scope == ZoneScope::Both && zone.id != 0 {
        write!(out, "zone={} ", zone.id)?;
    }
    out.write_str("use=1")
}

/// The names the tool knows; everything else is `unknown`.
fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        Protocol::ICMP => "icmp",
        Protocol::ICMPV6 => "icmpv6",
        Protocol::SCTP => "sctp",
        Protocol::GRE => "gre",
        Protocol::UDPLITE => "udplite",
        _ => "unknown",
    }
}

fn write_tuple(out: &mut String, tuple: &Tuple) -> fmt::Result {
    write!(
        out,
        "src={} dst={} ",
        tuple.source_ip(),
        tuple.destination_ip()
    )?;
    let (source, destination) = (tuple.source_id, tuple.destination_id);
    match tuple.protocol() {
        Protocol::ICMP | Protocol::ICMPV6 => {
            let [icmp_type, code] = destination.to_be_bytes();
            write!(out, "type={icmp_type} code={code} id={source} ")
        }
        Protocol::GRE => write!(out, "srckey={source:#x} dstkey={destination:#x} "),
        Protocol::TCP | Protocol::UDP | Protocol::SCTP | Protocol::UDPLITE => {
            write!(out, "sport={source} dport={destination} ")
        }
        _ => Ok(()),
    }
}
