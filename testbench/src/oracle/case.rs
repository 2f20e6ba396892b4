//! What is put to the judge: packets, the side they come from, and the sysctls they meet.

pub use super::rules::Ruleset;
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

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where it arrives.
    pub side: Side,
    /// From the IP header on.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub bytes: Vec<u8>,
}

/// A conversation. All packets happen at the same instant.
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
