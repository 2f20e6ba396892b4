//! As VyOS' `show conntrack table ipv4|ipv6` prints.

use super::{live, protocol_name, state_name};
use crate::connection::Connection;
use crate::id::ConnectionId;
use crate::timeout::Time;
use crate::tracker::Tracker;
use crate::tuple::{Direction, Tuple, ZoneScope};
use packet::Protocol;
use std::net::IpAddr;

const HEADINGS: [&str; 10] = [
    "Id",
    "Original src",
    "Original dst",
    "Reply src",
    "Reply dst",
    "Protocol",
    "State",
    "Timeout",
    "Mark",
    "Zone",
];

/// Connections of one IP version (4 or 6) as a table, in the order of their indices.
pub fn table(tracker: &Tracker, now: Time, version: u8) -> String {
    let rows: Vec<[String; 10]> = live(tracker, now)
        .filter(|(_, connection)| connection.tuple(Direction::Original).family == version)
        .map(|(id, connection)| row(id, connection, now))
        .collect();
    if rows.is_empty() {
        return "Entries not found\n".to_owned();
    }
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        longest.max(HEADINGS[column].len())
    };
    let widths: [usize; 10] = std::array::from_fn(width);
    let mut out = line(&HEADINGS, &widths);
    out.push_str(&line(&widths.map(|width| "-".repeat(width)), &widths));
    for row in &rows {
        out.push_str(&line(row, &widths));
    }
    out
}

fn line(cells: &[impl AsRef<str>; 10], widths: &[usize; 10]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{:<width$}", cell.as_ref()))
        .collect();
    padded.join("  ").trim_end().to_owned() + "\n"
}

fn row(id: ConnectionId, connection: &Connection, now: Time) -> [String; 10] {
    let [original, reply] = Direction::ALL.map(|direction| connection.tuple(direction));
    let number = |number: u32| {
        if number == 0 {
            String::new()
        } else {
            number.to_string()
        }
    };
    let zone = connection.zone();
    let zone_id = if zone.scope == ZoneScope::Both {
        zone.id
    } else {
        0
    };
    let timeout = if connection.is_offloaded() {
        String::new()
    } else {
        connection.remaining(now).as_secs().to_string()
    };
    [
        id.number().to_string(),
        end(&original, original.source_ip(), original.source_id),
        end(
            &original,
            original.destination_ip(),
            original.destination_id,
        ),
        end(&reply, reply.source_ip(), reply.source_id),
        end(&reply, reply.destination_ip(), reply.destination_id),
        protocol_name(original.protocol()).to_owned(),
        state_name(connection).unwrap_or_default().to_owned(),
        timeout,
        number(connection.mark()),
        number(zone_id.into()),
    ]
}

/// An address, with its port if the protocol has ports.
fn end(tuple: &Tuple, address: IpAddr, port: u16) -> String {
    match tuple.protocol() {
        Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP => {
            format!("{address}:{port}")
        }
        _ => address.to_string(),
    }
}
