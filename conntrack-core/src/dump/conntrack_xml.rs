//! As `conntrack -L -o xml` prints.

use super::conntrack_tools::Options;
use super::{family_name, has_ports, live, protocol_name};
use crate::connection::Connection;
use crate::id::ConnectionId;
use crate::protocol::ProtocolState;
use crate::protocol::tcp::TcpState;
use crate::status::Status;
use crate::timeout::Time;
use crate::tracker::Tracker;
use crate::tuple::{Direction, ZoneScope};
use packet::Protocol;
use std::fmt::{self, Write};

/// All connections in the order of their indices, one `<flow>` a line; nothing at all if there are none.
pub fn list(tracker: &Tracker, now: Time, options: Options<'_>) -> String {
    let mut flows = String::new();
    for (id, connection) in live(tracker, now) {
        // Writing to a String cannot fail.
        write_flow(&mut flows, id, connection, now, options).ok();
    }
    if flows.is_empty() {
        return flows;
    }
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n{flows}</conntrack>\n")
}

fn write_flow(
    out: &mut String,
    id: ConnectionId,
    connection: &Connection,
    now: Time,
    options: Options<'_>,
) -> fmt::Result {
    out.push_str("<flow>");
    for direction in Direction::ALL {
        write_direction(out, connection, direction, options)?;
    }
    out.push_str("<meta direction=\"independent\">");
    if !connection.is_offloaded() {
        let state = match connection.protocol_state() {
            ProtocolState::Tcp(tcp) => Some(tcp.state),
            // The tool (1.4.7) takes the name of TCP's state with the same number.
            ProtocolState::Sctp(sctp) => TcpState::ALL.get(sctp.state as usize).copied(),
            _ => None,
        };
        if let Some(state) = state {
            write!(out, "<state>{}</state>", state.name())?;
        }
        write!(
            out,
            "<timeout>{}</timeout>",
            connection.remaining(now).as_secs()
        )?;
    }
    write!(out, "<mark>{}</mark>", connection.mark())?;
    let zone = connection.zone();
    if zone.scope == ZoneScope::Both && zone.id != 0 {
        write!(out, "<zone>{}</zone>", zone.id)?;
    }
    if let Some(names) = options.labels {
        let set: Vec<&str> = names.of(connection.labels()).collect();
        if !set.is_empty() {
            let list = set.join("</label><label>");
            write!(out, "<labels><label>{list}</label></labels>")?;
        }
    }
    write!(out, "<use>1</use><id>{}</id>", id.number())?;
    if connection.status().contains(Status::ASSURED) {
        out.push_str("<assured/>");
    } else if !connection.status().contains(Status::SEEN_REPLY) {
        out.push_str("<unreplied/>");
    }
    if let Some(started) = connection.started() {
        if options.ktimestamp {
            write!(out, "<timestamp><start>{}</start></timestamp>", started.0)?;
        }
        let seconds = (now - started).as_secs();
        write!(out, "<deltatime>{seconds}</deltatime>")?;
    }
    out.push_str("</meta>");
    if let Some(helper) = connection.helper() {
        write!(out, "<helper>{helper}</helper>")?;
    }
    out.push_str("</flow>\n");
    Ok(())
}

fn write_direction(
    out: &mut String,
    connection: &Connection,
    direction: Direction,
    options: Options<'_>,
) -> fmt::Result {
    let tuple = connection.tuple(direction);
    let name = if direction == Direction::Original {
        "original"
    } else {
        "reply"
    };
    let (family, number) = family_name(tuple.family);
    write!(
        out,
        "<meta direction=\"{name}\"><layer3 protonum=\"{number}\" protoname=\"{family}\">"
    )?;
    write!(
        out,
        "<src>{}</src><dst>{}</dst></layer3>",
        tuple.source_ip(),
        tuple.destination_ip()
    )?;
    let protocol = protocol_name(tuple.protocol());
    write!(
        out,
        "<layer4 protonum=\"{}\" protoname=\"{protocol}\">",
        tuple.protocol
    )?;
    let (source, destination) = (tuple.source_id, tuple.destination_id);
    match tuple.protocol() {
        protocol if has_ports(protocol) => {
            write!(out, "<sport>{source}</sport><dport>{destination}</dport>")?;
        }
        Protocol::GRE => {
            write!(
                out,
                "<srckey>{source:#x}</srckey><dstkey>{destination:#x}</dstkey>"
            )?;
        }
        _ => {}
    }
    out.push_str("</layer4>");
    let zone = connection.zone();
    let own = match direction {
        Direction::Original => ZoneScope::Original,
        Direction::Reply => ZoneScope::Reply,
    };
    if zone.scope == own {
        write!(out, "<zone>{}</zone>", zone.id)?;
    }
    if options.counters {
        let counted = connection.counters(direction);
        write!(out, "<counters><packets>{}</packets>", counted.packets)?;
        write!(out, "<bytes>{}</bytes></counters>", counted.bytes)?;
    }
    out.push_str("</meta>");
    Ok(())
}
