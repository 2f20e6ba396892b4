//! What is put to the judge: packets, the side they come from, and the sysctls they meet.

pub use super::rules::Ruleset;
use conntrack_core::Tuple;
use packet::Protocol;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which of the router's two interfaces a packet arrives at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The one whose hosts usually begin conversations.
    A,
    /// The other.
    B,
}

/// DSCP of an IP packet; 0 if it is none.
pub fn dscp(packet: &[u8]) -> u8 {
    let [first, second, ..] = *packet else {
        return 0;
    };
    let traffic_class = if first >> 4 == 4 {
        second
    } else {
        first << 4 | second >> 4
    };
    traffic_class >> 2
}

/// The tuple of a packet without options or extension headers.
pub(super) fn tuple_of(packet: &[u8]) -> Option<Tuple> {
    let v4 = packet.first()? >> 4 == 4;
    let (header, protocol) = if v4 {
        (20, *packet.get(9)?)
    } else {
        (40, *packet.get(6)?)
    };
    let address = |at: usize| {
        let mut wide = [0; 16];
        let length = if v4 { 4 } else { 16 };
        wide[..length].copy_from_slice(packet.get(at..at + length)?);
        Some(wide)
    };
    let transport = packet.get(header..)?;
    let pair = |at: usize| {
        let bytes = transport.get(at..at + 2)?.first_chunk()?;
        Some(u16::from_be_bytes(*bytes))
    };
    let (source_id, destination_id) = match Protocol(protocol) {
        Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP => (pair(0)?, pair(2)?),
        Protocol::ICMP | Protocol::ICMPV6 => (pair(4)?, pair(0)?),
        _ => (0, 0),
    };
    Some(Tuple {
        source: address(if v4 { 12 } else { 8 })?,
        destination: address(if v4 { 16 } else { 24 })?,
        source_id,
        destination_id,
        protocol,
        family: if v4 { 4 } else { 6 },
    })
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Seconds that pass before it. None pass where that could not be judged ([`super::clock`]).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after_s: u32,
    /// Where it arrives.
    pub side: Side,
    /// From the IP header on.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub bytes: Vec<u8>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Case {
    /// Conntrack sysctls that differ from their defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<(String, String)>,
    /// Which rules there are before connection tracking.
    #[serde(default, skip_serializing_if = "Ruleset::is_plain")]
    pub rules: Ruleset,
    /// The packets in order.
    pub steps: Vec<Step>,
}

/// Hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

pub(super) fn to_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(bytes))
}

pub(super) fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes = text.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    bytes
        .collect::<Option<_>>()
        .ok_or_else(|| serde::de::Error::custom("expected hexadecimal digits in pairs"))
}
