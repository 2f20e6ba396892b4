//! `conn==10.0.0.1:40000-10.0.0.2:80` in a trigger: spelled out as conditions on the key a look-up was made for.

use crate::flow_table::entry::{Endpoint, FlowKey, KeyDirection};
use std::net::SocketAddr;
use waveforms::TriggerError;

/// The low 64 bits of an IPv6 address and its high ones; an IPv4 address and 0.
pub(super) fn address_words(address: &[u8; 16], ip_version: u8) -> [u64; 2] {
    if ip_version == 4 {
        let [a, b, c, d, ..] = *address;
        return [u32::from_be_bytes([a, b, c, d]).into(), 0];
    }
    let value = u128::from_be_bytes(*address);
    [value as u64, (value >> 64) as u64]
}

/// The text with every `conn==...` spelled out.
///
/// # Errors
/// What follows is neither a number nor a pair of endpoints.
pub(super) fn spell_out(text: &str) -> Result<String, TriggerError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("conn") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = &from["conn".len()..];
        let within_a_word =
            |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_.-".contains(c));
        let value = after.trim_start().strip_prefix("==").map(str::trim_start);
        match value {
            Some(value) if !within_a_word(before.chars().next_back()) => {
                let end = value.find(|c: char| c.is_whitespace() || "&|()".contains(c));
                let (value, more) = value.split_at(end.unwrap_or(value.len()));
                out.push_str(&condition(value)?);
                rest = more;
            }
            _ => {
                out.push_str("conn");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn condition(value: &str) -> Result<String, TriggerError> {
    let digits = value.strip_prefix("0x").unwrap_or(value);
    if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(format!("(lookup.hit && lookup.cookie=={value})"));
    }
    let ends: Option<Vec<SocketAddr>> = value.split('-').map(|end| end.parse().ok()).collect();
    let Some([one, other]) = ends.as_deref() else {
        return Err(TriggerError::NoValue {
            value: value.to_owned(),
            signal: "conn".to_owned(),
            hint: "expected the number of an entry, or two endpoints such as 10.0.0.1:40000-10.0.0.2:80 or [2001:db8::1]:1-[2001:db8::2]:2"
                .to_owned(),
        });
    };
    let version = if one.is_ipv4() { 4 } else { 6 };
    let (key, _) = FlowKey::new((*one).into(), (*other).into(), 0, version, 0);
    let end = |name: &str, direction| {
        let Endpoint { address, port } = key.sender(direction);
        let [low, high] = address_words(&address, version);
        format!(
            "lookup.{name}_ip==0x{low:x} && lookup.{name}_ip_high==0x{high:x} && lookup.{name}_port=={port}"
        )
    };
    let either = "(lookup.hit || lookup.miss)";
    Ok(format!(
        "({either} && {} && {})",
        end("lower", KeyDirection::LowerToHigher),
        end("higher", KeyDirection::HigherToLower)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Probe;

    #[test]
    fn a_connection_is_the_same_from_either_end() {
        let one = spell_out("lookup.miss && conn==10.0.0.9:80-10.0.0.1:4000").expect("a condition");
        let other =
            spell_out("lookup.miss && conn == 10.0.0.1:4000-10.0.0.9:80").expect("a condition");
        assert_eq!(one, other);
        assert!(
            one.contains("lower_ip==0xa000001") && one.contains("higher_port==80"),
            "{one}"
        );
        Probe::trigger(&one).expect("understood");
        Probe::trigger("conn==[2001:db8::1]:1-[2001:db8::2]:2 || conn==0x10").expect("understood");
    }

    #[test]
    fn what_is_no_connection_is_told() {
        let error = spell_out("conn==10.0.0.1")
            .expect_err("half of one")
            .to_string();
        assert!(error.contains("10.0.0.1:40000-10.0.0.2:80"), "{error}");
        let error = Probe::trigger("conn")
            .expect_err("compared with nothing")
            .to_string();
        assert!(error.contains("no signal is called"), "{error}");
    }
}
