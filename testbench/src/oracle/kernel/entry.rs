//! A connection as the kernel tells it (`linux/netfilter/nfnetlink_conntrack.h`).

use super::netlink::{attribute, put, put_nested};
use conntrack_core::{Tuple, Zone, ZoneScope};
use packet::Protocol;
use serde::{Deserialize, Serialize};

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOINFO: u16 = 4;
const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
const COUNTERS: [u16; 2] = [9, 10];
const ZONE: u16 = 18;
const HELP: u16 = 5;
const LABELS: u16 = 22;
const MASTER: u16 = 14;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const TUPLE_ZONE: u16 = 3;

/// What is compared of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Original and reply tuple, printed.
    pub tuples: [String; 2],
    /// Status bits (`IPS_*`).
    pub status: u32,
    /// Time left, seconds, rounded down; none for an offloaded connection.
    pub timeout_s: Option<u32>,
    /// Packets and bytes of both directions.
    pub counters: [(u64, u64); 2],
    /// Mark.
    pub mark: u32,
    /// Zone of both directions.
    pub zone: u16,
    /// Zones of the directions, where it has one for one of them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub zones: [u16; 2],
    /// Its labels, lowest bits first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub labels: [u8; 16],
    /// Its helper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<String>,
    /// Original tuple of the connection that announced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// Where TCP's numbers are shifted, and by how much before and after, in both directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shifts: Option<[(u32, i32, i32); 2]>,
    /// State of TCP or SCTP by its kernel number; further numbers of the protocol: window scale and flags of both
    /// sides, or both verification tags.
    pub protocol: Vec<u32>,
}

impl Entry {
    /// Source and destination id of the reply tuple, as far as it shows them.
    pub fn reply_ids(&self) -> Option<(u16, u16)> {
        let reply = &self.tuples[1];
        if let Some((_, id)) = reply.rsplit_once(" id=") {
            return id.parse().ok().map(|id| (id, 0));
        }
        let (source, destination) = reply.split_once('>')?;
        let id = |end: &str| end.rsplit_once(':')?.1.parse().ok();
        Some((id(source)?, id(destination)?))
    }
}

fn is_default(zones: &[u16; 2]) -> bool {
    *zones == [0; 2]
}

fn is_zero(labels: &[u8; 16]) -> bool {
    *labels == [0; 16]
}

