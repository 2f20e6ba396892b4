//! As `conntrack -L` prints, plain or `-o extended,id`.

use super::calendar::ctime;
use super::{LabelNames, family_name, flag, live, protocol_name, state_name, write_ids};
use crate::connection::Connection;
use crate::status::Status;
use crate::timeout::Time;
use crate::tracker::Tracker;
use crate::tuple::{Direction, Tuple, ZoneScope};
use std::fmt::{self, Write};

/// What to print beside the plain line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// `-o extended`: the network protocol first.
    pub extended: bool,
    /// Packet and byte counters (as the tool prints when `nf_conntrack_acct` is on).
    pub counters: bool,
    /// `-o id`: the connection's number last.
    pub id: bool,
    /// `-o ktimestamp`: when it began, if that was recorded.
    pub ktimestamp: bool,
    /// `-o labels`: their names.
    pub labels: Option<&'a LabelNames>,
}

impl Options<'_> {
    /// `-o extended` with accounting on.
    pub const EXTENDED: Self = Self {
        extended: true,
        counters: true,
        id: false,
        ktimestamp: false,
        labels: None,
    };
}

/// All connections in the order of their indices, one line each, those that have expired left out.
pub fn list(tracker: &Tracker, now: Time, options: Options<'_>) -> String {
    let mut out = String::new();
    for (id, connection) in live(tracker, now) {
        out.push_str(&line(connection, now, options));
        if options.id {
            // Writing to a String cannot fail.
            write!(out, " id={}", id.number()).ok();
        }
        if let Some(names) = options.labels {
            write_labels(&mut out, connection, names).ok();
        }
        out.push('\n');
    }
    out
}

fn write_labels(out: &mut String, connection: &Connection, names: &LabelNames) -> fmt::Result {
    let set: Vec<&str> = names.of(connection.labels()).collect();
    if set.is_empty() {
        return Ok(());
    }
    write!(out, " labels={}", set.join(","))
}

/// One connection, without its id, its labels and the line's end.
pub fn line(connection: &Connection, now: Time, options: Options<'_>) -> String {
    let mut out = String::new();
    write_line(&mut out, connection, now, options, true).ok();
    out.truncate(out.trim_end().len());
    out
}

/// Writes a line with a space behind it; a list always has the mark and the number of users, an event does not.
pub(super) fn write_line(
    out: &mut String,
    connection: &Connection,
    now: Time,
    options: Options<'_>,
    listed: bool,
) -> fmt::Result {
    let original = connection.tuple(Direction::Original);
    let status = connection.status();
    if options.extended {
        let (name, number) = family_name(original.family);
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
    // Of an offloaded connection the kernel tells neither timeout nor state.
    if let Some(state) = state_name(connection).filter(|_| !connection.is_offloaded()) {
        write!(out, "{state} ")?;
    }
    for direction in Direction::ALL {
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
    out.push_str(flag(status));
    if listed || connection.mark() != 0 {
        write!(out, "mark={} ", connection.mark())?;
    }
    if let Some(context) = connection.security_context() {
        write!(out, "secctx={context} ")?;
    }
    let zone = connection.zone();
    if zone.scope == ZoneScope::Both && zone.id != 0 {
        write!(out, "zone={} ", zone.id)?;
    }
    if let Some(started) = connection.started() {
        write!(out, "delta-time={} ", (now - started).as_secs())?;
        if options.ktimestamp {
            write!(out, "[start={}] ", ctime(started))?;
            if status.contains(Status::DYING) {
                write!(out, "[stop={}] ", ctime(now))?;
            }
        }
    }
    if let Some(helper) = connection.helper() {
        write!(out, "helper={helper} ")?;
    }
    if listed {
        out.push_str("use=1");
    }
    Ok(())
}

fn write_tuple(out: &mut String, tuple: &Tuple) -> fmt::Result {
    let (source, destination) = (tuple.source_ip(), tuple.destination_ip());
    write!(out, "src={source} dst={destination} ")?;
    write_ids(out, tuple)
}
