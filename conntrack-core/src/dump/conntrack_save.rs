//! As `conntrack -L -o save` prints: options that make the same connections again (but for
//! their marks, which the tool leaves out).

use super::{has_ports, live, protocol_name, state_name};
use crate::connection::Connection;
use crate::protocol::ProtocolState;
use crate::status::Status;
use crate::timeout::Time;
use crate::tracker::Tracker;
use crate::tuple::{Direction, ZoneScope};
use packet::Protocol;
use std::fmt::{self, Write};

/// All connections in the order of their indices, one line each.
pub fn list(tracker: &Tracker, now: Time) -> String {
    let mut out = String::new();
    for (_, connection) in live(tracker, now) {
        // Writing to a String cannot fail.
        write_line(&mut out, connection, now).ok();
        out.push('\n');
    }
    out
}

fn write_line(out: &mut String, connection: &Connection, now: Time) -> fmt::Result {
    let seconds = connection.remaining(now).as_secs();
    write!(out, "-A -t {seconds} -u {}", status(connection.status()))?;
    let zone = connection.zone();
    match zone.scope {
        ZoneScope::Both if zone.id == 0 => {}
        ZoneScope::Both => write!(out, " -w {}", zone.id)?,
        ZoneScope::Original => write!(out, " --orig-zone {}", zone.id)?,
        ZoneScope::Reply => write!(out, " --reply-zone {}", zone.id)?,
    }
    let [original, reply] = Direction::ALL.map(|direction| connection.tuple(direction));
    let [source, destination] = [original.source_ip(), original.destination_ip()];
    write!(out, " -s {source} -d {destination}")?;
    let flag = |translated: bool, plain, other| if translated { other } else { plain };
    let source_flag = flag(reply.source != original.destination, "-r", "-g");
    let destination_flag = flag(reply.destination != original.source, "-q", "-n");
    write!(
        out,
        " {source_flag} {} {destination_flag} {}",
        reply.source_ip(),
        reply.destination_ip()
    )?;
    write_protocol(out, connection)
}

fn write_protocol(out: &mut String, connection: &Connection) -> fmt::Result {
    let [original, reply] = Direction::ALL.map(|direction| connection.tuple(direction));
    match protocol_name(original.protocol()) {
        "unknown" => write!(out, " -p {}", original.protocol)?,
        name => write!(out, " -p {name}")?,
    }
    let (source, destination) = (original.source_id, original.destination_id);
    let [icmp_type, code] = destination.to_be_bytes();
    match original.protocol() {
        Protocol::ICMP => {
            write!(
                out,
                " --icmp-type {icmp_type} --icmp-code {code} --icmp-id {source}"
            )?;
        }
        Protocol::ICMPV6 => {
            write!(
                out,
                " --icmpv6-type {icmp_type} --icmpv6-code {code} --icmpv6-id {source}"
            )?;
        }
        Protocol::GRE => {
            let (from, to) = (reply.source_id, reply.destination_id);
            write!(out, " --srckey {source} --dstkey {destination}")?;
            write!(out, " --reply-key-src {from} --reply-key-dst {to}")?;
        }
        // DCCP has ports in lists, but not here.
        protocol if has_ports(protocol) && protocol != Protocol::DCCP => {
            let (from, to) = (reply.source_id, reply.destination_id);
            write!(out, " --sport {source} --dport {destination}")?;
            write!(out, " --reply-port-src {from} --reply-port-dst {to}")?;
        }
        _ => {}
    }
    if let Some(state) = state_name(connection) {
        // The tool (1.4.7) has no word for this one here.
        let state = if state == "HEARTBEAT_SENT" {
            "(null)"
        } else {
            state
        };
        write!(out, " --state {state}")?;
    }
    if let ProtocolState::Sctp(sctp) = connection.protocol_state() {
        // The tool (1.4.7) prints the tags' bytes the wrong way round on little-endian machines.
        let [ours, theirs] = Direction::ALL.map(|direction| sctp.tag(direction).swap_bytes());
        write!(out, " --orig-vtag {ours} --reply-vtag {theirs}")?;
    }
    Ok(())
}

fn status(status: Status) -> String {
    const NAMES: [(Status, &str); 4] = [
        (Status::EXPECTED, "EXPECTED"),
        (Status::SEEN_REPLY, "SEEN_REPLY"),
        (Status::ASSURED, "ASSURED"),
        (Status::FIXED_TIMEOUT, "FIXED_TIMEOUT"),
    ];
    let set: Vec<&str> = NAMES
        .iter()
        .filter(|(bit, _)| status.contains(*bit))
        .map(|(_, name)| *name)
        .collect();
    if set.is_empty() {
        "UNSET".to_owned()
    } else {
        set.join(",")
    }
}
