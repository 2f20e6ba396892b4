//! As `/proc/net/nf_conntrack` reads.

use super::{family_name, flag, full, live, protocol_name, state_name, write_ids};
use crate::connection::Connection;
use crate::protocol::ProtocolState;
use crate::status::Status;
use crate::sysctl::Config;
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
        write_line(&mut out, connection, now, tracker.config()).ok();
    }
    out
}

fn write_line(
    out: &mut String,
    connection: &Connection,
    now: Time,
    config: &Config,
) -> fmt::Result {
    let (status, zone) = (connection.status(), connection.zone());
    let original = connection.tuple(Direction::Original);
    let (family, number) = family_name(original.family);
    // A kernel that no longer tracks DCCP no longer knows its name.
    let is_dccp = original.protocol() == Protocol::DCCP
        && !matches!(connection.protocol_state(), ProtocolState::Dccp(_));
    let protocol = if is_dccp {
        "unknown"
    } else {
        protocol_name(original.protocol())
    };
    write!(
        out,
        "{family:<8} {number} {protocol:<8} {} ",
        original.protocol
    )?;
    if !connection.is_offloaded() {
        write!(out, "{} ", connection.remaining(now).as_secs())?;
        if let Some(state) = state_name(connection) {
            write!(out, "{state} ")?;
        }
    }
    if original.protocol() == Protocol::GRE {
        let [first, stream] = [config.gre_timeout, config.gre_timeout_stream].map(Time::as_secs);
        write!(out, "timeout={first}, stream_timeout={stream} ")?;
    }
    for direction in Direction::ALL {
        let tuple = connection.tuple(direction);
        write!(
            out,
            "src={} dst={} ",
            full(tuple.source_ip()),
            full(tuple.destination_ip())
        )?;
        if !is_dccp {
            write_ids(out, &tuple)?;
        }
        match (zone.scope, direction) {
            (ZoneScope::Original, Direction::Original) => write!(out, "zone-orig={} ", zone.id)?,
            (ZoneScope::Reply, Direction::Reply) => write!(out, "zone-reply={} ", zone.id)?,
            _ => {}
        }
        if config.acct {
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
    out.push_str(flag(status));
    write!(out, "mark={} ", connection.mark())?;
    if let Some(context) = connection.security_context() {
        write!(out, "secctx={context} ")?;
    }
    if zone.scope == ZoneScope::Both {
        write!(out, "zone={} ", zone.id)?;
    }
    if let Some(started) = connection.started() {
        write!(out, "delta-time={} ", (now - started).as_secs())?;
    }
    out.push_str("use=2\n");
    Ok(())
}
