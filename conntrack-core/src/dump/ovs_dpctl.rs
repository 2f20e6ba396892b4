//! As `ovs-dpctl dump-conntrack` prints, with `-m` and `-s`.

use super::live;
use crate::connection::Connection;
use crate::id::ConnectionId;
use crate::protocol::ProtocolState;
use crate::protocol::tcp::TcpState;
use crate::status::Status;
use crate::timeout::Time;
use crate::tracker::Tracker;
use crate::tuple::{Direction, Tuple};
use packet::Protocol;
use std::fmt::{self, Write};

/// What to print beside the plain line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// `-m`: id, status flags, all of the protocol's state.
    pub more: bool,
    /// `-s`: counters and timeout.
    pub statistics: bool,
}

/// All connections in the order of their indices, one line each.
pub fn list(tracker: &Tracker, now: Time, options: Options) -> String {
    let mut out = String::new();
    for (id, connection) in live(tracker, now) {
        // Writing to a String cannot fail.
        write_line(&mut out, id, connection, now, options).ok();
        out.push('\n');
    }
    out
}

fn write_line(
    out: &mut String,
    id: ConnectionId,
    connection: &Connection,
    now: Time,
    options: Options,
) -> fmt::Result {
    let protocol = connection.tuple(Direction::Original).protocol();
    match protocol_name(protocol) {
        Some(name) => out.push_str(name),
        None => write!(out, "{}", protocol.0)?,
    }
    for (direction, name) in Direction::ALL.into_iter().zip(["orig", "reply"]) {
        write!(out, ",{name}=(")?;
        write_tuple(out, &connection.tuple(direction))?;
        let counters = connection.counters(direction);
        if options.statistics && counters.packets != 0 {
            write!(
                out,
                ",packets={},bytes={}",
                counters.packets, counters.bytes
            )?;
        }
        out.push(')');
    }
    if options.more {
        write!(out, ",id={}", id.number())?;
    }
    let zone = connection.zone().effective(Direction::Original);
    if zone != 0 {
        write!(out, ",zone={zone}")?;
    }
    if options.more {
        write!(out, ",status={}", status(connection.status()))?;
    }
    if options.statistics {
        write!(out, ",timeout={}", connection.remaining(now).as_secs())?;
    }
    if connection.mark() != 0 {
        write!(out, ",mark={}", connection.mark())?;
    }
    write_protocol(out, connection, options.more)
}

const fn protocol_name(protocol: Protocol) -> Option<&'static str> {
    Some(match protocol {
        Protocol::ICMP => "icmp",
        Protocol::ICMPV6 => "icmpv6",
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        Protocol::SCTP => "sctp",
        Protocol::UDPLITE => "udplite",
        Protocol::DCCP => "dccp",
        Protocol(2) => "igmp",
        _ => return None,
    })
}

fn write_tuple(out: &mut String, tuple: &Tuple) -> fmt::Result {
    write!(
        out,
        "src={},dst={}",
        tuple.source_ip(),
        tuple.destination_ip()
    )?;
    let (source, destination) = (tuple.source_id, tuple.destination_id);
    match tuple.protocol() {
        Protocol::ICMP | Protocol::ICMPV6 => {
            let [icmp_type, code] = destination.to_be_bytes();
            write!(out, ",id={source},type={icmp_type},code={code}")
        }
        Protocol::TCP | Protocol::UDP | Protocol::SCTP | Protocol::UDPLITE => {
            write!(out, ",sport={source},dport={destination}")
        }
        _ => Ok(()),
    }
}

fn status(status: Status) -> String {
    const NAMES: [(Status, &str); 10] = [
        (Status::EXPECTED, "EXPECTED"),
        (Status::SEEN_REPLY, "SEEN_REPLY"),
        (Status::ASSURED, "ASSURED"),
        (Status::CONFIRMED, "CONFIRMED"),
        (Status::SRC_NAT, "SRC_NAT"),
        (Status::DST_NAT, "DST_NAT"),
        (Status::DYING, "DYING"),
        (Status::FIXED_TIMEOUT, "FIXED_TIMEOUT"),
        (Status::OFFLOAD, "OFFLOAD"),
        (Status::HW_OFFLOAD, "HW_OFFLOAD"),
    ];
    let set: Vec<&str> = NAMES
        .iter()
        .filter(|(bit, _)| status.contains(*bit))
        .map(|(_, name)| *name)
        .collect();
    if set.is_empty() {
        "0".to_owned()
    } else {
        set.join("|")
    }
}

fn write_protocol(out: &mut String, connection: &Connection, more: bool) -> fmt::Result {
    match connection.protocol_state() {
        ProtocolState::Tcp(tcp) if more => {
            let state = tcp_state(tcp.state);
            write!(out, ",protoinfo=(state_orig={state},state_reply={state}")?;
            let [original, reply] = Direction::ALL.map(|direction| tcp.side(direction));
            if original.scale != 0 || reply.scale != 0 {
                write!(
                    out,
                    ",wscale_orig={},wscale_reply={}",
                    original.scale, reply.scale
                )?;
            }
            let [original, reply] = [original.flags, reply.flags].map(tcp_flags);
            write!(out, ",flags_orig={original},flags_reply={reply})")
        }
        ProtocolState::Tcp(tcp) => {
            let state = match tcp.state {
                TcpState::SynReceived => "ESTABLISHED",
                state => tcp_state(state),
            };
            write!(out, ",protoinfo=(state={state})")
        }
        ProtocolState::Sctp(sctp) => {
            let [original, reply] = Direction::ALL.map(|direction| sctp.tag(direction));
            let state = sctp.state.name();
            write!(
                out,
                ",protoinfo=(state={state},vtag_orig={original},vtag_reply={reply})"
            )
        }
        _ => Ok(()),
    }
}

/// The kernel's states under the names of Open vSwitch.
const fn tcp_state(state: TcpState) -> &'static str {
    match state {
        TcpState::FinWait => "FIN_WAIT_1",
        TcpState::Close => "CLOSED",
        TcpState::SynSent2 => "SYN_SENT",
        state => state.name(),
    }
}

fn tcp_flags(flags: u8) -> String {
    const NAMES: [(u8, &str); 4] = [
        (1, "WINDOW_SCALE"),
        (2, "SACK_PERM"),
        (4, "CLOSE_INIT"),
        (8, "BE_LIBERAL"),
    ];
    let set: Vec<&str> = NAMES
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    if set.is_empty() {
        "0".to_owned()
    } else {
        set.join("|")
    }
}