fn be16(value: &[u8]) -> Option<u16> {
    value.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn be32(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn be64(value: &[u8]) -> Option<u64> {
    value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Reads an entry; `None` if the message is none.
pub(super) fn read(message: &[u8]) -> Option<Entry> {
    let tuple = |kind| {
        attribute(message, kind)
            .and_then(read_tuple)
            .map(|tuple| tuple.to_string())
    };
    let counters = |kind| {
        let nested = attribute(message, kind)?;
        Some((be64(attribute(nested, 1)?)?, be64(attribute(nested, 2)?)?))
    };
    let number = |kind| attribute(message, kind).and_then(be32);
    let shift = |kind| {
        let nested = attribute(message, kind)?;
        let number = |kind| attribute(nested, kind).and_then(be32);
        Some((number(1)?, number(2)? as i32, number(3)? as i32))
    };
    Some(Entry {
        tuples: [tuple(TUPLE_ORIG)?, tuple(TUPLE_REPLY)?],
        status: number(STATUS).unwrap_or(0),
        timeout_s: number(TIMEOUT),
        counters: COUNTERS.map(|kind| counters(kind).unwrap_or((0, 0))),
        mark: number(MARK).unwrap_or(0),
        zone: attribute(message, ZONE).and_then(be16).unwrap_or(0),
        zones: [TUPLE_ORIG, TUPLE_REPLY].map(|kind| {
            let zone = attribute(message, kind).and_then(|tuple| attribute(tuple, TUPLE_ZONE));
            zone.and_then(be16).unwrap_or(0)
        }),
        labels: attribute(message, LABELS)
            .and_then(|labels| labels.first_chunk())
            .copied()
            .unwrap_or_default(),
        helper: attribute(message, HELP)
            .and_then(|help| attribute(help, 1))
            .map(text),
        master: attribute(message, MASTER)
            .and_then(read_tuple)
            .map(|tuple| tuple.to_string()),
        shifts: shift(15).zip(shift(16)).map(|(a, b)| [a, b]),
        protocol: attribute(message, PROTOINFO)
            .map(read_protocol)
            .unwrap_or_default(),
    })
}

fn read_protocol(info: &[u8]) -> Vec<u32> {
    const TCP: u16 = 1;
    const SCTP: u16 = 3;
    let byte = |value: &[u8]| value.first().copied().map(u32::from);
    if let Some(tcp) = attribute(info, TCP) {
        let state = attribute(tcp, 1).and_then(byte);
        let scales = [2, 3].map(|kind| attribute(tcp, kind).and_then(byte));
        let flags = [4, 5].map(|kind| attribute(tcp, kind).and_then(byte));
        return [state, scales[0], scales[1], flags[0], flags[1]]
            .into_iter()
            .flatten()
            .collect();
    }
    let Some(sctp) = attribute(info, SCTP) else {
        return Vec::new();
    };
    let state = attribute(sctp, 1).and_then(byte);
    let tags = [2, 3].map(|kind| attribute(sctp, kind).and_then(be32));
    [state, tags[0], tags[1]].into_iter().flatten().collect()
}

/// Reads a nested tuple.
pub(super) fn read_tuple(bytes: &[u8]) -> Option<Tuple> {
    let (ip, proto) = (attribute(bytes, TUPLE_IP)?, attribute(bytes, TUPLE_PROTO)?);
    let family = if attribute(ip, 1).is_some() { 4 } else { 6 };
    let first = if family == 4 { 1 } else { 3 };
    let address = |kind| {
        let mut wide = [0; 16];
        let value = attribute(ip, kind)?;
        wide.get_mut(..value.len())?.copy_from_slice(value);
        Some(wide)
    };
    let protocol = *attribute(proto, 1)?.first()?;
    let number = |kind| attribute(proto, kind).and_then(be16).unwrap_or(0);
    let byte = |kind| {
        attribute(proto, kind)
            .and_then(|value| value.first().copied())
            .unwrap_or(0)
    };
    let (source_id, destination_id) = match Protocol(protocol) {
        Protocol::ICMP => (number(4), u16::from_be_bytes([byte(5), byte(6)])),
        Protocol::ICMPV6 => (number(7), u16::from_be_bytes([byte(8), byte(9)])),
        _ => (number(2), number(3)),
    };
    Some(Tuple {
        source: address(first)?,
        destination: address(first + 1)?,
        source_id,
        destination_id,
        protocol,
        family,
    })
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&value[..end.unwrap_or(value.len())]).into_owned()
}

/// An expected connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Expected {
    /// Tuple, source mask, master, class, flags, helper, translation, in words.
    pub what: String,
    /// Time left, seconds.
    pub timeout_s: u32,
}

/// The expected tuple in a message.
pub(super) fn expected_tuple(message: &[u8]) -> Option<Tuple> {
    attribute(message, 2).and_then(read_tuple)
}

/// Reads an expectation (`CTA_EXPECT_*`).
pub(super) fn read_expected(message: &[u8]) -> Option<Expected> {
    let tuple = |kind| attribute(message, kind).and_then(read_tuple);
    let number = |kind| attribute(message, kind).and_then(be32);
    let (master, expected, mask) = (tuple(1)?, tuple(2)?, tuple(3)?);
    let helper = attribute(message, 6).map(text).unwrap_or_default();
    let translation = attribute(message, 10).and_then(|nat| {
        let direction = attribute(nat, 1).and_then(be32)?;
        let real = attribute(nat, 2).and_then(read_tuple)?;
        Some((direction, real.source, real.source_id))
    });
    Some(Expected {
        what: super::describe_expected(
            &expected,
            (mask.source, mask.source_id),
            &master,
            (number(9)?, number(8).unwrap_or(0), &helper),
            translation,
        ),
        timeout_s: number(4)?,
    })
}

/// The original tuple in a message.
pub(super) fn original(message: &[u8]) -> Option<Tuple> {
    attribute(message, TUPLE_ORIG).and_then(read_tuple)
}

/// The reply tuple in a message.
pub(super) fn reply(message: &[u8]) -> Option<Tuple> {
    attribute(message, TUPLE_REPLY).and_then(read_tuple)
}

/// The attributes that give the connection with this original tuple so many seconds.
pub(super) fn with_timeout(tuple: &Tuple, zone: Zone, seconds: u32) -> Vec<u8> {
    let mut out = query(tuple, zone);
    put(&mut out, TIMEOUT, &seconds.to_be_bytes());
    out
}

/// The attributes that ask for the connection with this original tuple.
pub(super) fn query(tuple: &Tuple, zone: Zone) -> Vec<u8> {
    let mut out = Vec::new();
    put_nested(&mut out, TUPLE_ORIG, |out| {
        let length = if tuple.family == 4 { 4 } else { 16 };
        let first = if tuple.family == 4 { 1 } else { 3 };
        put_nested(out, TUPLE_IP, |out| {
            put(out, first, &tuple.source[..length]);
            put(out, first + 1, &tuple.destination[..length]);
        });
        put_nested(out, TUPLE_PROTO, |out| {
            put(out, 1, &[tuple.protocol]);
            let [kind, code] = tuple.destination_id.to_be_bytes();
            let (source, destination) = (
                tuple.source_id.to_be_bytes(),
                tuple.destination_id.to_be_bytes(),
            );
            match Protocol(tuple.protocol) {
                Protocol::ICMP => {
                    put(out, 4, &source);
                    put(out, 5, &[kind]);
                    put(out, 6, &[code]);
                }
                Protocol::ICMPV6 => {
                    put(out, 7, &source);
                    put(out, 8, &[kind]);
                    put(out, 9, &[code]);
                }
                _ => {
                    put(out, 2, &source);
                    put(out, 3, &destination);
                }
            }
        });
        if zone.scope == ZoneScope::Original {
            put(out, TUPLE_ZONE, &zone.id.to_be_bytes());
        }
    });
    if zone.scope == ZoneScope::Both && zone.id != 0 {
        put(&mut out, ZONE, &zone.id.to_be_bytes());
    }
    out
}
